"""Rules between columns hold in every row that a codec decodes, whatever the tokens are."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generators.base import Budget, GeneratorInputError, ignore_step
from generators.registry import SYNTHESIZERS
from generators.tabular.codec import CodecConfig, TableCodec, fit_codec
from generators.tabular.derivations import words
from sources import schema_json
from sources.dataset import Dataset
from sources.relations import find_relations, sum_residual, sum_tolerance
from sources.schema import Column, Rules, Schema, TableRule

N = 240
DAY = Column(name="day", kind="datetime", storage="date")
WHOLE = Column(name="whole", kind="numeric", integer=True, decimals=0)
CENTS = Column(name="cents", kind="numeric", decimals=2)
REAL = Column(name="real", kind="numeric")


def named(column: Column, name: str, **rules: Any) -> Column:
    return Column(**{**vars(column), "name": name, "rules": Rules(**rules)})


def declared(*rules: tuple[Any, ...]) -> tuple[TableRule, ...]:
    return tuple(TableRule(kind=kind, columns=columns) for kind, *columns in rules for columns in [tuple(columns)])


def table(cells: dict[str, Any], columns: tuple[Column, ...], *rules: tuple[Any, ...]) -> Dataset:
    return Dataset(frame=pd.DataFrame(cells), schema=Schema(columns=columns, rules=declared(*rules)))


def holes(cells: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    return np.where(rng.random(len(cells)) < share, np.nan, cells)


def moments(days: np.ndarray) -> pd.Series:
    known = pd.Series(np.nan_to_num(days))  # pandas computes with whatever lies in memory where a number is missing
    when = (pd.Timestamp("2020-01-01") + pd.to_timedelta(known, unit="D")).astype("datetime64[us]")
    return when.mask(np.isnan(days))


def chain(column: Column, scale: float, missing: float, *, strict: bool, seed: int) -> Dataset:
    """Ordered a <= b <= c, gaps often 0 where they may be, any of them missing."""
    rng = np.random.default_rng(seed)
    step = 1.0 if column.kind == "datetime" or column.integer else 0.01 if column.decimals else 0.0
    a = rng.normal(size=N) * scale
    gaps = [rng.exponential(size=N) * scale * (rng.random(N) < 0.6) + (step or 1e-6 * scale) * strict for _ in range(2)]
    cells = {"a": a, "b": a + gaps[0], "c": a + gaps[0] + gaps[1]}
    if step:
        units = {name: np.round(part / step) for name, part in cells.items()}
        units["b"] = np.maximum(units["b"], units["a"] + strict)
        units["c"] = np.maximum(units["c"], units["b"] + strict)
        cells = {name: np.round(part * step, 2) for name, part in units.items()}
    cells = {name: holes(part, missing, rng) for name, part in cells.items()}
    frame = {name: moments(part) for name, part in cells.items()} if column.kind == "datetime" else cells
    kind = "greater" if strict else "greater_or_equal"
    return table(frame, tuple(named(column, name) for name in "abc"), (kind, "b", "a"), (kind, "c", "b"))


def broken_rules(frame: pd.DataFrame, schema: Schema) -> list[str]:
    """The naive reference: each declared rule row by row."""
    found = []
    for rule in schema.rules:
        columns = [frame[name] for name in rule.columns]
        if rule.kind == "sum":
            numbers = [column.to_numpy(dtype=float) for column in columns]
            held = np.abs(sum_residual(numbers, sum_tolerance(schema[rule.columns[0]])))
            bad = held > 1
        else:
            known = columns[0].notna() & columns[1].notna()
            worse = columns[0] <= columns[1] if rule.kind == "greater" else columns[0] < columns[1]
            bad = (known & worse).to_numpy()
        found += [f"{rule.kind} {rule.columns}"] * int(bad.sum())
    for column in schema.columns:
        cells = frame[column.name].dropna()
        low, high = column.rules.minimum, column.rules.maximum
        outside = (low is not None and (cells < low).sum()) + (high is not None and (cells > high).sum())
        found += [f"{column.name} outside {low} to {high}"] * int(outside)
    return found


def any_tokens(codec: TableCodec, n: int, seed: int) -> np.ndarray:
    """Tokens drawn evenly, which no training would ever give: rules must hold all the same."""
    rng = np.random.default_rng(seed)
    tokens = np.zeros((n, len(codec.tokens)), dtype=np.int64)
    for place, token in enumerate(codec.tokens):
        tokens[:, place] = rng.choice(np.flatnonzero(token.emit), size=n)
        if token.valid is not None and token.parent is not None:
            counts = token.valid.sum(1)[tokens[:, token.parent]]
            tokens[:, place] = rng.integers(0, counts)
    return tokens


def decoded(train: Dataset, seed: int = 3, n: int = 400) -> tuple[TableCodec, pd.DataFrame]:
    codec = fit_codec(train, CodecConfig(), seed=1)
    return codec, codec.decode(any_tokens(codec, n, seed), seed=seed)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(
    column=st.sampled_from([DAY, WHOLE, CENTS, REAL]),
    scale=st.sampled_from([3.0, 400.0, 1e7]),
    missing=st.sampled_from([0.0, 0.3]),
    strict=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_a_chain_of_inequalities_holds_in_every_row_that_can_be_drawn(
    *, column: Column, scale: float, missing: float, strict: bool, seed: int
) -> None:
    scale = min(scale, 400.0) if column.kind == "datetime" else scale
    train = chain(column, scale, missing, strict=strict, seed=seed)
    assert broken_rules(train.frame, train.schema) == []
    codec, frame = decoded(train, seed)
    assert broken_rules(frame, train.schema) == []
    for name in "abc":
        assert frame[name].dropna().between(train.frame[name].min(), train.frame[name].max()).all()
        assert (frame[name].notna().all()) == (missing == 0)
    again = TableCodec.from_json(json.loads(json.dumps(codec.to_json(), allow_nan=False)), train.schema)
    pd.testing.assert_frame_equal(again.decode(any_tokens(again, 400, seed), seed=seed), frame, check_exact=True)


def ledger(seed: int, *, missing: float = 0.2, **rules: dict[str, float]) -> Dataset:
    """A total = part + fee, each missing at times, the total also known alone; part <= limit; total >= part follows."""
    rng = np.random.default_rng(seed)
    part = np.round(rng.exponential(50, N), 2)
    fee = np.round(part * rng.choice([0.0, 0.05, 0.2], N), 2)
    limit = np.maximum(np.round(rng.normal(120, 60, N), -1), np.ceil(part))
    cells = {"total": np.round(part + fee, 2), "part": part, "fee": fee, "limit": limit}
    return table(
        {name: holes(column, missing, rng) for name, column in cells.items()},
        tuple(named(WHOLE if name == "limit" else CENTS, name, **rules.get(name, {})) for name in cells),
        ("sum", "total", "part", "fee"),
        ("greater_or_equal", "limit", "part"),
        ("greater_or_equal", "total", "part"),
    )


def test_a_total_of_totals_is_never_below_what_is_added_to_it() -> None:
    rng = np.random.default_rng(4)
    a, b, c = (np.round(rng.exponential(size=N), 2) for _ in range(3))
    cells = {"a": a, "b": b, "c": c, "ab": np.round(a + b, 2), "abc": np.round(a + b + c, 2)}
    rules = [("sum", "ab", "a", "b"), ("sum", "abc", "ab", "c"), ("greater_or_equal", "abc", "b")]
    train = table(cells, tuple(named(CENTS, name) for name in cells), *rules)
    codec, frame = decoded(train)
    assert broken_rules(frame, train.schema) == []
    assert [token.column for token in codec.tokens if token.level == "coarse"] == ["a", "b", "c"]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
@given(seed=st.integers(0, 10**6), missing=st.sampled_from([0.0, 0.2]), bounded=st.booleans())
def test_sums_inequalities_and_declared_bounds_hold_together(*, seed: int, missing: float, bounded: bool) -> None:
    rules = {"limit": {"maximum": 1000.0, "minimum": 0.0}, "part": {"minimum": 0.0}} if bounded else {}
    train = ledger(seed, missing=missing, **rules)
    assert broken_rules(train.frame, train.schema) == []
    codec, frame = decoded(train, seed)
    assert broken_rules(frame, train.schema) == []
    assert (frame["total"].notna().all()) == (missing == 0)
    assert (codec.position("total") is None) == (missing == 0)  # nothing is left of it for the network


@pytest.mark.parametrize("name", ["total", "part", "limit"])
def test_a_column_that_is_never_missing_is_not_made_so_by_others_that_are(name: str) -> None:
    whole, holed = ledger(12, missing=0.0), ledger(12, missing=0.3)
    frame = holed.frame.assign(**{name: whole.frame[name]})
    _, drawn = decoded(Dataset(frame=frame, schema=whole.schema))
    assert broken_rules(drawn, whole.schema) == []
    assert [column for column in drawn if drawn[column].notna().all()] == [name]


def test_the_rows_themselves_come_back_from_gaps_and_sums() -> None:
    for train in (ledger(1), chain(DAY, 30, 0.3, strict=False, seed=1), chain(CENTS, 9, 0.3, strict=True, seed=1)):
        relations = fit_codec(train, CodecConfig(), seed=1).relations
        back = relations.join(relations.separate(train.frame), seed=1)
        kept = {column.name for column in train.schema.columns} - {rule.column for rule in relations.derivations}
        pd.testing.assert_frame_equal(back[sorted(kept)], train.frame[sorted(kept)], check_exact=True)
        for rule in (rule for rule in relations.derivations if rule.column in back):
            same = (back[rule.column] == train.frame[rule.column]) | (
                back[rule.column].isna() & train.frame[rule.column].isna()
            )
            assert same.mean() > 0.9  # the others are beyond the outermost number that the column's own codec draws
            assert back[rule.column].isna().equals(train.frame[rule.column].isna())


def test_declared_bounds_hold_where_gaps_would_leave_them() -> None:
    rng = np.random.default_rng(5)
    low = rng.uniform(0, 10, N)
    cells = {"low": low, "high": low + (10 - low) * rng.beta(5, 1, N)}
    bounds = {"minimum": 0.0, "maximum": 10.0}
    columns = tuple(named(REAL, name, **bounds) for name in cells)
    train = table(cells, columns, ("greater", "high", "low"))
    _, frame = decoded(train, n=4_000)
    assert broken_rules(frame, train.schema) == []
    assert frame["high"].nunique() > 3_900  # drawn anew, not heaped up at the bound


def test_bounds_that_only_warn_take_nothing_away() -> None:
    train = chain(WHOLE, 30, 0.0, strict=False, seed=13)
    loose = Rules(minimum=0, maximum=9, severity="warning")
    schema = Schema(
        columns=tuple(Column(**{**vars(one), "rules": loose}) for one in train.schema.columns), rules=train.schema.rules
    )
    _, frame = decoded(Dataset(frame=train.frame, schema=schema))
    assert frame.notna().all().all()
    assert (frame.max() > 9).all()


def test_a_cell_is_missing_where_declared_bounds_leave_no_room_for_it() -> None:
    rng = np.random.default_rng(6)
    asked = np.round(rng.uniform(0, 200, N))
    granted = np.where(asked > 100, np.nan, asked + np.round(rng.uniform(0, 100 - np.minimum(asked, 100))))
    columns = (named(WHOLE, "asked"), named(WHOLE, "granted", maximum=100.0))
    train = table({"asked": asked, "granted": granted}, columns, ("greater_or_equal", "granted", "asked"))
    codec, frame = decoded(train, n=4_000)
    assert broken_rules(frame, train.schema) == []
    assert "above" in {rule.how for rule in codec.relations.derivations}
    assert frame["granted"][frame["asked"] > 100].isna().all()


@pytest.mark.parametrize(
    ("rules", "bounds", "message"),
    [
        ([("greater", "a", "b"), ("greater", "b", "c"), ("greater", "c", "a")], {}, "circle"),
        ([("sum", "a", "b", "c"), ("sum", "a", "b", "d")], {}, "two sums have the total 'a'"),
        ([("sum", "a", "b", "c"), ("sum", "b", "a", "d")], {}, "circle"),
        ([("sum", "a", "b"), ("greater", "a", "b")], {}, "equal and never equal"),
        ([("sum", "a", "b", "c")], {"maximum": 3.0}, "can leave the declared bounds of 'a'"),
    ],
)
def test_rules_that_cannot_be_kept_together_are_refused_in_words(
    rules: list[tuple[Any, ...]], bounds: dict[str, float], message: str
) -> None:
    rng = np.random.default_rng(7)
    columns = tuple(named(REAL, name, **(bounds if name == "a" else {})) for name in "abcd")
    train = table({name: rng.normal(size=N) for name in "abcd"}, columns, *rules)
    with pytest.raises(GeneratorInputError, match=message) as refusal:
        fit_codec(train, CodecConfig(), seed=1)
    assert refusal.value.remedy
    warned = tuple(TableRule(kind=rule.kind, columns=rule.columns, severity="warning") for rule in train.schema.rules)
    only_warned = Dataset(frame=train.frame, schema=Schema(columns=train.schema.columns, rules=warned))
    assert not fit_codec(only_warned, CodecConfig(), seed=1).relations.derivations


def test_training_rows_that_break_a_rule_are_counted_and_never_drawn() -> None:
    train = chain(WHOLE, 30, 0.0, strict=False, seed=8)
    train.frame.loc[:9, "b"] = train.frame["a"][:10] - 50  # as planted canaries do
    codec, frame = decoded(train)
    assert broken_rules(frame, train.schema) == []
    assert any("; a few training rows break it" in note for note in codec.notes(train.frame))


def test_found_relations_are_kept_too_where_they_are_asked_for_and_where_gaps_are_simpler() -> None:
    rng = np.random.default_rng(9)
    start, low = rng.integers(0, 900, N), rng.random(N).round(2)
    cells = {
        "start": moments(start),
        "end": moments(start + rng.integers(0, 8, N)),
        "net": np.round(rng.exponential(50, N), 2),
        "fee": np.round(rng.exponential(9, N), 2),
        "low": low,
        "high": np.where(low < 0.9, rng.choice([0.9, 1.0], N), 1.0),  # never below, but simpler than any gap
    }
    cells["total"] = np.round(cells["net"] + cells["fee"], 2)
    kinds = {"start": DAY, "end": DAY, "low": REAL, "high": REAL}
    train = table(cells, tuple(named(kinds.get(name, CENTS), name) for name in cells))
    rules = declared(("sum", "total", "net", "fee"), ("greater_or_equal", "end", "start"))
    assert not fit_codec(train, CodecConfig(), seed=1).relations.derivations
    assert ("high", "low") in {rule.columns for rule in find_relations(train)}
    codec = fit_codec(train, CodecConfig(relations="found"), seed=1)
    frame = codec.decode(any_tokens(codec, 400, 1), seed=1)
    assert broken_rules(frame, Schema(columns=train.schema.columns, rules=rules)) == []
    said = {words(rule) for rule in codec.relations.derivations}
    assert said == {'"total" is the sum of "net" and "fee"', '"end" is never below "start"'}  # `high` is left alone


# ---------------------------------------------------------------------- through the families


@pytest.mark.parametrize("family", [name for name in SYNTHESIZERS if name.startswith("tabular.")])
def test_every_sampled_row_keeps_the_rules_after_a_fit_and_a_load(family: str, tmp_path: Any) -> None:
    train = ledger(10)
    entry = SYNTHESIZERS[family]
    model = entry.build(entry.config())
    report = model.fit(train, seed=1, budget=Budget(steps=3), run_dir=tmp_path / "run", on_step=ignore_step)
    sample = model.sample(500, seed=2)
    assert broken_rules(sample.frame, train.schema) == []
    assert any("is the sum of" in note for note in report.notes)
    model.save(tmp_path / "model")
    loaded = entry.load(tmp_path / "model").sample(500, seed=2)
    pd.testing.assert_frame_equal(loaded.frame, sample.frame, check_exact=True)
    assert json.loads((tmp_path / "model" / "model.json").read_text())["schema"] == schema_json.to_json(train.schema)


def test_given_columns_keep_the_rules_or_are_refused_with_a_remedy(tmp_path: Any) -> None:
    train = chain(CENTS, 20, 0.0, strict=False, seed=11)
    entry = SYNTHESIZERS["tabular.autoregressive"]
    model = entry.build(entry.config())
    model.fit(train, seed=1, budget=Budget(steps=3), run_dir=tmp_path, on_step=ignore_step)
    usual = train.frame.iloc[:40].clip(-15, 15)
    (first,) = {"a", "b", "c"} - {rule.column for rule in model.fitted.codec.relations.derivations}
    for names in ([first], ["a", "b", "c"]):
        given_rows = usual[names].reset_index(drop=True)
        frame = model.sample(40, seed=3, given=given_rows).frame
        pd.testing.assert_frame_equal(frame[names], given_rows, check_exact=True)
        assert broken_rules(frame, train.schema) == []
    last = model.fitted.codec.relations.derivations[-1].column
    with pytest.raises(GeneratorInputError, match=f"column {last!r} is derived") as refusal:
        model.sample(40, seed=3, given=usual[[last]].reset_index(drop=True))
    assert first in str(refusal.value.remedy)
    with pytest.raises(GeneratorInputError, match="rows break a rule"):
        model.sample(40, seed=3, given=pd.DataFrame({"a": usual["c"] + 1, "b": usual["b"], "c": usual["c"]}))

import logging
from functools import cache

import numpy as np
import pandas as pd
import pytest

from sources.conform import conform
from sources.contract import Contract, ContractResult, check, contract_of, value_set
from sources.dataset import Dataset
from sources.inference import infer_schema
from sources.overrides import from_mapping
from sources.randomness import stream

RULES = {
    "columns": {
        "id": {"rules": {"pattern": "(P|Q)-[0-9]+", "max_missing": 0}},
        "group": {"rules": {"values": ["a", "b", "c"]}},
        "score": {"rules": {"minimum": 0, "severity": "warning"}},
    },
    "rules": [
        {"greater_or_equal": ["end", "start"]},
        {"unique": ["id", "start"]},
        {"sum": ["bill", "price", "fee"]},
        {"sum": ["half", "real", "real again"], "severity": "warning"},
    ],
}


def table(num_rows: int, seed: int) -> pd.DataFrame:
    """Return rows of one simple law: a heavy tail, rare labels, missing cells, times."""
    rng = stream(seed, "table")
    start = rng.integers(0, 50, num_rows)
    return pd.DataFrame(
        {
            "id": [f"P-{seed}{n:05d}" for n in range(num_rows)],
            "group": rng.choice(["a", "b", "c"], num_rows),
            "town <b>'\"": rng.choice([f"t{n}" for n in range(40)], num_rows, p=zipf(40)),
            "score": np.exp(rng.standard_normal(num_rows) * 2).round(2),
            "start": start,
            "end": start + rng.integers(0, 5, num_rows),
            "age": np.where(rng.random(num_rows) < 0.1, np.nan, rng.integers(18, 80, num_rows)),
            "seen": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, num_rows), unit="D"),
            "member": rng.random(num_rows) < 0.3,
            **sums(num_rows, rng),
        }
    )


def sums(num_rows: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return sums on a lattice and of real numbers, some cells missing."""
    price, fee = (np.round(rng.exponential(scale, num_rows), 2) for scale in (90, 0.4))
    real, again = rng.normal(size=(2, num_rows)) * 1e6
    return {
        "price": price,
        "fee": np.where(rng.random(num_rows) < 0.1, np.nan, fee),
        "bill": np.round(price + fee, 2),
        "real": real,
        "real again": again,
        "half": real + again,
    }


def zipf(count: int) -> np.ndarray:
    weights = 1 / np.arange(1, count + 1) ** 2
    return weights / weights.sum()


@cache
def learnt() -> tuple[Contract, Dataset]:
    raw = table(1500, 0)
    schema = infer_schema(raw, from_mapping(RULES))
    dataset = conform(raw, schema)
    return contract_of(schema, dataset), dataset


def spoilt(name: str, rows: slice, value: object) -> pd.DataFrame:
    frame = table(1000, 1)
    cells = frame[name].astype(object)
    cells.iloc[rows] = value
    frame[name] = cells
    return frame


@pytest.mark.parametrize("seed", range(1, 3))
def test_fresh_rows_keep_the_contract(seed: int) -> None:
    result = check(table(1000, seed), learnt()[0], public=False)
    assert result.passed
    assert not result.broken


@pytest.mark.parametrize(
    ("frame", "rules"),
    [
        (spoilt("age", slice(50), 500), {"age.range"}),
        (spoilt("age", slice(50), -5), {"age.range"}),
        (spoilt("age", slice(1), "old"), {"age.type"}),
        (spoilt("age", slice(100), 20.5), {"age.type"}),
        (spoilt("age", slice(400), None), {"age.missing"}),
        (spoilt("group", slice(1), "z"), {"group.values"}),
        (spoilt("town <b>'\"", slice(80), "nowhere"), {"town <b>'\".values"}),
        (spoilt("member", slice(1), "maybe"), {"member.type"}),
        (spoilt("seen", slice(1), "yesterday"), {"seen.type"}),
        (spoilt("seen", slice(60), pd.Timestamp("2090-01-01")), {"seen.range"}),
        (spoilt("id", slice(1), "P-x"), {"id.pattern"}),
        (spoilt("id", slice(1), None), {"id.missing"}),
        (spoilt("end", slice(1), -1), {"table.greater_or_equal.1"}),
        (table(1000, 1).assign(bill=lambda frame: frame["bill"] + 0.01), {"table.sum.3"}),
        (table(1000, 1).assign(half=lambda frame: frame["half"] * (1 + 1e-6)), {"table.sum.4"}),
        (table(1000, 1).drop(columns="member"), {"table.columns", "member.type", "member.missing"}),
        (table(1000, 1).assign(extra=1), {"table.columns"}),
        (table(1000, 1).iloc[:0], {"table.rows"}),
        (pd.concat([table(500, 1), table(500, 1)]), {"id.unique", "table.unique.2"}),
    ],
    ids=lambda value: "-".join(sorted(value)) if isinstance(value, set) else "",
)
def test_a_broken_table_breaks_the_rule_that_it_should(frame: pd.DataFrame, rules: set[str]) -> None:
    result = check(frame, learnt()[0], public=False)
    assert {rule.rule for rule in result.broken} == rules
    assert not result.errored
    assert result.passed == (rules == {"table.sum.4"})


def test_a_single_extreme_but_fresh_row_passes() -> None:
    assert check(spoilt("age", slice(1), 119), learnt()[0], public=False).passed


def test_the_result_tells_a_warning_from_a_refusal() -> None:
    result = check(spoilt("score", slice(3), -1.0), learnt()[0], public=True)
    (rule,) = result.broken
    assert (rule.severity, rule.success, rule.column) == ("warning", False, "score")
    assert result.passed


def test_a_rule_that_cannot_be_checked_is_no_success(caplog: pytest.LogCaptureFixture) -> None:
    contract, dataset = learnt()
    frame = dataset.frame.assign(score=["secret"] * len(dataset))
    with caplog.at_level(logging.DEBUG):
        result = check(Dataset(frame=frame, schema=dataset.schema), contract, public=False)
    assert [rule.rule for rule in result.errored] == ["score.range"]
    assert "secret" not in caplog.text


def test_nothing_checked_is_not_passed() -> None:
    assert not ContractResult(rules=()).passed


def test_the_public_words_hold_nothing_that_was_read_from_rows() -> None:
    contract, dataset = learnt()
    result = check(dataset, contract, public=True)
    public = str(contract.to_json(public=True)) + str(result)
    private = str(contract.to_json(public=False))
    for town in ("t0", "t1", "t2"):
        assert f"'{town}'" in private
        assert town not in public.replace("town", "")
    assert "(P|Q)-[0-9]+" in public
    assert result.passed


def test_inferred_rules_rest_on_five_rows() -> None:
    frame = pd.DataFrame({"c": ["a"] * 40 + ["b"] * 5 + ["rare"] * 4, "n": [*range(10, 58), 10**6]})
    schema = infer_schema(frame)
    rules = {rule.id: rule for rule in contract_of(schema, conform(frame, schema)).rules}
    assert rules["c.values"].arguments["values"] == ("a", "b")
    assert rules["n.range"].arguments["maximum"] < 200
    assert rules["n.range"].arguments["minimum"] == 0


def test_the_allowance_grows_with_the_rows_and_is_nothing_for_declared_rules() -> None:
    rules = {rule.id: rule for rule in learnt()[0].rules}
    assert rules["group.values"].allowed(10**6) == 0
    assert rules["age.range"].allowed(10) <= 1
    assert 0 < rules["age.range"].allowed(1500) < 15
    assert rules["age.range"].allowed(1500) <= rules["age.range"].allowed(15_000) < 150


def test_a_label_that_one_real_part_lacks_is_allowed_when_another_holds_it() -> None:
    frame = pd.DataFrame({"c": ["a", "b"] * 120 + ["late"] * 10})
    schema = infer_schema(frame)
    train, holdout = (conform(part, schema) for part in (frame[:200], frame[200:]))
    fresh = pd.DataFrame({"c": ["a", "b"] * 20 + ["late"] * 15})
    assert not check(fresh, contract_of(schema, train), public=False).passed
    assert check(fresh, contract_of(schema, train, holdout), public=False).passed


@pytest.mark.parametrize(
    ("weights", "num_known", "num_fresh"),
    [
        (np.array([300, 250, 200, 100, 90, 30, 12, 9, 9]), 750, 250),
        (np.array([300, 250, 200, 100, 90, 30, 12, 9, 9]), 300, 3000),
        (1 / np.arange(1, 1001), 20_000, 10_000),
        (np.ones(150), 1000, 3000),
        (np.ones(50), 300, 3000),
    ],
    ids=["codes", "few rows known", "a long tail", "many even labels", "labels near the threshold"],
)
def test_fresh_rows_keep_the_inferred_labels(weights: np.ndarray, num_known: int, num_fresh: int) -> None:
    rng = stream(0, "labels", str(len(weights)), str(num_known))
    broken = 0
    for _ in range(200):
        known, fresh = (rng.multinomial(num, weights / weights.sum()) for num in (num_known, num_fresh))
        rules = value_set("c", pd.Series(known))
        held = [label for rule in rules for label in rule.arguments["values"]]
        outside = fresh.sum() - fresh[held].sum()
        broken += any(outside > rule.allowed(num_fresh) for rule in rules)
    assert broken <= 1


def test_a_label_that_no_real_row_holds_is_refused_in_a_hundredth_of_the_rows() -> None:
    (rule,) = value_set("c", pd.Series([1200, 800]))
    assert rule.allowed(1000) < 10

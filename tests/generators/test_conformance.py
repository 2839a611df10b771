"""What every registered synthesizer must do: the contract of `generators.base.Synthesizer` in full."""

import dataclasses
import json
import math
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from scipy import stats

from generators.base import Budget, Family, GeneratorInputError, NotFitted, Synthesizer, ignore_step
from generators.registry import SYNTHESIZERS
from generators.training import checkpoint, loop
from sources.dataset import Dataset
from sources.schema import Column, Schema

EXAMPLES = Path(__file__).parents[2] / "examples"
FEW = Budget(steps=12)  # enough to run every part of a fit; what was learnt is tested with LEARN
LEARN = Budget(steps=150)
TABLES = tuple(
    name for name, family in SYNTHESIZERS.items() if not family.pictures
)  # others: image/test_conformance.py
CONDITIONAL = ("tabular.autoregressive",)  # families that sample given columns
GUESTS = tuple(name for name in TABLES if name.startswith("sdv."))  # a peer fits, and cannot go on where it was
SLOW_LEARNERS = ("sdv.ctgan", "sdv.tvae", "sdv.copulagan")  # have learnt nothing by then; see test_sdv_networks.py
SMALL_GAN = {"batch_size": 100, "generator_dim": (32,), "discriminator_dim": (32,)}
OPTIONS: Mapping[type, Mapping[str, Any]] = {
    SYNTHESIZERS["tabular.autoregressive"].config: {"fall_back": False},  # test_fall_back.py is about what else is kept
    SYNTHESIZERS["sdv.ctgan"].config: SMALL_GAN,
    SYNTHESIZERS["sdv.copulagan"].config: SMALL_GAN,
}
MIN_SUPPORT = 5  # rows that must hold a label before a synthesizer may say it
HOSTILE = (" ", "a.b", 'say "x"', "it's", "žluťoučký", "class", "<b>bold</b>", "line\nbreak", "s0", "v1", "0", "列")


@pytest.fixture(params=TABLES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def family(name: str) -> Family:
    return SYNTHESIZERS[name]


@pytest.fixture(scope="session")
def fits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Synthesizer, Dataset, Path]]:
    """Each family, fitted once on the survey, and its saved folder."""
    torch.set_num_threads(1)
    found = {}
    for name in TABLES:
        family = SYNTHESIZERS[name]
        folder = tmp_path_factory.mktemp(name)
        train = survey(400, seed=1)
        synthesizer = built(family)
        synthesizer.fit(train, seed=7, budget=FEW, run_dir=folder / "run", on_step=ignore_step)
        synthesizer.save(folder / "model")
        found[name] = (synthesizer, train, folder / "model")
    return found


def built(family: Family) -> Synthesizer:
    return family.build(family.config(**OPTIONS.get(family.config, {})))


# ---------------------------------------------------------------------- tables


def table(frame: Mapping[str, Any], columns: list[Column], **keys: Any) -> Dataset:
    return Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=tuple(columns), **keys))


def survey(n: int, *, seed: int) -> Dataset:
    """All kinds at once, with missing cells, rare labels, one extreme row, and ids that repeat."""
    rng = np.random.default_rng(seed)
    towns = np.array(["Brno", "Oslo", "Riga", None], dtype=object)[rng.choice(4, size=n, p=[0.5, 0.3, 0.1, 0.1])]
    towns[:3] = "Zebedeeville-canary"
    towns[3:6] = ["lonely-canary-a", "lonely-canary-b", "lonely-canary-c"]
    income = np.round(rng.lognormal(10, 1, size=n), 2)
    income[7] = 98_765_432.19
    income[rng.uniform(size=n) < 0.1] = np.nan
    born = pd.Series(pd.Timestamp("1980-01-01") + pd.to_timedelta(rng.integers(0, 12_000, size=n), unit="D"))
    born = born.astype("datetime64[us]").mask(rng.uniform(size=n) < 0.05)
    seen = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**9, size=n), unit="ms"))
    answer = pd.Series(rng.uniform(size=n) < 0.4, dtype="boolean").mask(pd.Series(rng.uniform(size=n) < 0.1))
    frame = {
        "person": pd.Series([f"ID-{number:06d}" for number in rng.permutation(10**6)[:n]], dtype=object),
        "town": pd.Series(towns, dtype=object),
        "age": rng.integers(18, 90, size=n).astype(np.float64),
        "income": income,
        "score": rng.normal(size=n),
        "born": born,
        "seen": seen.astype("datetime64[us]"),
        "answer": answer,
    }
    columns = [
        Column(name="person", kind="id"),
        Column(name="town", kind="categorical", role="protected"),
        Column(name="age", kind="numeric", integer=True, decimals=0, storage="int64"),
        Column(name="income", kind="numeric", decimals=2, storage="float64", missing_marks=("?",)),
        Column(name="score", kind="numeric", storage="float64", bins=(-1.0, 1.0)),
        Column(name="born", kind="datetime", storage="date"),
        Column(name="seen", kind="datetime", storage="timestamp", timezone="UTC"),
        Column(name="answer", kind="boolean", role="target", storage="bool", positive="True"),
    ]
    return table(frame, columns, entity_key="person")


def rounded_pair(n: int, *, correlation: float, seed: int) -> Dataset:
    """Two correlated Gaussian columns, rounded to steps of 1.25 standard deviations."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=n)
    second = correlation * first + math.sqrt(1 - correlation**2) * rng.normal(size=n)
    kinds = [Column(name=name, kind="numeric", integer=True, decimals=0) for name in ("first", "second")]
    return table({"first": np.round(0.8 * first), "second": np.round(0.8 * second)}, kinds)


def labels(values: np.ndarray | list[str | None]) -> pd.Series:
    return pd.Series(np.array(values, dtype=object), dtype=object)


def odd_tables() -> dict[str, Dataset]:
    rng = np.random.default_rng(3)
    n = 60
    letters = labels(rng.choice(["a", "b", "c"], size=n))
    number = Column(name="x", kind="numeric", storage="float64")
    letter = Column(name="c", kind="categorical")
    missing_numbers = np.where(rng.uniform(size=n) < 0.5, np.nan, rng.normal(size=n))
    return {
        "a constant column": table({"x": np.full(n, 3.25), "c": letters}, [number, letter]),
        "one category": table({"x": rng.normal(size=n), "c": labels(["same"] * n)}, [number, letter]),
        "constants alone": table({"x": np.full(n, 3.25), "c": labels(["same"] * n)}, [number, letter]),
        "half missing": table({"x": missing_numbers, "c": labels([None, "a"] * (n // 2))}, [number, letter]),
        "wholly missing": table({"x": np.full(n, np.nan), "c": letters}, [number, letter]),
        "all categorical": table(
            {"c": letters, "d": labels(rng.choice(["x", "y"], size=n))}, [letter, Column(name="d", kind="categorical")]
        ),
        "all numeric": table(
            {"x": rng.normal(size=n), "y": -rng.gamma(2.0, size=n)}, [number, Column(name="y", kind="numeric")]
        ),
        "one column": table({"x": rng.normal(size=n)}, [number]),
        "one label column": table({"c": letters}, [letter]),
        "ids alone": table(
            {"i": labels([f"K{row:05d}" for row in range(n)])}, [Column(name="i", kind="id")], entity_key="i"
        ),
        "hostile names": table(
            {label: rng.normal(size=n) if place % 2 else letters for place, label in enumerate(HOSTILE)},
            [Column(name=label, kind="numeric" if place % 2 else "categorical") for place, label in enumerate(HOSTILE)],
        ),
    }


def global_states() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - to see that nobody touched it
    return random.getstate(), name, np.asarray(keys).tobytes(), tuple(rest), bytes(torch.get_rng_state().tolist())


# ---------------------------------------------------------------------- the registry


def test_is_documented_with_every_option_and_an_example(name: str, family: Family) -> None:
    assert len(family.summary) > 20
    text = family.config.__doc__ or ""
    assert dataclasses.is_dataclass(family.config)
    options = [field.name for field in dataclasses.fields(family.config)]
    assert [option for option in options if not re.search(rf"\b{option}\b", text)] == []
    examples = "".join(path.read_text() for path in sorted(EXAMPLES.glob("*.yaml")))
    assert name in examples + text


def test_configuration_is_frozen_and_has_defaults(family: Family) -> None:
    config = family.config()
    assert config == family.config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, dataclasses.fields(config)[0].name, None)


# ---------------------------------------------------------------------- before and around a fit


def test_sample_and_save_before_fit_raise_not_fitted(family: Family, tmp_path: Path) -> None:
    with pytest.raises(NotFitted):
        built(family).sample(1, seed=0)
    with pytest.raises(NotFitted):
        built(family).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("content", [None, '{"format": "something else"}', "{half a", ""])
def test_load_of_what_save_did_not_write_says_so(family: Family, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    with pytest.raises(GeneratorInputError, match="model"):
        family.load(tmp_path)


def test_same_seed_fits_the_same_and_leaves_input_and_global_randomness_alone(
    name: str, family: Family, fits: dict[str, tuple[Synthesizer, Dataset, Path]], tmp_path: Path
) -> None:
    first, _, _ = fits[name]
    train = survey(400, seed=1)
    before, states = train.frame.copy(deep=True), global_states()
    reports: list[Mapping[str, Any]] = []
    second = built(family)
    report = second.fit(train, seed=7, budget=FEW, run_dir=tmp_path / "new" / "run", on_step=reports.append)
    sample = second.sample(50, seed=3)
    second.save(tmp_path / "model")
    loaded = family.load(tmp_path / "model")
    loaded.sample(5, seed=4)
    assert global_states() == states
    assert_frame_equal(train.frame, before, check_exact=True)
    assert_frame_equal(sample.frame, first.sample(50, seed=3).frame, check_exact=True)
    assert report.family == name
    assert report.seconds > 0
    assert reports
    assert {"step", "loss", "best", "elapsed_s", "left_s", "phase"} <= set(reports[-1])
    json.dumps(dataclasses.asdict(report), allow_nan=False)


def test_another_fit_seed_gives_other_rows(
    name: str, family: Family, fits: dict[str, tuple[Synthesizer, Dataset, Path]], tmp_path: Path
) -> None:
    first, train, _ = fits[name]
    other = built(family)
    other.fit(train, seed=8, budget=FEW, run_dir=tmp_path, on_step=ignore_step)
    assert not first.sample(50, seed=3).frame.equals(other.sample(50, seed=3).frame)


# ---------------------------------------------------------------------- samples


@pytest.mark.parametrize("n", [0, 1, 7])
def test_sample_has_exactly_n_rows_in_the_schema_of_train(
    name: str, fits: dict[str, tuple[Synthesizer, Dataset, Path]], n: int
) -> None:
    synthesizer, train, _ = fits[name]
    sample = synthesizer.sample(n, seed=5)
    assert len(sample) == n
    assert sample.schema == train.schema
    assert list(sample.frame.columns) == list(train.frame.columns)
    assert list(sample.frame.dtypes) == list(train.frame.dtypes)
    assert sample.frame.index.equals(pd.RangeIndex(n))


def test_same_seed_samples_the_same_and_another_seed_other_rows(
    name: str, fits: dict[str, tuple[Synthesizer, Dataset, Path]]
) -> None:
    synthesizer, _, _ = fits[name]
    once = synthesizer.sample(40, seed=5).frame
    assert_frame_equal(once, synthesizer.sample(40, seed=5).frame, check_exact=True)
    assert not once.equals(synthesizer.sample(40, seed=6).frame)


def test_cells_are_canonical_and_on_their_lattice(
    name: str, fits: dict[str, tuple[Synthesizer, Dataset, Path]]
) -> None:
    synthesizer, train, _ = fits[name]
    frame = synthesizer.sample(500, seed=9).frame
    assert (frame["age"] == frame["age"].round()).all()
    assert frame["age"].between(18, 89).all()
    income = frame["income"].dropna()
    assert (income == income.round(2)).all()
    assert (frame["born"].dropna() == frame["born"].dropna().dt.normalize()).all()
    for column in ("town", "income", "born", "answer"):  # about one cell in ten or twenty is missing in train
        assert 0 < frame[column].isna().mean() < 0.5 or name in SLOW_LEARNERS
    assert set(map(type, frame["town"].where(frame["town"].notna(), ""))) == {str}
    assert set(map(type, frame["town"][frame["town"].isna()])) <= {type(None)}
    assert not set(frame["person"]) & set(train.frame["person"])
    assert frame["person"].is_unique


def test_a_label_of_fewer_than_five_rows_is_never_sampled(
    name: str, fits: dict[str, tuple[Synthesizer, Dataset, Path]]
) -> None:
    synthesizer, train, _ = fits[name]
    counts = train.frame["town"].value_counts()
    assert (counts < MIN_SUPPORT).sum() == 4
    assert set(synthesizer.sample(2_000, seed=2).frame["town"].dropna()) <= set(counts.index[counts >= MIN_SUPPORT])


def test_given_is_kept_exactly_or_refused_by_name(
    name: str, fits: dict[str, tuple[Synthesizer, Dataset, Path]]
) -> None:
    synthesizer, _, _ = fits[name]
    given = pd.DataFrame({"town": labels(["Brno", "Oslo", "Brno", None, "Riga"])})
    if name in CONDITIONAL:
        assert_frame_equal(synthesizer.sample(5, seed=1, given=given).frame[["town"]], given)
    else:
        with pytest.raises(GeneratorInputError, match="|".join(map(re.escape, CONDITIONAL))):
            synthesizer.sample(5, seed=1, given=given)


# ---------------------------------------------------------------------- saved models


def test_loaded_model_samples_the_same(name: str, fits: dict[str, tuple[Synthesizer, Dataset, Path]]) -> None:
    synthesizer, train, folder = fits[name]
    loaded = SYNTHESIZERS[name].load(folder)
    sample = loaded.sample(60, seed=11)
    assert_frame_equal(sample.frame, synthesizer.sample(60, seed=11).frame, check_exact=True)
    assert sample.schema == train.schema


def test_saved_folder_is_safetensors_and_json_without_distinctive_values(
    name: str, fits: dict[str, tuple[Synthesizer, Dataset, Path]]
) -> None:
    _, train, folder = fits[name]
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".safetensors", ".json"}
    assert distinctive_in(folder, train) == set()


def test_the_scan_for_distinctive_values_finds_them_as_text_and_as_numbers(tmp_path: Path) -> None:
    train = survey(400, seed=1)
    train.frame[["person", "town"]].to_json(tmp_path / "model.json")
    shifted = b"abc" + b"".join(cells.to_numpy().tobytes() for _, cells in train.frame[["income", "score"]].items())
    (tmp_path / "model.safetensors").write_bytes(len(shifted).to_bytes(8, "little") + b"{}" + shifted)
    (tmp_path / "seen.json").write_text(str(train.frame["seen"].max()))
    assert distinctive_in(tmp_path, train) == {"person", "town", "income", "score", "seen"}


def distinctive_in(folder: Path, train: Dataset) -> set[str]:
    """Return the columns of which a cell that fewer than five rows share stands somewhere in the files' bytes."""
    content = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    heads = [data if data[:1] == b"{" else data[: 8 + int.from_bytes(data[:8], "little")] for data in content]
    text = b"\n".join(heads).decode(errors="replace")
    found = set()
    for column in train.schema.columns:
        counts = train.frame[column.name].value_counts()
        texts, numbers = traces(column, list(counts.index[counts < MIN_SUPPORT]))
        wanted = np.array(numbers, dtype="<f8").view("<u8")
        views = [np.frombuffer(data[at : at + (len(data) - at) // 8 * 8], "<u8") for data in content for at in range(8)]
        if any(trace in text for trace in texts) or (numbers and any(np.isin(view, wanted).any() for view in views)):
            found.add(column.name)
    return found


def traces(column: Column, values: list[Any]) -> tuple[list[str], list[float]]:
    """What distinctive cells would show in a file, as text and as doubles; not what is short enough to be anything."""
    if column.kind in ("id", "categorical"):
        return [str(value) for value in values], []
    if column.kind == "boolean" or column.integer:
        return [], []
    numbers = [float(pd.Timestamp(v).value // 1_000) for v in values] if column.kind == "datetime" else values
    texts = [repr(number) for number in numbers] + [str(value) for value in values]
    return [text for text in texts if len(text) > 7], numbers


# ---------------------------------------------------------------------- odd tables


@pytest.mark.parametrize("odd", list(odd_tables()))
def test_odd_table_is_learnt(family: Family, tmp_path: Path, odd: str) -> None:
    train = odd_tables()[odd]
    synthesizer = built(family)
    synthesizer.fit(train, seed=1, budget=Budget(steps=4), run_dir=tmp_path / "run", on_step=ignore_step)
    sample = synthesizer.sample(30, seed=2)
    assert len(sample) == 30
    assert list(sample.frame.dtypes) == list(train.frame.dtypes)
    for column in train.schema.columns:
        real, made = train.frame[column.name], sample.frame[column.name]
        if column.kind == "categorical":
            assert set(made.dropna()) <= set(real.dropna())
        elif column.kind == "numeric" and real.notna().any():
            assert made.dropna().between(real.min(), real.max()).all()
        if real.notna().all():
            assert made.notna().all()
        if real.isna().all():
            assert made.isna().all()
    synthesizer.save(tmp_path / "model")
    assert_frame_equal(family.load(tmp_path / "model").sample(30, seed=2).frame, sample.frame, check_exact=True)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_rows_are_refused_in_words(family: Family, tmp_path: Path, n: int) -> None:
    few = survey(400, seed=1).take(np.arange(n))
    with pytest.raises(GeneratorInputError) as refusal:
        built(family).fit(few, seed=1, budget=FEW, run_dir=tmp_path, on_step=ignore_step)
    assert refusal.value.remedy
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize("kind", ["text", "image"])
def test_a_kind_out_of_reach_is_refused_in_words(family: Family, tmp_path: Path, kind: Any) -> None:
    column = Column(name="essay", kind=kind)
    cells = labels([f"word {row}" for row in range(50)]) if kind == "text" else np.arange(50)
    media = {"essay": np.zeros((50, 2, 2, 1), dtype=np.uint8)} if kind == "image" else {}
    train = Dataset(frame=pd.DataFrame({"essay": cells}), schema=Schema(columns=(column,)), media=media)
    with pytest.raises(GeneratorInputError, match="essay"):
        built(family).fit(train, seed=1, budget=FEW, run_dir=tmp_path, on_step=ignore_step)


# ---------------------------------------------------------------------- interruption


class Interrupted(Exception):
    """What a user's Ctrl-C is to a fit."""


def test_interrupted_and_resumed_equals_uninterrupted(
    name: str,
    family: Family,
    fits: dict[str, tuple[Synthesizer, Dataset, Path]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uninterrupted, train, _ = fits[name]
    monkeypatch.setattr(loop, "REPORT_EVERY_S", 0.0)
    defaults = loop.TrainingConfig.__init__.__kwdefaults__
    monkeypatch.setitem(defaults, "checkpoint_s", 0.0)

    def interrupt(metrics: Mapping[str, Any]) -> None:
        if metrics["step"] == (0 if name in GUESTS else 5):
            raise Interrupted

    with pytest.raises(Interrupted):
        built(family).fit(train, seed=7, budget=FEW, run_dir=tmp_path, on_step=interrupt)
    seen: list[int] = []
    resumed = built(family)
    resumed.fit(train, seed=7, budget=FEW, run_dir=tmp_path, on_step=lambda m: seen.append(m["step"]))
    assert_frame_equal(resumed.sample(60, seed=3).frame, uninterrupted.sample(60, seed=3).frame, check_exact=True)
    if name not in GUESTS:  # did go on, and would not train a third time
        assert (tmp_path / checkpoint.FILE).exists()
        assert seen[0] == 6
        seen.clear()
        third = built(family)
        third.fit(train, seed=7, budget=FEW, run_dir=tmp_path, on_step=lambda m: seen.append(m["step"]))
        assert seen == []
        assert_frame_equal(third.sample(9, seed=3).frame, resumed.sample(9, seed=3).frame, check_exact=True)


def test_a_fit_that_the_clock_ended_is_reproduced_by_its_number_of_steps(
    name: str, family: Family, fits: dict[str, tuple[Synthesizer, Dataset, Path]], tmp_path: Path
) -> None:
    _, train, _ = fits[name]
    timed = built(family)
    budget = Budget(seconds=0.5)
    report = timed.fit(train, seed=7, budget=budget, run_dir=tmp_path / "timed", on_step=ignore_step)
    assert report.stopped_by == ("time" if family.trains else "closed_form")
    assert (report.steps > 0) == family.trains
    counted = built(family)
    budget = Budget(steps=report.steps or None)
    again = counted.fit(train, seed=7, budget=budget, run_dir=tmp_path / "counted", on_step=ignore_step)
    assert again.steps == report.steps
    assert_frame_equal(timed.sample(60, seed=3).frame, counted.sample(60, seed=3).frame, check_exact=True)


# ---------------------------------------------------------------------- what is learnt


@pytest.mark.parametrize("name", [name for name in TABLES if name not in SLOW_LEARNERS])
def test_learns_a_known_law_and_no_structure_in_a_permuted_table(family: Family, tmp_path: Path) -> None:
    """Rank correlations of 1,000 rows from a model of 1,000 rows, against the law's own (from a million draws).

    A rank correlation r of n rows has a standard error of sqrt((1 + r^2 / 2) / (n - 3)) (1 - r^2) (Bonett and Wright
    2000, doi 10.1007/BF02294183, equation 4). A perfect learner makes that of its rows and that of the sample's. Five
    times their root sum of squares is a false alarm rate of 6e-7 for it, and a learner may not do worse than that.
    """
    n, correlation = 1_000, -0.7
    law = rank_correlation(rounded_pair(10**6, correlation=correlation, seed=4).frame)
    train = rounded_pair(n, correlation=correlation, seed=5)
    assert abs(rank_correlation(learn(family, train, tmp_path / "law")) - law) < 5 * math.sqrt(2) * error(law, n)
    shuffled = train.frame.assign(second=np.random.default_rng(6).permutation(train.frame["second"]))
    nothing = learn(family, Dataset(frame=shuffled, schema=train.schema), tmp_path / "nothing")
    assert abs(rank_correlation(nothing)) < 5 * math.sqrt(2) * error(0.0, n)


def learn(family: Family, train: Dataset, folder: Path) -> pd.DataFrame:
    synthesizer = built(family)
    synthesizer.fit(train, seed=1, budget=LEARN, run_dir=folder, on_step=ignore_step)
    return synthesizer.sample(len(train), seed=2).frame


def rank_correlation(frame: pd.DataFrame) -> float:
    return float(stats.spearmanr(frame["first"], frame["second"]).statistic)


def error(correlation: float, n: int) -> float:
    return math.sqrt((1 + correlation**2 / 2) / (n - 3)) * (1 - correlation**2)

"""A mixture in the network's place: where it predicts better, said plainly, and good for all that the network does."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from generators.base import Budget, FitReport, GeneratorInputError, ignore_step
from generators.tabular import autoregressive, fall_back
from generators.tabular.autoregressive import Autoregressive, Config, build
from generators.tabular.fall_back import FallBack, fit_fall_back
from generators.tabular.imputation import impute
from generators.tabular.latent_class_fit import Shape
from generators.training import loop
from sources.dataset import Dataset
from sources.schema import Column, Schema

N = 600
TINY = Config(width=16, hidden=16, depth=1)
FEW = Budget(steps=12)  # of a network that has hardly begun: any mixture that found something is better
KEPT = "kept in the network's place"


def households(n: int, *, seed: int) -> Dataset:
    """Two kinds of household decide all but the street; the town decides the country; some streets are rare."""
    rng = np.random.default_rng(seed)
    kind = rng.random(n) < 0.4
    town = np.where(rng.random(n) < 0.9, np.where(kind, "Oslo", "Brno"), np.where(kind, "Brno", "Oslo")).astype(object)
    street = rng.choice(["High", "Low"], size=n).astype(object)
    street[:4] = [f"lonely-{row}" for row in range(4)]
    answer = rng.random(n) < np.where(kind, 0.9, 0.1)
    amount = np.round(rng.normal(np.where(kind, 6.0, 0.0), 1.0), 2)
    country = np.where(town == "Oslo", "no", "cz").astype(object)
    frame = pd.DataFrame({"town": town, "country": country, "answer": answer, "amount": amount, "street": street})
    frame["answer"] = frame["answer"].astype("boolean")
    columns = (
        Column(name="town", kind="categorical"),
        Column(name="country", kind="categorical"),
        Column(name="answer", kind="boolean"),
        Column(name="amount", kind="numeric", decimals=2),
        Column(name="street", kind="categorical"),
    )
    return Dataset(frame=frame, schema=Schema(columns=columns))


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Autoregressive, FitReport]:
    torch.set_num_threads(1)
    model = build(TINY)
    folder = tmp_path_factory.mktemp("run")
    report = model.fit(households(N, seed=1), seed=7, budget=FEW, run_dir=folder, on_step=ignore_step)
    return model, report


def test_a_mixture_that_is_kept_is_said_and_stands_in_the_networks_place(
    kept: tuple[Autoregressive, FitReport],
) -> None:
    model, report = kept
    assert model.fitted.network is None
    assert model.fitted.mixture is not None
    assert [note for note in report.notes if KEPT in note and f"{N // 10} held-out rows" in note]
    assert report.steps == FEW.steps
    assert report.parameters == model.fitted.mixture.parameters
    assert report.best is not None
    assert report.best < min(row["validation_loss"] for row in report.history)


def test_its_draws_condition_on_any_columns_and_never_hold_a_rare_label(
    kept: tuple[Autoregressive, FitReport],
) -> None:
    """Of the households with an amount near 6, 0.9 live in Oslo; the other kind has none of that amount."""
    n = 4_000
    given = pd.DataFrame({"amount": np.where(np.arange(n) % 2 == 0, 6.0, 0.0)})
    frame = kept[0].sample(n, seed=2, given=given).frame
    assert frame["amount"].equals(given["amount"])
    for amount, share in ((6.0, 0.9), (0.0, 0.1)):
        towns = frame["town"][frame["amount"] == amount]
        assert abs((towns == "Oslo").mean() - share) < 6 * np.sqrt(2 * share * (1 - share) / (N * 0.4))
    given = pd.DataFrame({"country": pd.Series(["no"] * 500, dtype=object)})
    assert (kept[0].sample(500, seed=3, given=given).frame["town"] == "Oslo").all()
    free = kept[0].sample(n, seed=4).frame
    assert set(free["street"]) == {"High", "Low"}
    oslo = round(float((free["town"] == "Oslo").mean()) * N)
    assert stats.binomtest(oslo, N, 0.4 * 0.9 + 0.6 * 0.1).pvalue > 1e-6


def test_it_fills_missing_cells(kept: tuple[Autoregressive, FitReport]) -> None:
    frame = households(1_000, seed=8).frame.iloc[4:].reset_index(drop=True)
    gaps = frame.assign(answer=pd.array([pd.NA] * len(frame), dtype="boolean"))
    filled = impute(kept[0], gaps, seed=9)
    assert filled["answer"].notna().all()
    assert filled.drop(columns="answer").equals(frame.drop(columns="answer"))
    for rich, share in ((True, 0.9), (False, 0.1)):
        answers = filled["answer"][(frame["amount"] > 3) == rich]
        assert abs(answers.mean() - share) < 6 * np.sqrt(2 * share * (1 - share) / (N * 0.4))


def test_a_saved_mixture_draws_the_same(kept: tuple[Autoregressive, FitReport], tmp_path: Path) -> None:
    model, _ = kept
    model.save(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".json"}
    assert b"lonely" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())
    loaded = autoregressive.load(tmp_path)
    pd.testing.assert_frame_equal(loaded.sample(300, seed=5).frame, model.sample(300, seed=5).frame, check_exact=True)
    given = pd.DataFrame({"town": pd.Series(["Brno"] * 20, dtype=object)})
    again = loaded.sample(20, seed=6, given=given).frame
    pd.testing.assert_frame_equal(again, model.sample(20, seed=6, given=given).frame, check_exact=True)


class Interrupted(Exception):
    """What a kill is to a fit."""


def test_interrupted_and_resumed_keeps_the_same_mixture(
    kept: tuple[Autoregressive, FitReport], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY_S", 0.0)
    defaults = loop.TrainingConfig.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "checkpoint_s", 0.0)

    def interrupt(metrics: Mapping[str, Any]) -> None:
        if metrics["step"] == 5:
            raise Interrupted

    train = households(N, seed=1)
    with pytest.raises(Interrupted):
        build(TINY).fit(train, seed=7, budget=FEW, run_dir=tmp_path, on_step=interrupt)
    seen: list[int] = []
    resumed = build(TINY)
    resumed.fit(train, seed=7, budget=FEW, run_dir=tmp_path, on_step=lambda metrics: seen.append(metrics["step"]))
    assert seen[0] == 6
    tensors = [model.fitted.mixture.tensors() for model in (kept[0], resumed) if model.fitted.mixture is not None]
    assert len(tensors) == 2
    assert all(tensor.equal(tensors[1][name]) for name, tensor in tensors[0].items())


def test_it_is_left_out_on_request(tmp_path: Path) -> None:
    model = build(Config(width=16, hidden=16, depth=1, fall_back=False))
    report = model.fit(households(N, seed=1), seed=7, budget=FEW, run_dir=tmp_path, on_step=ignore_step)
    assert model.fitted.network is not None
    assert not [note for note in report.notes if KEPT in note]


def test_a_network_that_knows_more_is_kept(tmp_path: Path) -> None:
    """On a circle each of 40 numbers decides the next all but exactly: a mixture would need 40 classes."""
    rng = np.random.default_rng(2)
    n = 1_000
    first = rng.integers(40, size=n)
    frame = pd.DataFrame({"x": first.astype(np.float64), "y": (first + rng.integers(2, size=n)) % 40.0})
    columns = tuple(Column(name=name, kind="numeric", integer=True) for name in ("x", "y"))
    model = build(Config(width=64, hidden=64, depth=1, batch_size=256))
    train = Dataset(frame=frame, schema=Schema(columns=columns))
    report = model.fit(train, seed=1, budget=Budget(steps=150), run_dir=tmp_path, on_step=ignore_step)
    assert model.fitted.network is not None
    assert model.fitted.mixture is None
    assert not [note for note in report.notes if KEPT in note]


def made(nats: np.ndarray, num_classes: int = 2) -> FallBack:
    none = np.zeros((len(nats), 0), dtype=np.int64)
    shape = Shape(num_classes=num_classes)
    return FallBack(rows=none, unseen=none, nats=nats, tokens=(), shape=shape, seed=0, seconds=0.0)


def test_the_network_has_to_be_twenty_times_likelier() -> None:
    """It chose its best step on the very rows that decide; what they can hardly tell is the simpler model's."""
    nats = np.full(30, 5.0)
    assert not made(nats).loses_to(nats)
    assert not made(nats).loses_to(nats - np.log(19) / 30)
    assert made(nats).loses_to(nats - np.log(21) / 30)
    assert made(nats.repeat(100)).loses_to(nats.repeat(100) - 0.01)  # many rows tell a small difference


def test_against_independent_columns_any_gain_keeps_the_network() -> None:
    nats = np.full(30, 5.0)
    assert not made(nats, num_classes=1).loses_to(nats)
    assert made(nats, num_classes=1).loses_to(nats - 0.01)


def test_a_weak_relation_is_not_given_up_for_independent_columns(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    group = rng.integers(3, size=1_600)
    amount = np.round(np.exp(rng.normal(6 + group / 2, 1)), 2)
    frame = pd.DataFrame(
        {"group": np.array(list("abc"), dtype=object)[group], "amount": amount, "x": rng.random(1_600)}
    )
    columns = (
        Column(name="group", kind="categorical"),
        Column(name="amount", kind="numeric", decimals=2),
        Column(name="x", kind="numeric"),
    )
    model = build(Config(width=64, hidden=64, depth=1))
    train = Dataset(frame=frame, schema=Schema(columns=columns))
    model.fit(train, seed=1, budget=Budget(steps=120), run_dir=tmp_path, on_step=ignore_step)
    means = model.sample(4_000, seed=2).frame.groupby("group")["amount"].apply(lambda cells: np.log(cells).mean())
    assert means["c"] - means["a"] > 0.5


def test_large_tables_have_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fall_back, "MAX_ROWS", 49)
    assert fit_fall_back(np.zeros((50, 0), dtype=np.int64), np.arange(50) < 5, (), seed=1) is None


@pytest.mark.parametrize(("rows", "owners"), [(90, 90), (300, 9)])
def test_where_hardly_a_row_is_held_out_no_network_is_trained(tmp_path: Path, rows: int, owners: int) -> None:
    """Of 90 rows nine decide nothing; of nine persons none can be held out."""
    train = households(rows, seed=1)
    who = pd.Series([f"P{number % owners}" for number in range(rows)], dtype=object)
    frame = train.frame.assign(who=who, town=pd.Series(["Brno", "Oslo"] * (rows // 2), dtype=object))
    frame["street"] = frame["country"] = frame["town"]
    schema = Schema(columns=(*train.schema.columns, Column(name="who", kind="id")), entity_key="who")
    model = build(TINY)
    report = model.fit(Dataset(frame=frame, schema=schema), seed=1, budget=FEW, run_dir=tmp_path, on_step=ignore_step)
    assert (report.steps, report.stopped_by) == (0, "closed_form")
    assert model.fitted.mixture is not None
    assert [note for note in report.notes if "without a network" in note]
    assert set(model.sample(50, seed=2).frame["town"]) == {"Brno", "Oslo"}


def odd_tables() -> dict[str, tuple[dict[str, Any], list[Column]]]:
    rng = np.random.default_rng(3)
    n = 120
    letters = pd.Series(rng.choice(["a", "b", "c"], size=n), dtype=object)
    number, letter = Column(name="x", kind="numeric"), Column(name="c", kind="categorical")
    return {
        "one column of numbers": ({"x": rng.normal(size=n)}, [number]),
        "one column of labels": ({"c": letters}, [letter]),
        "labels alone": ({"c": letters, "d": letters[::-1].to_numpy()}, [letter, Column(name="d", kind="categorical")]),
        "a column that is missing throughout": ({"c": letters, "x": np.full(n, np.nan)}, [letter, number]),
        "twenty rows": ({"c": letters[:20], "x": rng.normal(size=20)}, [letter, number]),
        "copies of one row": ({"c": pd.Series(["a"] * n, dtype=object), "x": np.full(n, 2.5)}, [letter, number]),
    }


@pytest.mark.parametrize("odd", list(odd_tables()))
def test_odd_tables_are_learnt_from(tmp_path: Path, odd: str) -> None:
    frame, columns = odd_tables()[odd]
    train = Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=tuple(columns)))
    model = build(TINY)
    model.fit(train, seed=1, budget=Budget(steps=4), run_dir=tmp_path / "run", on_step=ignore_step)
    sample = model.sample(200, seed=2).frame
    for name, cells in train.frame.items():
        assert sample[name].isna().all() == cells.isna().all()
        if name == "x":
            assert sample[name].dropna().between(cells.min(), cells.max()).all()
        else:
            assert set(sample[name]) <= set(cells)
    model.save(tmp_path / "model")
    again = autoregressive.load(tmp_path / "model").sample(200, seed=2).frame
    pd.testing.assert_frame_equal(again, sample, check_exact=True)


@pytest.mark.parametrize(
    ("cells", "reason"), [(["a", "b"], "too few rows"), ([f"only-{row}" for row in range(40)], "no label is held by 5")]
)
def test_tables_that_teach_nothing_but_their_rows_are_refused_with_the_reason(
    tmp_path: Path, cells: list[str], reason: str
) -> None:
    frame = pd.DataFrame({"c": pd.Series(cells, dtype=object)})
    train = Dataset(frame=frame, schema=Schema(columns=(Column(name="c", kind="categorical"),)))
    with pytest.raises(GeneratorInputError, match=reason) as refusal:
        build(TINY).fit(train, seed=1, budget=FEW, run_dir=tmp_path, on_step=ignore_step)
    assert refusal.value.remedy
    assert "only-" not in str(refusal.value)

"""The adapter of SDV's Gaussian copula beyond the conformance suite, and what all of SDV's families share."""

import math
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_series_equal
from scipy import stats

from generators.base import Budget, GeneratorInputError, ignore_step
from generators.sdv import gaussian_copula
from generators.sdv.library import alone
from generators.sdv.unit_interval import decode_column, encode
from sources.dataset import Dataset
from sources.schema import Column, Schema

ROOT = Path(__file__).parents[2]


def table(frame: dict[str, Any], **kinds: Any) -> Dataset:
    columns = tuple(Column(name=name, kind=kinds[name]) for name in frame)
    return Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=columns))


def fitted(train: Dataset, folder: Path, **options: Any) -> gaussian_copula.GaussianCopula:
    synthesizer = gaussian_copula.build(gaussian_copula.Config(**options))
    synthesizer.fit(train, seed=3, budget=Budget(), run_dir=folder, on_step=ignore_step)
    return synthesizer


ALONE = """
import sys
import generators.registry
assert "sdv" not in sys.modules, "the registry imports SDV"
import numpy as np, os, pandas as pd
from pathlib import Path
from generators.base import Budget, ignore_step
from sources.dataset import Dataset
from sources.schema import Column, Schema
n = 1_050  # from 500 rows on SDV would start processes, and from 1,000 labels on it prints advice
frame = pd.DataFrame({"x": np.arange(n) % 40.0, "c": pd.Series([f"secret {row}" for row in range(n)], dtype=object)})
schema = Schema(columns=(Column(name="x", kind="numeric"), Column(name="c", kind="categorical")))
for name, options in (("sdv.gaussian_copula", {}), ("sdv.ctgan", {"generator_dim": (8,), "discriminator_dim": (8,)})):
    family = generators.registry.SYNTHESIZERS[name]
    synthesizer = family.build(family.config(min_support=1, **options))
    train = Dataset(frame=frame, schema=schema)
    synthesizer.fit(train, seed=1, budget=Budget(steps=1), run_dir=Path("run"), on_step=ignore_step)
    assert len(synthesizer.sample(5, seed=1)) == 5
assert "XDG_DATA_HOME" not in os.environ
children = Path("/proc/self/task").glob("*/children")
assert not "".join(path.read_text() for path in children), "SDV has left processes"
"""


def test_sdv_is_imported_late_and_writes_neither_into_the_home_nor_to_the_terminal(tmp_path: Path) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("XDG_")}
    environment |= {"HOME": str(home), "PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(work), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", ALONE],
        cwd=work,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert [path for path in [*home.rglob("*"), *work.rglob("*")] if path.is_file()] == []


def test_global_states_are_put_back_when_the_peer_raises() -> None:
    def peer() -> None:
        with alone(5):
            random.random()  # noqa: S311 - what a peer would do
            np.random.rand()  # noqa: NPY002 - likewise
            raise ZeroDivisionError

    python, numpy = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002 - to see that it comes back
    with pytest.raises(ZeroDivisionError):
        peer()
    assert random.getstate() == python
    assert np.array_equal(np.random.get_state()[1], numpy)  # noqa: NPY002


def test_learns_the_correlation_of_a_gaussian_pair(tmp_path: Path) -> None:
    """Pearson's r of the sample against that of train: its standard error is (1 - r^2) / sqrt(n); 5 of them."""
    n = 2_000
    rng = np.random.default_rng(1)
    x = rng.normal(size=n)
    y = 0.6 * x + 0.8 * rng.normal(size=n)
    synthesizer = fitted(table({"x": x, "y": y}, x="numeric", y="numeric"), tmp_path, default_distribution="norm")
    sample = synthesizer.sample(n, seed=2).frame
    assert abs(sample["x"].corr(sample["y"]) - np.corrcoef(x, y)[0, 1]) < 5 * (1 - 0.6**2) / math.sqrt(n)
    for name, values in (("x", x), ("y", y)):
        assert abs(sample[name].mean() - values.mean()) < 5 * values.std() / math.sqrt(n)


def test_missing_cells_keep_their_share_and_go_with_the_other_columns(tmp_path: Path) -> None:
    n = 2_000
    rng = np.random.default_rng(2)
    x = rng.normal(size=n)
    y = np.where(x > 0.5, np.nan, rng.normal(size=n))  # only large x lack y
    sample = fitted(table({"x": x, "y": y}, x="numeric", y="numeric"), tmp_path).sample(n, seed=2).frame
    share = np.isnan(y).mean()
    missing = sample["y"].isna()
    assert abs(missing.mean() - share) < 5 * math.sqrt(2 * share * (1 - share) / n)
    gap = sample["x"][missing].mean() - sample["x"][~missing].mean()
    assert gap > 5 * math.sqrt(1 / missing.sum() + 1 / (~missing).sum())  # 0 if cells went missing at random


@pytest.mark.parametrize("distribution", get_args(gaussian_copula.Distribution))
def test_every_distribution_fits_and_survives_saving(tmp_path: Path, distribution: str) -> None:
    rng = np.random.default_rng(3)
    frame = {"x": rng.gamma(2.0, size=200), "c": pd.Series(rng.choice(["a", "b"], size=200), dtype=object)}
    synthesizer = fitted(table(frame, x="numeric", c="categorical"), tmp_path, default_distribution=distribution)
    sample = synthesizer.sample(100, seed=1).frame
    assert sample["x"].between(frame["x"].min(), frame["x"].max()).all()
    synthesizer.save(tmp_path / "model")
    assert gaussian_copula.load(tmp_path / "model").sample(100, seed=1).frame.equals(sample)


def test_codes_give_back_what_they_were_made_of() -> None:
    rng = np.random.default_rng(4)
    n = 300
    whole = np.where(rng.uniform(size=n) < 0.2, np.nan, rng.integers(0, 5, size=n).astype(float))
    town = pd.Series(rng.choice(np.array(["a", "b", None], dtype=object), size=n), dtype=object)
    yes = pd.Series(rng.uniform(size=n) < 0.5, dtype="boolean").mask(pd.Series(rng.uniform(size=n) < 0.1))
    when = pd.Series(pd.Timestamp("2021-03-04") + pd.to_timedelta(rng.integers(0, 3, size=n), unit="D"))
    frame = {"whole": whole, "town": town, "yes": yes, "when": when.astype("datetime64[us]")}
    train = table(frame, whole="numeric", town="categorical", yes="boolean", when="datetime")
    encoded, codes, notes = encode(train, 5, seed=1)
    assert notes == ()
    assert encoded.to_numpy().min() >= 0
    assert encoded.to_numpy().max() <= 1
    for column, code in zip(train.schema.columns, codes, strict=True):
        back = decode_column(column, code, encoded, n, seed=1)
        if column.kind == "numeric":
            back = back.round(9)  # low + (high - low) * place is exact but for rounding
        if column.kind == "datetime":
            back = back.dt.round("s")
        assert_series_equal(back, train.frame[column.name], check_names=False)


def test_a_state_is_spread_uniformly() -> None:
    """Kolmogorov's statistic of 5,000 draws exceeds 2.7 / sqrt(n) once in a million times (2 exp(-2 x^2))."""
    town = pd.Series(np.random.default_rng(5).choice(["a", "b", "c"], p=[0.6, 0.3, 0.1], size=5_000), dtype=object)
    encoded, _, _ = encode(table({"town": town}, town="categorical"), 5, seed=1)
    assert stats.kstest(encoded["s0"], "uniform").statistic < 2.7 / math.sqrt(5_000)


def test_bounds_are_means_of_many_rows_without_the_most_extreme_one() -> None:
    x = np.concatenate([np.arange(100.0), [10.0**9]])
    _, (code,), _ = encode(table({"x": x}, x="numeric"), 5, seed=1)
    assert code.low == pytest.approx(np.arange(1, 21).mean())
    assert code.high == pytest.approx(np.arange(80, 100).mean())


def test_many_rows_of_one_entity_support_neither_a_label_nor_a_bound() -> None:
    who = pd.Series([str(max(row - 40, 0)) for row in range(300)], dtype=object)  # the first has 41 rows
    town = pd.Series(["Lonelyville" if one == "0" else "Brno" for one in who], dtype=object)
    x = np.where(who == "0", 98_765.0, np.arange(300.0))
    columns = (
        Column(name="who", kind="id"),
        Column(name="town", kind="categorical"),
        Column(name="x", kind="numeric"),
    )
    frame = pd.DataFrame({"who": who, "town": town, "x": x})
    _, codes, _ = encode(Dataset(frame=frame, schema=Schema(columns=columns, entity_key="who")), 5, seed=1)
    assert codes[1].states == ("Brno",)
    assert codes[2].high is not None
    assert codes[2].high <= 299


@pytest.mark.parametrize(
    ("frame", "kinds", "what"),
    [
        ({"x": np.append(np.arange(40.0), np.inf)}, {"x": "numeric"}, "infinite"),
        ({"c": pd.Series([f"secret {row}" for row in range(40)], dtype=object)}, {"c": "categorical"}, "no label"),
        ({"x": np.arange(3.0)}, {"x": "numeric"}, "too few rows"),
    ],
)
def test_what_cannot_be_learnt_is_refused_without_a_cell(
    tmp_path: Path, frame: dict[str, Any], kinds: dict[str, Any], what: str
) -> None:
    with pytest.raises(GeneratorInputError, match=what) as refusal:
        fitted(table(frame, **kinds), tmp_path)
    assert refusal.value.remedy
    assert "secret" not in str(refusal.value)


def test_unknown_options_are_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(GeneratorInputError, match='did you mean "truncnorm"'):
        gaussian_copula.Config(default_distribution="truncnrm")  # type: ignore[arg-type]
    with pytest.raises(GeneratorInputError, match="min_support"):
        gaussian_copula.Config(min_support=0)


def test_an_overrun_budget_is_said(tmp_path: Path) -> None:
    train = table({"x": np.arange(40.0), "y": np.arange(40.0) % 7}, x="numeric", y="numeric")
    report = gaussian_copula.build(gaussian_copula.Config()).fit(
        train, seed=1, budget=Budget(seconds=1e-9), run_dir=tmp_path, on_step=ignore_step
    )
    assert any("longer than the budget" in note for note in report.notes)

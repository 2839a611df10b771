"""Missingness: gone, scattered at random and moved elsewhere are refused, the same law is not."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.encoding import EncodedColumn
from validators.evidence import Evidence
from validators.fidelity.missingness import gap_aucs, missingness, pattern_looks
from validators.measurement import Measurement, Status
from validators.policy import Policy

SCHEMA = Schema(
    columns=(
        Column(name="wage", kind="numeric"),
        Column(name="job", kind="categorical"),
        Column(name="firm", kind="categorical"),
        Column(name="age", kind="numeric"),
    )
)


def survey(n: int, seed: int) -> Dataset:
    """Return rows in which job and firm are missing together (6 %), and the wage of the old and of the young (8 %)."""
    rng = stream(seed, "survey")
    age = rng.normal(45, 12, n)
    wage = np.where(rng.random(n) < np.where(np.abs(age - 45) > 20, 0.5, 0.03), np.nan, rng.normal(20, 5, n) + age / 10)
    idle = rng.random(n) < 0.06
    labels = np.array(["a", "b", "c"], dtype=object)
    job, firm = labels[rng.integers(0, 3, n)], labels[rng.integers(0, 3, n)]
    job[idle], firm[idle] = None, None
    frame = pd.DataFrame({"wage": wage, "job": job, "firm": firm, "age": age})
    return Dataset(frame=frame, schema=SCHEMA)


def measured(synthetic: Dataset, n: int = 2000) -> Measurement:
    evidence = Evidence(
        train=survey(n, 1),
        holdout=survey(n, 2),
        synthetic=synthetic,
        schema=SCHEMA,
        policy=Policy.preset("standard"),
    )
    (found,) = missingness(evidence, stream(1, "missingness"))
    return found


def changed(dataset: Dataset, change: Callable[[pd.Series], pd.Series], *columns: str) -> Dataset:
    frame = dataset.frame.copy()
    for name in columns:
        frame[name] = change(frame[name]).astype(frame[name].dtype)
    return Dataset(frame=frame, schema=SCHEMA)


def filled(cells: pd.Series) -> pd.Series:
    known = cells.dropna().to_numpy()
    return cells.where(cells.notna(), pd.Series(stream(1, cells.name).choice(known, len(cells)), dtype=cells.dtype))


def scattered(cells: pd.Series) -> pd.Series:
    gone = stream(2, cells.name).permutation(cells.isna().to_numpy())
    return filled(cells).mask(gone, None if cells.dtype == object else np.nan)


def test_fresh_rows_pass_and_their_value_is_no_alarm() -> None:
    for seed in range(3, 8):
        found = measured(survey(2000, seed))
        assert found.status is Status.PASS
        assert found.detail["num_looks"] == 7  # nothing, wage, job and firm, all three; and three columns


@pytest.mark.parametrize(
    ("change", "columns"),
    [(filled, ("job", "firm")), (filled, ("wage",)), (scattered, ("job", "firm")), (scattered, ("wage",))],
)
def test_gone_and_completely_random_are_refused(
    change: Callable[[pd.Series], pd.Series], columns: tuple[str, ...]
) -> None:
    found = measured(changed(survey(2000, 3), change, *columns))
    assert found.status is Status.FAIL
    assert any(name in found.reading for name in columns)


def test_nothing_missing_anywhere_is_a_clean_pass() -> None:
    parts = [changed(survey(500, seed), filled, "wage", "job", "firm") for seed in range(3)]
    evidence = Evidence(
        train=parts[0], holdout=parts[1], synthetic=parts[2], schema=SCHEMA, policy=Policy.preset("standard")
    )
    (found,) = missingness(evidence, stream(1, "missingness"))
    assert (found.value, found.status) == (1.0, Status.PASS)
    assert found.reading.startswith("No cell is missing")


def test_cells_that_are_missing_only_in_synthetic_rows_are_refused() -> None:
    parts = [changed(survey(1000, seed), filled, "wage", "job", "firm") for seed in range(2)]
    evidence = Evidence(
        train=parts[0], holdout=parts[1], synthetic=survey(1000, 5), schema=SCHEMA, policy=Policy.preset("standard")
    )
    (found,) = missingness(evidence, stream(1, "missingness"))
    assert found.status is Status.FAIL


def test_patterns_are_counted_as_a_reader_would() -> None:
    real = np.array([[True, True, False]] * 40 + [[False, False, False]] * 960)
    synthetic = np.array([[True, False, False]] * 20 + [[False, True, False]] * 20 + [[False, False, False]] * 460)
    looks = {look.what: look.p for look in pattern_looks(real, synthetic, ["x", "y", "z"], 1.0)}
    assert len(looks) == 4
    assert looks["There is no missing cell in 92.00% of the synthetic rows and 96.00% of the real ones"] == 1.0
    assert (
        looks["There is nothing but 'x', 'y' missing in 0.00% of the synthetic rows and 4.00% of the real ones"] < 1e-3
    )
    assert looks["There is only 'x' missing in 4.00% of the synthetic rows and 0.00% of the real ones"] < 1e-5


def test_rarer_patterns_count_as_one() -> None:
    rng = stream(1, "many")
    looks = pattern_looks(rng.random((500, 12)) < 0.3, rng.random((500, 12)) < 0.3, [f"c{i}" for i in range(12)], 1.0)
    assert len(looks) == 21
    assert min(look.p for look in looks) > 0.05


def test_with_one_witness_the_auc_is_that_of_its_cells() -> None:
    witness = EncodedColumn(name="w", kind="categorical", categorical=True, labels=("u", "v"), num_cells=3)
    gap = np.repeat([True, False], [100, 900])
    cells = np.concatenate([np.repeat([0, 1], [90, 10]), np.repeat([0, 1], [180, 720])])[:, None]
    aucs, _ = gap_aucs([witness], [(gap, cells)] * 3)
    assert aucs == pytest.approx([0.9 * 0.8 + 0.5 * (0.9 * 0.2 + 0.1 * 0.8)] * 2)


def test_without_a_holdout_halves_of_train_are_compared() -> None:
    evidence = Evidence(
        train=survey(3000, 1), holdout=None, synthetic=survey(1500, 2), schema=SCHEMA, policy=Policy.preset("standard")
    )
    (found,) = missingness(evidence, stream(1, "missingness"))
    assert found.status is Status.PASS
    spoilt = replace(evidence, synthetic=changed(evidence.synthetic, scattered, "job", "firm"))
    assert missingness(spoilt, stream(1, "missingness"))[0].status is Status.FAIL

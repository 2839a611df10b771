"""Precision and recall: naive references, no row is its own neighbour, collapse and odd rows show where they should."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.fidelity import coverage as room
from validators.fidelity.coverage import K, coverage, covered, occupied, strangeness
from validators.measurement import Measurement, Status
from validators.policy import Policy

EvidenceOf = Callable[..., Evidence]


def measured(evidence: Evidence, seed: int = 1) -> dict[tuple[str, str], Measurement]:
    return {(m.name, m.subject): m for m in coverage(evidence, stream(seed, "coverage"))}


def blobs(centres: int, n: int, seed: int) -> Dataset:
    """Return rows of ten clusters in three dimensions, of which the first `centres` occur."""
    rng = stream(seed, "blobs")
    place = stream(0, "centres").normal(0, 6, (10, 3))[rng.integers(0, centres, n)]
    frame = pd.DataFrame(place + rng.normal(size=(n, 3)), columns=list("xyz"))
    return Dataset(frame=frame, schema=Schema(columns=tuple(Column(name=name, kind="numeric") for name in "xyz")))


def of_blobs(synthetic: Dataset) -> Evidence:
    train, holdout = blobs(10, 1500, 1), blobs(10, 1500, 2)
    policy = Policy.preset("standard")
    return Evidence(train=train, holdout=holdout, synthetic=synthetic, schema=train.schema, policy=policy)


def test_balls_and_their_sole_holders_are_those_of_all_pairs() -> None:
    rng = stream(1, "balls")
    space, rows = rng.normal(size=(60, 3)).astype(np.float32), rng.normal(size=(40, 3)).astype(np.float32)
    rows[:5] = space[:5]
    radius = np.full(60, 0.7)
    pairs = np.sqrt(((space[:, None].astype(float) - rows[None]) ** 2).sum(axis=-1)) <= 0.7
    inside, sole = occupied(space, radius, rows)
    assert inside.tolist() == pairs.any(axis=1).tolist()
    assert sole.tolist() == [int(row.argmax()) if row.sum() == 1 else -1 for row in pairs]
    share, variance = covered(inside, sole, 40)
    without = np.array([np.delete(pairs, row, axis=1).any(axis=1).mean() for row in range(40)])
    assert share == pairs.any(axis=1).mean()
    assert variance == pytest.approx(39 / 40 * ((without - without.mean()) ** 2).sum())


def test_the_radius_is_that_of_the_fifth_other_row(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def watched(space: np.ndarray, radius: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen.append((space, radius))
        return occupied(space, radius, rows)

    monkeypatch.setattr(room, "occupied", watched)
    measured(of_blobs(blobs(10, 300, 3)))
    space, radius = seen[0]
    pairs = np.sqrt(((space[:50, None].astype(float) - space[None]) ** 2).sum(axis=-1))
    pairs[np.arange(50), np.arange(50)] = np.inf
    assert radius[:50] == pytest.approx(np.sort(pairs, axis=1)[:, K - 1])


def test_strangeness_is_the_integral_over_alpha() -> None:
    rng = stream(1, "alpha")
    real, synthetic = rng.exponential(size=400), 1.3 * rng.exponential(size=300)
    steps = np.linspace(0.5, 1, 20_001)
    within = np.searchsorted(np.sort(synthetic), np.quantile(real, steps, method="inverted_cdf"), side="right") / 300
    value, _ = strangeness(synthetic, real)
    assert value == pytest.approx(np.trapezoid(steps - within, steps) * 8 / 3, abs=0.01)
    assert strangeness(np.full(300, 1e9), real)[0] == pytest.approx(1.0, abs=0.01)
    assert strangeness(real, real)[0] == 0.0
    assert strangeness(np.zeros(300), np.zeros(400)) == pytest.approx((0.0, 0.0))


def test_the_variance_of_strangeness_is_that_of_samples() -> None:
    rng = stream(2, "alpha")
    found = [strangeness(1.3 * rng.exponential(size=300), rng.exponential(size=400)) for _ in range(400)]
    values, variances = np.array(found).T
    assert variances.mean() == pytest.approx(values.var(), rel=0.3)  # sd of a variance over 400 is 7 %


def test_fresh_rows_fill_the_share_of_balls_that_theory_gives_and_pass(evidence_of: EvidenceOf) -> None:
    for seed in range(3):
        found = measured(evidence_of(seed=seed, sizes=(2000, 2000, 2000)), seed)
        assert {m.status for m in found.values()} == {Status.PASS}
    blob = of_blobs(blobs(10, 1500, 3))
    filled = float(measured(blob)["recall", "all rows"].reading.split("%")[0].split()[-1]) / 100
    assert filled == pytest.approx(1 - 0.5**K, abs=0.02)


@pytest.mark.parametrize("copied", [False, True])
def test_rows_of_three_modes_in_ten_lack_recall_and_copying_them_does_not_help(copied: bool) -> None:  # noqa: FBT001 - a parameter
    synthetic = blobs(3, 1500, 3)
    if copied:
        rows = blobs(10, 1500, 1).frame
        some = stream(0, "centres").normal(0, 6, (10, 3))
        nearest = ((rows.to_numpy()[:, None] - some[None]) ** 2).sum(axis=-1).argmin(axis=1)
        frame = rows[nearest < 3].sample(1500, replace=True, random_state=1).reset_index(drop=True)
        synthetic = Dataset(frame=frame, schema=synthetic.schema)
    assert measured(of_blobs(synthetic))["recall", "all rows"].status is Status.FAIL


def test_cut_tails_lack_recall_among_the_strangest_rows() -> None:
    pool = blobs(10, 9000, 3).frame
    low, high = pool.quantile(0.05), pool.quantile(0.95)
    kept = pool[((pool >= low) & (pool <= high)).all(axis=1)].iloc[:1500].reset_index(drop=True)
    found = measured(of_blobs(Dataset(frame=kept, schema=of_blobs(blobs(10, 10, 1)).schema)))
    assert found["recall", "strangest rows"].status is Status.FAIL


def test_odd_rows_lack_precision(evidence_of: EvidenceOf, law: SimpleNamespace) -> None:
    evidence = evidence_of(sizes=(1500, 1500, 1500))
    mixed = replace(evidence, synthetic=law.independent(evidence.synthetic, 1))
    assert measured(mixed)["precision", "all rows"].status is Status.FAIL
    assert measured(of_blobs(blobs(10, 1500, 3)))["precision", "all rows"].status is Status.PASS


def test_a_column_of_one_value_and_a_table_of_texts_do_no_harm() -> None:
    schema = Schema(columns=(Column(name="x", kind="numeric"),))
    part = Dataset(frame=pd.DataFrame({"x": np.zeros(200)}), schema=schema)
    policy = Policy.preset("standard")
    evidence = Evidence(train=part, holdout=None, synthetic=part, schema=schema, policy=policy)
    found = measured(evidence)
    assert {m.status for m in found.values()} == {Status.PASS}
    assert "half" in found["recall", "all rows"].reading
    schema = Schema(columns=(Column(name="x", kind="text"),))
    part = Dataset(frame=pd.DataFrame({"x": pd.Series(["a"] * 200, dtype=object)}), schema=schema)
    evidence = Evidence(train=part, holdout=part, synthetic=part, schema=schema, policy=policy)
    assert {m.status for m in measured(evidence).values()} == {Status.INCONCLUSIVE}

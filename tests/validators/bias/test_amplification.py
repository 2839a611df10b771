"""Differences between groups that were widened are refused, fresh and narrower ones are not."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sources.dataset import Dataset
from sources.randomness import stream
from validators.bias.amplification import POINTS, WIDER, amplification, amplified, signs_of, widening
from validators.bias.outcome import outcome
from validators.evidence import Evidence
from validators.measurement import Status


def judge(evidence: Evidence) -> Any:
    return amplification(evidence, stream(0, "unused"))


def widened(evidence: Evidence, law: SimpleNamespace, points: float, label: str = "a") -> Evidence:
    """Return the evidence with so many points more of positives in one group, and as many fewer among the others."""
    frame = evidence.synthetic.frame
    y, rng = frame["bought"].to_numpy(dtype=object).copy(), stream(1, "widened")
    mine = (frame["group"] == label).to_numpy()
    for rows, old, new in ((mine, "no", "yes"), (~mine, "yes", "no")):
        at = rng.permutation(np.flatnonzero(rows & (y == old)))
        y[at[: round(points * rows.sum())]] = new
    return replace(evidence, synthetic=law.changed(evidence.synthetic, bought=y))


def test_amplification_is_the_papers_sum_over_groups_and_outcomes() -> None:
    real = np.array([[30.0, 70, 0], [10, 90, 0], [8, 2, 0]])
    synthetic = np.array([[50.0, 50, 0], [10, 90, 0], [5, 5, 0]])
    total = 0.0
    for a in range(3):
        for t in range(2):
            together = real[a, t] / real.sum() > real[a].sum() / real.sum() * real[:, t].sum() / real.sum()
            delta = synthetic[a, t] / synthetic[a].sum() - real[a, t] / real[a].sum()
            total += delta if together else -delta
    assert amplified(real, synthetic, signs_of(real))[0] == pytest.approx(total / 6)


def test_its_variance_is_that_of_repeated_draws() -> None:
    rng, rates, rows = stream(3, "draws"), np.array([[0.3, 0.6, 0.1], [0.5, 0.3, 0.2]]), (200, 80)
    real = np.round(1000 * rates)
    signs = signs_of(real)
    draws = [
        amplified(real, np.stack([rng.multinomial(n, p) for n, p in zip(rows, rates, strict=True)]), signs)
        for _ in range(3000)
    ]
    values, expected = np.array([draw[0] for draw in draws]), np.mean([draw[1] for draw in draws])
    assert abs(values.mean()) < 4 * values.std() / np.sqrt(len(values))
    assert values.var() == pytest.approx(expected, rel=0.1)  # the relative error of a variance of 3,000 draws is 0.026


def test_the_slope_says_how_many_times_wider_the_gaps_are() -> None:
    real, synthetic = np.array([[300.0, 1000], [200, 1000]]), np.array([[350.0, 1000], [150, 1000]])
    slope, p, spread = widening(real, synthetic)
    assert slope == pytest.approx(1.0)
    assert spread == pytest.approx(0.05)
    b, n = 0.05, 500.0
    pooled = np.array([650.5, 350.5]) / 2001
    error = np.sqrt((n * b**2 * pooled * (1 - pooled)).sum())
    assert p == pytest.approx(stats.norm.sf((2 * n * b**2 - max(2 * n * b * POINTS, WIDER * 2 * n * b**2)) / error))
    assert widening(real, np.array([[240.0, 1000], [240, 1000]]))[1] > 0.5


def test_the_p_value_keeps_its_level_with_small_groups_and_rare_outcomes() -> None:
    rng, rows = stream(4, "level"), np.array([2000, 300, 60, 40])
    rates = np.array([0.1, 0.12, 0.05, 0.2])
    ps = [
        widening(
            np.stack([rng.binomial(2 * rows, rates), 2 * rows], axis=1),
            np.stack([rng.binomial(rows, rates), rows], axis=1),
        )[1]
        for _ in range(4000)
    ]
    for level in (0.05, 0.005):
        assert np.mean(np.array(ps) < level) <= level + 3 * np.sqrt(level / len(ps))


def test_fresh_rows_pass(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(10):
        found = judge(evidence_of(seed, (2000, 2000, 2000)))
        assert {one.name for one in found} == {"bias_amplification", "widened_gaps"}
        assert {one.status for one in found} == {Status.PASS}


def test_widened_gaps_are_refused_where_no_group_alone_has_moved_enough(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    evidence = widened(evidence_of(3, (8000, 8000, 8000)), law, 0.04)
    test = next(one for one in judge(evidence) if one.name == "widened_gaps")
    assert test.status is Status.FAIL
    assert test.detail["column"] == "group"
    assert test.detail["times"] > 1.5
    assert {one.status for one in outcome(evidence, stream(0, "unused"))} == {Status.PASS}


def test_narrowed_gaps_are_no_amplification(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    found = judge(widened(evidence_of(3, (4000, 4000, 4000)), law, 0.04, label="b"))
    assert {one.status for one in found} == {Status.PASS}
    assert next(one for one in found if one.subject == "group → bought").value < 0


def test_much_amplification_is_refused_by_its_interval(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    found = judge(widened(evidence_of(3, (2000, 2000, 2000)), law, 0.25))
    assert next(one for one in found if one.subject == "group → bought").status is Status.FAIL


def test_targets_of_numbers_and_labels_have_outcomes_too(evidence_of: Callable[..., Evidence]) -> None:
    base = evidence_of(2, (2000, 2000, 2000))
    for name in ("income", "trade", "since", "member"):
        schema = base.schema.with_column("bought", role="plain").with_column(name, role="target")
        parts = {
            part: Dataset(frame=getattr(base, part).frame, schema=schema) for part in ("train", "holdout", "synthetic")
        }
        found = judge(replace(base, schema=schema, **parts))
        assert {one.status for one in found} == {Status.PASS}
        assert len(found) >= 2


def test_without_groups_there_is_nothing_and_with_few_rows_no_decision(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    for column in ("group", "bought"):
        assert judge(replace(evidence_of(1), schema=law.schema.with_column(column, role="plain"))) == []
    assert {one.status for one in judge(evidence_of(1, (600, 400, 40)))} == {Status.INCONCLUSIVE}
    alone = {part: law.changed(draw, group=np.full(len(draw), "a")) for part, draw in parts_of(evidence_of(1)).items()}
    assert {one.status for one in judge(replace(evidence_of(1), **alone))} == {Status.PASS}


def parts_of(evidence: Evidence) -> dict[str, Dataset]:
    assert evidence.holdout is not None
    return {"train": evidence.train, "holdout": evidence.holdout, "synthetic": evidence.synthetic}

"""Columns within groups: fresh rows pass; averaged, borrowed and single wrong columns of a group are refused."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from sources.dataset import Dataset
from sources.randomness import stream
from validators.bias.group_dependence import group_dependence
from validators.bias.group_shape import SHARE_TOLERANCE, group_shape, moved_p
from validators.evidence import Evidence
from validators.measurement import Measurement, Status

SIZES = (2000, 2000, 2000)


def judge(evidence: Evidence) -> dict[str, Measurement]:
    return {one.name: one for one in group_shape(evidence, stream(0, "groups"))}


def borrowing(evidence: Evidence, columns: list[str]) -> Evidence:
    """Return the evidence in which cells of group c are those of richer rows of it, rows kept together."""
    frame = evidence.synthetic.frame.copy()
    rows = np.flatnonzero((frame["group"] == "c").to_numpy())
    tilt = np.exp(np.log(frame["income"].to_numpy()[rows]) / 0.85)  # of normal logarithms it is a shift
    source = stream(2, "source").choice(rows, len(rows), p=tilt / tilt.sum())
    for name in columns:
        frame.iloc[rows, frame.columns.get_loc(name)] = frame[name].iloc[source].array
    return replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema))


def test_moved_p_is_fishers_test_after_the_tolerance_and_one_inside_it() -> None:
    k, n, real_k, real_n = 30, 200, 120, 400
    moved = k + SHARE_TOLERANCE * n
    one_sided = stats.fisher_exact([[moved, n - moved], [real_k, real_n - real_k]], alternative="less").pvalue
    found = moved_p(np.array([k, 62]), np.array([n, n]), np.array([real_k, real_k]), np.array([real_n, real_n]))
    assert found[0] == pytest.approx(2 * one_sided)
    assert found[1] == 1.0


def test_moved_p_keeps_its_level_without_any_tolerance_used() -> None:
    rng = stream(6, "level")
    hits, real = rng.binomial(40, 0.1, 4000), rng.binomial(80, 0.1, 4000)
    ps = moved_p(hits, np.full(4000, 40), real, np.full(4000, 80))
    assert np.mean(ps < 0.05) < 0.05


def test_fresh_rows_pass(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(10):
        found = judge(evidence_of(seed, SIZES))
        assert set(found) == {"group_shape", "group_column"}
        assert {one.status for one in found.values()} == {Status.PASS}


def test_a_group_collapsed_to_its_average_row_is_refused(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(1, SIZES)
    frame = evidence.synthetic.frame.copy()
    rows = np.flatnonzero((frame["group"] == "c").to_numpy())
    for name in frame.columns.drop("group"):
        at = rows[frame[name].iloc[rows].notna().to_numpy().argmax()]
        frame.iloc[rows, frame.columns.get_loc(name)] = frame[name].iloc[np.full(len(rows), at)].array
    found = judge(replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema)))
    assert {one.status for one in found.values()} == {Status.FAIL}
    assert max(found["group_shape"].detail["groups"].items(), key=lambda item: item[1])[0] == "group=c"
    assert found["group_column"].detail["group"] == "group=c"


def test_wrong_marginals_of_a_group_are_refused_though_its_rows_hang_together(
    evidence_of: Callable[..., Evidence],
) -> None:
    fresh = evidence_of(1, SIZES)
    evidence = borrowing(fresh, list(fresh.synthetic.frame.columns.drop("group")))
    assert {one.status for one in judge(evidence).values()} == {Status.FAIL}
    assert group_dependence(evidence, stream(0, "groups"))[0].status is Status.PASS


def test_one_wrong_column_of_one_group_is_named(evidence_of: Callable[..., Evidence]) -> None:
    found = judge(borrowing(evidence_of(1, SIZES), ["age"]))["group_column"]
    assert found.status is Status.FAIL
    assert (found.detail["group"], found.detail["column"]) == ("group=c", "age")


def test_a_few_hundred_fresh_rows_are_never_refused(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(20):
        assert Status.FAIL not in {one.status for one in judge(evidence_of(seed, (200, 100, 150))).values()}


def test_new_labels_and_lost_groups_do_not_break_it(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = evidence_of(1, (600, 400, 500))
    for labels in (np.full(500, "new", dtype=object), np.full(500, None, dtype=object), np.full(500, "a")):
        found = judge(replace(evidence, synthetic=law.changed(evidence.synthetic, group=labels)))
        assert set(found) == {"group_shape", "group_column"}


def test_without_protected_columns_there_is_nothing_and_with_few_rows_no_decision(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    assert judge(replace(evidence_of(1), schema=law.schema.with_column("group", role="plain"))) == {}
    assert {one.status for one in judge(evidence_of(1, (600, 400, 40))).values()} == {Status.INCONCLUSIVE}

"""Outcomes that moved in a group are refused, fresh ones are not."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sources.dataset import Dataset
from sources.randomness import stream
from validators.bias.outcome import RARER_WEIGHT, RATE_TOLERANCE, outcome, outcomes_of, shares_of_error, shift_p
from validators.evidence import Evidence
from validators.measurement import Status


def judge(evidence: Evidence) -> Any:
    return outcome(evidence, stream(0, "unused"))


def retarget(evidence: Evidence, name: Any, **changes: Any) -> Any:
    """Return the evidence with another target column."""
    schema = evidence.schema.with_column("bought", role="plain").with_column(name, role="target", **changes)
    parts = {
        part: Dataset(frame=getattr(evidence, part).frame, schema=schema) for part in ("train", "holdout", "synthetic")
    }
    return replace(evidence, schema=schema, **parts)


def halved_positives(evidence: Evidence, law: SimpleNamespace, label: Any) -> Any:
    frame = evidence.synthetic.frame
    y = frame["bought"].to_numpy(dtype=object).copy()
    hit = (frame["group"] == label).to_numpy() & (y == "yes") & (stream(1, "hit").random(len(y)) < 0.5)
    y[hit] = "no"
    return replace(evidence, synthetic=law.changed(evidence.synthetic, bought=y))


def test_shift_p_is_fishers_test_after_the_tolerance() -> None:
    k, n, real_k, real_n = 9.0, 90, 90.0, 300
    moved = np.floor(k + RATE_TOLERANCE * real_k / real_n * n)
    table = [[moved, n - moved], [real_k, real_n - real_k]]
    one_sided = stats.fisher_exact(table, alternative="less").pvalue
    assert shift_p((k, real_k), (n, real_n)) == pytest.approx(one_sided / RARER_WEIGHT)
    assert shift_p((27, 90), (90, 300)) > 0.5


def test_shift_p_gives_the_other_side_the_rest_and_turns_round_above_one_half() -> None:
    fewer, more = shift_p((20, 90), (90, 300)), shift_p((34, 90), (90, 300))
    turned = shift_p((70, 210), (90, 300)), shift_p((56, 210), (90, 300))
    assert (fewer, more) == pytest.approx(turned)
    table = [[np.ceil(34 - RATE_TOLERANCE * 27), 90 - np.ceil(34 - RATE_TOLERANCE * 27)], [90, 210]]
    one_sided = stats.fisher_exact(table, alternative="greater").pvalue
    assert more == pytest.approx(one_sided / (1 - RARER_WEIGHT))


def test_the_error_goes_where_a_halving_can_just_be_seen_and_adds_up() -> None:
    rows = np.array([50_000.0, 20_000, 500, 5])
    shares = shares_of_error(rows, 2 * rows, np.full(4, 0.15), 0.01)
    assert shares.sum() == pytest.approx(1.0)
    assert shares.min() >= 0.125
    assert int(shares.argmax()) == 2
    assert shares_of_error(rows[:1], rows[:1], np.zeros(1), 0.01).tolist() == [1.0]


def test_shift_p_keeps_its_level() -> None:
    rng = stream(5, "level")
    ps = [shift_p((rng.binomial(60, 0.2), rng.binomial(120, 0.2)), (60, 120)) for _ in range(2000)]
    assert np.mean(np.array(ps) < 0.05) < 0.05


def test_fresh_rows_pass(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(10):
        found = judge(evidence_of(seed, (2000, 2000, 2000)))
        assert {one.name for one in found} == {"outcome_gap", "outcome_shift"}
        assert {one.status for one in found} == {Status.PASS}


def test_halved_positives_of_one_group_are_refused(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    found = judge(halved_positives(evidence_of(1, (3000, 2000, 3000)), law, "c"))
    shift = next(one for one in found if one.name == "outcome_shift")
    assert shift.status is Status.FAIL
    assert shift.detail["group"] == "group=c"
    gap = next(one for one in found if one.subject == "group=c")
    assert gap.value == pytest.approx(gap.detail["synthetic"] - gap.detail["real"])
    assert gap.value < -0.1


def test_a_few_hundred_fresh_rows_are_never_refused(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(30):
        assert Status.FAIL not in {one.status for one in judge(evidence_of(seed, (200, 100, 150)))}


@pytest.mark.parametrize(
    ("name", "changes", "number"),
    [("income", {}, 1), ("age", {"threshold": 50.0}, 1), ("member", {}, 1), ("trade", {}, 4), ("since", {}, 1)],
)
def test_every_kind_of_target_has_outcomes_that_pass_fresh_and_fail_when_moved(
    evidence_of: Callable[..., Evidence], name: Any, changes: Any, number: Any
) -> None:
    evidence = retarget(evidence_of(2, (3000, 2000, 3000)), name, **changes)
    assert len(outcomes_of(evidence, evidence.schema.target)) == number
    assert {one.status for one in judge(evidence)} == {Status.PASS}
    frame = evidence.synthetic.frame.sort_values(name, ignore_index=True)
    spoilt = frame.copy()
    at = np.flatnonzero(frame["group"] == "b")
    spoilt.loc[at, name] = frame[name].iloc[at[len(at) // 2 :].repeat(2)[: len(at)]].to_numpy()  # the upper half, twice
    moved = judge(replace(evidence, synthetic=Dataset(frame=spoilt, schema=evidence.schema)))
    shift = next(one for one in moved if one.name == "outcome_shift")
    assert shift.status is Status.FAIL
    assert shift.detail["group"] == "group=b"


def test_no_target_is_nothing_and_no_protected_column_is_the_overall_rate(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    bare = replace(evidence_of(1), schema=law.schema.with_column("bought", role="plain"))
    assert judge(bare) == []
    alone = replace(evidence_of(1), schema=law.schema.with_column("group", role="plain"))
    assert [(one.name, one.subject) for one in judge(alone)] == [
        ("outcome_gap", "all rows"),
        ("outcome_shift", "all groups"),
    ]


def test_missing_targets_are_left_out_and_too_few_are_inconclusive(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    evidence = evidence_of(1)
    nearly_all = np.where(np.arange(500) < 450, None, "yes").astype(object)
    found = judge(replace(evidence, synthetic=law.changed(evidence.synthetic, bought=nearly_all)))
    assert {one.status for one in found} == {Status.INCONCLUSIVE}

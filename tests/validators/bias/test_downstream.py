"""Models that learnt unfairness from synthetic rows are refused, those of fresh rows are not."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from validators.bias.downstream import _compare, _large_enough, _Trial, downstream, parity_difference
from validators.evidence import Evidence
from validators.measurement import Status

SIZES = (2000, 2000, 2000)


def judge(evidence: Evidence) -> Any:
    return {one.name: one for one in downstream(evidence, stream(0, "models"))}


def test_the_parity_difference_is_between_the_extreme_groups() -> None:
    assert parity_difference(np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.1]])).tolist() == pytest.approx([0.3, 0.0])


def test_a_comparison_is_the_difference_of_the_sides_differences() -> None:
    real = np.array([[0.2, 0.2, 0.5, 0.5]] * 4)
    synthetic = np.array([[0.1, 0.1, 0.9, 0.9]] * 4)
    trial = _Trial(
        rows=np.arange(4),
        y=np.array([False, True, False, True]),
        chances=(real, synthetic),
        weights=np.ones((10, 4), dtype=np.float32),
        outcome="it",
    )
    found = _compare("group", [[np.array([0, 1]), np.array([2, 3])]], trial)
    assert (found.real, found.synthetic) == (pytest.approx(0.3), pytest.approx(0.8))
    assert found.value == pytest.approx(0.5)
    assert found.error == pytest.approx(0.0, abs=1e-6)  # all models and all draws are alike


def test_small_groups_are_one_together_and_none_when_even_that_is_too_few() -> None:
    train, tested = np.repeat([0, 1, 2, 3], [50, 9, 9, 50]), np.repeat([0, 1, 2, 3], [40, 6, 6, 9])
    everyone = [np.ones(len(tested), dtype=bool)]
    sets, alone = _large_enough(train, tested, everyone, 10)
    assert [rows.tolist() for rows in sets] == [list(range(40)), list(range(40, 61))]
    assert alone.tolist() == [True, False, False, False]
    assert [len(rows) for rows in _large_enough(train, tested, everyone, 30)[0]] == [40]


def test_fresh_rows_pass(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(2):
        found = judge(evidence_of(seed, SIZES))
        assert set(found) == {"parity_shift", "odds_shift"}
        assert {one.status for one in found.values()} == {Status.PASS}


def test_labels_that_follow_the_group_are_refused(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = evidence_of(1, SIZES)
    frame = evidence.synthetic.frame
    rng = stream(1, "unfair")
    y = frame["bought"].to_numpy(dtype=object).copy()
    hit = rng.random(len(y)) < 0.6
    y[hit & (frame["group"] == "a").to_numpy()] = "yes"
    y[hit & (frame["group"] != "a").to_numpy()] = "no"
    found = judge(replace(evidence, synthetic=law.changed(evidence.synthetic, bought=y)))
    assert {one.status for one in found.values()} == {Status.FAIL}
    assert found["parity_shift"].value > 0.2


def test_groups_too_small_to_be_decided_are_named(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    def with_rare(part: Dataset, seed: int) -> Dataset:
        group = part.frame["group"].to_numpy(dtype=object).copy()
        group[stream(seed, "rare").random(len(group)) < 0.03] = "rare"
        return law.changed(part, group=group)

    fresh = evidence_of(2, SIZES)
    assert fresh.holdout is not None
    evidence = replace(
        fresh,
        train=with_rare(fresh.train, 1),
        holdout=with_rare(fresh.holdout, 2),
        synthetic=with_rare(fresh.synthetic, 3),
    )
    for one in judge(evidence).values():
        assert one.status is Status.PASS
        assert "group=rare" in one.reading


@pytest.mark.parametrize("name", ["income", "trade"])
def test_numbers_and_labels_without_a_positive_one_have_an_outcome(
    evidence_of: Callable[..., Evidence], name: str
) -> None:
    base = evidence_of(2, SIZES)
    schema = base.schema.with_column("bought", role="plain").with_column(name, role="target")
    parts = {
        part: Dataset(frame=getattr(base, part).frame, schema=schema) for part in ("train", "holdout", "synthetic")
    }
    found = judge(replace(base, schema=schema, **parts))
    assert {one.status for one in found.values()} == {Status.PASS}


def test_too_few_rows_or_groups_are_undecided_and_no_target_is_nothing(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    few = judge(evidence_of(1, (600, 40, 500)))
    alone = {
        name: law.changed(part, group=np.full(len(part), "a"))
        for name, part in zip(
            ("train", "holdout", "synthetic"), (law.draw(300, 1), law.draw(300, 2), law.draw(300, 3)), strict=True
        )
    }
    one_group = judge(replace(evidence_of(1), **alone))
    for found in (few, one_group):
        assert {one.status for one in found.values()} == {Status.INCONCLUSIVE}
    assert "all of group" in one_group["odds_shift"].reading
    for column in ("group", "bought"):
        assert judge(replace(evidence_of(1), schema=law.schema.with_column(column, role="plain"))) == {}


def test_labels_that_are_all_alike_break_nothing(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = evidence_of(1, SIZES)
    same = law.changed(evidence.synthetic, bought=np.full(2000, "yes", dtype=object))
    found = judge(replace(evidence, synthetic=same))
    assert found["parity_shift"].value <= 0.0

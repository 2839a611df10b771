"""Erased and halved groups are refused, fresh ones are not."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from sources.dataset import Dataset
from sources.randomness import stream
from validators.bias.representation import loss_p, representation
from validators.evidence import Evidence
from validators.measurement import Status


def judge(evidence: Evidence) -> Any:
    return representation(evidence, stream(0, "unused"))


def without(evidence: Evidence, label: Any, share: Any) -> Any:
    frame = evidence.synthetic.frame
    lost = (frame["group"] == label) & (stream(1, "lost").random(len(frame)) < share)
    return replace(evidence, synthetic=Dataset(frame=frame[~lost].reset_index(drop=True), schema=evidence.schema))


def test_loss_p_is_the_binomial_tail_and_nothing_is_tolerated_of_an_erased_group() -> None:
    assert loss_p(40, 1000, 30, 1000, 0.8) == pytest.approx(stats.binom.cdf(30, 70, 0.8 / 1.8))
    assert loss_p(40, 1000, 0, 1000, 0.8) == pytest.approx(0.5**40)


def test_fresh_rows_pass_and_say_one_for_each_group(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(10):
        found = judge(evidence_of(seed, (2000, 1000, 2000)))
        assert [one.subject for one in found] == ["group=a", "group=b", "group=c", "all groups"]
        assert all(one.status is Status.PASS for one in found)


def test_an_erased_group_is_refused_with_few_rows_too(evidence_of: Callable[..., Evidence]) -> None:
    for sizes in ((2000, 1000, 2000), (300, 150, 250)):
        found = judge(without(evidence_of(2, sizes), "c", 1.0))
        loss = next(one for one in found if one.name == "group_loss")
        assert loss.status is Status.FAIL
        assert loss.detail["group"] == "group=c"
        assert loss.detail["synthetic_rows"] == 0


def test_a_halved_group_is_refused(evidence_of: Callable[..., Evidence]) -> None:
    found = judge(without(evidence_of(3, (4000, 2000, 4000)), "c", 0.5))
    assert [one.name for one in found if one.status is Status.FAIL] == ["group_loss"]


def test_a_few_hundred_fresh_rows_are_never_refused(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(30):
        assert Status.FAIL not in {one.status for one in judge(evidence_of(seed, (200, 100, 150)))}


def test_an_erased_intersection_is_refused(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    schema = law.schema.with_column("member", role="protected")
    evidence = evidence_of(1, (4000, 2000, 4000))
    frame = evidence.synthetic.frame
    lost = ((frame["group"] == "c") & frame["member"]).to_numpy(dtype=bool)
    parts = {name: Dataset(frame=getattr(evidence, name).frame, schema=schema) for name in ("train", "holdout")}
    kept = Dataset(frame=frame[~lost].reset_index(drop=True), schema=schema)
    found = judge(replace(evidence, schema=schema, synthetic=kept, **parts))
    loss = next(one for one in found if one.name == "group_loss")
    assert loss.status is Status.FAIL
    assert loss.detail["group"] == "group × member=c × true"


def test_too_few_rows_are_inconclusive_and_no_protected_column_is_nothing(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    assert {one.status for one in judge(evidence_of(1, (600, 400, 20)))} == {Status.INCONCLUSIVE}
    schema = law.schema.with_column("group", role="plain")
    assert judge(replace(evidence_of(1), schema=schema)) == []


def test_the_order_of_rows_says_nothing(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(4)
    shuffled = replace(evidence, synthetic=evidence.synthetic.take(np.arange(len(evidence.synthetic))[::-1]))
    assert judge(evidence) == judge(shuffled)

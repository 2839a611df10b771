"""A release that was altered on purpose is judged against what it is stated to be, and against nothing less."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.target_law import law_of
from sources.targets import EqualRates, Targets
from validators.evidence import Evidence
from validators.judge import judge
from validators.measurement import Status
from validators.registry import VALIDATORS
from validators.report import Report
from validators.stated_law import under_stated_law

SIZES = (2_500, 1_500, 8_000)
HALF = Targets(shares={"bought": {"yes": 0.65}, "group": {"c": 0.4}})
EQUAL = Targets(equal_rates=EqualRates(outcome="bought", labels=("yes",), over=("group",)))
EvidenceOf = Callable[..., Evidence]
SLOW = ("fidelity.utility", "bias.downstream")  # these train models; they see the same rows as all others


def thinned(data: Dataset, targets: Targets, n: int, seed: int) -> Dataset:
    """Fresh real rows in the stated shares, none twice."""
    law = law_of(data.frame, targets)
    order = stream(seed, "thin").permutation(len(data))
    rows = [order[law.cell[order] == cell][:count] for cell, count in enumerate(law.counts(n))]
    assert sum(map(len, rows)) == n
    return data.take(stream(seed, "mix").permutation(np.concatenate(rows)))


def stated(evidence_of: EvidenceOf, targets: Targets, *, seed: int = 1, n: int = 2_000) -> Evidence:
    evidence = evidence_of(seed, SIZES)
    return replace(evidence, synthetic=thinned(evidence.synthetic, targets, n, seed), targets=targets)


def judged(evidence: Evidence, *names: str) -> Report:
    return judge(evidence, seed=1, validators={name: VALIDATORS[name] for name in names})


def failed(report: Report) -> set[str]:
    return {one.name for one in report.measurements if one.status is Status.FAIL}


@pytest.mark.parametrize("targets", [HALF, EQUAL], ids=["shares", "equal rates"])
def test_the_real_rows_are_thinned_to_the_stated_law_and_else_left_alone(
    evidence_of: EvidenceOf, law: SimpleNamespace, targets: Targets
) -> None:
    evidence = evidence_of(2, (30_000, 20_000, 100), reference=law.draw(9_000, 5), targets=targets)
    view = under_stated_law(evidence, seed=3)
    for name in ("train", "holdout", "reference"):
        own, part = getattr(evidence, name).frame, getattr(view, name).frame
        assert len(part) < len(own)
        assert not part.merge(own.drop_duplicates(), how="left", indicator=True)["_merge"].eq("left_only").any()
        assert not part["income"].duplicated().sum() > own["income"].duplicated().sum()
        # Among rows of one kind nothing has changed: five standard errors of a difference.
        for (_, before), (_, after) in zip(
            own.groupby(["bought", "group"], sort=True), part.groupby(["bought", "group"], sort=True), strict=True
        ):
            a, b = np.log(before["income"]), np.log(after["income"])
            assert abs(a.mean() - b.mean()) < 5 * a.std() * np.sqrt(1 / len(a) + 1 / len(b))
    both = pd.concat([view.train.frame, view.holdout.frame if view.holdout else None])
    error = 5 * np.sqrt(0.25 / len(both))
    rates = both.groupby("group")["bought"].apply(lambda cells: (cells == "yes").mean())
    if targets is HALF:
        assert abs((both["bought"] == "yes").mean() - 0.65) < error
        assert abs((both["group"] == "c").mean() - 0.4) < error
        assert abs((both["group"] == "a").mean() / (both["group"] == "b").mean() - 5 / 3) < 0.15
    else:
        assert rates.max() - rates.min() < 3 * error
        source = pd.concat([evidence.train.frame, evidence.holdout.frame if evidence.holdout else None])
        assert abs((both["bought"] == "yes").mean() - (source["bought"] == "yes").mean()) < error
    assert under_stated_law(replace(evidence, targets=None), seed=3).train is evidence.train


def test_privacy_sees_the_real_rows_as_they_are_and_all_others_the_thinned_ones(evidence_of: EvidenceOf) -> None:
    seen: dict[str, int] = {}

    def look(name: str) -> Any:
        def validator(evidence: Evidence, _rng: np.random.Generator) -> list[Any]:
            seen[name] = len(evidence.train)
            return []

        return validator

    names = ("contract.a", "privacy.a", "fidelity.a", "bias.a")
    report = judge(stated(evidence_of, HALF), seed=1, validators={name: look(name) for name in names})
    assert seen.pop("privacy.a") == SIZES[0]
    assert set(seen.values()) == {report.sizes["train under the stated law"]}
    assert report.sizes["train under the stated law"] < SIZES[0]
    assert Report.loads(report.dumps()).targets == HALF


@pytest.mark.parametrize("targets", [HALF, EQUAL], ids=["shares", "equal rates"])
def test_fresh_real_rows_in_the_stated_shares_pass_every_check(evidence_of: EvidenceOf, targets: Targets) -> None:
    evidence = stated(evidence_of, targets, seed=4)
    names = [name for name in VALIDATORS if not name.startswith("privacy.") and name not in SLOW]
    report = judged(evidence, *names)
    assert {one.name: one.reading for one in report.measurements if one.status is not Status.PASS} == {}


def test_the_same_rows_without_the_statement_are_refused(evidence_of: EvidenceOf) -> None:
    rows = replace(stated(evidence_of, Targets(shares={"group": {"c": 0.55}})), targets=None)
    assert {"representation", "group_loss"} & failed(judged(rows, "bias.representation"))


@pytest.mark.parametrize("targets", [HALF, EQUAL], ids=["shares", "equal rates"])
def test_a_statement_that_the_rows_do_not_keep_is_refused(evidence_of: EvidenceOf, targets: Targets) -> None:
    evidence = evidence_of(5, (2_500, 1_500, 2_000), targets=targets)  # rows as the source has them
    report = judged(evidence, "contract.rules")
    assert failed(report) == {"contract_rules"}
    assert any("is stated" in one.reading for one in report.measurements if one.status is Status.FAIL)
    assert failed(judged(stated(evidence_of, targets), "contract.rules")) == set()


def test_a_group_broken_under_cover_of_a_statement_is_refused(evidence_of: EvidenceOf, law: SimpleNamespace) -> None:
    evidence = stated(evidence_of, HALF, seed=6)
    frame = evidence.synthetic.frame.copy()
    ours = (frame["group"] == "c").to_numpy()
    rng = stream(9, "break")
    for name in (
        "income",
        "age",
        "trade",
        "member",
    ):  # each column of the group keeps its law, and they lose each other
        frame.loc[ours, name] = frame.loc[ours, name].to_numpy()[rng.permutation(ours.sum())]
    broken = replace(evidence, synthetic=Dataset(frame=frame, schema=law.schema))
    assert failed(judged(broken, "contract.rules", "bias.representation")) == set()
    assert failed(judged(broken, "bias.group_shape", "bias.group_dependence"))
    assert not failed(judged(evidence, "bias.group_shape", "bias.group_dependence"))

"""Membership attacks: the interval, the calibration, and who is found."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.limits.limits import LIMITS
from validators.measurement import Measurement, Status
from validators.policy import Policy
from validators.privacy.membership import (
    JUDGED_FPR,
    SUBJECTS,
    chance_of,
    counts_above,
    members_found,
    membership,
    share_above,
)
from validators.statistics.intervals import clopper_pearson


def rng_of(seed: int = 0) -> Any:
    return stream(seed, "test")


def by_name(measurements: Any) -> dict[str, Measurement]:
    return {one.name: one for one in measurements}


def with_rows(synthetic: Dataset, rows: pd.DataFrame) -> Dataset:
    frame = pd.concat([rows, synthetic.frame.iloc[len(rows) :]], ignore_index=True)
    return Dataset(frame=frame.astype(synthetic.frame.dtypes.to_dict()), schema=synthetic.schema)


def test_counts_above_are_those_of_all_pairs() -> None:
    rng = rng_of()
    score, member = rng.normal(size=60), rng.random(60) < 0.6
    above = counts_above(score, member, rng)
    falling = np.sort(score[~member])[::-1]
    assert above.tolist() == [0, *((score[member] > one).sum() for one in falling), member.sum()]


def test_ties_favour_neither_side() -> None:
    shares = []
    for seed in range(200):
        member = np.arange(300) < 200
        shares.append(share_above(counts_above(np.zeros(300), member, rng_of(seed)), 200, 0.05))
    expected = (100 * 0.05 + 0.5) / 101  # half way between the J-th and the next of 100 strangers
    assert np.mean(shares) == pytest.approx(expected, abs=3 * np.std(shares) / np.sqrt(200))


def test_with_strangers_without_number_the_ends_are_those_of_clopper_and_pearson() -> None:
    # 30 of 200 members lie above the strangers' upper tenth by far, the others below all: no doubt about the quantile
    score = np.concatenate([np.full(30, 2.0), np.full(170, -2.0), np.linspace(-1, 1, 5000)])
    above = counts_above(score, np.arange(5200) < 200, rng_of())
    found = members_found(above, 200, 0.1, low_error=0.01, high_error=0.05)
    low, high = clopper_pearson(30, 200, low_error=0.01, high_error=0.05)
    assert (found.low, found.value, found.high) == pytest.approx((low, 0.15, high), abs=1e-9)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_each_end_keeps_its_error(shift: float) -> None:
    # normal scores: the share above the upper 5 % quantile is known; 4 sd of 150 runs above an error of 5 %
    true = float(stats.norm.sf(stats.norm.isf(0.05) - shift))
    member = np.arange(450) < 300
    too_high = too_low = 0
    for seed in range(150):
        score = rng_of(seed).normal(size=450) + shift * member
        found = members_found(counts_above(score, member, rng_of(seed)), 300, 0.05, low_error=0.05, high_error=0.05)
        too_high += found.low > true
        too_low += found.high < true
    assert max(too_high, too_low) <= 150 * 0.05 + 4 * np.sqrt(150 * 0.05 * 0.95)
    assert too_high + too_low > 0  # and is not idle


def test_the_chance_of_as_many_members_is_that_of_lots() -> None:
    member = np.arange(60) < 40
    drawn = [counts_above(rng_of(seed).normal(size=60), member, rng_of(seed)) for seed in range(1500)]
    observed = sorted(drawn, key=lambda above: above[2])[1350]
    expected = np.mean([above[2] >= observed[2] for above in drawn])
    assert chance_of(observed, 40, 0.1) == pytest.approx(expected, abs=4 * np.sqrt(0.1 * 0.9 / 1500))


def test_what_few_strangers_cannot_tell_has_no_lower_end() -> None:
    member = np.arange(300) < 200
    above = counts_above(5.0 * member, member, rng_of())  # all members above all strangers
    assert members_found(above, 200, 0.001, low_error=0.01, high_error=0.05).low == 0.0
    assert members_found(above, 200, 0.05, low_error=0.01, high_error=0.05).low > 0.9


def test_fresh_rows_pass_and_read_what_chance_gives(evidence_of: Callable[..., Evidence]) -> None:
    found = [by_name(membership(evidence_of(seed, (2000, 2000, 2000)), rng_of(seed))) for seed in range(2)]
    assert {one.status for run in found for one in run.values()} == {Status.PASS}
    for name, fpr in JUDGED_FPR.items():
        shares = [attack["value"] for run in found for attack in run[name].detail["attacks"].values()]
        assert np.mean(shares) == pytest.approx(fpr, rel=0.5)
        assert found[0][name].reference == fpr


def test_rows_of_the_attacker_are_never_targets(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    without = by_name(membership(evidence_of(1, (600, 400, 500)), rng_of()))["membership"]
    assert (without.detail["members"], without.detail["strangers"]) == (600, 266)
    owned = by_name(membership(evidence_of(1, (600, 400, 500), reference=law.draw(300, 5)), rng_of()))["membership"]
    assert (owned.detail["members"], owned.detail["strangers"]) == (600, 400)
    few = by_name(membership(evidence_of(1, (600, 400, 500), reference=law.draw(20, 5)), rng_of()))["membership"]
    assert (few.detail["members"], few.detail["strangers"]) == (600, 280)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_tenth_of_copies_is_refused_with_and_without_noise(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace, noise: float
) -> None:
    evidence = evidence_of(3, (2000, 2000, 2000))
    income = evidence.train.frame["income"]
    near = law.changed(evidence.train, income=income * (1 + noise * rng_of().normal(size=len(income))))
    synthetic = with_rows(evidence.synthetic, near.frame.iloc[:240])
    found = by_name(membership(replace(evidence, synthetic=synthetic), rng_of()))["membership"]
    assert found.status is Status.FAIL
    assert found.value is not None
    assert found.value > 0.08


def test_exposed_strange_rows_are_told_among_the_strange(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(4, (2000, 2000, 2000))
    frame = evidence.train.frame
    far = (np.log(frame["income"]) - np.log(frame["income"]).mean()).abs()
    strangest = frame.loc[far.nlargest(200).index]
    found = by_name(membership(replace(evidence, synthetic=with_rows(evidence.synthetic, strangest)), rng_of()))
    overall, strange = found["membership"], found["membership_atypical"]
    assert strange.status is not Status.PASS
    assert strange.value is not None
    assert overall.value is not None
    assert strange.value > 1.5 * overall.value


def test_the_detail_holds_the_curve_and_says_what_is_unknown(evidence_of: Callable[..., Evidence]) -> None:
    found = by_name(membership(evidence_of(2, (600, 400, 500)), rng_of()))["membership"]
    roc, rare = found.detail["roc"], found.detail["told"][0]
    assert len(roc["fpr"]) == len(roc["tpr"]) == 20
    assert (np.diff(roc["tpr"]) >= 0).all()
    assert (roc["fpr"][0], roc["fpr"][-1]) == pytest.approx((0.001, 1.0))
    assert rare["fpr"] == 0.001
    assert rare["strangers_needed"] == 2995
    assert rare["known"].startswith("no: 266 strangers")
    assert rare["low"] == 0.0
    assert found.status is not Status.FAIL


def test_alike_rows_of_one_person_are_no_leak() -> None:
    rng = rng_of(9)
    schema = Schema(
        columns=(Column(name="who", kind="id"), *(Column(name=c, kind="numeric") for c in "xyz")), entity_key="who"
    )

    def part(first: int, people: int) -> Dataset:
        centre = rng.normal(size=(people, 3)).repeat(5, axis=0) + 1e-3 * rng.normal(size=(people * 5, 3))
        frame = pd.DataFrame(centre, columns=list("xyz"))
        frame.insert(0, "who", np.repeat([f"p{first + i}" for i in range(people)], 5).astype(object))
        return Dataset(frame=frame, schema=schema)

    evidence = Evidence(
        train=part(0, 400),
        holdout=part(400, 400),
        synthetic=part(800, 400),
        schema=schema,
        policy=Policy.preset("standard"),
    )
    found = by_name(membership(evidence, rng_of()))["membership"]
    assert (found.detail["members"], found.detail["strangers"]) == (400, 266)
    assert found.detail["attacks"]["nearer"]["value"] < 0.1  # 1 where the attacker owns rows of his targets
    assert found.status is not Status.FAIL


def test_a_table_full_of_natural_duplicates_is_not_refused() -> None:
    rng = rng_of(8)
    schema = Schema(columns=tuple(Column(name=name, kind="categorical") for name in "abcd"))
    parts = [
        Dataset(
            frame=pd.DataFrame(rng.integers(0, 4, (1500, 4)).astype(str), columns=list("abcd"), dtype=object),
            schema=schema,
        )
        for _ in range(3)
    ]
    evidence = Evidence(
        train=parts[0], holdout=parts[1], synthetic=parts[2], schema=schema, policy=Policy.preset("standard")
    )
    assert {one.status for one in membership(evidence, rng_of())} == {Status.PASS}


def test_without_a_holdout_or_distances_nothing_is_decided(evidence_of: Callable[..., Evidence]) -> None:
    found = membership(evidence_of(1, holdout=None), rng_of())
    assert [(one.name, one.subject) for one in found] == list(SUBJECTS)
    assert all(one.status is Status.INCONCLUSIVE and "give a holdout" in one.reading for one in found)
    schema = Schema(columns=(Column(name="words", kind="text"),))
    part = Dataset(frame=pd.DataFrame({"words": pd.Series([f"w{i}" for i in range(200)], dtype=object)}), schema=schema)
    evidence = Evidence(train=part, holdout=part, synthetic=part, schema=schema, policy=Policy.preset("standard"))
    assert {one.status for one in membership(evidence, rng_of())} == {Status.INCONCLUSIVE}


def test_chance_is_well_inside_every_limit() -> None:
    for name, fpr in JUDGED_FPR.items():
        for preset in ("standard", "strict", "research"):
            limit = Policy.preset(preset).limits[name]
            assert isinstance(limit, float)
            assert 2 * fpr <= limit
        assert LIMITS[name].direction == "lower_is_better"

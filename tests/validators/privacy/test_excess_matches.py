"""The tail test, the share of nearer rows and the leak that would be seen."""

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
from validators.measurement import Status
from validators.policy import Policy
from validators.privacy.dcr_share import dcr_share
from validators.privacy.excess_matches import (
    SUBJECTS,
    THRESHOLDS,
    excess_matches,
    smallest_detectable,
    tail,
    tolerant_share,
    upper_tail,
)


def rng_of(seed: int = 0) -> Any:
    return stream(seed, "test")


def by_name(measurements: Any) -> Any:
    return {one.name: one for one in measurements}


def with_rows(synthetic: Any, rows: Any, at: int = 0) -> Any:
    frame = synthetic.frame.copy()
    frame.iloc[at : at + len(rows)] = rows.to_numpy(dtype=object)
    return Dataset(frame=frame.astype(synthetic.frame.dtypes.to_dict()), schema=synthetic.schema)


def test_upper_tail_is_the_binomial_sum() -> None:
    terms = [stats.binom.pmf(k, 12, 0.6) for k in range(9, 13)]
    assert upper_tail(9, 12, 0.6) == pytest.approx(sum(terms))
    assert upper_tail(0, 12, 0.6) == 1.0
    assert upper_tail(0, 0, 0.6) == 1.0


def test_without_a_leak_the_tail_test_keeps_its_level() -> None:
    # distances that know nothing of the parts, unequal parts, ties: at most 5 % (+ 3 sd of 400 runs) below 0.05
    alarms = 0
    for seed in range(400):
        rng = rng_of(seed)
        distance = np.round(rng.exponential(size=900), 2)
        alarms += tail(distance, rng.random(900) < 0.7, THRESHOLDS).p < 0.05
    assert alarms <= 400 * 0.05 + 3 * np.sqrt(400 * 0.05 * 0.95)


def test_the_smallest_detectable_leak_is_detected_with_the_power_it_claims() -> None:
    rng = rng_of()
    is_train = np.arange(3000) < 2000
    copies = smallest_detectable(rng.exponential(size=3000), is_train, THRESHOLDS, 0.001, rng=rng)
    assert copies is not None
    found = 0
    for seed in range(200):
        distance = rng_of(seed).exponential(size=3000)
        distance[:copies] = 0
        found += tail(distance, is_train, THRESHOLDS).p < 0.001
    assert found / 200 >= 0.95 - 2 * np.sqrt(0.95 * 0.05 / 200)
    fewer = np.mean([_found(copies // 2, seed, is_train) for seed in range(50)])
    assert fewer < 0.5  # the claim is not idle: half of it is mostly missed


def _found(copies: Any, seed: int, is_train: Any) -> Any:
    distance = rng_of(seed).exponential(size=len(is_train))
    distance[:copies] = 0
    return tail(distance, is_train, THRESHOLDS).p < 0.001


def test_among_natural_duplicates_the_claim_counts_what_copies_bring_and_is_kept() -> None:
    # 600 kinds of rows, a third of them in the synthetic rows already: copies of these bring nothing, and the fresh
    # rows of the others' kinds come near as well
    claims, found = [], 0
    for seed in range(40):
        rng = rng_of(seed)
        alike = rng.integers(0, 600, 4000)
        kinds = np.where(rng.random(600) < 0.33, 0.0, rng.exponential(size=600) + 0.1)
        is_train = rng.permutation(4000) < 2000
        claim = smallest_detectable(kinds[alike], is_train, THRESHOLDS, 0.001, rng=rng, alike=alike)
        if claim is None:
            continue
        copied = rng.choice(np.flatnonzero(is_train), size=claim, replace=False)
        distance = np.where(np.isin(alike, alike[copied]), 0.0, kinds[alike])
        found += tail(distance, is_train, THRESHOLDS).p < 0.001
        claims.append(claim)
        unlike = smallest_detectable(kinds[alike], is_train, THRESHOLDS, 0.001, rng=rng)
        assert unlike is None or unlike < claim  # a claim that ignores this would be too good
    assert found >= len(claims) * 0.95 - 2 * np.sqrt(0.95 * 0.05 * max(len(claims), 1))


def test_no_leak_is_detectable_with_a_handful_of_fresh_rows() -> None:
    is_train = np.arange(1000) < 999
    assert smallest_detectable(np.arange(1000.0), is_train, THRESHOLDS, 1e-6, rng=rng_of()) is None
    assert tolerant_share(999, 1) > 0.999


def test_fresh_rows_pass(evidence_of: Callable[..., Evidence]) -> None:
    passed = [
        all(one.status is Status.PASS for one in excess_matches(evidence_of(seed, (2000, 2000, 2000)), rng_of(seed)))
        for seed in range(8)
    ]
    assert sum(passed) >= 7


@pytest.mark.parametrize("sizes", [(300, 150, 300), (200, 100, 150)])
def test_a_few_hundred_fresh_rows_are_never_refused(
    evidence_of: Callable[..., Evidence], sizes: tuple[int, int, int]
) -> None:
    for seed in range(6):
        statuses = {one.status for one in excess_matches(evidence_of(seed, sizes), rng_of(seed))}
        assert statuses <= {Status.PASS, Status.INCONCLUSIVE}


def test_all_copies_are_refused_with_and_without_noise(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    for noise in (0.0, 0.01, 0.1):
        evidence = evidence_of(3, (800, 600, 800))
        frame = evidence.train.frame
        near = frame["income"] + noise * frame["income"].std() * rng_of().normal(size=len(frame))
        found = by_name(excess_matches(replace(evidence, synthetic=law.changed(evidence.train, income=near)), rng_of()))
        assert found["excess_matches"].status is Status.FAIL
        assert found["dcr_share"].status is Status.FAIL


def test_one_percent_of_copies_is_refused_and_the_reading_says_how_many(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(4, (2000, 2000, 2000))
    synthetic = with_rows(evidence.synthetic, evidence.train.frame.iloc[:20])
    found = by_name(excess_matches(replace(evidence, synthetic=synthetic), rng_of()))
    assert found["excess_matches"].status is Status.FAIL
    assert found["excess_matches"].detail["train"] >= 20
    assert " copied rows of 2,000 would have been seen with probability 0.95." in found["detectable_leak"].reading
    assert found["dcr_share"].status is Status.PASS  # an average: blind to so few


def test_the_claimed_detectable_leak_is_found_in_real_rows(evidence_of: Callable[..., Evidence]) -> None:
    caught = []
    for seed in range(12):
        evidence = evidence_of(seed, (1500, 1500, 1500))
        claim = by_name(excess_matches(evidence, rng_of(seed)))["detectable_leak"].detail["rows"]
        synthetic = with_rows(evidence.synthetic, evidence.train.frame.iloc[:claim])
        caught.append(by_name(excess_matches(replace(evidence, synthetic=synthetic), rng_of(seed)))["excess_matches"])
    assert sum(one.status is Status.FAIL for one in caught) >= 10


def test_copied_outliers_are_found(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(5, (1500, 1500, 1500))
    strangest = evidence.train.frame.assign(far=evidence.train.frame["income"]).nlargest(30, "far").drop(columns="far")
    found = by_name(excess_matches(replace(evidence, synthetic=with_rows(evidence.synthetic, strangest)), rng_of()))
    assert Status.FAIL in (found["excess_matches"].status, found["atypical_matches"].status)


def test_a_table_full_of_natural_duplicates_passes_when_fresh(law: SimpleNamespace) -> None:
    rng = rng_of(8)
    schema = Schema(columns=tuple(Column(name=name, kind="categorical") for name in "abcd"))
    parts = [
        Dataset(
            frame=pd.DataFrame(rng.integers(0, 4, (n, 4)).astype(str), columns=list("abcd"), dtype=object),
            schema=schema,
        )
        for n in (2000, 2000, 2000)
    ]
    policy = Policy.preset("standard")
    evidence = Evidence(train=parts[0], holdout=parts[1], synthetic=parts[2], schema=schema, policy=policy)
    found = by_name(excess_matches(evidence, rng_of()))
    assert {one.status for one in found.values() if one.name != "detectable_leak"} == {Status.PASS}
    assert found["dcr_share"].value == pytest.approx(0.5, abs=0.03)  # ties favour no part
    copied = by_name(excess_matches(replace(evidence, synthetic=parts[0]), rng_of()))
    assert copied["excess_matches"].detail["threshold"] == 0.0


def test_without_a_holdout_nothing_is_decided_and_the_reading_says_what_to_give(
    evidence_of: Callable[..., Evidence],
) -> None:
    found = excess_matches(evidence_of(1, holdout=None), rng_of())
    assert [(one.name, one.subject) for one in found] == list(SUBJECTS)
    assert all(one.status is Status.INCONCLUSIVE and "give a holdout" in one.reading for one in found)


def test_reference_rows_count_as_fresh_ones(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    few = by_name(excess_matches(evidence_of(2, (1500, 300, 1000)), rng_of()))
    more = by_name(excess_matches(evidence_of(2, (1500, 300, 1000), reference=law.draw(1200, 77)), rng_of()))
    assert more["detectable_leak"].value < few["detectable_leak"].value


def test_rows_of_one_person_count_once() -> None:
    rng = rng_of(9)
    schema = Schema(
        columns=(Column(name="who", kind="id"), *(Column(name=c, kind="numeric") for c in "xyz")), entity_key="who"
    )
    policy = Policy.preset("standard")

    def part(first: Any, people: Any) -> Any:  # ten near-equal rows a person
        centre = rng.normal(size=(people, 3)).repeat(10, axis=0) + 1e-4 * rng.normal(size=(people * 10, 3))
        frame = pd.DataFrame(centre, columns=list("xyz"))
        frame.insert(0, "who", np.repeat([f"p{first + i}" for i in range(people)], 10).astype(object))
        return Dataset(frame=frame, schema=schema)

    evidence = Evidence(
        train=part(0, 300), holdout=part(300, 300), synthetic=part(600, 300), schema=schema, policy=policy
    )
    found = by_name(excess_matches(evidence, rng_of()))
    assert found["excess_matches"].n == 600
    assert found["excess_matches"].status is Status.PASS


def test_dcr_share_is_half_for_random_votes_and_one_for_copies() -> None:
    rng = rng_of(1)
    policy = Policy.preset("standard")
    values = []
    for _ in range(60):
        is_train = rng.permutation(np.arange(3000) < 2000)
        winner = rng.integers(0, 600, 3000)  # crowded: each of 600 rows wins about five times
        values.append(dcr_share(np.bincount(winner, minlength=3000) * 1.0, is_train, policy))
    errors = [(one.value - 0.5) / one.detail["standard_error"] for one in values]
    assert np.mean([one.value for one in values]) == pytest.approx(0.5, abs=0.02)
    assert 0.75 < np.std(errors) < 1.3
    copies = dcr_share((np.arange(3000) < 2000) * 1.0, np.arange(3000) < 2000, policy)
    assert copies.value == 1.0
    assert copies.status is Status.FAIL


def test_same_rng_same_measurements_and_the_evidence_is_not_changed(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(6)
    before = evidence.train.frame.copy()
    assert excess_matches(evidence, rng_of(3)) == excess_matches(evidence, rng_of(3))
    pd.testing.assert_frame_equal(before, evidence.train.frame)


def test_a_table_of_texts_alone_is_undecided(law: SimpleNamespace) -> None:
    schema = Schema(columns=(Column(name="words", kind="text"),))
    part = Dataset(frame=pd.DataFrame({"words": pd.Series([f"w{i}" for i in range(200)], dtype=object)}), schema=schema)
    evidence = Evidence(train=part, holdout=part, synthetic=part, schema=schema, policy=Policy.preset("standard"))
    assert {one.status for one in excess_matches(evidence, rng_of())} == {Status.INCONCLUSIVE}

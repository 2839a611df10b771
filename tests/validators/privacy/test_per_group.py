"""The tail test within each protected group."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Schema
from validators.evidence import Evidence
from validators.measurement import Status
from validators.privacy.excess_matches import excess_matches
from validators.privacy.per_group import group_matches


def rng_of(seed: int = 0) -> Any:
    return stream(seed, "test")


def with_small_group(evidence: Evidence, share: float = 0.05) -> Evidence:
    """Return the evidence with a fourth group of about `share` of the rows, drawn from all others."""
    parts = {}
    for part in ("train", "holdout", "synthetic"):
        data = getattr(evidence, part)
        small = stream(len(data), part).random(len(data)) < share
        parts[part] = Dataset(
            frame=data.frame.assign(group=data.frame["group"].where(~small, "few")), schema=data.schema
        )
    return replace(evidence, **parts)


def test_a_leak_of_one_small_group_is_refused_where_the_test_of_all_rows_is_blind(
    evidence_of: Callable[..., Evidence],
) -> None:
    seen, blind = 0, 0
    for seed in range(6):
        evidence = with_small_group(evidence_of(seed, (3000, 3000, 3000)))
        train = evidence.train.frame
        rows = train[train["group"] == "few"].iloc[:80]
        noise = 0.2 * rng_of(seed).normal(size=(2, len(rows)))
        later = (200 * noise[1]).astype("timedelta64[D]").astype("timedelta64[us]")
        near = rows.assign(income=rows["income"] * np.exp(noise[0]), since=rows["since"] + later)
        frame = pd.concat([near, evidence.synthetic.frame.iloc[len(near) :]], ignore_index=True)
        leaky = replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema))
        found = group_matches(leaky, rng_of(seed))[0]
        seen += found.status is Status.FAIL and found.detail["group"] == "group=few" and "group=few" in found.reading
        everyone = {one.name: one.status for one in excess_matches(leaky, rng_of(seed))}
        blind += everyone["excess_matches"] is not Status.FAIL
    assert seen >= 5
    assert blind >= 4


def test_fresh_rows_pass_and_small_tables_are_not_refused(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(6):
        assert group_matches(evidence_of(seed, (2000, 2000, 2000)), rng_of(seed))[0].status is Status.PASS
        assert group_matches(evidence_of(seed, (200, 110, 150)), rng_of(seed))[0].status is Status.PASS


def test_it_keeps_its_level_over_all_groups(evidence_of: Callable[..., Evidence]) -> None:
    ps = [
        group_matches(with_small_group(evidence_of(seed, (300, 300, 300))), rng_of(seed))[0].value for seed in range(60)
    ]
    assert sum(p is not None and p < 0.1 for p in ps) <= 12  # 6 expected at most, 12 are two sd and a half above


def test_copies_of_all_rows_are_refused(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(3, (800, 600, 800))
    assert group_matches(replace(evidence, synthetic=evidence.train), rng_of())[0].value == pytest.approx(0, abs=1e-12)


def test_without_a_protected_column_there_is_nothing_to_measure(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(1)
    plain = Schema(columns=tuple(replace(column, role="plain") for column in evidence.schema.columns))
    assert group_matches(replace(evidence, schema=plain), rng_of()) == []


def test_groups_too_small_to_judge_leave_it_undecided(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(2, (150, 110, 150))
    strict = replace(evidence, policy=replace(evidence.policy, min_group_rows=149))
    assert group_matches(strict, rng_of())[0].status is Status.INCONCLUSIVE

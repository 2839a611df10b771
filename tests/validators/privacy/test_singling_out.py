"""Descriptions from the synthetic rows that fit one person, against fresh people."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.measurement import Status
from validators.policy import Policy
from validators.privacy.singling_out import MAX_GUESSES, Tally, _guess, _guess_extremes, singling_out


def rng_of(seed: int = 0) -> Any:
    return stream(seed, "test")


def tally_of(num: int) -> Tally:
    return Tally(influence=np.zeros(2 * num, dtype=np.int64))


def successes(key: Any, num: int) -> tuple[int, int, int]:
    """Return guesses, successes in train and among fresh rows by the definition, row by row."""
    train, fresh, synthetic = key[:num], key[num : 2 * num], key[2 * num :]
    guesses = [k for k in set(synthetic.tolist()) if (synthetic == k).sum() == 1]
    return len(guesses), sum((train == k).sum() == 1 for k in guesses), sum((fresh == k).sum() == 1 for k in guesses)


def test_guesses_succeed_where_exactly_one_row_fits() -> None:
    for seed in range(5):
        key = rng_of(seed).integers(0, 60, 130).astype(np.uint64)
        tally = tally_of(40)
        _guess(tally, key, 40, rng_of())
        assert (tally.guesses, tally.train, tally.fresh) == successes(key, 40)
        assert tally.guesses < MAX_GUESSES


def test_the_influence_of_a_row_is_what_leaving_it_out_changes() -> None:
    key = rng_of(1).integers(0, 30, 90).astype(np.uint64)
    tally = tally_of(30)
    _guess(tally, key, 30, rng_of())
    for row in range(60):
        without = key.copy()
        without[row] = 999  # fits no guess
        _, train, fresh = successes(without, 30)
        assert tally.influence[row] == tally.train + tally.fresh - train - fresh


def test_an_extreme_of_the_synthetic_rows_is_a_guess_on_either_side() -> None:
    real = np.array([1.0, 5.0, 9.0, 2.0, 5.0, 8.0])  # three of train, three fresh ones
    tally = tally_of(3)
    _guess_extremes(tally, real, np.array([1.5, 3.0, 8.0, np.nan]), 3)
    assert (tally.guesses, tally.train, tally.fresh) == (2, 2, 1)
    assert tally.influence.tolist() == [1, 0, 1, 0, 0, 1]


def test_fresh_rows_pass(evidence_of: Callable[..., Evidence]) -> None:
    found = [singling_out(evidence_of(seed, (2000, 2000, 2000)), rng_of(seed))[0] for seed in range(6)]
    assert {one.status for one in found} == {Status.PASS}
    assert all(one.value is not None and abs(one.value) < 3 * one.detail["standard_error"] for one in found)


def test_copies_are_refused_with_and_without_noise(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = evidence_of(3, (800, 600, 800))
    frame = evidence.train.frame
    for noise in (0.0, 0.01):
        near = frame["income"] + noise * frame["income"].std() * rng_of().normal(size=len(frame))
        copies = law.changed(evidence.train, income=near)
        assert singling_out(replace(evidence, synthetic=copies), rng_of())[0].status is Status.FAIL


def test_signs_and_scales_mean_nothing(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = evidence_of(4)
    turned = {
        part: law.changed(getattr(evidence, part), income=1000 * np.log(getattr(evidence, part).frame["income"]) - 1e6)
        for part in ("train", "holdout", "synthetic")
    }
    assert singling_out(replace(evidence, **turned), rng_of()) == singling_out(evidence, rng_of())
    negative = {
        part: law.changed(getattr(evidence, part), income=-getattr(evidence, part).frame["income"])
        for part in ("train", "holdout", "synthetic")
    }
    one, other = (singling_out(each, rng_of())[0] for each in (evidence, replace(evidence, **negative)))
    assert one.value == pytest.approx(other.value, abs=one.detail["standard_error"])
    assert other.detail["guesses"] == pytest.approx(one.detail["guesses"], rel=0.02)


def test_a_table_in_which_nobody_is_alone_is_no_risk() -> None:
    schema = Schema(columns=tuple(Column(name=name, kind="categorical") for name in "ab"))
    rng = rng_of(5)
    parts = [
        Dataset(
            frame=pd.DataFrame(rng.integers(0, 2, (300, 2)).astype(str), columns=list("ab"), dtype=object),
            schema=schema,
        )
        for _ in range(3)
    ]
    policy = Policy.preset("standard")
    evidence = Evidence(train=parts[0], holdout=parts[1], synthetic=parts[0], schema=schema, policy=policy)
    found = singling_out(evidence, rng_of())[0]
    assert (found.status, found.value, found.detail["guesses"]) == (Status.PASS, 0.0, 0)
    assert found.high > 0  # no success does not mean no risk


def test_rows_of_one_person_are_one_witness() -> None:
    rng = rng_of(6)
    columns = (Column(name="who", kind="id"), *(Column(name=c, kind="numeric") for c in "xyz"))
    errors = []
    for key in ("who", None):
        schema, parts = Schema(columns=columns, entity_key=key), []
        for first in (0, 60, 120):
            centre = stream(first, "people").normal(size=(60, 3)).repeat(8, axis=0)
            frame = pd.DataFrame(centre + 0.3 * rng.normal(size=centre.shape), columns=list("xyz"))
            frame.insert(0, "who", np.repeat([f"p{first + i}" for i in range(60)], 8).astype(object))
            parts.append(Dataset(frame=frame, schema=schema))
        policy = Policy.preset("standard")
        evidence = Evidence(train=parts[0], holdout=parts[1], synthetic=parts[2], schema=schema, policy=policy)
        errors.append(singling_out(evidence, rng_of())[0].detail["standard_error"])
    assert errors[0] > errors[1]

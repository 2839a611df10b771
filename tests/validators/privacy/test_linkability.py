"""Halves of a row that lead to one synthetic row, of train and of fresh people."""

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
from validators.privacy.linkability import linkability, mean_of_entities


def rng_of(seed: int = 0) -> Any:
    return stream(seed, "test")


def evidence_from(frames: Any, schema: Schema) -> Evidence:
    train, holdout, synthetic = (Dataset(frame=frame, schema=schema) for frame in frames)
    policy = Policy.preset("standard")
    return Evidence(train=train, holdout=holdout, synthetic=synthetic, schema=schema, policy=policy)


def test_two_columns_are_linked_where_their_nearest_synthetic_rows_meet() -> None:
    # by the definition, with ties: the sets of nearest rows of either label have a member in common
    rng = rng_of(1)
    schema = Schema(columns=tuple(Column(name=name, kind="categorical") for name in "ab"))
    frames = [
        pd.DataFrame(rng.integers(0, k, (150, 2)).astype(str), columns=list("ab"), dtype=object) for k in (9, 9, 7)
    ]
    found = linkability(evidence_from(frames, schema), rng_of())[0]
    synthetic = frames[2]
    for name, frame in (("train", frames[0]), ("fresh", frames[1])):
        linked = 0
        for _, row in frame.iterrows():
            near = []
            for column in "ab":
                same = synthetic[column] == row[column]
                near.append(same | (not same.any()))  # a label that no synthetic row has is as far from all of them
            linked += (near[0] & near[1]).any()
        assert found.detail[name] == pytest.approx(linked / len(frame))


def test_fresh_rows_pass(evidence_of: Callable[..., Evidence]) -> None:
    found = [linkability(evidence_of(seed, (2000, 2000, 2000)), rng_of(seed))[0] for seed in range(5)]
    assert {one.status for one in found} == {Status.PASS}
    assert all(one.value is not None and abs(one.value) < 3 * one.detail["standard_error"] for one in found)


def test_copies_are_refused_with_and_without_noise(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = evidence_of(3, (800, 600, 800))
    frame = evidence.train.frame
    for noise, least in ((0.0, 0.8), (0.01, 0.2)):
        near = frame["income"] + noise * frame["income"].std() * rng_of().normal(size=len(frame))
        found = linkability(replace(evidence, synthetic=law.changed(evidence.train, income=near)), rng_of())[0]
        assert found.status is Status.FAIL
        assert found.value is not None
        assert found.value > least


def test_the_value_is_the_share_of_train_that_was_copied(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(4, (1000, 1000, 1000))
    frame = pd.concat([evidence.train.frame[:200], evidence.synthetic.frame[200:]], ignore_index=True)
    synthetic = Dataset(frame=frame, schema=evidence.schema)
    found = linkability(replace(evidence, synthetic=synthetic), rng_of())[0]
    assert found.value == pytest.approx(0.2 * (1 - found.detail["fresh"]), abs=0.03)
    assert found.status is Status.FAIL


def test_one_column_cannot_be_linked() -> None:
    schema = Schema(columns=(Column(name="x", kind="numeric"),))
    frames = [pd.DataFrame({"x": rng_of(i).normal(size=150)}) for i in range(3)]
    found = linkability(evidence_from(frames, schema), rng_of())[0]
    assert found.status is Status.INCONCLUSIVE
    assert "nothing to link" in found.reading


def test_the_variance_of_a_mean_takes_rows_of_one_person_together() -> None:
    numbers = np.array([1.0, 1.0, 0.0, 0.0])
    mean, variance = mean_of_entities(numbers, None)
    assert (mean, variance) == (0.5, (4 * 0.25 + 1) / 16)
    assert mean_of_entities(numbers, np.array([3, 3, 8, 8])) == (0.5, (2 * 1.0 + 1) / 16)
    assert mean_of_entities(np.zeros(10), None)[1] > 0

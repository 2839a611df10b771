"""The live controls: silent on sound instruments, INVALID where one is broken."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Schema
from validators.evidence import Evidence
from validators.gate import Outcome, decide
from validators.judge import judge
from validators.measurement import Status
from validators.privacy import controls as module
from validators.privacy.controls import controls
from validators.privacy.excess_matches import Tail, excess_matches


def rng_of(seed: int = 0) -> Any:
    return stream(seed, "test")


def test_fresh_rows_leave_the_controls_silent_with_room_to_spare(evidence_of: Callable[..., Evidence]) -> None:
    for seed in range(6):
        found = controls(evidence_of(seed, (1500, 1000, 1200)), rng_of(seed))[0]
        assert found.status is Status.PASS
        assert found.detail["planted_p"] < 1e-5
        assert f"{found.detail['planted']} copies" in found.reading


def test_a_tail_test_that_sees_nothing_is_invalid(
    evidence_of: Callable[..., Evidence], monkeypatch: pytest.MonkeyPatch
) -> None:
    blind = Tail(p=1.0, quantile=0.01, threshold=0.0, train=0, fresh=0, expected=0.0)
    monkeypatch.setattr(module, "tail", lambda *_: blind)
    evidence = evidence_of(1, (800, 600, 700))
    found = controls(evidence, rng_of())[0]
    assert found.status is Status.INVALID
    assert "were not seen" in found.reading
    report = judge(evidence, seed=1, validators={"privacy.controls": controls})
    assert decide(report, evidence.policy).outcome is Outcome.INVALID


def test_a_tail_test_that_always_cries_is_invalid(
    evidence_of: Callable[..., Evidence], monkeypatch: pytest.MonkeyPatch
) -> None:
    crying = Tail(p=0.0, quantile=0.01, threshold=0.0, train=9, fresh=0, expected=4.0)
    monkeypatch.setattr(module, "tail", lambda *_: crying)
    found = controls(evidence_of(1, (800, 600, 700)), rng_of())[0]
    assert found.status is Status.INVALID
    assert "two random halves of train look different" in found.reading


def test_distances_that_miss_copies_are_invalid(
    evidence_of: Callable[..., Evidence], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(queries: Any, _base: Any) -> Any:
        return rng_of(3).random(len(queries)) + 1, np.zeros(len(queries), dtype=np.int64)

    monkeypatch.setattr(module, "nearest", broken)
    found = controls(evidence_of(1, (800, 600, 700)), rng_of())[0]
    assert found.status is Status.INVALID
    assert "were not seen" in found.reading


def test_rows_that_are_not_known_as_copies_are_invalid(
    evidence_of: Callable[..., Evidence], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(frames: Any, _columns: Any) -> Any:
        return [np.arange(len(frame)) + 10**6 * i for i, frame in enumerate(frames)]

    monkeypatch.setattr(module, "row_codes", broken)
    found = controls(evidence_of(1, (800, 600, 700)), rng_of())[0]
    assert found.status is Status.INVALID
    assert "not recognised" in found.reading


def test_a_holdout_of_other_people_leaves_it_undecided(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(2, (2000, 2000, 2000))
    everyone = pd.concat([evidence.train.frame, evidence.holdout.frame]).sort_values("income")  # type: ignore[union-attr]
    train, holdout = (
        Dataset(frame=half.reset_index(drop=True), schema=evidence.schema)
        for half in (everyone.iloc[:2000], everyone.iloc[2000:])
    )
    found = controls(replace(evidence, train=train, holdout=holdout), rng_of())[0]
    assert found.status is Status.INCONCLUSIVE
    assert "the split was not random" in found.reading


def test_where_common_rows_hide_any_leak_the_strangest_rows_are_planted(
    evidence_of: Callable[..., Evidence], law: SimpleNamespace
) -> None:
    schema = Schema(columns=tuple(column for column in law.schema.columns if column.name != "since"))
    evidence = evidence_of(5, (2500, 2500, 2500))
    parts = {}
    for part in ("train", "holdout", "synthetic"):
        frame = getattr(evidence, part).frame[list(schema.names)]
        parts[part] = Dataset(frame=frame.assign(income=(2 * np.log(frame["income"])).round()), schema=schema)
    plain = replace(evidence, schema=schema, **parts)
    claim = {one.name: one for one in excess_matches(plain, rng_of())}["detectable_leak"].detail
    found = controls(plain, rng_of())[0]
    assert claim["any_rows"] is None
    assert claim["strangest_rows"] is not None
    assert found.status is Status.PASS
    assert found.detail["planted_p"] < 1e-4


def test_too_few_fresh_rows_leave_it_undecided(evidence_of: Callable[..., Evidence]) -> None:
    found = controls(evidence_of(1, (600, 40, 500)), rng_of())[0]
    assert found.status is Status.INCONCLUSIVE


def test_a_leak_is_no_fault_of_the_instruments(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(4, (1500, 1000, 1200))
    frame = pd.concat([evidence.train.frame[:60], evidence.synthetic.frame[60:]], ignore_index=True)
    leaky = replace(evidence, synthetic=Dataset(frame=frame, schema=evidence.schema))
    assert controls(leaky, rng_of())[0].status is Status.PASS
    copied = replace(evidence, synthetic=evidence.train)
    assert controls(copied, rng_of())[0].status in {Status.PASS, Status.INCONCLUSIVE}

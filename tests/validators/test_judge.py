"""The judge: nothing that happens in a check stops it or slips through, and nothing of the source leaks into a log."""

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from validators.evidence import Evidence
from validators.gate import Outcome, decide, judged
from validators.judge import family_of, judge
from validators.measurement import Measurement, Status

EvidenceOf = Callable[..., Evidence]
CELL = "Ms Ottilie Example, 12 Hidden Lane"


def one(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    value = float(rng.random())
    return [
        judged(
            name="kway_1", subject="all rows", value=value, low=-1, high=value, n=9, reading="-", policy=evidence.policy
        )
    ]


def raising(_evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    raise ValueError(CELL)


def not_a_number(evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    nan = float("nan")
    return [
        judged(
            name="kway_1", subject="all rows", value=nan, low=nan, high=nan, n=9, reading="-", policy=evidence.policy
        )
    ]


def silent(_evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    return None  # type: ignore[return-value]


@pytest.mark.parametrize("broken", [raising, not_a_number, silent])
def test_a_broken_check_is_one_invalid_measurement_and_the_others_still_run(
    evidence_of: EvidenceOf, broken: Any, caplog: pytest.LogCaptureFixture
) -> None:
    evidence = evidence_of(sizes=(120, 110, 130))
    with caplog.at_level(logging.DEBUG):
        report = judge(evidence, seed=1, validators={"privacy.broken": broken, "fidelity.one": one})
    assert [(m.name, m.family, m.status is Status.INVALID) for m in report.measurements] == [
        ("privacy.broken", "privacy", True),
        ("kway_1", "fidelity", False),
    ]
    assert decide(report, evidence.policy).outcome is Outcome.INVALID
    assert CELL not in caplog.text + report.dumps()
    assert "privacy.broken" in caplog.text


def test_a_check_that_measures_nothing_leaves_its_names_missing(evidence_of: EvidenceOf) -> None:
    evidence = evidence_of(sizes=(120, 110, 130))
    report = judge(evidence, seed=1, validators={"fidelity.nothing": lambda _evidence, _rng: []})
    assert report.measurements == ()
    assert decide(report, evidence.policy).outcome is Outcome.INVALID


def test_each_check_has_a_stream_of_its_own(evidence_of: EvidenceOf) -> None:
    evidence = evidence_of(sizes=(120, 110, 130))
    alone = judge(evidence, seed=1, validators={"fidelity.one": one}).measurements
    beside = judge(
        evidence, seed=1, validators={"fidelity.nothing": lambda _e, _r: [], "fidelity.one": one}
    ).measurements
    other = judge(evidence, seed=2, validators={"fidelity.one": one}).measurements
    assert alone == beside
    assert alone != other


def test_the_report_says_what_was_judged_and_progress_is_told(evidence_of: EvidenceOf) -> None:
    evidence = evidence_of(sizes=(120, 110, 130))
    steps: list[dict[str, Any]] = []
    report = judge(evidence, seed=5, validators={"fidelity.one": one}, on_step=lambda step: steps.append(dict(step)))
    assert report.sizes == {"train": 120, "holdout": 110, "reference": 0, "synthetic": 130, "canaries": 20}
    assert (report.seed, report.policy) == (5, evidence.policy)
    assert [column.name for column in report.columns] == list(evidence.schema.names)
    assert set(report.timings_s) == {"fidelity.one"}
    assert [(step["phase"], step["step"], step["steps"]) for step in steps] == [("fidelity.one", 0, 1), ("done", 1, 1)]


def test_a_key_names_its_family() -> None:
    assert family_of("bias.outcome") == "bias"
    with pytest.raises(AssertionError):
        family_of("taste.colour")

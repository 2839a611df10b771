"""The gate: the rule for a status, the order of outcomes, and every way to cheat it."""

import dataclasses
import itertools
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sources.errors import UserError
from validators.gate import Outcome, decide, invalid, judged, status_of, undecided
from validators.limits.limit import IMAGE_NEEDS
from validators.limits.limits import LIMITS
from validators.measurement import Measurement, Status
from validators.policy import Policy
from validators.report import ColumnNote, Report

STANDARD = Policy.preset("standard")
COLUMNS = (
    ColumnNote(name="x", kind="numeric", role="plain"),
    ColumnNote(name="t", kind="datetime", role="plain", orders=True),
    ColumnNote(name="g", kind="categorical", role="protected"),
    ColumnNote(name="y", kind="boolean", role="target"),
)
PICTURES = (*COLUMNS, ColumnNote(name="i", kind="image", role="plain"))


def inside(name: str, policy: Policy = STANDARD) -> Measurement:
    limit = policy.limits[name]
    value = sum(limit) / 2 if isinstance(limit, tuple) else limit
    return judged(
        name=name,
        subject="all rows",
        value=value,
        low=value,
        high=value,
        n=500,
        reading="As it should be.",
        policy=policy,
    )


def good(policy: Policy = STANDARD, **changes: Any) -> Report:
    measurements = tuple(inside(name, policy) for name in LIMITS)
    report = Report(
        measurements=measurements,
        policy=policy,
        seed=1,
        sizes={"train": 500, "synthetic": 500, "canaries": 20},
        columns=COLUMNS,
    )
    return dataclasses.replace(report, **changes)


def with_one(victim: str, **changes: Any) -> Report:
    """Return a good report with one measurement changed behind the back of its checks."""
    report = good()
    for measurement in report.measurements:
        if measurement.name == victim:
            for field, value in changes.items():
                object.__setattr__(measurement, field, value)
    return report


@pytest.mark.parametrize(
    ("low", "high", "limit", "direction", "status"),
    [
        (0.1, 0.3, 0.3, "lower_is_better", "PASS"),
        (0.1, 0.3, 0.2, "lower_is_better", "INCONCLUSIVE"),
        (0.1, 0.3, 0.05, "lower_is_better", "FAIL"),
        (0.1, 0.3, 0.1, "higher_is_better", "PASS"),
        (0.1, 0.3, 0.2, "higher_is_better", "INCONCLUSIVE"),
        (0.1, 0.3, 0.4, "higher_is_better", "FAIL"),
        (0.1, 0.3, (0.0, 0.4), "inside_is_better", "PASS"),
        (0.1, 0.3, (0.2, 0.4), "inside_is_better", "INCONCLUSIVE"),
        (0.1, 0.5, (0.2, 0.4), "inside_is_better", "INCONCLUSIVE"),
        (0.1, 0.3, (0.4, 0.5), "inside_is_better", "FAIL"),
        (0.6, 0.7, (0.4, 0.5), "inside_is_better", "FAIL"),
        (None, 0.3, 0.3, "lower_is_better", "INVALID"),
        (0.1, math.nan, 0.3, "lower_is_better", "INVALID"),
        (-math.inf, 0.1, 0.3, "lower_is_better", "INVALID"),
        (0.3, 0.1, 0.5, "lower_is_better", "INVALID"),
        (0.1, 0.3, None, "lower_is_better", "INVALID"),
        (0.1, 0.3, math.nan, "higher_is_better", "INVALID"),
        (0.1, 0.3, 0.5, "inside_is_better", "INVALID"),
        (0.1, 0.3, (0.0, 1.0), "lower_is_better", "INVALID"),
        (0.1, 0.3, (0.0, math.nan), "inside_is_better", "INVALID"),
        (0.1, 0.3, 0.5, "as_you_like_it", "INVALID"),
        ("0", 0.3, 0.5, "lower_is_better", "INVALID"),
        (True, True, 5.0, "lower_is_better", "INVALID"),
    ],
)
def test_the_bad_end_passes_and_the_good_end_fails(
    low: Any, high: Any, limit: Any, direction: Any, status: str
) -> None:
    assert status_of(low, high, limit, direction).value == status


finite = st.floats(-10, 10)


@given(finite, finite, finite)
def test_higher_is_better_mirrors_lower_is_better(a: float, b: float, limit: float) -> None:
    low, high = min(a, b), max(a, b)
    assert status_of(low, high, limit, "lower_is_better") is status_of(-high, -low, -limit, "higher_is_better")


@given(finite, finite, finite, st.floats(0, 5))
def test_a_wider_interval_never_helps(a: float, b: float, limit: float, more: float) -> None:
    low, high = min(a, b), max(a, b)
    wide = status_of(low - more, high + more, limit, "lower_is_better")
    assert wide in {status_of(low, high, limit, "lower_is_better"), Status.INCONCLUSIVE}


def test_a_report_of_passes_passes_without_reasons() -> None:
    verdict = decide(good(), STANDARD)
    assert verdict.outcome is Outcome.PASS
    assert verdict.reasons == ()


def test_the_worst_status_decides_and_every_reason_is_told() -> None:
    failing = judged(
        name="kway_1", subject="all rows", value=0.5, low=0.4, high=0.6, n=9, reading="Far off.", policy=STANDARD
    )
    doubtful = undecided(name="c2st", subject="all rows", n=9, reading="Too few.", policy=STANDARD)
    broken = invalid(name="fidelity.x", family="fidelity", subject="all rows", reading="Raised.", policy=STANDARD)
    worst = {Outcome.REFUSE: [failing], Outcome.INCONCLUSIVE: [doubtful], Outcome.INVALID: [broken]}
    for amount in (1, 2, 3):
        for outcomes in itertools.combinations(worst, amount):
            extra = {m.name: m for outcome in outcomes for m in worst[outcome]}
            kept = [m for m in good().measurements if m.name not in extra]
            verdict = decide(good(measurements=(*kept, *extra.values())), STANDARD)
            order = [Outcome.INVALID, Outcome.REFUSE, Outcome.INCONCLUSIVE]
            assert verdict.outcome is next(outcome for outcome in order if outcome in outcomes)
            assert {(r.family, r.name, r.subject, r.reading) for r in verdict.reasons} == {
                (m.family, m.name, m.subject, m.reading) for m in extra.values()
            }


@pytest.mark.parametrize("name", sorted(LIMITS))
def test_no_required_measurement_may_be_missing(name: str) -> None:
    columns = PICTURES if LIMITS[name].needs in IMAGE_NEEDS else COLUMNS
    report = good(measurements=tuple(m for m in good().measurements if m.name != name), columns=columns)
    verdict = decide(report, STANDARD)
    assert verdict.outcome is Outcome.INVALID
    assert name in {reason.name for reason in verdict.reasons}


@pytest.mark.parametrize(
    "changes",
    [
        {"status": Status.FAIL},
        {"status": "PASS!"},
        {"status": "PASS", "low": None},
        {"low": math.nan},
        {"high": math.nan},
        {"value": math.nan},
        {"value": None},
        {"high": 9.0},
        {"limit": 9.0},
        {"limit": None},
        {"family": "bias"},
        {"direction": "higher_is_better"},
        {"name": "kway_one"},
        {"low": 9.0, "high": 9.5},
    ],
)
def test_a_measurement_that_contradicts_itself_or_the_policy_is_invalid(changes: dict[str, Any]) -> None:
    assert decide(with_one("kway_1", **changes), STANDARD).outcome is Outcome.INVALID


def test_an_unknown_status_without_numbers_is_invalid() -> None:
    for status in ("SKIPPED", None, "", Status.PASS):
        report = with_one("kway_1", status=status, value=None, low=None, high=None)
        assert decide(report, STANDARD).outcome is Outcome.INVALID


def test_an_empty_report_is_invalid_even_without_columns() -> None:
    assert decide(good(measurements=(), columns=()), STANDARD).outcome is Outcome.INVALID
    privacy_only = tuple(m for m in good().measurements if m.family == "privacy")
    assert decide(good(measurements=privacy_only, columns=()), STANDARD).outcome is Outcome.INVALID


def test_a_measurement_said_twice_is_invalid() -> None:
    report = good()
    doubled = dataclasses.replace(report, measurements=(*report.measurements, report.measurements[0]))
    assert decide(doubled, STANDARD).outcome is Outcome.INVALID


def test_a_report_judged_with_another_policy_is_invalid() -> None:
    loose = Policy.from_spec({"kway_1": 0.9})
    assert decide(good(loose), STANDARD).outcome is Outcome.INVALID
    assert decide(good(), loose).outcome is Outcome.INVALID


def test_a_loosened_limit_passes_only_with_its_override_in_the_verdict() -> None:
    loose = Policy.from_spec({"kway_1": 0.9})
    verdict = decide(good(loose), loose)
    assert verdict.outcome is Outcome.PASS
    assert verdict.overrides == ("kway_1: 0.03 -> 0.9",)


def test_a_report_goes_through_json_unchanged() -> None:
    report = good(timings_s={"fidelity.kway": 0.25}, versions={"numpy": "2"})
    assert Report.loads(report.dumps()) == report
    assert decide(Report.loads(report.dumps()), STANDARD) == decide(report, STANDARD)


@pytest.mark.parametrize("broken", ["{}", "[]", "nonsense", '{"measurements": 3}'])
def test_what_is_no_report_is_a_user_error(broken: str) -> None:
    with pytest.raises(UserError):
        Report.loads(broken)


@pytest.mark.parametrize(
    ("key", "value"), [("status", "FINE"), ("low", math.nan), ("family", 3), ("nonsense", 1), ("limit", "low")]
)
def test_a_report_with_an_odd_measurement_is_refused_or_invalid(key: str, value: object) -> None:
    plain = good().to_json()
    plain["measurements"][1][key] = value
    try:
        outcome = decide(Report.from_json(plain), STANDARD).outcome
    except UserError:
        return
    assert outcome is Outcome.INVALID

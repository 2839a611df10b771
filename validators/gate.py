"""The gate: from numbers to a status, from a report to a verdict. Pure, and closed in case of doubt.

Nothing here trusts a report: statuses, limits, directions and families are worked out again from the policy, and
whatever does not fit makes the verdict INVALID.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from validators.features.own_space import OWN
from validators.limits.limit import Bound
from validators.limits.limits import LIMITS
from validators.measurement import Direction, Family, Measurement, Status
from validators.policy import Policy
from validators.report import Report, due


class Outcome(StrEnum):
    """What happens to the release."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    REFUSE = "REFUSE"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


@dataclass(frozen=True, kw_only=True)
class Reason:
    """Why the verdict is not PASS: one measurement, or one defect of the report.

    Args:
        family: the family concerned, or `process` where the report itself is at fault.
        name, subject, reading: as in `Measurement`.
        status: what the gate takes the measurement for.

    """

    family: str
    name: str
    subject: str
    reading: str
    status: Status


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The outcome, the reasons for it (empty for PASS), and how the policy was changed."""

    outcome: Outcome
    reasons: tuple[Reason, ...]
    overrides: tuple[str, ...] = ()


def status_of(low: float | None, high: float | None, limit: Bound | None, direction: Direction) -> Status:
    """Return PASS when the bad end of [low, high] is inside the limit, FAIL when even the good end is beyond it.

    In between is INCONCLUSIVE. What is missing, not finite or out of order is INVALID. The limit itself is inside.

    >>> [status_of(low, low + 2, 5, "lower_is_better").value for low in (3, 4, 6)]
    ['PASS', 'INCONCLUSIVE', 'FAIL']
    """
    if low is None or high is None or not (_is_number(low) and _is_number(high) and low <= high):
        return Status.INVALID
    bounds: dict[str, object] = {
        "lower_is_better": (-math.inf, limit),
        "higher_is_better": (limit, math.inf),
        "inside_is_better": limit,
    }
    pair = bounds.get(direction)
    if not (isinstance(pair, tuple) and len(pair) == 2):  # noqa: PLR2004 - a lowest and a highest
        return Status.INVALID
    floor, ceiling = pair
    if not all(isinstance(bound, int | float) for bound in pair) or not floor <= ceiling:  # NaN is not <= either
        return Status.INVALID
    if floor <= low and high <= ceiling:
        return Status.PASS
    if high < floor or low > ceiling:
        return Status.FAIL
    return Status.INCONCLUSIVE


def judged(
    *,
    name: str,
    subject: str,
    value: float,
    low: float,
    high: float,
    n: int,
    reading: str,
    policy: Policy,
    reference: float | None = None,
    detail: Mapping[str, Any] | None = None,
) -> Measurement:
    """Return the measurement with family and direction from `LIMITS`, limit from the policy, status from the rule."""
    rule, limit = LIMITS[name], policy.limits[name]
    return Measurement(
        name=name,
        family=rule.family,
        subject=subject,
        value=float(value),
        low=float(low),
        high=float(high),
        direction=rule.direction,
        limit=limit,
        reference=None if reference is None else float(reference),
        n=int(n),
        status=status_of(float(low), float(high), limit, rule.direction),
        reading=reading,
        detail=dict(detail or {}),
    )


def undecided(*, name: str, subject: str, n: int, reading: str, policy: Policy) -> Measurement:
    """Return a measurement that could not be taken on so little data: INCONCLUSIVE, without numbers."""
    return _without_numbers(
        name=name,
        family=LIMITS[name].family,
        subject=subject,
        n=n,
        reading=reading,
        policy=policy,
        status=Status.INCONCLUSIVE,
    )


def invalid(*, name: str, family: Family, subject: str, reading: str, policy: Policy) -> Measurement:
    """Return a measurement that went wrong: INVALID, without numbers. `name` need not be in `LIMITS`."""
    return _without_numbers(
        name=name, family=family, subject=subject, n=0, reading=reading, policy=policy, status=Status.INVALID
    )


def decide(report: Report, policy: Policy) -> Verdict:
    """Return the verdict on `report` under `policy`.

    INVALID when anything is (a measurement, a missing one, a report that contradicts itself or the policy); else
    REFUSE when any measurement fails; else INCONCLUSIVE when any is; else PASS.
    """
    reasons = _defects(report, policy)
    for measurement in report.measurements:
        status, why = _recomputed(measurement, policy)
        if status is not Status.PASS:
            reasons.append(
                Reason(
                    family=measurement.family,
                    name=measurement.name,
                    subject=measurement.subject,
                    reading=f"{measurement.reading} {why}".strip(),
                    status=status,
                )
            )
    order = {Status.INVALID: 0, Status.FAIL: 1, Status.INCONCLUSIVE: 2}
    reasons.sort(key=lambda reason: order[reason.status])
    outcomes = {Status.INVALID: Outcome.INVALID, Status.FAIL: Outcome.REFUSE, Status.INCONCLUSIVE: Outcome.INCONCLUSIVE}
    outcome = outcomes[reasons[0].status] if reasons else Outcome.PASS
    return Verdict(outcome=outcome, reasons=tuple(reasons), overrides=policy.overrides)


def _without_numbers(
    *, name: str, family: Family, subject: str, n: int, reading: str, policy: Policy, status: Status
) -> Measurement:
    rule = LIMITS.get(name)
    return Measurement(
        name=name,
        family=family,
        subject=subject,
        value=None,
        low=None,
        high=None,
        direction=rule.direction if rule else "lower_is_better",
        limit=policy.limits.get(name),
        reference=None,
        n=int(n),
        status=status,
        reading=reading,
    )


def _defects(report: Report, policy: Policy) -> list[Reason]:
    """Return what is wrong with the report as a whole."""

    def defect(name: str, reading: str) -> Reason:
        return Reason(family="process", name=name, subject="report", reading=reading, status=Status.INVALID)

    found = []
    if report.policy.to_json() != policy.to_json():
        found.append(defect("policy", "The report was judged with another policy than the one it is held against."))
    names = {measurement.name for measurement in report.measurements}
    found += [
        defect(name, f"The required measurement {name} is missing.")
        for name in sorted(due(report.columns, policy) - names)
    ]
    if report.sizes.get("canaries") and "canaries" not in names:
        found.append(defect("canaries", "Canaries were planted, and nothing was measured on them."))
    subjects = {measurement.subject for measurement in report.measurements if measurement.name == "image_kid"}
    if policy.extractor is not None and not any(subject.startswith(f"{OWN} features") for subject in subjects):
        found.append(defect("policy", "The policy names an extractor of its own, and nothing was measured by it."))
    families = {measurement.family for measurement in report.measurements}
    found += [
        defect(family, f"Nothing of the family {family} was measured.")
        for family in ("contract", "fidelity", "privacy")
        if family not in families
    ]
    seen: set[tuple[str, str]] = set()
    for measurement in report.measurements:
        key = (measurement.name, measurement.subject)
        if key in seen:
            found.append(defect(measurement.name, f"{measurement.name} speaks twice about {measurement.subject}."))
        seen.add(key)
    return found


def _recomputed(measurement: Measurement, policy: Policy) -> tuple[Status, str]:
    """Return the status that the numbers and the policy give, and why it is not the one that was written."""
    rule = LIMITS.get(measurement.name)
    if measurement.status is Status.INVALID:
        return Status.INVALID, ""
    if rule is None:
        return Status.INVALID, "(a measurement that no policy knows)"
    if (measurement.family, measurement.direction) != (rule.family, rule.direction):
        return Status.INVALID, "(family or direction is not that of the policy)"
    if measurement.limit != policy.limits.get(measurement.name):
        return Status.INVALID, "(judged with a limit that is not the policy's)"
    numbers = (measurement.value, measurement.low, measurement.high)
    if measurement.status is Status.INCONCLUSIVE and all(number is None for number in numbers):
        return Status.INCONCLUSIVE, ""
    if not _is_number(measurement.value):
        return Status.INVALID, "(no value)"
    status = status_of(measurement.low, measurement.high, measurement.limit, measurement.direction)
    if status is not measurement.status:
        return Status.INVALID, f"(the report says {measurement.status}, its numbers say {status})"
    return status, ""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

"""What the public may read of the measurements: coarse numbers, no group, no count, no free text.

Exact metric values rebuild outliers when they can be asked for often enough (ReconSyn, arXiv 2312.05114), and
subjects, readings and details may name a group or hold a count. So the public file keeps, for each check and each
column it looked at, the worst outcome alone, in two significant digits.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from validators.gate import status_of
from validators.measurement import Direction, Family, Measurement, Status

DIGITS = 2
ALL_ROWS = "all rows"
FIXED_SUBJECTS = (
    ALL_ROWS,
    "all groups",
    "all rules",
    "against holdout",
    "against train",
    "number of rows",
    "strangest rows",
    "worst column",
    "worst pair",
)
"""Subjects that validators write and that name nothing of the source."""
_LARGEST_P_LIMIT = 0.1  # a lower bound below it is one on a probability, whose scale is logarithmic
_ORDER = (Status.INVALID, Status.FAIL, Status.INCONCLUSIVE, Status.PASS)


@dataclass(frozen=True, kw_only=True)
class PublicMeasurement:
    """The worst measurement of one check about one column, coarse.

    Args:
        name, family, direction, limit, status: as in `validators.measurement.Measurement`.
        subject: column names of the release, or one of `FIXED_SUBJECTS`; never a group.
        value, low, high, reference: two significant digits, more only where fewer would change the status.

    """

    name: str
    family: Family
    subject: str
    value: float | None
    low: float | None
    high: float | None
    direction: Direction
    limit: float | tuple[float, float] | None
    reference: float | None
    status: Status

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "name": self.name,
            "family": self.family,
            "subject": self.subject,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "direction": self.direction,
            "limit": list(self.limit) if isinstance(self.limit, tuple) else self.limit,
            "reference": self.reference,
            "status": self.status.value,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "PublicMeasurement":
        """Return the measurement that `to_json` wrote; KeyError, TypeError or ValueError when it is none."""
        limit = plain["limit"]
        return cls(
            **{
                **plain,
                "limit": tuple(limit) if isinstance(limit, list) else limit,
                "status": Status(plain["status"]),
            }
        )


def public_measurements(measurements: Iterable[Measurement], columns: Sequence[str]) -> tuple[PublicMeasurement, ...]:
    """Return the worst measurement for each check and public subject, in the order of their first appearance.

    Args:
        measurements: private ones, with the statuses that the gate gives.
        columns: the names of the released columns.

    """
    worst: dict[tuple[str, str], Measurement] = {}
    for measurement in measurements:
        key = measurement.name, _public_subject(measurement.subject, columns)
        if key not in worst or badness(measurement) > badness(worst[key]):
            worst[key] = measurement
    return tuple(_coarse(measurement, subject) for (_, subject), measurement in worst.items())


def badness(measurement: Measurement | PublicMeasurement) -> tuple[int, float]:
    """Return what orders measurements from good to bad: the status, then how much of its margin is used up.

    The margin runs from the score of fresh real rows (zero, or the middle, where there is none) to the limit, so
    measurements of different units can stand in one order: 0 is as good as fresh, 1 is at the limit.
    """
    return len(_ORDER) - _ORDER.index(measurement.status), _used_margin(measurement)


def coarse(number: float | None, digits: int = DIGITS) -> float | None:
    """Return `number` with that many significant digits.

    >>> coarse(0.98765), coarse(-1234.5), coarse(None)
    (0.99, -1200.0, None)
    """
    return None if number is None else float(f"{number:.{digits}g}")


def _used_margin(measurement: Measurement | PublicMeasurement) -> float:
    low, high, limit = measurement.low, measurement.high, measurement.limit
    if low is None or high is None or limit is None:
        return math.inf
    fresh = measurement.reference
    if isinstance(limit, tuple):
        fresh = sum(limit) / 2 if fresh is None or not limit[0] < fresh < limit[1] else fresh
        return max((fresh - low) / (fresh - limit[0]), (high - fresh) / (limit[1] - fresh))
    bad_end = high if measurement.direction == "lower_is_better" else low
    if fresh is None and measurement.direction == "higher_is_better" and 0 < limit < _LARGEST_P_LIMIT:
        return math.log(max(low, 1e-300)) / math.log(limit)
    if fresh is None:
        fresh = 0.0 if measurement.direction == "lower_is_better" else 1.0
    margin = limit - fresh
    return (bad_end - fresh) / margin if margin else float(bad_end - fresh)


def _coarse(measurement: Measurement, subject: str) -> PublicMeasurement:
    digits = DIGITS
    while True:
        low, high = coarse(measurement.low, digits), coarse(measurement.high, digits)
        same = status_of(low, high, measurement.limit, measurement.direction) is status_of(
            measurement.low, measurement.high, measurement.limit, measurement.direction
        )
        if same or digits == 17:  # noqa: PLR2004 - digits that tell every float from every other
            break
        digits += 1
    return PublicMeasurement(
        name=measurement.name,
        family=measurement.family,
        subject=subject,
        value=coarse(measurement.value, digits),
        low=low,
        high=high,
        direction=measurement.direction,
        limit=measurement.limit,
        reference=coarse(measurement.reference),
        status=measurement.status,
    )


def _public_subject(subject: str, columns: Sequence[str]) -> str:
    """Return a fixed subject as it is, the columns that a subject names without the group, else `all rows`."""
    if subject in FIXED_SUBJECTS:
        return subject
    heads = [subject, *(subject[:at] for at, sign in enumerate(subject) if sign == "=")]
    named = [head for head in heads if set(head.split(" × ")) <= set(columns)]
    return max(named, key=len, default=ALL_ROWS)

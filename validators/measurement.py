"""What a judge says: a value with its interval, its limit, the same quantity for fresh real rows, and a sentence."""

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

Family = Literal["contract", "fidelity", "privacy", "bias"]
FAMILIES: tuple[Family, ...] = ("contract", "fidelity", "privacy", "bias")
Direction = Literal["lower_is_better", "higher_is_better", "inside_is_better"]


class Status(StrEnum):
    """The outcome of one measurement; only PASS ever helps a release."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    INVALID = "INVALID"


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One number that was judged; numbers that do not exist are None, never NaN.

    Args:
        name: the check, such as `excess_matches`; documented under that name in `docs/metrics.md`.
        family: which of the four kinds of judgement it belongs to.
        subject: what it is about (`all rows`, a column, `race=Other`, `age × sex`).
        value, low, high: the estimate and the interval that the gate compares.
        direction: which way is good.
        limit: the bound that the bad end of the interval must not cross; a pair where both sides count.
        reference: the same quantity for fresh real rows, or None.
        n: rows that the value rests on.
        status: set by the rule in `validators.gate.status_of`, or INVALID.
        reading: one sentence that a lawyer understands. May name columns and groups; private, so may hold counts.
        detail: further plain numbers for the private report.

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
    n: int
    status: Status
    reading: str
    detail: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse NaN, infinities, and a pass without numbers."""
        numbers = [self.value, self.low, self.high, self.reference]
        assert all(number is None or math.isfinite(number) for number in numbers), f"{self.name}: not finite"
        if self.status is Status.PASS:
            assert None not in (self.value, self.low, self.high, self.limit), f"{self.name}: a pass without numbers"

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        plain = asdict(self)
        plain["status"] = self.status.value
        if isinstance(self.limit, tuple):
            plain["limit"] = list(self.limit)
        return plain

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> "Measurement":
        """Return the measurement that `to_json` wrote."""
        limit = plain["limit"]
        return cls(
            **{
                **plain,
                "limit": tuple(limit) if isinstance(limit, list) else limit,
                "status": Status(plain["status"]),
            }
        )

"""What a judgement leaves behind: measurements, the policy they were judged with, and how they were made.

A report is private evidence: it names columns and groups. It holds no other value of the source.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sources.schema import Kind, Role, Schema
from sources.targets import Targets
from validators.errors import ValidatorInputError
from validators.measurement import Measurement
from validators.policy import MEASURED_KINDS, Policy


@dataclass(frozen=True, kw_only=True)
class ColumnNote:
    """What the gate must know of a column to say which measurements were due; `orders`: it puts the rows in order."""

    name: str
    kind: Kind
    role: Role
    orders: bool = False


def column_notes(schema: Schema) -> tuple[ColumnNote, ...]:
    """Return a note for each column of `schema`."""
    return tuple(
        ColumnNote(name=c.name, kind=c.kind, role=c.role, orders=c.name == schema.order_key) for c in schema.columns
    )


def due(columns: Sequence[ColumnNote], policy: Policy) -> frozenset[str]:
    """Return the names that a report on such columns must hold: what the policy requires, and `time_order`."""
    names = policy.required((column.kind, column.role) for column in columns)
    ordered = any(column.orders for column in columns)
    others = any(column.kind in MEASURED_KINDS and not column.orders for column in columns)
    return names | {"time_order"} if ordered and others else names


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that was measured.

    Args:
        measurements: in the order of the registry.
        policy: the policy that the measurements were judged with.
        seed: of the judgement.
        sizes: rows by part (`train`, `holdout`, `reference`, `synthetic`, `canaries`); 0 where there is none.
        columns: name, kind and role of each column, and which puts the rows in order.
        versions: library -> version.
        timings_s: check -> seconds. Not part of what makes two reports equal in content.
        targets: the law that the rows were stated to have and judged against, or None for that of the source.

    """

    measurements: tuple[Measurement, ...]
    policy: Policy
    seed: int
    sizes: Mapping[str, int]
    columns: tuple[ColumnNote, ...]
    versions: Mapping[str, str] = field(default_factory=dict)
    timings_s: Mapping[str, float] = field(default_factory=dict)
    targets: Targets | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "measurements": [measurement.to_json() for measurement in self.measurements],
            "policy": self.policy.to_json(),
            "seed": self.seed,
            "sizes": dict(self.sizes),
            "columns": [asdict(column) for column in self.columns],
            "versions": dict(self.versions),
            "timings_s": dict(self.timings_s),
            "targets": None if self.targets is None else self.targets.to_json(),
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Report":
        """Return the report that `to_json` wrote.

        Raises:
            ValidatorInputError: it is not such a report: a key is missing, a status unknown, a number not finite.

        """
        try:
            return cls(
                measurements=tuple(Measurement.from_json(one) for one in plain["measurements"]),
                policy=Policy.from_json(plain["policy"]),
                seed=plain["seed"],
                sizes=dict(plain["sizes"]),
                columns=tuple(ColumnNote(**column) for column in plain["columns"]),
                versions=dict(plain["versions"]),
                timings_s=dict(plain["timings_s"]),
                targets=None if plain["targets"] is None else Targets.from_json(plain["targets"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            raise ValidatorInputError(
                "report: not a report of this program", seen=type(error).__name__, remedy="judge the data again"
            ) from error

    def dumps(self) -> str:
        """Return the JSON text; NaN and infinities are refused."""
        return json.dumps(self.to_json(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def loads(cls, text: str) -> "Report":
        """Return the report in a JSON text; raises as `from_json` does."""
        try:
            plain = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValidatorInputError("report: not JSON", remedy="judge the data again") from error
        return cls.from_json(plain)

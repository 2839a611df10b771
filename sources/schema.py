"""What the columns of a dataset are: kind, role, lattice, storage, rules.

A schema holds no raw value of the source but what its author wrote into the spec (rules, positive label) and the
category labels that inference was allowed to keep; nothing in it is read from single rows.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from sources.errors import SourceInputError, did_you_mean

Kind = Literal["numeric", "categorical", "boolean", "datetime", "text", "image", "id"]
Role = Literal["plain", "target", "protected", "quasi_identifier", "secret"]
Storage = Literal["int64", "float64", "string", "bool", "timestamp", "date", "uint8", "uint16"]
Severity = Literal["error", "warning"]
TableRuleKind = Literal["greater_or_equal", "greater", "unique", "sum"]
Pii = Literal[
    "email", "phone_number", "ssn", "credit_card_number", "iban", "ipv4_address", "ipv6_address", "url", "name",
    "first_name", "last_name", "street_address", "address", "city", "postcode", "country", "company", "job",
]  # fmt: skip
"""Sorts of personal details (personally identifiable information), by the names that Faker and SDV give them."""

PII_KEYS: frozenset[Pii] = frozenset(
    {"email", "phone_number", "ssn", "credit_card_number", "iban", "ipv4_address", "ipv6_address", "url"}
)
"""Sorts that point at one person or machine each: no made one is ever one of the source."""

KINDS: tuple[Kind, ...] = ("numeric", "categorical", "boolean", "datetime", "text", "image", "id")
ROLES: tuple[Role, ...] = ("plain", "target", "protected", "quasi_identifier", "secret")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What every cell of a column must satisfy, beyond its kind; the column's part of the data contract.

    Args:
        minimum, maximum: inclusive bounds of a numeric column, in its own unit.
        values: the allowed labels of a categorical column.
        pattern: a regular expression that the whole of an id, text or categorical cell must match.
        unique: no two rows share a value.
        max_missing: the largest share of missing cells, 0 to 1; None leaves it free.
        severity: whether a broken rule refuses (`error`) or is only shown (`warning`).

    """

    minimum: float | None = None
    maximum: float | None = None
    values: tuple[str, ...] | None = None
    pattern: str | None = None
    unique: bool = False
    max_missing: float | None = None
    severity: Severity = "error"


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column.

    Args:
        name: as in the source, any unicode text.
        kind: what its values mean (see `sources.dataset` for how each kind is held in memory).
        role: what the judges take it for.
        integer: numeric values are whole numbers.
        decimals: numeric values lie on the lattice of 10**-decimals; None is a real number without lattice.
        storage: the type that files of this column have.
        missing_marks: texts that stand for a missing cell in the source (`?`, `N/A`).
        positive: the label of a target that counts as the positive outcome (for a numeric target: see `threshold`).
        threshold: a numeric target's outcome is `value > threshold`.
        bins: inner edges that cut a numeric protected column into groups; None lets the judges cut by quantiles.
        timezone: the zone in which a datetime column is written (`UTC`, `Europe/Prague`), or None for naive times.
        datetime_format: how a datetime column is written as text (strptime), or None for ISO 8601.
        truth: how a boolean column is written as text, (false, true) such as ("no", "yes"); None for 0/1.
        pii: the sort of personal detail that an id column holds, made anew of its sort; None for other ids.
        shape: height, width and channels of an image column's pictures; their depth is its storage.
        locale: language and country of made personal details, such as `de_DE`; None where there are none.
        description, unit: words for the card.
        rules: the column's part of the contract.

    """

    name: str
    kind: Kind
    role: Role = "plain"
    integer: bool = False
    decimals: int | None = None
    storage: Storage = "string"
    missing_marks: tuple[str, ...] = ()
    positive: str | None = None
    threshold: float | None = None
    bins: tuple[float, ...] | None = None
    timezone: str | None = None
    datetime_format: str | None = None
    truth: tuple[str, str] | None = None
    pii: Pii | None = None
    locale: str | None = None
    shape: tuple[int, int, int] | None = None
    description: str = ""
    unit: str = ""
    rules: Rules = field(default_factory=Rules)


@dataclass(frozen=True, kw_only=True)
class TableRule:
    """What every row must satisfy over several columns; always written by the author of the spec.

    Args:
        kind: `greater_or_equal` (first column >= second, where both are known), `greater`, `unique` (no two rows
            agree in all the columns), or `sum` (the first column is the sum of the others, where all are known, up to
            half a step of its lattice).
        columns: exactly two for the comparisons (numbers or times), at least one for `unique`, at least two for `sum`
            (numbers).
        severity: whether a broken rule refuses (`error`) or is only shown (`warning`).

    """

    kind: TableRuleKind
    columns: tuple[str, ...]
    severity: Severity = "error"


@dataclass(frozen=True, kw_only=True)
class Schema:
    """The columns in their order, the keys, and the rules over several columns.

    Args:
        columns: at least one, names unique.
        entity_key: the column that names the person or thing a row belongs to; its rows never straddle the split.
        order_key: the column that orders rows in time.
        rules: what holds between columns.
        dropped: columns of the source that the spec leaves out; no row holds them.

    Raises:
        SourceInputError: names repeat, a key names no column, or a rule compares or adds what it cannot.

    """

    columns: tuple[Column, ...]
    entity_key: str | None = None
    order_key: str | None = None
    rules: tuple[TableRule, ...] = ()
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check names and keys."""
        seen: set[str] = set()
        for name in self.names:
            if name in seen:
                raise SourceInputError(
                    "schema: two columns have one name", seen=name, remedy="rename one of them in the source"
                )
            seen.add(name)
        for label, key in (("entity_key", self.entity_key), ("order_key", self.order_key)):
            if key is not None:
                self._require(key, f"schema.{label}")
        for rule in self.rules:
            for name in rule.columns:
                self._require(name, f"schema.rules.{rule.kind}")
            self._check_kinds(rule)

    @property
    def names(self) -> tuple[str, ...]:
        """The column names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def target(self) -> Column | None:
        """The one column with role target, or None."""
        return next((column for column in self.columns if column.role == "target"), None)

    @property
    def protected(self) -> tuple[Column, ...]:
        """The columns with role protected, in order."""
        return tuple(column for column in self.columns if column.role == "protected")

    def __getitem__(self, name: str) -> Column:
        """Return the column called `name`; unknown names raise `SourceInputError` with the nearest one."""
        self._require(name, "schema")
        return next(column for column in self.columns if column.name == name)

    def with_column(self, name: str, **changes: Any) -> "Schema":
        """Return a schema in which the fields `changes` of the column `name` are replaced."""
        column = replace(self[name], **changes)
        return replace(self, columns=tuple(column if old.name == name else old for old in self.columns))

    def _check_kinds(self, rule: TableRule) -> None:
        """Refuse to add what is no number, and to compare what is neither two numbers nor two times."""
        kinds = [self[name].kind for name in rule.columns]
        wanted: dict[str, tuple[Kind, ...]] = {"sum": ("numeric",), "unique": KINDS}
        allowed = wanted.get(rule.kind, ("numeric", "datetime"))
        if set(kinds) <= set(allowed) and (rule.kind == "unique" or len(set(kinds)) == 1):
            return
        raise SourceInputError(
            f"schema.rules.{rule.kind}: needs columns of one kind, {' or '.join(allowed)}",
            seen=", ".join(f"{name} ({kind})" for name, kind in zip(rule.columns, kinds, strict=True)),
            remedy="set their kinds under schema.columns, or leave the rule out",
        )

    def _require(self, name: str, place: str) -> None:
        if name not in self.names:
            raise SourceInputError(
                f"{place}: no such column{did_you_mean(name, self.names)}",
                seen=name,
                remedy="columns: " + ", ".join(self.names[:12]) + (", …" if len(self.names) > 12 else ""),  # noqa: PLR2004 - a line
            )

"""The data contract: what every table of this schema must satisfy, checked by Great Expectations.

Rules come from two sides. *Declared* ones stand in the spec and hold to the letter. *Inferred* ones are read from all
real rows at hand, and are made so that fresh rows of the same population keep them: value sets hold only labels of at
least 5 rows, bounds rest on the 5th smallest and largest value, widened by the whole span and rounded outwards, and
as many cells may lie outside as fresh rows would have (see `ContractRule.allowed`). What inferred rules contain is
private; what the public sees of them is that they exist and whether they hold.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from sources.conform import Mismatch, conform_loosely
from sources.dataset import Dataset
from sources.expectations import run_checks
from sources.relations import sum_tolerance
from sources.schema import Column, Schema, Severity

Check = Literal[
    "columns", "rows", "type", "missing", "values", "range", "unique", "pattern", "greater_or_equal", "greater", "sum"
]
HELD_BY = 5  # rows that must hold a label, or lie beyond a bound, before a rule mentions it
MOSTLY = 0.9  # a share of missing cells from which on missing ones are not forbidden
LEVEL = 1e-4  # how often fresh rows may break one inferred rule


@dataclass(frozen=True, kw_only=True)
class ContractRule:
    """One rule.

    Args:
        id: unique in its contract, stable over runs (`age.range`).
        check: what is checked.
        columns: the columns it is about; empty for the whole table.
        severity: whether breaking it refuses or is only shown.
        declared: the author of the spec wrote it; else it was inferred.
        seen: of `known` real cells, how many are outside the rule.
        known: how many real cells an inferred rule was read from; 0 for declared rules.
        together: how many of the cells outside may stand and fall together, as the rows of one rare label do.
        arguments: bounds, labels, pattern. Private unless `declared`.

    """

    id: str
    check: Check
    columns: tuple[str, ...] = ()
    severity: Severity = "error"
    declared: bool = False
    seen: int = 0
    known: int = 0
    together: int = 1
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def allowed(self, num_cells: int) -> int:
        """Return how many of `num_cells` may break the rule: fresh rows have more with a chance of `LEVEL`.

        The number outside among fresh cells, given those `seen`, is negative binomial (the predictive law of a Poisson
        count under a flat prior of its rate): of `seen` = 0 it says what exchangeable rows say, that all k rows
        outside fall among the fresh ones with the k-th power of their share.
        """
        if not self.known:
            return 0
        clusters = 1 + self.seen / self.together
        odds = num_cells / self.known * (self.seen + 1) / clusters
        return min(num_cells, int(stats.nbinom.isf(LEVEL, clusters, 1 / (1 + odds))))

    def describe(self, *, public: bool) -> str:
        """Return the rule in words; with `public`, without anything that was read from rows."""
        names = " and ".join(f'"{name}"' for name in self.columns)
        arguments = {} if public and not self.declared else self.arguments
        return _WORDS[self.check](names, arguments)


@dataclass(frozen=True, kw_only=True)
class Contract:
    """The rules for tables of one schema."""

    schema: Schema
    rules: tuple[ContractRule, ...]

    def to_json(self, *, public: bool) -> list[dict[str, Any]]:
        """Return the rules as plain JSON; with `public`, inferred ones without their arguments."""
        return [
            {
                "id": rule.id,
                "check": rule.check,
                "columns": list(rule.columns),
                "severity": rule.severity,
                "declared": rule.declared,
                "description": rule.describe(public=public),
                **({"arguments": dict(rule.arguments)} if rule.declared or not public else {}),
            }
            for rule in self.rules
        ]


@dataclass(frozen=True, kw_only=True)
class RuleResult:
    """Whether one rule holds.

    Args:
        rule: the rule's id.
        column: the column, the columns joined by `, `, or None for the whole table.
        description: the rule in words.
        severity: as in the rule.
        success: True holds, False broken, None could not be checked (never a pass).

    """

    rule: str
    column: str | None
    description: str
    severity: Severity
    success: bool | None


@dataclass(frozen=True, kw_only=True)
class ContractResult:
    """The results of all rules."""

    rules: tuple[RuleResult, ...]

    @property
    def passed(self) -> bool:
        """Every rule of severity error was checked and holds."""
        return bool(self.rules) and all(rule.success is True for rule in self.rules if rule.severity == "error")

    @property
    def broken(self) -> tuple[RuleResult, ...]:
        """The rules of any severity that do not hold."""
        return tuple(rule for rule in self.rules if rule.success is False)

    @property
    def errored(self) -> tuple[RuleResult, ...]:
        """The rules that could not be checked."""
        return tuple(rule for rule in self.rules if rule.success is None)


def contract_of(schema: Schema, *real: Dataset) -> Contract:
    """Return the contract: structure and declared rules of `schema`, and rules inferred from the `real` rows if any.

    Real parts are taken together: a label that a small training part lacks by chance is not forbidden when another
    part of the population holds it.
    """
    rows = pd.concat([part.frame for part in real], ignore_index=True) if real else None
    dropped = {"dropped": schema.dropped} if schema.dropped else {}
    rules = [
        ContractRule(id="table.columns", check="columns", declared=bool(dropped), arguments=dropped),
        ContractRule(id="table.rows", check="rows"),
    ]
    for column in schema.columns:
        rules.append(_type_rule(column, 0 if rows is None else len(rows)))
        rules.extend(_declared_rules(column))
        if rows is not None:
            rules.extend(_inferred_rules(column, rows[column.name]))
    for position, rule in enumerate(schema.rules):
        rules.append(
            ContractRule(
                id=f"table.{rule.kind}.{position + 1}",
                check=rule.kind,
                columns=rule.columns,
                severity=rule.severity,
                declared=True,
                arguments={"tolerance": sum_tolerance(schema[rule.columns[0]])} if rule.kind == "sum" else {},
            )
        )
    return Contract(schema=schema, rules=tuple(rules))


def check(data: Dataset | pd.DataFrame, contract: Contract, *, public: bool) -> ContractResult:
    """Return whether `data` keeps `contract`.

    Args:
        data: a frame as it was read (so that wrong types, missing and extra columns are found), or a dataset.
        contract: of `contract_of`.
        public: describe the rules without anything read from rows.

    Raises:
        SourceInputError: the frame has no columns, unnamed ones, or two of one name.

    """
    frame, mismatches = _canonical(data, contract.schema)
    outcomes: dict[str, bool | None] = {}
    left = []
    absent = {found.column for found in mismatches if found.what == "missing_column"}
    for rule in contract.rules:
        if rule.check == "columns":
            outcomes[rule.id] = not any(found.what in ("missing_column", "extra_column") for found in mismatches)
        elif absent & set(rule.columns):
            outcomes[rule.id] = False
        elif rule.check == "type":
            outcomes[rule.id] = _type_holds(rule, mismatches, len(frame))
        else:
            left.append(rule)
    outcomes.update(run_checks(frame, [_plain(rule, frame) for rule in left]))
    return ContractResult(
        rules=tuple(
            RuleResult(
                rule=rule.id,
                column=", ".join(rule.columns) or None,
                description=rule.describe(public=public),
                severity=rule.severity,
                success=outcomes[rule.id],
            )
            for rule in contract.rules
        )
    )


def _canonical(data: Dataset | pd.DataFrame, schema: Schema) -> tuple[pd.DataFrame, tuple[Mismatch, ...]]:
    if isinstance(data, Dataset):
        return data.frame, ()
    dataset, mismatches = conform_loosely(data, schema)
    if dataset is not None:
        return dataset.frame, mismatches
    present = tuple(column for column in schema.columns if column.name in data.columns)
    if not present:
        return pd.DataFrame(index=range(len(data))), mismatches
    part, inner = conform_loosely(data[[column.name for column in present]], Schema(columns=present))
    assert part is not None
    return part.frame, (*(found for found in mismatches if found.cells == 0), *inner)


def _type_holds(rule: ContractRule, mismatches: tuple[Mismatch, ...], num_rows: int) -> bool:
    for found in mismatches:
        if found.column in rule.columns and found.what == "type":
            return False
        if found.column in rule.columns and found.what == "not_whole" and found.cells > rule.allowed(num_rows):
            return False
    return True


def _type_rule(column: Column, num_real: int) -> ContractRule:
    return ContractRule(
        id=f"{column.name}.type",
        check="type",
        columns=(column.name,),
        known=num_real,
        arguments={"kind": column.kind, "integer": column.integer},
    )


def _declared_rules(column: Column) -> list[ContractRule]:
    said = column.rules
    common: dict[str, Any] = {"columns": (column.name,), "severity": said.severity, "declared": True}
    rules = []
    if said.max_missing is not None:
        rules.append(
            ContractRule(
                id=f"{column.name}.missing", check="missing", arguments={"max_missing": said.max_missing}, **common
            )
        )
    labels = said.values  # noqa: PD011 - a rule, no frame
    if labels is not None:
        rules.append(ContractRule(id=f"{column.name}.values", check="values", arguments={"values": labels}, **common))
    if said.minimum is not None or said.maximum is not None:
        bounds = {"minimum": said.minimum, "maximum": said.maximum}
        rules.append(ContractRule(id=f"{column.name}.range", check="range", arguments=bounds, **common))
    if said.pattern is not None:
        rules.append(
            ContractRule(id=f"{column.name}.pattern", check="pattern", arguments={"pattern": said.pattern}, **common)
        )
    if said.unique:
        rules.append(ContractRule(id=f"{column.name}.unique", check="unique", **common))
    return rules


def _inferred_rules(column: Column, values: pd.Series) -> list[ContractRule]:
    """Return what the cells of real rows show, where the spec is silent."""
    said = column.rules
    rules = []
    missing = int(values.isna().sum())
    if said.max_missing is None and missing < MOSTLY * len(values):
        rules.append(
            ContractRule(
                id=f"{column.name}.missing", check="missing", columns=(column.name,), seen=missing, known=len(values)
            )
        )
    present = values.dropna()
    labels = said.values  # noqa: PD011 - a rule, no frame
    if column.kind == "categorical" and labels is None and len(present):
        rules.extend(value_set(column.name, present.value_counts()))
    if column.kind in ("numeric", "datetime") and said.minimum is None and said.maximum is None:
        numbers = numbers_of(present)
        bounds = _bounds(numbers)
        if bounds is not None:
            rules.append(
                ContractRule(
                    id=f"{column.name}.range",
                    check="range",
                    columns=(column.name,),
                    seen=int(((numbers < bounds[0]) | (numbers > bounds[1])).sum()),
                    known=len(numbers),
                    arguments={"minimum": bounds[0], "maximum": bounds[1]},
                )
            )
    return rules


def value_set(name: str, counts: pd.Series) -> list[ContractRule]:
    """Return the rule that allows labels which `HELD_BY` rows or more hold; none where most rows have rarer ones.

    Labels are left out *because* few rows hold them, so fresh rows hold them more often. Good and Turing's estimate of
    the share of fresh rows whose label was seen at most r times is the share of rows of labels seen at most r + 1 times
    (Good 1953, *The Population Frequencies of Species and the Estimation of Population Parameters*).
    """
    known, seen = int(counts.sum()), int(counts[counts <= HELD_BY].sum())
    held = sorted(counts.index[counts >= HELD_BY])
    if not held or seen >= known / 2:
        return []
    arguments = {"values": tuple(held)}
    return [
        ContractRule(
            id=f"{name}.values",
            check="values",
            columns=(name,),
            seen=seen,
            known=known,
            together=HELD_BY,
            arguments=arguments,
        )
    ]


def numbers_of(values: pd.Series) -> np.ndarray:
    """Return numbers as they are and times as days since 1970, float64."""
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values.to_numpy().astype("datetime64[us]").astype("int64") / 86_400e6
    return values.to_numpy(dtype="float64")


def _bounds(numbers: np.ndarray) -> tuple[float, float] | None:
    if len(numbers) < 4 * HELD_BY:
        return None
    ordered = np.sort(numbers)
    low, high = float(ordered[HELD_BY - 1]), float(ordered[-HELD_BY])
    span = high - low or max(abs(high), 1.0)
    step = 10.0 ** math.floor(math.log10(span))
    lower = math.floor((low - span) / step) * step
    if ordered[0] >= 0:
        lower = max(lower, 0.0)
    upper = math.ceil((high + span) / step) * step
    return (lower, upper) if math.isfinite(lower) and math.isfinite(upper) else None


def _plain(rule: ContractRule, frame: pd.DataFrame) -> dict[str, Any]:
    """Return the rule as `sources.expectations` wants it: check, columns, arguments, share that must hold."""
    arguments = dict(rule.arguments)
    num_cells = len(frame)
    if rule.check in ("values", "range", "pattern") and rule.columns:
        num_cells = int(frame[rule.columns[0]].notna().sum())
    if rule.check == "missing" and rule.declared:
        mostly = 1.0 - float(arguments.pop("max_missing"))
    elif rule.known and num_cells:
        mostly = max(0.0, 1.0 - (rule.allowed(num_cells) + 0.5) / num_cells)
    else:
        mostly = 1.0
    return {"id": rule.id, "check": rule.check, "columns": rule.columns, "arguments": arguments, "mostly": mostly,
            "severity": rule.severity}  # fmt: skip


def _range_words(names: str, arguments: Mapping[str, Any]) -> str:
    low, high = arguments.get("minimum"), arguments.get("maximum")
    if low is None and high is None:
        return f"{names} keeps to a usual range"
    parts = [*([] if low is None else [f"at least {low:g}"]), *([] if high is None else [f"at most {high:g}"])]
    return f"{names} is {' and '.join(parts)}"


def _type_words(names: str, arguments: Mapping[str, Any]) -> str:
    kind = arguments.get("kind")
    return f"{names} holds cells of its own kind" + (f" ({kind})" if kind else "")


def _values_words(names: str, arguments: Mapping[str, Any]) -> str:
    values = arguments.get("values")
    if values is None:
        return f"{names} holds known labels"
    shown = ", ".join(map(str, values[:12])) + (", …" if len(values) > 12 else "")  # noqa: PLR2004
    return f"{names} is one of {shown}"


def _missing_words(names: str, arguments: Mapping[str, Any]) -> str:
    share = arguments.get("max_missing")
    return f"{names} has " + (
        "no unusual share of missing cells" if share is None else f"at most {share:.1%} missing cells"
    )


def _columns_words(_names: str, arguments: Mapping[str, Any]) -> str:
    dropped = arguments.get("dropped", ())
    left_out = ", ".join(f'"{name}"' for name in dropped)
    return "the table has exactly the columns of the schema" + (
        f", without {left_out} of the source" if dropped else ""
    )


_WORDS: dict[str, Callable[[str, Mapping[str, Any]], str]] = {
    "columns": _columns_words,
    "rows": lambda _names, _arguments: "the table has rows",
    "type": _type_words,
    "missing": _missing_words,
    "values": _values_words,
    "range": _range_words,
    "unique": lambda names, _arguments: f"{names}: no two rows agree",
    "pattern": lambda names, arguments: f"{names} has the form {arguments.get('pattern', 'of the source')}",
    "greater_or_equal": lambda names, _arguments: f"{names}: the first is never below the second",
    "greater": lambda names, _arguments: f"{names}: the first is always above the second",
    "sum": lambda names, _arguments: f"{names}: the first is the sum of the others",
}

"""What the columns of a raw frame are, told by their content; what a spec says wins.

A column's type in a file proves little: 0/1 may be truth values, 1 to 6 codes of occupations, text may hold numbers
with `?` where one is missing. So each column is judged by its distinct values, and every decision has a reason in
words (`Finding`), which `understudy init` writes beside the column.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from sources import column_kinds, personal
from sources.cells import Cells, cells_of
from sources.errors import SourceInputError
from sources.overrides import ColumnOverrides, SchemaOverrides
from sources.schema import PII_KEYS, Column, Kind, Rules, Schema, Storage
from sources.words import STRONG_MARKS

MAX_COLUMNS = 4096


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Why a column was taken for what it is.

    Args:
        column: its name.
        kind: what it was taken for.
        reason: in words, without a cell of the source.
        notes: further remarks, such as marks that were read as missing.

    """

    column: str
    kind: Kind
    reason: str
    notes: tuple[str, ...] = ()


def infer_schema(frame: pd.DataFrame, overrides: SchemaOverrides | None = None) -> Schema:
    """Return what the columns of the raw `frame` are.

    Raises:
        SourceInputError: the overrides name unknown columns, a column has nothing but missing cells or holds infinite
            numbers, nested or binary cells, or cannot be read as the kind that the overrides want.

    """
    return examine(frame, overrides)[0]


def infer_common(frames: Sequence[pd.DataFrame], overrides: SchemaOverrides | None = None) -> Schema:
    """Return the schema that fits all of the raw `frames` of one population (columns of the first, in its order).

    Real rows in several files are described together, so that a value which only one of them holds is no misfit.
    """
    first, *others = frames
    for frame in (first, *others):
        check_names(frame)
    dropped = () if overrides is None else overrides.dropped
    for other in others:
        missing = [name for name in first.columns if name not in (*other.columns, *dropped)]
        if missing:
            raise SourceInputError(
                f'the tables differ: column "{missing[0]}" is missing in one', remedy="give tables with one header"
            )
    if not others:
        return infer_schema(first, overrides)
    data: dict[str, Any] = {}
    for name in first.columns:
        if name in dropped:
            data[name] = pd.Series([None] * sum(map(len, frames)), dtype=object)  # not looked at
            continue
        parts = [frame[name] for frame in frames]
        same = all(part.dtype == parts[0].dtype for part in parts)
        data[name] = pd.concat(parts if same else [part.astype(object) for part in parts], ignore_index=True)
    return infer_schema(pd.DataFrame(data), overrides)


def examine(frame: pd.DataFrame, overrides: SchemaOverrides | None = None) -> tuple[Schema, tuple[Finding, ...]]:
    """Return the schema and the reasons for it, one a column; raises as `infer_schema` does."""
    overrides = overrides or SchemaOverrides()
    check_names(frame)
    overrides.check_names(frame.columns)
    if len(frame) == 0:
        raise SourceInputError("the table has no rows", remedy="give a table with rows under its header")
    columns, findings = [], []
    for name in frame.columns:
        if name in overrides.dropped:
            continue
        wishes = overrides.columns.get(name, ColumnOverrides())
        is_key = name == overrides.entity_key
        column, finding = _examine_column(
            frame[name], wishes, f"{overrides.place}.columns.{name}", is_key=is_key, locale=overrides.locale
        )
        columns.append(column)
        findings.append(finding)
    if not columns:
        raise SourceInputError(f"{overrides.place}: every column is left out", remedy="take out drop at one at least")
    targets = [column.name for column in columns if column.role == "target"]
    if len(targets) > 1:
        raise SourceInputError(
            f"{overrides.place}: more than one target", seen=", ".join(targets), remedy="leave the role to one column"
        )
    schema = Schema(
        columns=tuple(columns),
        entity_key=overrides.entity_key,
        order_key=overrides.order_key,
        rules=overrides.rules,
        dropped=overrides.dropped,
    )
    return schema, tuple(findings)


def empty_columns(frame: pd.DataFrame) -> tuple[str, ...]:
    """Return the names of columns of the raw `frame` that have nothing but missing cells."""
    check_names(frame)
    empty = []
    for name in frame.columns:
        cells = cells_of(frame[name])
        present = cells.series.dropna()
        if cells.physical == "text":
            present = present[[text.strip() not in STRONG_MARKS for text in present]]
        if present.empty:
            empty.append(str(name))
    return tuple(empty)


def check_names(frame: pd.DataFrame) -> None:
    """Raise `SourceInputError` where the columns are none, too many, unnamed, not texts, or share a name."""
    names = list(frame.columns)
    if not names:
        raise SourceInputError("the table has no columns", remedy="give a table with a header and rows")
    if len(names) > MAX_COLUMNS:
        raise SourceInputError(
            "the table has too many columns",
            seen=f"{len(names):,} (at most {MAX_COLUMNS:,})",
            remedy="choose the columns that are needed, or turn repeated ones into rows",
        )
    seen: set[str] = set()
    for position, name in enumerate(names):
        if not isinstance(name, str):
            raise SourceInputError(
                f"column {position + 1}: its name is no text", seen=type(name).__name__, remedy="name columns by texts"
            )
        if not name.strip():
            raise SourceInputError(
                f"column {position + 1} has no name",
                remedy="name it in the header, or write the file without its index",
            )
        if name in seen:
            raise SourceInputError("two columns have one name", seen=name, remedy="rename one of them in the source")
        seen.add(name)


def _examine_column(
    series: pd.Series, said: ColumnOverrides, place: str, *, is_key: bool, locale: str
) -> tuple[Column, Finding]:
    cells = cells_of(series)
    if said.kind == "image" and cells.physical != "image":
        raise SourceInputError(f"{place}.kind: these cells are no images", remedy="choose another kind")
    wishes, told = _with_sort(said, cells, str(series.name), is_key=is_key)
    draft = column_kinds.Draft(name=str(series.name), cells=cells, wishes=wishes, place=place, notes=list(cells.notes))
    column, reason = column_kinds.read(draft)
    column = _stored(column, wishes, place)
    key = column.kind == "id" and (wishes.pii is None or wishes.pii in PII_KEYS)
    rules = _rules(column, wishes, unique=key and draft.unique)
    column = replace(
        column,
        role=wishes.role or "plain",
        pii=wishes.pii,
        locale=None if wishes.pii is None else locale,
        positive=wishes.positive,
        threshold=wishes.threshold,
        bins=wishes.bins,
        description=wishes.description or "",
        unit=wishes.unit or column.unit,
        rules=rules,
    )
    if told:
        reason = told
    elif wishes.kind is not None:
        reason = "the spec says so"
    return column, Finding(column=column.name, kind=column.kind, reason=reason, notes=tuple(draft.notes))


def _with_sort(said: ColumnOverrides, cells: Cells, name: str, *, is_key: bool) -> tuple[ColumnOverrides, str]:
    """Return the wishes with the sort of personal detail that the cells show where the spec is silent, and why."""
    silent = all(wish is None for wish in (said.kind, said.pii, said.truth, said.datetime_format, said.decimals))
    if silent and said.integer is None and said.role in (None, "plain", "quasi_identifier", "secret"):
        found = personal.sort_of(name, cells)
        if found is not None:
            return replace(said, kind="id", pii=found[0]), found[1]
    if said.kind is None and (is_key or said.pii is not None):
        return replace(said, kind="id"), ""
    return said, ""


def _stored(column: Column, wishes: ColumnOverrides, place: str) -> Column:
    """Return the column with the storage and time zone that the spec wants."""
    if wishes.timezone is not None:
        if column.kind != "datetime":
            raise SourceInputError(f"{place}.timezone: the column is {column.kind}", remedy="leave it out")
        column = replace(column, timezone=wishes.timezone)
    if wishes.storage is None or wishes.storage == column.storage:
        return column
    numeric = column.storage in ("int64", "float64")
    fits: dict[Kind, tuple[Storage, ...]] = {
        "numeric": ("int64", "float64") if column.integer else ("float64",),
        "categorical": ("string", "int64", "float64") if numeric else ("string",),
        "id": ("string", "int64") if column.storage == "int64" else ("string",),
        "boolean": ("bool", "int64", "float64") if column.truth is None else ("string",),
        "datetime": ("timestamp",) if column.timezone else ("timestamp", "date"),
    }
    allowed = fits.get(column.kind, ("string",))
    if wishes.storage not in allowed:
        raise SourceInputError(
            f"{place}.storage: does not fit the column ({column.kind})",
            seen=wishes.storage,
            remedy="one of " + ", ".join(dict.fromkeys((column.storage, *allowed))),
        )
    return replace(column, storage=wishes.storage)


def _rules(column: Column, wishes: ColumnOverrides, *, unique: bool) -> Rules:
    said = wishes.rules
    return replace(
        column.rules,
        minimum=said.minimum,
        maximum=said.maximum,
        values=said.values,
        pattern=said.pattern,
        unique=unique if said.unique is None else said.unique,
        max_missing=said.max_missing,
        severity=said.severity or "error",
    )

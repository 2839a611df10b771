"""SDV's metadata JSON, in and out: names, kinds and keys, never the ranges and values that SDV itself puts in.

Written in the form of SDV 2 (`V2`); read in that form and in the older ones (`V1`, `SINGLE_TABLE_V1`).
"""

from collections.abc import Mapping
from typing import Any, cast, get_args

from sources.errors import SourceInputError
from sources.overrides import ColumnOverrides, SchemaOverrides
from sources.schema import Kind, Pii, Schema

_SDTYPES: dict[Kind, str] = {
    "numeric": "numerical",
    "categorical": "categorical",
    "boolean": "boolean",
    "datetime": "datetime",
    "id": "id",
    "text": "unknown",
    "image": "unknown",
}
_KINDS: dict[str, Kind | None] = {
    "numerical": "numeric",
    "categorical": "categorical",
    "ordinal": "categorical",
    "boolean": "boolean",
    "datetime": "datetime",
    "id": "id",
    "text": "text",
    "unknown": None,  # SDV does not know either: inference decides
}


def to_sdv(schema: Schema, *, table: str = "table") -> dict[str, Any]:
    """Return SDV 2 metadata of one table: sdtypes, the primary key, and the keys of sequences.

    The primary key is the first id column whose values never repeat, personal details last. Only a sequence key that
    repeats makes the table a set of sequences.
    """
    columns: dict[str, Any] = {
        column.name: {"sdtype": _SDTYPES[column.kind]} if column.pii is None else {"sdtype": column.pii, "pii": True}
        for column in schema.columns
    }
    plain: dict[str, Any] = {"columns": columns}
    keys = [column for column in schema.columns if column.kind == "id" and column.rules.unique]
    unique = [column.name for column in sorted(keys, key=lambda column: column.pii is not None)]
    if unique:
        plain["primary_key"] = unique[0]
    if schema.entity_key is not None and schema.entity_key not in unique:
        columns[schema.entity_key] = {"sdtype": "id"}
        plain["sequence_key"] = schema.entity_key
        if schema.order_key is not None and schema[schema.order_key].kind in ("datetime", "numeric"):
            plain["sequence_index"] = schema.order_key
    return {"tables": {table: plain}, "relationships": [], "METADATA_SPEC_VERSION": "V2"}


def from_sdv(plain: Mapping[str, Any], *, table: str | None = None) -> SchemaOverrides:
    """Return what SDV metadata says about the columns; ranges and values in it are not looked at.

    Args:
        plain: the JSON that SDV wrote.
        table: which table, where there are several.

    Raises:
        SourceInputError: not SDV metadata, or the table must be named.

    """
    entry = _table(plain, table)
    columns = {}
    try:
        for name, said in entry["columns"].items():
            sdtype = str(said["sdtype"])
            if sdtype in get_args(Pii):
                columns[str(name)] = ColumnOverrides(kind="id", pii=cast("Pii", sdtype))
                continue
            kind = _KINDS.get(sdtype, "text")  # personal sdtypes that are made by no rule of ours are texts
            form = said.get("datetime_format") if kind == "datetime" else None
            columns[str(name)] = ColumnOverrides(kind=kind, datetime_format=form)
    except (TypeError, KeyError, AttributeError) as error:
        raise _no_metadata() from error
    primary = entry.get("primary_key")
    if isinstance(primary, str) and primary in columns:
        columns[primary] = ColumnOverrides(kind="id", pii=columns[primary].pii)
    return SchemaOverrides(
        columns=columns,
        entity_key=_key(entry.get("sequence_key")),
        order_key=_key(entry.get("sequence_index")),
        place="metadata",
    )


def _table(plain: Mapping[str, Any], table: str | None) -> Mapping[str, Any]:
    if not isinstance(plain, Mapping):
        raise _no_metadata()
    tables = plain.get("tables")
    if tables is None and isinstance(plain.get("columns"), Mapping):
        return plain  # SINGLE_TABLE_V1
    if not isinstance(tables, Mapping) or not tables:
        raise _no_metadata()
    if table is None and len(tables) > 1:
        raise SourceInputError("metadata: several tables", seen=", ".join(map(str, tables)), remedy="name one of them")
    name = next(iter(tables)) if table is None else table
    if name not in tables or not isinstance(tables[name], Mapping):
        raise SourceInputError("metadata: no such table", seen=name, remedy="one of " + ", ".join(map(str, tables)))
    entry: Mapping[str, Any] = tables[name]
    return entry


def _key(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _no_metadata() -> SourceInputError:
    return SourceInputError("metadata: not SDV metadata", remedy="give the JSON that SDV's Metadata.save_to_json wrote")

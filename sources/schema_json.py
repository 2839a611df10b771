"""Schemas as JSON: for models and evidence that are kept, in full and privately (see `releases` for what is shown)."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sources.schema import Column, Rules, Schema, TableRule


def to_json(schema: Schema) -> dict[str, Any]:
    """Return the schema as plain JSON values."""
    plain = asdict(schema)
    return {key: _plain(value) for key, value in plain.items()}


def from_json(plain: Mapping[str, Any]) -> Schema:
    """Return the schema that `to_json` wrote."""
    columns = []
    for entry in plain["columns"]:
        fields = {key: _tuple(value) for key, value in entry.items() if key != "rules"}
        rules = {key: _tuple(value) for key, value in entry["rules"].items()}
        columns.append(Column(**fields, rules=Rules(**rules)))
    return Schema(
        columns=tuple(columns),
        entity_key=plain["entity_key"],
        order_key=plain["order_key"],
        rules=tuple(TableRule(**{key: _tuple(value) for key, value in rule.items()}) for rule in plain["rules"]),
        dropped=tuple(plain.get("dropped", ())),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

"""`schema.json` of a release: what a recipient must know of the columns, and nothing that was read from rows."""

from collections.abc import Mapping
from typing import Any

from sources.schema import Schema


def public_schema(schema: Schema) -> dict[str, Any]:
    """Return names, kinds, roles, storage types and words of the columns as plain JSON values.

    Columns that the spec leaves out are named, and personal details with their sort. Rules, bins, labels and missing
    marks stay behind: inference may have read them from the source.
    """
    return {
        "format": "understudy schema",
        "format_version": 1,
        "entity_key": schema.entity_key,
        "order_key": schema.order_key,
        **({"dropped": list(schema.dropped)} if schema.dropped else {}),
        "columns": [
            {
                "name": column.name,
                "kind": column.kind,
                "role": column.role,
                "storage": column.storage,
                "integer": column.integer,
                "timezone": column.timezone,
                "unit": column.unit,
                "description": column.description,
                **({} if column.shape is None else {"shape": list(column.shape)}),
                **({} if column.pii is None else {"pii": column.pii, "locale": column.locale}),
            }
            for column in schema.columns
        ],
    }


def column_names(plain: Mapping[str, Any]) -> list[str]:
    """Return the column names that `public_schema` wrote; KeyError or TypeError when it is none."""
    return [str(column["name"]) for column in plain["columns"]]


def picture_shapes(plain: Mapping[str, Any]) -> list[tuple[int, int, int]]:
    """Return height, width and channels of each image column; raises as `column_names` does."""
    shapes = [column["shape"] for column in plain["columns"] if column["kind"] == "image"]
    return [(int(height), int(width), int(channels)) for height, width, channels in shapes]


def image_names(plain: Mapping[str, Any]) -> list[str]:
    """Return the names of the image columns; raises as `column_names` does."""
    return [str(column["name"]) for column in plain["columns"] if column["kind"] == "image"]

"""The JSON Schema of `report.json`, for programs that read what the judge has measured (JSON Schema 2020-12)."""

from typing import Any, get_args

from sources.schema import KINDS, ROLES
from validators.limits.limits import LIMITS
from validators.measurement import FAMILIES, Direction, Status
from validators.policy import KNOBS

_NUMBER_OR_NONE = {"type": ["number", "null"]}
_BOUND = {
    "anyOf": [
        {"type": "number"},
        {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    ]
}


def report_schema() -> dict[str, Any]:
    """Return the schema; a report that `Report.dumps` wrote is valid under it, another version's need not be."""
    measurement = _object(
        {
            "name": {"type": "string", "description": "the check; documented under it in docs/metrics.md"},
            "family": {"enum": list(FAMILIES)},
            "subject": {"type": "string", "description": "all rows, a column, a group"},
            "value": _NUMBER_OR_NONE,
            "low": _NUMBER_OR_NONE,
            "high": _NUMBER_OR_NONE,
            "direction": {"enum": list(get_args(Direction))},
            "limit": {"anyOf": [*_BOUND["anyOf"], {"type": "null"}]},
            "reference": {**_NUMBER_OR_NONE, "description": "the same quantity for fresh real rows"},
            "n": {"type": "integer", "minimum": 0},
            "status": {"enum": [status.value for status in Status]},
            "reading": {"type": "string"},
            "detail": {"type": "object"},
        }
    )
    policy = _object(
        {
            "name": {"type": "string"},
            "presets_version": {"type": "integer"},
            "limits": _object(dict.fromkeys(LIMITS, _BOUND)),
            "overrides": {"type": "array", "items": {"type": "string"}},
            **{knob: {"type": "number"} for knob in KNOBS},
        }
    )
    policy["properties"]["extractor"] = {  # only where a user gave one
        "type": "object",
        "description": "a user's own network: its kind, SHA-256, and how pictures are put to it",
    }
    column = _object(
        {
            "name": {"type": "string"},
            "kind": {"enum": list(KINDS)},
            "role": {"enum": list(ROLES)},
            "orders": {"type": "boolean", "description": "whether it puts the rows in order"},
        }
    )
    share = {"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1}}
    texts = {"type": "array", "items": {"type": "string"}}
    equal = _object({"outcome": {"type": "string"}, "labels": texts, "over": texts})
    targets = _object(
        {
            "shares": {"type": "object", "additionalProperties": share},
            "equal_rates": {"anyOf": [equal, {"type": "null"}]},
        }
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Understudy's report of a judgement",
        "description": "Private: it names columns and groups of the source.",
        **_object(
            {
                "measurements": {"type": "array", "items": measurement},
                "policy": policy,
                "seed": {"type": "integer"},
                "sizes": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
                "columns": {"type": "array", "items": column},
                "versions": {"type": "object", "additionalProperties": {"type": "string"}},
                "timings_s": {"type": "object", "additionalProperties": {"type": "number"}},
                "targets": {
                    "anyOf": [targets, {"type": "null"}],
                    "description": "the law that the rows were stated to have, null for that of the source",
                },
            }
        ),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an object that has exactly these keys."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }

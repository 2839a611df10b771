"""What the public may read of a spec: locations cut to their last part, queries and credentials gone."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any
from urllib.parse import urlsplit

PRIVATE = "(kept private)"
_PRIVATE_KEYS = frozenset({"sql", "query", "options", "storage_options"})
_SOURCE_KEYS = frozenset(
    {"minimum", "maximum", "values", "pattern", "bins", "threshold", "positive", "truth", "missing_marks"}
)
_SECRET = re.compile(r"passw|secret|token|credential|api_?key|access_?key|private_?key|signature", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:{1,2}//?\S+|[A-Za-z][A-Za-z0-9+.-]*::\S+")


def public_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return `spec` without anything that says where the source lies or how to get in.

    Paths and URLs keep their last part without its query (`people.parquet`), database URLs their dialect. SQL text and
    store options are private as a whole (a query may quote a person); so is every text under a key that sounds like a
    secret. Rules, bins and labels of columns may be extremes and labels of the source, hence are private as well.
    Everything else stays as it is.

    >>> public_spec({"source": {"path": "s3://key:secret@bucket/in/people.parquet?sig=1"}, "seed": 7})
    {'source': {'path': 'people.parquet'}, 'seed': 7}
    """
    plain = {key: _public(key, value) for key, value in spec.items()}
    if isinstance(plain.get("publish"), dict):  # which keys sign, and who could have approved, is the publisher's
        plain["publish"] = {key: _without_people(key, value) for key, value in plain["publish"].items()}
    return plain


def public_location(location: str) -> str:
    """Return the last part of a path or URL without query, or the dialect of a database URL.

    >>> public_location("postgresql+psycopg://ann:pw@db.example/people")
    'postgresql+psycopg'
    """
    if "://" not in location:
        plain = location.rsplit("::", maxsplit=1)[-1]
        return PureWindowsPath(PurePosixPath(plain).name).name or PRIVATE
    outer = location.rsplit("::", maxsplit=1)[-1]
    try:
        parts = urlsplit(outer)
    except ValueError:
        return PRIVATE  # a URL that cannot be taken apart cannot be cleaned either
    if parts.scheme.partition("+")[0] in {"postgresql", "postgres", "mysql", "mariadb", "mssql", "oracle", "sqlite"}:
        return parts.scheme
    return PurePosixPath(parts.path).name or parts.scheme


def _without_people(key: str, value: Any) -> Any:
    if key == "sign":
        return PRIVATE if value and not isinstance(value, bool) else value
    if key == "c2pa":
        return PRIVATE if value else value
    if key == "approval" and isinstance(value, dict):
        return {name: PRIVATE if isinstance(inner, list) and inner else inner for name, inner in value.items()}
    return value


def _public(key: str, value: Any) -> Any:
    if value is None:
        return None
    if key in _SOURCE_KEYS:
        return PRIVATE
    if isinstance(value, bool | int | float):
        return value
    if key in _PRIVATE_KEYS or _SECRET.search(key):
        return PRIVATE
    if key == "extractor" and isinstance(value, Mapping):  # kind and SHA-256 name it; where it lies does not
        value = {name: inner for name, inner in value.items() if name != "path"}
    if isinstance(value, Mapping):
        return {name: _public(name, inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_public(key, inner) for inner in value]
    text = str(value)
    if key in {"path", "url", "folder", "arrays", "attributes", "to", "uri", "location"}:
        return public_location(text)
    return _URL.sub(lambda match: public_location(match.group()), text)

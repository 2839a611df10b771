"""What differs between two versions: columns, rows, policy, measurements, generator, seeds, code, data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from releases.catalogue import Place, find
from releases.errors import ReleaseInputError
from releases.manifest import MOST_BYTES, parse_json
from releases.stores import as_store

PARTS = ("rows", "columns", "policy", "generator", "budget", "seeds", "code", "dependencies", "rebalanced")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that differs.

    Args:
        part: `schema`, `rows`, `policy`, `measurement`, …
        what: its name inside the part.
        before, after: plain JSON values; None where it is absent.

    """

    part: str
    what: str
    before: Any
    after: Any


@dataclass(frozen=True, kw_only=True)
class Difference:
    """All changes between two versions, and whether their data files are the same bytes."""

    first: str
    second: str
    same_data: bool
    changes: tuple[Change, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "first": self.first,
            "second": self.second,
            "same_data": self.same_data,
            "changes": [change.__dict__ for change in self.changes],
        }


def difference(to: Place, first: tuple[str, str | None], second: tuple[str, str | None]) -> Difference:
    """Return what differs between two versions (name, version or None for the latest) at one place.

    Raises:
        ReleaseInputError: one is not there, or its files cannot be read.

    """
    one, other = _Read.of(to, *first), _Read.of(to, *second)
    changes = [
        *_columns(one.columns, other.columns),
        *(change for part in PARTS for change in _tree(part, one.manifest.get(part), other.manifest.get(part))),
        *_measurements(one.measurements, other.measurements),
    ]
    digests = _data_digest(one.manifest), _data_digest(other.manifest)
    return Difference(
        first=one.title,
        second=other.title,
        same_data=digests[0] is not None and digests[0] == digests[1],
        changes=tuple(changes),
    )


def interval(plain: Any) -> str:
    """Return the value and interval of a public measurement as text.

    >>> interval({"value": 0.51, "low": 0.48, "high": 0.54, "status": "PASS"})
    '0.51 [0.48, 0.54] PASS'
    """
    if not isinstance(plain, Mapping):
        return "—"
    value, low, high = (_figure(plain.get(key)) for key in ("value", "low", "high"))
    return f"{value} [{low}, {high}] {plain.get('status')}"


def _data_digest(manifest: Mapping[str, Any]) -> Any:
    """Return the digest of the data files, without the C2PA manifests in them, which are never twice the same."""
    c2pa = manifest.get("c2pa")
    return c2pa.get("unsigned_data_sha256") if isinstance(c2pa, Mapping) else manifest.get("data_sha256")


@dataclass(frozen=True, kw_only=True)
class _Read:
    title: str
    manifest: Mapping[str, Any]
    columns: Sequence[Any]
    measurements: Sequence[Any]

    @classmethod
    def of(cls, to: Place, name: str, version: str | None) -> "_Read":
        found = find(to, name, version)
        title = f"{name}/{found.version}"
        if found.flaw:
            raise ReleaseInputError(f"{title}: damaged: {found.flaw}", remedy="compare versions that are whole")
        files = {}
        for part, key in (("schema.json", "columns"), ("verdict.json", "measurements")):
            path = f"{title}/{part}"
            try:
                plain = parse_json(as_store(to).read(path, most_bytes=MOST_BYTES), path)
                files[key] = list(plain[key])
            except (FileNotFoundError, KeyError, TypeError):
                raise ReleaseInputError(
                    f"{path}: cannot be read", remedy="verify a copy of it with `understudy verify`"
                ) from None
        return cls(title=title, manifest=found.manifest, columns=files["columns"], measurements=files["measurements"])


def _columns(before: Sequence[Any], after: Sequence[Any]) -> list[Change]:
    one, other = ({str(_get(column, "name")): column for column in columns} for columns in (before, after))
    changes = [
        Change(part="schema", what=name, before=_kind(one[name]), after=None) for name in one if name not in other
    ]
    changes += [
        Change(part="schema", what=name, before=None, after=_kind(other[name])) for name in other if name not in one
    ]
    for name in one:
        if name in other:
            changes += _tree("schema", one[name], other[name], head=name)
    return changes


def _measurements(before: Sequence[Any], after: Sequence[Any]) -> list[Change]:
    one, other = (
        {(str(_get(entry, "name")), str(_get(entry, "subject"))): entry for entry in entries}
        for entries in (before, after)
    )
    keys = [*one, *(key for key in other if key not in one)]
    return [
        Change(part="measurement", what=f"{key[0]} · {key[1]}", before=one.get(key), after=other.get(key))
        for key in keys
        if one.get(key) != other.get(key)
    ]


def _tree(part: str, before: Any, after: Any, head: str = "") -> list[Change]:
    """Return the leaves in which two plain JSON values differ."""
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = [*before, *(key for key in after if key not in before)]
        return [
            change
            for key in keys
            for change in _tree(part, before.get(key), after.get(key), f"{head}.{key}" if head else str(key))
        ]
    return [Change(part=part, what=head, before=before, after=after)]


def _kind(column: Any) -> str:
    return f"{_get(column, 'kind')}, {_get(column, 'role')}"


def _get(plain: Any, key: str) -> Any:
    return plain.get(key) if isinstance(plain, Mapping) else None


def _figure(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else "—"

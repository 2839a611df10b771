"""The catalogue: which releases lie in a folder or on a store, which version is the latest, which were withdrawn.

    <name>/<version>/…                 never changed here
    <name>/latest.json                 the pointer (`releases.pointer`)
    <name>/withdrawn-<version>.json    why a version must no longer be used, and since when
    <name>/unchanged.json              when a run last found that source and spec had not changed

Whatever lies there may come from others: names that are no names, manifests that are none and links are left out or
told as damaged, and every value is checked for its type before it is used.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from releases.errors import ReleaseInputError
from releases.manifest import parse_json
from releases.pointer import Version, newest, read_small, read_version, settle_latest, withdrawn_in
from releases.remote_store import RemoteStore
from releases.shelf import check_name, is_name, version_order
from releases.stores import Store, as_store
from sources.errors import did_you_mean

Place = Store | RemoteStore | Path | str
State = Literal["latest", "older", "withdrawn", "damaged"]
MOST_VERSIONS = 10_000
MOST_REASON = 1_000
WITHDRAWAL_FORMAT = "understudy withdrawal"
UNCHANGED_FORMAT = "understudy unchanged"


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """Why a version must no longer be used, and since when; the reason is somebody's text."""

    reason: str
    at: str


@dataclass(frozen=True, kw_only=True)
class Unchanged:
    """A run found nothing to do: source and spec were those of `version` at the moments from `since` to `looked`."""

    version: str
    since: str
    looked: str


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One complete version as the catalogue shows it.

    Args:
        name, version: where it lies.
        state: `latest`, `older`, `withdrawn`, or `damaged`: files are missing or it is not what it says.
        created, rows, columns, generator, verdict: of its manifest; None where they are of another type.
        signed: whether a signature lies beside it; `understudy verify` says what it is worth.
        withdrawal: set when it was withdrawn.
        flaw: what is wrong, when it is damaged.

    """

    name: str
    version: str
    state: State
    created: str | None
    rows: int | None
    columns: int | None
    generator: str | None
    verdict: str | None
    signed: bool
    withdrawal: Withdrawal | None = None
    flaw: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        gone = self.withdrawal
        return {
            "name": self.name,
            "version": self.version,
            "state": self.state,
            "created": self.created,
            "rows": self.rows,
            "columns": self.columns,
            "generator": self.generator,
            "verdict": self.verdict,
            "signed": self.signed,
            "withdrawn": None if gone is None else {"reason": gone.reason, "at": gone.at},
            "flaw": self.flaw or None,
        }


@dataclass(frozen=True, kw_only=True)
class Listing:
    """All versions of one release, the oldest first.

    Args:
        name: of the release.
        entries: complete versions, also withdrawn and damaged ones.
        unchanged: what the last run without changes noted, or None.

    """

    name: str
    entries: tuple[Entry, ...]
    unchanged: Unchanged | None = None


def release_names(to: Place) -> list[str]:
    """Return the names of all releases, in their order; a folder or store without any has none.

    Raises:
        ReleaseInputError: the store cannot be listed.

    """
    return sorted(name for name, folder in as_store(to).entries("").items() if folder and is_name(name))


def listing(to: Place, name: str) -> Listing:
    """Return the complete versions of the release `name`.

    Raises:
        ReleaseInputError: the store cannot be read, or holds more versions than are read.

    """
    store = as_store(to)
    entries = store.entries(name)
    gone = withdrawn_in(entries)
    folders = [entry for entry, folder in entries.items() if folder and is_name(entry)]
    if len(folders) > MOST_VERSIONS:
        raise ReleaseInputError(
            f"{store.address}/{name}: too many versions", seen=len(folders), remedy=f"at most {MOST_VERSIONS} are read"
        )
    found = [read_version(store, name, version) for version in sorted(folders, key=version_order)]
    there = [one for one in found if one is not None]
    good = [one.version for one in there if not one.flaw and one.version not in gone]
    latest = good[-1] if good else None
    shown = tuple(
        _entry(one, latest=latest, withdrawal=_withdrawal(store, name, one.version) if one.version in gone else None)
        for one in there
    )
    return Listing(name=name, entries=shown, unchanged=_unchanged(store, name) if "unchanged.json" in entries else None)


def latest_version(to: Place, name: str) -> str | None:
    """Return the newest complete version of `name` that is not withdrawn, or None; `latest.json` is not trusted.

    Raises:
        ReleaseInputError: the store cannot be read.

    """
    check_name(name)
    found = newest(as_store(to), name)
    return None if found is None else found.version


def read_public_manifest(to: Place, name: str, version: str | None = None) -> dict[str, Any]:
    """Return the manifest of a complete version, the latest when None; checked to be one of these files, not signed.

    Raises:
        ReleaseInputError: there is no such version, it is damaged, or the store cannot be read.

    """
    found = find(to, name, version)
    if found.flaw:
        raise ReleaseInputError(
            f"{as_store(to).address}/{name}/{found.version}: damaged: {found.flaw}", remedy="publish a new version"
        )
    return dict(found.manifest)


def find(to: Place, name: str, version: str | None = None) -> Version:
    """Return a version whose manifest is there, the latest when None.

    Raises:
        ReleaseInputError: there is none; the nearest names are in the message.

    """
    store = as_store(to)
    check_name(name)
    found = newest(store, name) if version is None else None
    if version is not None and is_name(version):
        found = read_version(store, name, version)
    if found is not None:
        return found
    names = release_names(store)
    if name not in names:
        raise ReleaseInputError(
            f"{store.address}: no release of the name {name}{did_you_mean(name, names)}",
            remedy="`understudy releases list --at …` shows what is there",
        )
    there = [entry.version for entry in listing(store, name).entries]
    what = f"{name} has no version that is complete and not withdrawn" if version is None else f"{name} has no version"
    raise ReleaseInputError(
        f"{store.address}: {what}",
        seen=version,
        remedy="versions: " + (", ".join(there[-12:]) or "none"),
    )


def withdraw(to: Place, name: str, version: str, reason: str, *, when: datetime | None = None) -> str | None:
    """Record that a version must no longer be used, and return the version that is the latest now, or None.

    The pointer leaves the version before the record is written, so it never names a withdrawn one. No byte of the
    version changes: whoever has it can verify it still.

    Raises:
        ReleaseInputError: no such version, withdrawn already, no reason, or the store cannot be written.

    """
    store = as_store(to)
    words = " ".join(reason.split())
    if not words or len(words) > MOST_REASON:
        raise ReleaseInputError(
            "--reason: say why, in a sentence", seen=f"{len(words)} characters", remedy=f"1 to {MOST_REASON} characters"
        )
    find(store, name, version)
    before = _withdrawal(store, name, version)
    if before is not None:
        raise ReleaseInputError(
            f"{name}/{version}: withdrawn already", seen=before.at, remedy="a withdrawal stays as it was first recorded"
        )
    settle_latest(store, name, but=[version])
    record = {
        "format": WITHDRAWAL_FORMAT,
        "format_version": 1,
        "name": name,
        "version": version,
        "reason": words,
        "at": _moment(when),
    }
    with store.alone(name):
        store.replace(f"{name}/withdrawn-{version}.json", _json(record))
    return settle_latest(store, name)


def note_unchanged(to: Place, name: str, when: datetime, version: str) -> Unchanged:
    """Note beside the versions of `name` that source and spec were at `when` still those of `version`.

    Notes on the same version keep the moment of the first; a pointer that was left behind is moved.

    Raises:
        ReleaseInputError: no such version, or the store cannot be written.

    """
    store = as_store(to)
    find(store, name, version)
    moment = _moment(when)
    with store.alone(name):
        before = _unchanged(store, name)
        since = before.since if before is not None and before.version == version else moment
        note = Unchanged(version=version, since=since, looked=moment)
        plain = {"format": UNCHANGED_FORMAT, "format_version": 1, "name": name, **note.__dict__}
        store.replace(f"{name}/unchanged.json", _json(plain))
    settle_latest(store, name)
    return note


def _entry(found: Version, *, latest: str | None, withdrawal: Withdrawal | None) -> Entry:
    manifest = found.manifest
    state: State = "latest" if found.version == latest else "older"
    if found.flaw:
        state = "damaged"
    if withdrawal is not None:
        state = "withdrawn"
    return Entry(
        name=found.name,
        version=found.version,
        state=state,
        created=_text(_below(manifest, "this_run", "created")),
        rows=_number(manifest.get("rows")),
        columns=_number(manifest.get("columns")),
        generator=_text(_below(manifest, "generator", "family")),
        verdict=_text(manifest.get("verdict")),
        signed=found.signed,
        withdrawal=withdrawal,
        flaw=found.flaw,
    )


def _withdrawal(store: Store, name: str, version: str) -> Withdrawal | None:
    """Return the record of a withdrawal; one that cannot be read withdraws as well."""
    path = f"{name}/withdrawn-{version}.json"
    plain = _record(store, path)
    if plain is None:
        return None
    return Withdrawal(
        reason=_text(plain.get("reason")) or "(the record cannot be read)", at=_text(plain.get("at")) or "?"
    )


def _unchanged(store: Store, name: str) -> Unchanged | None:
    plain = _record(store, f"{name}/unchanged.json") or {}
    parts = [_text(plain.get(key)) for key in ("version", "since", "looked")]
    version, since, looked = parts
    return None if not (version and since and looked) else Unchanged(version=version, since=since, looked=looked)


def _record(store: Store, path: str) -> dict[str, Any] | None:
    """Return a small JSON object; None when there is no file, empty when it is not one."""
    try:
        data = read_small(store, path)
        if data is None:
            return None
        plain = parse_json(data, path)
    except ReleaseInputError:
        return {}
    return plain if isinstance(plain, dict) else {}


def _moment(when: datetime | None) -> str:
    return (when or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="seconds")


def _json(plain: Mapping[str, Any]) -> bytes:
    return (json.dumps(plain, indent=2, ensure_ascii=False) + "\n").encode()


def _below(manifest: Mapping[str, Any], *keys: str) -> Any:
    here: Any = manifest
    for key in keys:
        here = here.get(key) if isinstance(here, Mapping) else None
    return here


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None

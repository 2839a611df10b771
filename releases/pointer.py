"""Which versions of a release are complete, and `latest.json`, the pointer to the newest that is not withdrawn.

The pointer is written in one step (a rename, or one put) and worked out again from what lies there after every write,
until both agree; so of writers at the same time the slower one repairs what it overwrote. A pointer that a kill left
behind is moved by the next publish, withdrawal or `note_unchanged`; `newest` never trusts it.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from releases.errors import ReleaseError, ReleaseInputError
from releases.manifest import FILE_NAME, MOST_BYTES, checked_manifest, parse_json
from releases.shelf import is_name, version_order
from releases.stores import Store

LATEST = "latest.json"
LATEST_FORMAT = "understudy latest"
ABANDONED = {"format": "understudy abandoned version", "format_version": 1}
"""What stands in place of the manifest of a version whose writer died; its number is never used again."""
SMALL_BYTES = 2**16
_ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version whose manifest is there.

    Args:
        name: the release under which it lies.
        version: its folder.
        manifest: as it stands there; empty where it cannot be read.
        flaw: what is wrong with it, in words; empty when nothing is.
        signed: whether a signature lies beside it; nothing is said of what it is worth.

    """

    name: str
    version: str
    manifest: Mapping[str, Any]
    flaw: str = ""
    signed: bool = False


def read_version(store: Store, name: str, version: str) -> Version | None:
    """Return the version, or None when there is no complete one: no manifest, or one that was abandoned.

    Sizes are compared, not hashes: `releases.verify` does that on a copy.
    """
    sizes = store.sizes(f"{name}/{version}")
    if FILE_NAME not in sizes:
        return None
    signed = "SIGNATURE.dsse" in sizes
    place = f"{store.address}/{name}/{version}/{FILE_NAME}"
    try:
        plain = parse_json(store.read(f"{name}/{version}/{FILE_NAME}", most_bytes=MOST_BYTES), place)
        if isinstance(plain, dict) and plain.get("format") == ABANDONED["format"]:
            return None
        manifest = checked_manifest(plain, place)
    except FileNotFoundError:
        return None
    except ReleaseInputError as error:
        words = error.what.removeprefix(f"{place}: ")
        return Version(name=name, version=version, manifest={}, flaw=f"its manifest: {words}", signed=signed)
    return Version(
        name=name, version=version, manifest=manifest, flaw=_flaw(manifest, name, version, sizes), signed=signed
    )


def newest(store: Store, name: str, withdrawn: Iterable[str] | None = None) -> Version | None:
    """Return the newest version without a flaw that is not withdrawn, worked out from what lies there."""
    entries = store.entries(name)
    gone = withdrawn_in(entries) if withdrawn is None else set(withdrawn)
    folders = [entry for entry, folder in entries.items() if folder and is_name(entry) and entry not in gone]
    for version in sorted(folders, key=version_order, reverse=True):
        found = read_version(store, name, version)
        if found is not None and not found.flaw:
            return found
    return None


def withdrawn_in(entries: Iterable[str]) -> set[str]:
    """Return the versions of which a record of withdrawal lies among `entries`."""
    return {
        entry.removeprefix("withdrawn-").removesuffix(".json")
        for entry in entries
        if entry.startswith("withdrawn-") and entry.endswith(".json")
    }


def settle_latest(store: Store, name: str, *, but: Iterable[str] = ()) -> str | None:
    """Make `latest.json` of the release `name` what it should be, and return the version it names.

    Args:
        store: where it lies.
        name: of the release.
        but: versions that are about to be withdrawn.

    Raises:
        ReleaseInputError: the store cannot be written.

    """
    with store.alone(name):
        for _ in range(_ROUNDS):
            gone = withdrawn_in(store.entries(name)) | set(but)
            best = newest(store, name, gone)
            wanted = None if best is None else _pointer(best)
            if read_small(store, f"{name}/{LATEST}") == wanted:
                return None if best is None else best.version
            if wanted is None:
                store.remove(f"{name}/{LATEST}")
            else:
                store.replace(f"{name}/{LATEST}", wanted)
    raise ReleaseError(f"{store.address}/{name}: {LATEST} is changed by others all the time")


def read_small(store: Store, path: str) -> bytes | None:
    """Return the bytes of a small file; None when there is none, or one that is no small file."""
    try:
        return store.read(path, most_bytes=SMALL_BYTES)
    except FileNotFoundError:
        return None


def _pointer(version: Version) -> bytes:
    plain = {
        "format": LATEST_FORMAT,
        "format_version": 1,
        "name": version.name,
        "version": version.version,
        "manifest": f"{version.version}/{FILE_NAME}",
        "data_sha256": version.manifest.get("data_sha256"),
    }
    return (json.dumps(plain, indent=2) + "\n").encode()


def _flaw(manifest: Mapping[str, Any], name: str, version: str, sizes: Mapping[str, int]) -> str:
    """Return why a manifest is not that of these files, in words that quote nothing of it."""
    if manifest.get("name") != name:
        return "its manifest is that of a release of another name"
    this_run = manifest.get("this_run")
    if not isinstance(this_run, dict) or this_run.get("version") != version:
        return "its manifest is that of another version"
    files = manifest.get("files")
    if not isinstance(files, dict) or not all(isinstance(entry, dict) for entry in files.values()):
        return "its manifest has no list of files"
    missing = sum(1 for path in files if path not in sizes)
    changed = sum(1 for path, entry in files.items() if path in sizes and sizes[path] != entry.get("bytes"))
    if missing or changed:
        return f"{missing} files are missing and {changed} have another size than the manifest says"
    return ""

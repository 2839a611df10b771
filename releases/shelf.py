"""The folder that holds the versions of one release, and how a new version gets onto it whole or not at all.

    <to>/<name>/            the shelf
        .lock               held (flock) while a version is being made; the kernel frees it when its holder dies
        .staging-<random>/  a version in the making; garbage as soon as nobody holds the lock
        latest.json, withdrawn-<version>.json, unchanged.json   what the catalogue says of the versions
        1/  2/  ...         complete versions: each came by one rename of a staging folder that was flushed to disk

POSIX file systems with working `flock` only; two machines that share a folder without it are still kept apart by
the rename, which never replaces a version.
"""

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Literal

from releases.abreast import for_each
from releases.errors import ReleaseError, ReleaseInputError
from sources.files import sync_folder

Versioning = Literal["number", "time"]
STAGING_PREFIX = ".staging-"
BESIDE = re.compile(r"latest\.json|unchanged\.json|withdrawn-[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.json")
"""The catalogue's files beside the versions (`releases.catalogue`)."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_NUMBER = re.compile(r"[1-9][0-9]{0,8}")


def check_name(name: str) -> None:
    """Refuse a release name that is no plain folder name.

    Raises:
        ReleaseInputError: with what is allowed.

    """
    if not _NAME.fullmatch(name):
        raise ReleaseInputError(
            "release: this name cannot be a folder",
            seen=repr(name[:120]),
            remedy="use letters, digits, dot, dash and underscore, at most 100, beginning with a letter or digit",
        )


def versions(shelf: Path) -> list[str]:
    """Return the complete versions on `shelf`, numbers in their order, then times; empty when there is no shelf."""
    if not shelf.is_dir():
        return []
    names = [entry.name for entry in shelf.iterdir() if (entry / "MANIFEST.json").is_file()]
    names = [name for name in names if not name.startswith(".")]
    return sorted(names, key=version_order)


def version_order(version: str) -> tuple[int, int, str]:
    """Return what puts versions into their order: numbers, then times."""
    return (0, int(version), "") if _NUMBER.fullmatch(version) else (1, 0, version)


def is_name(name: str) -> bool:
    """Return whether `name` can be that of a release or of a version."""
    return bool(_NAME.fullmatch(name))


def is_number(version: str) -> bool:
    """Return whether a version is a number, not a time."""
    return bool(_NUMBER.fullmatch(version))


def time_stamps(created: datetime) -> Iterator[str]:
    """Yield the versions that a moment can have: its own, then with a counter."""
    stamp = created.strftime("%Y%m%dT%H%M%SZ")
    yield stamp
    yield from (f"{stamp}-{again}" for again in range(2, 1000))


@contextmanager
def new_version(to: Path, name: str, *, versioning: Versioning, created: datetime) -> Iterator[tuple[str, Path]]:
    """Yield (version, staging folder); when the block ends well, rename the folder to `<to>/<name>/<version>`.

    The shelf is locked for the block, so writers at the same time queue up and get one number each. After an
    exception the staging folder is removed; after a kill the next writer removes it.

    Args:
        to: the folder of all releases, made when absent.
        name: the release, see `check_name`.
        versioning: `number` is one more than the highest there; `time` is `created` as `20260131T235959Z`.
        created: UTC.

    Raises:
        ReleaseInputError: the shelf cannot be written, or is a folder of something else.

    """
    check_name(name)
    shelf = to / name
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        lock = (shelf / ".lock").open("a")
    except OSError as error:
        raise ReleaseInputError(
            f"{shelf}: cannot be written", seen=error.strerror, remedy="give another folder to publish to"
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _require_a_shelf(shelf)
        for dead in shelf.glob(f"{STAGING_PREFIX}*"):
            shutil.rmtree(dead)
        for torn in shelf.glob(".*.json.*.tmp"):  # of the catalogue's files, which are written under this lock
            torn.unlink(missing_ok=True)
        version = _next_number(shelf) if versioning == "number" else _free_time(shelf, created)
        staging = shelf / f"{STAGING_PREFIX}{secrets.token_hex(6)}"
        staging.mkdir()
        try:
            yield version, staging
            _flush(staging)
            final = shelf / version
            if final.exists():
                raise ReleaseError(f"{final}: somebody without our lock made this version meanwhile")
            staging.rename(final)
            sync_folder(shelf)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _require_a_shelf(shelf: Path) -> None:
    strange = [entry.name for entry in shelf.iterdir() if not entry.name.startswith(".") and not entry.is_dir()]
    strange = [name for name in strange if not BESIDE.fullmatch(name)]
    if strange:
        raise ReleaseInputError(
            f"{shelf}: this folder holds other things than versions of a release",
            seen=", ".join(sorted(strange)[:5]),
            remedy="give the release another name, or another folder to publish to",
        )


def _next_number(shelf: Path) -> str:
    taken = [int(entry.name) for entry in shelf.iterdir() if _NUMBER.fullmatch(entry.name)]
    return str(max(taken, default=0) + 1)


def _free_time(shelf: Path, created: datetime) -> str:
    return next(name for name in time_stamps(created) if not (shelf / name).exists())


def _flush(folder: Path) -> None:
    """Flush every file below `folder` to the disk, many at a time, then every folder, the deepest first."""
    entries = sorted(folder.rglob("*"), reverse=True)
    for_each(_flush_file, (entry for entry in entries if not entry.is_dir()))
    for entry in entries:
        if entry.is_dir():
            sync_folder(entry)
    sync_folder(folder)


def _flush_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())

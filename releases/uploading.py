"""How a version gets onto a store that knows no rename: claimed, made whole here, uploaded, its manifest last.

    <name>/.writing-<version>.json   the claim of a writer: made by a conditional write, removed when it is done
    <name>/<version>/…               files, each read back; MANIFEST.json last, by a conditional write
    <name>/latest.json               the pointer, moved after that (`releases.pointer`)

Without its manifest a version does not exist. A writer that died is noticed by the next one: on the same machine by
its lock, elsewhere by the age of its claim. Whoever gives up a version first writes a note in place of its manifest,
conditionally: either the manifest was there before, and the version is complete, or it can never come, however late
the dead writer's last request arrives. Only then are files removed. Such a number is not used again.
"""

import fcntl
import hashlib
import json
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from releases.abreast import for_each
from releases.errors import ReleaseInputError
from releases.manifest import FILE_NAME, MOST_BYTES
from releases.pointer import ABANDONED, read_small
from releases.remote_store import RemoteStore, StoreFailed
from releases.shelf import Versioning, check_name, is_name, is_number, time_stamps

log = logging.getLogger(__name__)
CLAIM_PREFIX, CLAIM_SUFFIX = ".writing-", ".json"
CLAIM_LASTS = timedelta(hours=24)
"""A claim of another machine that is older is a dead writer's; a slower one than that gets an error, not a release."""
_MOST_TRIES = 100


@contextmanager
def uploaded_version(
    store: RemoteStore, name: str, *, versioning: Versioning, created: datetime
) -> Iterator[tuple[str, Path]]:
    """Yield (version, staging folder); when the block ends well, upload the folder as `<name>/<version>`.

    Args:
        store: where to.
        name: the release, see `releases.shelf.check_name`.
        versioning: `number` is one more than the highest that anybody claimed; `time` is `created`.
        created: UTC.

    Raises:
        ReleaseInputError: the store failed for good; nothing of this version is listed.

    """
    check_name(name)
    with _desk(store.staging) as (desk, token):
        sweep(store, name, desk.parent)
        version, claim = _claim(store, name, token, desk.parent, versioning=versioning, created=created)
        begun = False
        try:
            staging = desk / "release"
            staging.mkdir()
            yield version, staging
            begun = True
            _upload(store, name, version, staging)
        except BaseException as error:
            complete = _given_up(store, name, version, claim, begun=begun, staging=desk / "release")
            if not (complete and isinstance(error, ReleaseInputError)):
                raise
            log.info("%s: the store failed after the version was complete", name)
        else:
            _forget(store, claim)


def sweep(store: RemoteStore, name: str, staging_root: Path | None = None) -> list[str]:
    """Give up the versions of writers that died, and return them; `staging_root` is where writers here work.

    Raises:
        ReleaseInputError: the store failed.

    """
    gone = []
    for entry, folder in store.entries(name).items():
        version = entry.removeprefix(CLAIM_PREFIX).removesuffix(CLAIM_SUFFIX)
        if folder or entry != f"{CLAIM_PREFIX}{version}{CLAIM_SUFFIX}" or not is_name(version):
            continue
        claim = f"{name}/{entry}"
        if _is_dead(read_small(store, claim), staging_root):
            _give_up(store, name, version, claim)
            gone.append(version)
    return gone


@contextmanager
def _desk(root: Path | None) -> Iterator[tuple[Path, str]]:
    """Yield a folder of this writer with its lock held, and its token; folders of the dead are removed."""
    root = root or Path(tempfile.gettempdir()) / f"understudy-uploads-{os.getuid()}"
    token = secrets.token_hex(12)
    desk = root / token
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (root / ".lock").open("a") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            for other in root.iterdir():
                if other.is_dir() and not _is_held(other / "lock"):
                    shutil.rmtree(other)
            desk.mkdir()
            lock = (desk / "lock").open("a")
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        raise ReleaseInputError(
            f"{root}: cannot be written", seen=error.strerror, remedy="look at the space and the rights of this folder"
        ) from error
    with lock:
        try:
            yield desk, token
        finally:
            shutil.rmtree(desk, ignore_errors=True)


def _is_held(path: Path) -> bool:
    try:
        with path.open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _claim(
    store: RemoteStore, name: str, token: str, staging_root: Path, *, versioning: Versioning, created: datetime
) -> tuple[str, str]:
    """Return a version that is this writer's alone, and the path of its claim."""
    entries = store.entries(name)
    taken = {entry.removeprefix(CLAIM_PREFIX).removesuffix(CLAIM_SUFFIX) for entry in entries}
    highest = max((int(version) for version in taken if is_number(version)), default=0)
    candidates = map(str, count(highest + 1)) if versioning == "number" else time_stamps(created)
    plain = {
        "format": "understudy claim",
        "format_version": 1,
        "token": token,
        "machine": _machine(staging_root),
        "claimed": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    for _, version in zip(range(_MOST_TRIES), candidates, strict=False):
        claim = f"{name}/{CLAIM_PREFIX}{version}{CLAIM_SUFFIX}"
        try:
            store.create(claim, (json.dumps(plain) + "\n").encode())
        except FileExistsError:
            continue
        if not store.sizes(f"{name}/{version}"):
            return version, claim
        store.remove(claim)  # somebody finished this version between our look and our claim
    raise StoreFailed(
        f"{store.address}/{name}: no version could be claimed",
        seen=f"{_MOST_TRIES} were taken",
        remedy="others publish under this name at the same time: run again",
    )


def _upload(store: RemoteStore, name: str, version: str, staging: Path) -> None:
    paths = [path.relative_to(staging).as_posix() for path in sorted(staging.rglob("*")) if path.is_file()]
    for_each(
        lambda path: store.upload(f"{name}/{version}/{path}", staging / path),
        (path for path in paths if path != FILE_NAME),
    )
    try:
        store.create(f"{name}/{version}/{FILE_NAME}", (staging / FILE_NAME).read_bytes())
    except FileExistsError as error:
        raise StoreFailed(
            f"{store.address}/{name}/{version}: another writer took this version for abandoned, or has it as well",
            remedy="run again: it becomes the next version",
        ) from error


def _given_up(store: RemoteStore, name: str, version: str, claim: str, *, begun: bool, staging: Path) -> bool:
    """Clean up after a failure as far as the store lets us; return whether the version is complete nevertheless."""
    try:
        if not begun:
            store.remove(claim)
            return False
        complete = not _give_up(store, name, version, claim)
        manifest = staging / FILE_NAME
        path = f"{name}/{version}/{FILE_NAME}"
        return complete and store.read(path, most_bytes=MOST_BYTES) == manifest.read_bytes()
    except Exception:  # noqa: BLE001 - the first failure is the one to tell; the next writer cleans up
        log.info("%s: what was uploaded stays until the next publish", name)
        return False


def _give_up(store: RemoteStore, name: str, version: str, claim: str) -> bool:
    """Return True after the version was made impossible and removed, False when it is complete."""
    folder = f"{name}/{version}"
    note = (json.dumps(ABANDONED) + "\n").encode()
    try:
        store.create(f"{folder}/{FILE_NAME}", note)
    except FileExistsError:
        store.remove(claim)
        return False
    for_each(store.remove, [f"{folder}/{path}" for path in store.sizes(folder) if path != FILE_NAME])
    store.remove(claim)
    return True


def _forget(store: RemoteStore, claim: str) -> None:
    try:
        store.remove(claim)
    except ReleaseInputError:
        log.info("%s stays until the next publish", claim)  # it says nothing any more: the manifest is there


def _is_dead(data: bytes | None, staging_root: Path | None) -> bool:
    """Return whether the writer of a claim is known, or must be taken, to be gone."""
    try:
        plain: Any = json.loads(data or b"")
        claimed = datetime.fromisoformat(plain["claimed"])
        token, machine = str(plain["token"]), plain["machine"]
        if claimed.tzinfo is None or not token.isalnum():
            return False
    except (ValueError, TypeError, KeyError):
        return False  # nobody's claim that we could judge: the number is left alone
    if staging_root is not None and machine == _machine(staging_root):
        return not _is_held(staging_root / token / "lock")
    return datetime.now(UTC) - claimed > CLAIM_LASTS


def _machine(staging_root: Path) -> str:
    """Return what tells writers that share our staging folder, hence our locks, from all others."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    status = staging_root.stat()
    parts = (os.uname().nodename, boot.read_text().strip() if boot.is_file() else "", status.st_dev, status.st_ino)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

"""What a run that was killed leaves lying about, removed by the next run under the same `--out`.

Files come under a temporary name and are renamed when complete (`sources.files`), a version of a release under a
staging name (`releases.shelf`). What still has such a name while nobody holds the lock of its folder is garbage. A
checkpoint is none: from it the same fit goes on, however much later it is asked for again.
"""

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.handover import FOLDER as HANDOVER

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
"""A name that `sources.files.complete_or_absent` gives."""
STAGING = re.compile(r"\.staging-[0-9a-f]{12}")
LOCK = ".lock"


def sweep(root: Path, own: Path, shelf: Path | None) -> int:
    """Remove what dead processes left below `root` and on `shelf`, and return how many there were.

    Args:
        root: `<out>/runs`; folders in which another process is at work are left alone.
        own: the run's folder, whose lock the caller holds.
        shelf: the local folder of the release's versions; None for a remote store, which `releases.uploading` tidies.

    """
    removed = _remove(own, TEMPORARY, recursive=True)
    if (own / HANDOVER).is_dir():  # rows that a killed run handed to its processes
        shutil.rmtree(own / HANDOVER)
        removed += 1
    with _free(root) as free:
        removed += _remove(root, TEMPORARY, recursive=False) if free else 0
    for folder in (*root.glob("*"), *root.glob("fits/*")):
        if folder == own or not (folder / LOCK).is_file():
            continue
        with _free(folder) as free:
            removed += _remove(folder, TEMPORARY, recursive=True) if free else 0
    if shelf is not None:
        with _free(shelf) as free:
            removed += _remove(shelf, STAGING, recursive=False) if free else 0
    return removed


@contextmanager
def _free(folder: Path) -> Iterator[bool]:
    """Hold the lock of `folder` for the block and yield True, or yield False where somebody else does, or none is."""
    if not (folder / LOCK).is_file():
        yield False
        return
    with (folder / LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _remove(folder: Path, pattern: re.Pattern[str], *, recursive: bool) -> int:
    entries = list(folder.rglob("*") if recursive else folder.glob("*"))
    dead = [entry for entry in entries if pattern.fullmatch(entry.name)]
    for entry in dead:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    return len(dead)

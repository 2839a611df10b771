"""Where a run keeps what is private: one folder a spec, one folder a fit, one lock for each.

    <out>/runs/
        <name>-<digest>/        of one spec: spec, evidence.html, candidates' samples and reports
        fits/<digest>/          of one fit: checkpoints/, model/, fit.json; shared by specs that ask for it
        results/                what Prefect remembers: references to the above
        lineage.key             the secret that binds releases to their source
        uploads/                versions on their way to a store
        gate_calls.json         which rows were judged against which source
    <out>/releases/             what is published (`publish.to`)

Everything below `runs/` is private. Locks are `flock`: the kernel frees them when their holder dies.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.errors import FlowInputError
from flows.judging import check_folder
from flows.publishing import releases_of
from flows.spec import Spec
from flows.spec_file import made_spec
from releases.remote_store import RemoteStore
from releases.stores import Address
from sources.errors import UserError
from sources.files import write_bytes

DIGEST_CHARS = 8


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """The folders of one run.

    Args:
        root: `<out>/runs`.
        path: `<out>/runs/<name>-<digest>`.
        releases: the folder of all releases, or the store of them.

    """

    root: Path
    path: Path
    releases: Path | RemoteStore

    @property
    def fits(self) -> Path:
        """The folder of all fits."""
        return self.root / "fits"

    @property
    def results(self) -> Path:
        """The folder of Prefect's references."""
        return self.root / "results"

    def candidate(self, position: int, kind: str) -> Path:
        """Return the folder of the candidate at `position` of the spec."""
        return self.path / f"{position + 1}-{kind}"


def folder_of(spec: Spec, out: Path) -> RunFolder:
    """Return the folders for `spec`, of which none is made here.

    Raises:
        UserError: `out` or the folder of releases cannot be written, or the store of releases.

    """
    plain = made_spec(spec)
    for key in ("publish", "gpu"):  # where a release goes, or a fit waits, changes nothing of what it is
        plain.pop(key, None)
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:DIGEST_CHARS]
    root = out / "runs"
    check_folder(root, option="--out")
    releases = releases_of(spec, out, staging=root / "uploads")
    return RunFolder(root=root, path=root / f"{spec.name}-{digest}", releases=releases)


@contextmanager
def claimed(folder: RunFolder) -> Iterator[None]:
    """Hold the run folder for this process; when the block makes nothing worth keeping, leave no empty folder.

    Raises:
        FlowInputError: another process runs this spec.

    """
    new = [path for path in (folder.root, folder.path) if not path.exists()]
    folder.path.mkdir(parents=True, exist_ok=True)
    with (folder.path / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FlowInputError(
                f"{folder.path}: another run of this spec is at work",
                remedy="wait for it to end, or give this one another --out",
            ) from None
        try:
            yield
        except UserError:  # what the user must change first has made nothing worth keeping, unless something was fitted
            if folder.root in new and not any(folder.fits.glob("*/fit.json")):
                shutil.rmtree(folder.root)
            elif folder.path in new:
                shutil.rmtree(folder.path)
            raise
        except BaseException:
            if folder.path in new and not any(path.name != ".lock" for path in folder.path.iterdir()):
                shutil.rmtree(folder.path)
            if folder.root in new and not any(folder.root.iterdir()):
                folder.root.rmdir()
            raise


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Wait until no other process works in `folder`, then hold it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def lineage_key(folder: RunFolder) -> bytes:
    """Return the secret of the root of these folders."""
    return lineage_key_of(folder.root)


def lineage_key_of(root: Path) -> bytes:
    """Return the secret of this root, made when it is needed first; readable by its owner alone."""
    path = root / "lineage.key"
    with one_at_a_time(root):
        if not path.exists():
            write_bytes(path, secrets.token_hex(32).encode(), mode=0o600)
        return bytes.fromhex(path.read_text())


def digest_of_folder(folder: Path) -> str:
    """Return the SHA-256 (hex) over names and bytes of all files below `folder`; of nothing when it is missing."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            digest.update(f"{path.relative_to(folder).as_posix()}:{len(data)}:".encode())
            digest.update(data)
    return digest.hexdigest()


def digest_of_json(value: Any) -> str:
    """Return the SHA-256 (hex) over plain JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def relative(path: Path | Address) -> str:
    """Return `path` as the terminal shows it: from the working directory where it lies below it."""
    if isinstance(path, Address):
        return str(path)
    try:
        return os.fspath(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return os.fspath(path)

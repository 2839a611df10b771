"""A local folder as a store; what holds there is said in `releases.shelf`."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from releases.errors import ReleaseInputError
from sources.files import sync_folder, write_bytes

BLOCK_BYTES = 8 * 2**20


@dataclass(frozen=True, kw_only=True)
class LocalStore:
    """The folder `root`; links below it are never followed."""

    root: Path

    @property
    def address(self) -> str:
        """The folder."""
        return os.fspath(self.root)

    def entries(self, path: str) -> dict[str, bool]:
        """Return the names right below `path`, each with whether it is a folder; links are left out."""
        try:
            with os.scandir(self.root / path) as found:
                return {
                    entry.name: entry.is_dir(follow_symlinks=False)
                    for entry in found
                    if entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
                }
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise self._failed(error) from error

    def sizes(self, path: str) -> dict[str, int]:
        """Return every regular file below `path` with its bytes."""
        top = self.root / path
        found: dict[str, int] = {}
        for place, _, files in os.walk(top, followlinks=False):
            for name in files:
                file = Path(place) / name
                status = file.lstat()
                if stat.S_ISREG(status.st_mode):
                    found[file.relative_to(top).as_posix()] = status.st_size
        return found

    def read(self, path: str, *, most_bytes: int) -> bytes:
        """Return a file's bytes."""
        file = self.root / path
        try:
            status = file.lstat()
            regular = stat.S_ISREG(status.st_mode)
            data = file.read_bytes() if regular and status.st_size <= most_bytes else b""
        except (FileNotFoundError, NotADirectoryError):
            raise FileNotFoundError(path) from None
        except OSError as error:
            raise self._failed(error) from error
        if not regular:
            raise FileNotFoundError(path)
        if status.st_size > most_bytes:
            raise ReleaseInputError(
                f"{file}: too large", seen=f"{status.st_size} bytes", remedy=f"at most {most_bytes} bytes are read"
            )
        return data

    def blocks(self, path: str, size: int) -> Iterator[bytes]:
        """Yield the first `size` bytes of a file in blocks."""
        with (self.root / path).open("rb") as file:
            for start in range(0, size, BLOCK_BYTES):
                yield file.read(min(BLOCK_BYTES, size - start))

    def replace(self, path: str, data: bytes) -> None:
        """Write a file under another name, flush it, rename it."""
        try:
            write_bytes(self.root / path, data)
        except OSError as error:
            raise self._failed(error) from error

    def remove(self, path: str) -> None:
        """Remove a file, which may be gone already."""
        file = self.root / path
        try:
            file.unlink(missing_ok=True)
            sync_folder(file.parent)
        except OSError as error:
            raise self._failed(error) from error

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Hold the lock of the release `name`, which writers of a version hold as well."""
        try:
            lock = (self.root / name / ".lock").open("a")
        except OSError as error:
            raise self._failed(error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _failed(self, error: OSError) -> ReleaseInputError:
        return ReleaseInputError(
            f"{self.root}: the folder of releases cannot be used",
            seen=error.strerror or type(error).__name__,
            remedy="look at its rights and the space left",
        )

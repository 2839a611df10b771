"""A store behind fsspec: every call retried where that helps, every error turned into what a user can act on.

What is written is read back and compared. `create` is the store's own conditional write where it has one (S3:
`If-None-Match: *`); where the store ignores the condition, which `check_writable` finds out, it looks first and then
writes, which keeps writers apart that do not come within the same moment.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from releases.errors import ReleaseInputError
from releases.retrying import ChangedOnTheWay, Retry, http_status, is_transient, reason_of

Result = TypeVar("Result")
BLOCK_BYTES = 8 * 2**20
SMALL_BYTES = 2**20
PROBE_PREFIX = ".understudy-probe-"
PRECONDITION_FAILED = 412
EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs", "abfs": "azure", "abfss": "azure", "az": "azure",
          "hf": "hub"}  # fmt: skip
"""Protocol -> the extra of this project that installs its library."""
QUICK = 3
"""Attempts of the first contact: a wrong address should not take half a minute to show."""


class StoreFailed(ReleaseInputError):
    """A store did not do what was asked, now or at all."""


@dataclass(frozen=True, kw_only=True)
class RemoteStore:
    """Files below `root` in an fsspec file system.

    Args:
        system: the file system; it may hold credentials, so it is never shown.
        root: bucket and prefix.
        address: what is shown.
        retry: how transient errors are waited out.
        staging: the local folder in which versions are made whole; a temporary one when None.
        conditional: whether the store keeps the promise of `create` by itself.

    """

    system: Any = field(repr=False)
    root: str
    address: str
    retry: Retry = field(default_factory=Retry)
    staging: Path | None = None
    conditional: bool = True

    def entries(self, path: str) -> dict[str, bool]:
        """Return the names right below `path`, each with whether it is a folder."""
        full = self._full(path)
        try:
            found = self._call(f"list {path or 'the store'}", lambda: self.system.ls(full, detail=True))
        except FileNotFoundError as error:
            if reason_of(error) == "NoSuchBucket":
                raise self._no_bucket() from error
            return {}
        names = {str(one["name"]).rstrip("/").rpartition("/")[2]: one["type"] == "directory" for one in found}
        return {name: folder for name, folder in names.items() if name and name != full.rpartition("/")[2]}

    def sizes(self, path: str) -> dict[str, int]:
        """Return every file below `path` with its bytes."""
        full = self._full(path)
        try:
            found = self._call(f"list {path}", lambda: self.system.find(full, detail=True))
        except FileNotFoundError:
            return {}
        head = full.strip("/") + "/"
        return {
            name[len(head) :]: int(entry.get("size") or 0)
            for name, entry in ((str(name).lstrip("/"), entry) for name, entry in found.items())
            if name.startswith(head) and entry.get("type", "file") == "file" and not entry.get("islink")
        }

    def read(self, path: str, *, most_bytes: int) -> bytes:
        """Return a file's bytes; more than `most_bytes` are never fetched."""
        full = self._full(path)
        data = self._call(f"read {path}", lambda: self._range(full, 0, most_bytes + 1))
        if len(data) > most_bytes:
            raise StoreFailed(f"{self.address}/{path}: too large", remedy=f"at most {most_bytes} bytes are read")
        return data

    def blocks(self, path: str, size: int) -> Iterator[bytes]:
        """Yield the first `size` bytes of a file in blocks."""
        full = self._full(path)
        for start in range(0, size, BLOCK_BYTES):
            end = min(start + BLOCK_BYTES, size)
            yield self._call(f"read {path}", partial(self._range, full, start, end))

    def replace(self, path: str, data: bytes) -> None:
        """Write a small file in one call."""
        full = self._full(path)
        try:
            self._call(f"write {path}", lambda: self.system.pipe_file(full, data))
        except (FileExistsError, FileNotFoundError) as error:
            raise self._failed(f"write {path}", error) from error

    def create(self, path: str, data: bytes) -> None:
        """Write a small file that is not there yet, and read it back.

        Raises:
            FileExistsError: it is there, with other bytes.

        """
        full = self._full(path)
        try:
            self._call(f"create {path}", lambda: self._create(full, data))
        except FileExistsError:
            if self._there(path, data):  # an earlier attempt got through and its answer did not
                return
            raise
        if not self._there(path, data):
            raise FileExistsError(path)

    def upload(self, path: str, local: Path) -> None:
        """Write a file and read it back; other bytes than those of `local` are sent again."""
        full = self._full(path)
        try:
            self._call(f"upload {path}", lambda: self._upload(full, local))
        except (FileExistsError, FileNotFoundError) as error:
            raise self._failed(f"upload {path}", error) from error

    def remove(self, path: str) -> None:
        """Remove a file, which may be gone already."""
        full = self._full(path)
        try:
            self._call(f"remove {path}", lambda: self.system.rm_file(full))
        except FileNotFoundError:
            return

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:  # noqa: ARG002 - a store has no locks
        """Do nothing: what many may write on a store at once is written so that this does no harm."""
        yield

    def check_writable(self) -> "RemoteStore":
        """Write, read and remove a small file; return this store, knowing whether its `create` can be trusted.

        Raises:
            StoreFailed: the store cannot be reached, or not written.

        """
        quick = replace(self, retry=replace(self.retry, attempts=min(QUICK, self.retry.attempts)))
        path = f"{PROBE_PREFIX}{secrets.token_hex(6)}"
        data = json.dumps({"format": "understudy probe"}).encode()
        full = self._full(path)
        try:
            quick._call("take a first file", lambda: self.system.pipe_file(full, data))  # noqa: SLF001 - our own
            conditional = not quick._call("take a first file", lambda: self._ignores_condition(full))  # noqa: SLF001
            if quick.read(path, most_bytes=SMALL_BYTES) != data:
                raise StoreFailed(
                    f"{self.address}: what is written does not come back", remedy="look at what stands before the store"
                )
            quick.remove(path)
        except FileNotFoundError as error:
            raise self._no_bucket() from error
        return replace(self, conditional=conditional)

    def _ignores_condition(self, full: str) -> bool:
        """Return whether a second `create` of an existing file succeeds, and put the file right again."""
        before = self._range(full, 0, SMALL_BYTES)
        try:
            self.system.pipe_file(full, b"second", mode="create")
        except (FileExistsError, TypeError) as error:
            return isinstance(error, TypeError)
        except Exception as error:
            if http_status(error) == PRECONDITION_FAILED:
                return False
            raise
        self.system.pipe_file(full, before)
        return True

    def _create(self, full: str, data: bytes) -> None:
        if not self.conditional:
            if self.system.exists(full):
                raise FileExistsError(full)
            self.system.pipe_file(full, data)
            return
        try:
            self.system.pipe_file(full, data, mode="create")
        except FileExistsError:
            raise
        except Exception as error:
            if http_status(error) == PRECONDITION_FAILED:
                raise FileExistsError(full) from error
            raise

    def _there(self, path: str, data: bytes) -> bool:
        try:
            return self._call(f"read {path}", lambda: self._range(self._full(path), 0, len(data) + 1)) == data
        except FileNotFoundError:
            return False

    def _upload(self, full: str, local: Path) -> None:
        try:
            self.system.put_file(str(local), full)
        except FileExistsError:  # of an earlier attempt, in a store that does not write over it
            self.system.rm_file(full)
            self.system.put_file(str(local), full)
        size = local.stat().st_size
        if int(self.system.info(full)["size"]) != size:
            raise ChangedOnTheWay(local.name)
        mine, theirs = hashlib.sha256(), hashlib.sha256()
        with local.open("rb") as file:
            for start in range(0, size, BLOCK_BYTES):
                mine.update(file.read(BLOCK_BYTES))
                theirs.update(self._range(full, start, min(start + BLOCK_BYTES, size)))
        if mine.digest() != theirs.digest():
            raise ChangedOnTheWay(local.name)

    def _range(self, full: str, start: int, end: int) -> bytes:
        size = int(self.system.info(full)["size"])
        if size == 0:
            return b""  # a range of nothing is an error on some stores
        return bytes(self.system.cat_file(full, start=start, end=min(end, size)))

    def _full(self, path: str) -> str:
        return f"{self.root}/{path}".rstrip("/")

    def _call(self, doing: str, function: Callable[[], Result]) -> Result:
        try:
            return self.retry.call(function)
        except (FileNotFoundError, FileExistsError, ReleaseInputError):
            raise
        except Exception as error:
            raise self._failed(doing, error) from error

    def _failed(self, doing: str, error: Exception) -> StoreFailed:
        reason = reason_of(error)
        if isinstance(error, PermissionError) or http_status(error) in (401, 403):
            remedy = "the credentials lack a right: list, read, write and delete below this address are needed"
        elif "Credential" in reason:
            remedy = "no credentials were found: export them as the store's library expects, or give options"
        elif isinstance(error, TypeError):
            remedy = "an option of the store is not one that its library knows: correct publish.options"
        elif is_transient(error):
            remedy = "look at the endpoint, the network and the store's state, then run again"
        else:
            remedy = "look at bucket, endpoint and options of the store"
        return StoreFailed(f"{self.address}: the store did not {doing}", seen=reason, remedy=remedy)

    def _no_bucket(self) -> StoreFailed:
        bucket = self.root.split("/", maxsplit=1)[0]
        return StoreFailed(
            f"{self.address}: no such bucket", seen=bucket, remedy="make the bucket first, or correct its name"
        )


def connected(
    protocol: str,
    path: str,
    *,
    options: dict[str, Any],
    staging: Path | None,
    retry: Retry,
    place: str,
) -> RemoteStore:
    """Return the store for a protocol that fsspec knows; nothing is sent yet.

    Raises:
        ReleaseInputError: fsspec does not know the protocol, its library is missing or does not take the options.

    """
    import fsspec  # noqa: PLC0415 - only where releases lie on a store

    if protocol in ("s3", "s3a"):
        options = _calm_boto(options)
    try:
        kind = fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        extra = EXTRAS.get(protocol)
        known = f"install the extra {extra}: pip install -e '.[{extra}]'"
        remedy = known if extra else f"install fsspec's library for {protocol}"
        raise ReleaseInputError(
            f"{place}: {protocol}:// needs a library that is not installed", seen=error.name, remedy=remedy
        ) from error
    except ValueError as error:
        raise ReleaseInputError(
            f"{place}: unknown protocol", seen=protocol[:40], remedy="give a folder, s3://, gs:// or abfs://"
        ) from error
    try:
        url = f"{protocol}://{path}"
        system, root = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **options)
    except Exception as error:  # every library has its own way to refuse options
        raise ReleaseInputError(
            f"{place}: the store's library does not take these options ({type(error).__name__})",
            seen=", ".join(sorted(options)) or "no options",
            remedy=f"see the documentation of {kind.__module__.partition('.')[0]}",
        ) from error
    if protocol in ("s3", "s3a"):
        system.retries = 1  # `Retry` does it, bounded and with jitter
    return RemoteStore(
        system=system, root=str(root).rstrip("/"), address=url, retry=retry, staging=staging, conditional=True
    )


def _calm_boto(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options with botocore's own retries off, unless they are asked for."""
    config = {"retries": {"total_max_attempts": 1}, **options.get("config_kwargs", {})}
    return {**options, "config_kwargs": config}

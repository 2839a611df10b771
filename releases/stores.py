"""Where releases lie: a local folder, or any store that fsspec reaches (`s3://`, `gs://`, `abfs://`, …).

Both are one `Store`, so catalogue and pointers know no difference. Credentials come from the environment, as each
store's own library looks for them, or from options that name a variable (`key: $STORE_KEY`); a credential in plain
text is refused, so none can get into a file that keeps the spec.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from releases.errors import ReleaseInputError
from releases.local_store import LocalStore
from releases.retrying import Retry

_ENDLESS = {"memory": "it ends with the program", "data": "it holds one file", "http": "it cannot be written",
            "https": "it cannot be written"}  # fmt: skip
_SECRET = re.compile(
    r"passw|secret|token|credential|connection_?string|signature|sas|(^|_)key$|(api|access|account|private)_?key",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")


class Store(Protocol):
    """A tree of files that holds releases; paths are relative to its root, with `/` between their parts."""

    @property
    def address(self) -> str:
        """Where it is, without credentials."""
        ...

    def entries(self, path: str) -> dict[str, bool]:
        """Return the names right below `path`, each with whether it is a folder; empty when there is nothing."""
        ...

    def sizes(self, path: str) -> dict[str, int]:
        """Return every regular file below `path` (relative to it) with its bytes; links are no files."""
        ...

    def read(self, path: str, *, most_bytes: int) -> bytes:
        """Return a file's bytes; FileNotFoundError, or ReleaseInputError when it is larger than `most_bytes`."""
        ...

    def blocks(self, path: str, size: int) -> Iterator[bytes]:
        """Yield the first `size` bytes of a file in blocks; FileNotFoundError when there is none."""
        ...

    def replace(self, path: str, data: bytes) -> None:
        """Write a small file as one step that others see whole or not at all."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file, which may be gone already."""
        ...

    def alone(self, name: str) -> AbstractContextManager[None]:
        """Keep other writers of this machine off the release `name`, as far as the store can."""
        ...


@dataclass(frozen=True, kw_only=True)
class Address:
    """A place inside a store, as text; it joins and shows like a path."""

    text: str

    @property
    def name(self) -> str:
        """The last part."""
        return PurePosixPath(self.text).name

    def __truediv__(self, part: str) -> "Address":
        """Return the place `part` below."""
        return Address(text=f"{self.text}/{part}")

    def __str__(self) -> str:
        """Return the text."""
        return self.text


def as_store(to: "Store | Path | str") -> Store:
    """Return `to` as a store; a path is a local folder."""
    return LocalStore(root=Path(to)) if isinstance(to, Path | str) else to


def place_of(to: "Store | Path") -> Path | Address:
    """Return what the releases in `to` lie below: the folder itself, or the address of the store."""
    return to if isinstance(to, Path) else Address(text=to.address)


def is_url(to: str) -> bool:
    """Return whether `to` is a URL; a path, also one of another system, is none."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]+:(//|:)", to)) or "::" in to


def open_store(
    to: str,
    *,
    base: Path = Path(),
    options: Mapping[str, Any] | None = None,
    staging: Path | None = None,
    retry: Retry | None = None,
    place: str = "publish.to",
) -> Store:
    """Return the store at `to`. Nothing is written; a remote one is not yet reached.

    Args:
        to: a folder, relative to `base`, or a URL.
        base: what relative folders are relative to.
        options: of the store's library (`endpoint_url`, `anon`, …); `$NAME` takes a value from the environment.
        staging: the local folder in which versions are made whole before they are uploaded.
        retry: how often and how long transient errors are waited out.
        place: how messages name where `to` comes from.

    Raises:
        ReleaseInputError: no store that can hold releases, a credential in plain text, or a missing library.

    """
    if not is_url(to):
        _require(not options, place, "options are for stores, this is a folder", to, "take the options out")
        return LocalStore(root=base / Path(to).expanduser())
    _require("::" not in to, place, "chained URLs cannot hold releases", _bare(to), "give the URL of the store alone")
    try:
        parts = urlsplit(to)
    except ValueError:
        raise ReleaseInputError(f"{place}: no URL", remedy="write s3://bucket/prefix") from None
    protocol = parts.scheme.lower()
    own_account = protocol in ("abfs", "abfss") and "@" in parts.netloc and ":" not in parts.netloc.split("@")[0]
    _require(
        ("@" not in parts.netloc or own_account) and not parts.query and not parts.fragment,
        place,
        "a URL with credentials or a query",
        _bare(to),
        "give bucket and prefix alone; credentials come from the environment, or as options: {key: $STORE_KEY}",
    )
    if protocol == "file":
        here = parts.netloc in ("", "localhost") and bool(parts.path) and not options
        _require(here, place, "not a local file URL", _bare(to),
                 "write file:///folder without options")  # fmt: skip
        return LocalStore(root=Path(unquote(parts.path)))
    path = "/".join(part for part in f"{parts.netloc}{parts.path}".split("/") if part)
    _require(bool(parts.netloc), place, "a URL without a bucket", to, f"write {protocol}://bucket/prefix")
    _require(not set(path.split("/")) & {".", ".."}, place, "a URL that leads up", to, "write it without dots")
    _require(protocol not in _ENDLESS, place, f"{protocol}:// cannot hold releases, for {_ENDLESS.get(protocol)}", to,
             "give a folder, s3://, gs://, abfs:// or another store")  # fmt: skip
    from releases.remote_store import connected  # noqa: PLC0415 - imports fsspec and the store's library

    return connected(
        protocol,
        path,
        options=resolved(options or {}, place=place.rpartition(".")[0] + ".options" if "." in place else "options"),
        staging=staging,
        retry=retry or Retry(),
        place=place,
    )


def resolved(options: Mapping[str, Any], *, place: str) -> dict[str, Any]:
    """Return `options` with every `$NAME` replaced by the variable of the environment.

    Raises:
        ReleaseInputError: a variable is missing, or a credential stands there in plain text.

    """
    return {key: _resolved(value, place=f"{place}.{key}", secret=bool(_SECRET.search(key))) for key, value in
            options.items()}  # fmt: skip


def _resolved(value: Any, *, place: str, secret: bool) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _resolved(inner, place=f"{place}.{key}", secret=secret or bool(_SECRET.search(str(key))))
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_resolved(inner, place=place, secret=secret) for inner in value]
    if not isinstance(value, str):
        return value
    reference = _REFERENCE.fullmatch(value)
    if reference is None:
        userinfo = "://" in value and "@" in value.split("://", maxsplit=1)[1].split("/")[0]
        if secret or userinfo:
            raise ReleaseInputError(
                f"{place}: a credential in plain text",
                remedy="write the name of a variable of the environment, such as $STORE_KEY",
            )
        return value
    name = reference.group(1) or reference.group(2)
    if not os.environ.get(name):
        raise ReleaseInputError(f"{place}: the environment has no {name}", remedy=f"export {name}=…")
    return os.environ[name]


def _require(holds: bool, place: str, what: str, seen: str, remedy: str) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise ReleaseInputError(f"{place}: {what}", seen=seen, remedy=remedy)


def _bare(to: str) -> str:
    """Return a URL without what may be a credential."""
    return re.sub(r"//[^/@]*@", "//…@", re.split(r"[?#]", to, maxsplit=1)[0])[:120]

"""A copy of one version in a local folder, where `understudy verify` can look at it."""

import hashlib
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from releases.abreast import for_each
from releases.catalogue import Place, find
from releases.errors import ReleaseInputError
from releases.manifest import FILE_NAME
from releases.stores import Store, as_store
from releases.terminal import shown
from sources.files import sync_folder

MOST_FILES = 100_000


def fetch(to: Place, name: str, version: str | None, folder: Path) -> str:
    """Copy a version, the latest when None, into the new `folder`, whole or not at all; return which it was.

    Every file is compared with the manifest that lies beside it; who wrote the manifest is for `verify` to say.

    Raises:
        ReleaseInputError: no such version, `folder` is there already, or a file is not what the manifest says.

    """
    store = as_store(to)
    if folder.exists() or folder.is_symlink():
        raise ReleaseInputError(f"{folder}: exists already", remedy="give a folder that is not there yet")
    found = find(store, name, version)
    title = f"{name}/{found.version}"
    if found.flaw:
        raise ReleaseInputError(f"{title}: damaged: {found.flaw}", remedy="fetch another version")
    sizes = store.sizes(title)
    strange = [path for path in sizes if not _is_plain(path)]
    if strange or len(sizes) > MOST_FILES:
        seen = shown(strange[0]) if strange else f"{len(sizes)} files"
        raise ReleaseInputError(f"{title}: holds what no release holds", seen=seen, remedy="fetch another version")
    staging = folder.parent / f".{folder.name}.{secrets.token_hex(6)}.tmp"
    try:
        for_each(
            lambda path: _copy(
                store, f"{title}/{path}", sizes[path], staging / path, found.manifest["files"].get(path)
            ),
            sizes,
        )
        staging.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise ReleaseInputError(
            f"{folder}: the copy was not made",
            seen=error.strerror or type(error).__name__,
            remedy="look at the space and the rights of this folder, and whether others change the release",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return found.version


def _copy(store: Store, path: str, size: int, local: Path, entry: Mapping[str, Any] | None) -> None:
    local.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with local.open("xb") as file:
        for block in store.blocks(path, size):
            digest.update(block)
            file.write(block)
    if entry is not None and digest.hexdigest() != entry.get("sha256"):
        raise ReleaseInputError(
            f"{path}: other bytes than its {FILE_NAME} says",
            remedy="fetch it again; if that does not help, ask its maker",
        )


def _is_plain(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return path.isprintable() and "\\" not in path and not path.startswith("/") and not set(parts) & {"..", "."}

"""What `verify` looks at in pictures that are files of their own: names, sizes, and what they say of themselves."""

import csv
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from releases.checks import Check, shown
from releases.data_files import is_metadata, is_picture
from sources.image_files import FILE_COLUMN
from sources.synthetic_mark import is_marked

_PNG, _PNG_SIZE = b"\x89PNG\r\n\x1a\n", slice(16, 24)
_WEBP = (b"RIFF", b"WEBP")
_NAME = "data/images"


def picture_checks(folder: Path, manifest: Mapping[str, Any], shapes: Sequence[Sequence[int]]) -> Iterator[Check]:
    """Yield whether every row has its picture and every picture its row, a size as the schema says, and the mark.

    Args:
        folder: of the release, whose files have the hashes that the manifest names.
        manifest: of the release.
        shapes: height, width and channels of the image columns in `schema.json`.

    """
    pictures = sorted(path for path in manifest["files"] if is_picture(path))
    tables = [path for path in manifest["files"] if path.startswith("data/") and is_metadata(path)]
    if not pictures and not tables:
        return
    if len(tables) != 1 or len(shapes) != 1:
        yield Check(name=_NAME, ok=False, words="Pictures need one table that describes them, and one image column.")
        return
    named = [f"data/{name}" for name in _file_names(folder / tables[0])]
    if len(set(named)) != len(named) or set(named) != set(pictures):
        odd = sorted(set(named) ^ set(pictures))
        words = f"{tables[0]} does not name each picture once" + (f": {shown(odd[0])!r}." if odd else ".")
        yield Check(name=_NAME, ok=False, words=words)
        return
    height, width, _ = shapes[0]
    for path in pictures:
        data = (folder / path).read_bytes()
        if not _is_whole(data, path, height, width):
            yield Check(name=_NAME, ok=False, words=f"{shown(path)!r} is no picture of {height} × {width} pixels.")
            return
        if not is_marked(data):
            yield Check(name=_NAME, ok=False, words=f"{shown(path)!r} does not say that it is synthetic.")
            return
    words = f"{len(pictures):,} pictures of {height} × {width} pixels, each says that a model made it."
    yield Check(name=_NAME, ok=True, words=words)


def _file_names(table: Path) -> list[str]:
    if table.suffix == ".parquet":
        return [str(name) for name in pq.read_table(table, columns=[FILE_COLUMN]).column(FILE_COLUMN).to_pylist()]
    with table.open(encoding="utf-8", newline="") as file:
        return [row[FILE_COLUMN] for row in csv.DictReader(file, strict=True)]


def _is_whole(data: bytes, path: str, height: int, width: int) -> bool:
    """Return whether the header is that of a picture of this size; WebP keeps its size in forms of its own."""
    if path.endswith(".png"):
        return data.startswith(_PNG) and struct.unpack(">II", data[_PNG_SIZE]) == (width, height)
    return (data[:4], data[8:12]) == _WEBP and _webp_size(data) == (height, width)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width in the header of an extended WebP (RFC 9649, 2.7), which one with XMP always is."""
    if data[12:16] != b"VP8X":
        return None
    width, height = (int.from_bytes(data[start : start + 3], "little") + 1 for start in (24, 27))
    return height, width

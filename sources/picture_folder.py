"""A folder, or a zip archive, of encoded pictures with the table that describes them.

    images/000001.png, images/000002.png, ...
    metadata.parquet (or .csv)    the attributes, one row a picture, whose column `file_name` names its file

This is the layout that Hugging Face's `imagefolder` loads; `sources.image_files` reads it back.
"""

import io
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pandas as pd

from sources.errors import SourceInputError
from sources.files import write_bytes
from sources.image_files import FILE_COLUMN, METADATA
from sources.images import Image, png, webp
from sources.schema import Schema
from sources.storage import Format, write_table
from sources.synthetic_mark import XMP

PictureFormat = Literal["png", "webp"]
PICTURE_FORMATS: tuple[PictureFormat, ...] = ("png", "webp")
FOLDER = "images"
LEAST_DIGITS = 6
_EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip archive can name; all entries have it, so that equal rows give equal bytes."""


def image_column_of(schema: Schema) -> str:
    """Return the name of the one image column.

    Raises:
        SourceInputError: there is none, or several, or a column has the name that the files' names need.

    """
    names = [column.name for column in schema.columns if column.kind == "image"]
    if len(names) != 1:
        raise SourceInputError(
            "files of pictures need a table with exactly one image column",
            seen=", ".join(names) or "no image column",
            remedy="choose parquet",
        )
    if FILE_COLUMN in schema.names:
        raise SourceInputError(
            f'column "{FILE_COLUMN}": beside files of pictures a column of this name says where each picture lies',
            remedy="choose parquet alone, or rename the column in the source",
        )
    return names[0]


def names_of(rows: int, form: PictureFormat) -> list[str]:
    """Return the paths of so many pictures inside the folder.

    >>> names_of(2, "png")
    ['images/000001.png', 'images/000002.png']
    """
    digits = max(LEAST_DIGITS, len(str(rows)))
    return [f"{FOLDER}/{row:0{digits}d}.{form}" for row in range(1, rows + 1)]


def encoded(cells: pd.Series, form: PictureFormat, *, xmp: bytes = b"") -> Iterator[bytes]:
    """Yield each picture as the bytes of a file.

    Args:
        cells: of `sources.images.Image`.
        form: of the files.
        xmp: what each says of itself, see `sources.images.png`.

    """
    write = png if form == "png" else webp
    for cell in cells:
        assert isinstance(cell, Image)
        yield write(cell.pixels, xmp=xmp)


def metadata(frame: pd.DataFrame, image: str, names: list[str]) -> pd.DataFrame:
    """Return the attributes with the column `file_name` in front, the image column left out."""
    attributes = frame.drop(columns=image)
    attributes.insert(0, FILE_COLUMN, pd.Series(names, dtype=object, index=frame.index))
    return attributes


def write_pictures(cells: pd.Series, folder: Path, form: PictureFormat) -> list[str]:
    """Write each picture into `folder`, marked as synthetic, and return their paths inside it.

    The files are written plainly: the folder is one that is made whole elsewhere and then renamed.
    """
    names = names_of(len(cells), form)
    (folder / FOLDER).mkdir(parents=True)
    for name, data in zip(names, encoded(cells, form, xmp=XMP), strict=True):
        (folder / name).write_bytes(data)
    return names


def write_folder(frame: pd.DataFrame, path: Path, *, image: str, form: PictureFormat, table: Format) -> None:
    """Write pictures and attributes into the new folder `path`, or a file that ends in `.zip`; whole or not at all.

    Args:
        frame: as `sources.storage.to_storage` makes it.
        path: of the folder, which is not there yet, or of the archive, which is written over.
        image: the image column.
        form: of the pictures.
        table: of the attributes.

    """
    path = path.absolute()
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent) as place:
        whole = Path(place) / path.name
        names = write_pictures(frame[image], whole, form)
        write_table(metadata(frame, image, names), whole / f"{METADATA}.{table}", table)
        if path.suffix.lower() == ".zip":
            write_bytes(path, _zipped(whole))
        else:
            whole.rename(path)


def _zipped(folder: Path) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = file.relative_to(folder).as_posix()
            archive.writestr(zipfile.ZipInfo(name, date_time=_EARLIEST), file.read_bytes())
    return sink.getvalue()

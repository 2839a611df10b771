"""The data files of a release: tables, and pictures as files of their own.

    data/data.parquet, data/data.csv       all rows; Parquet holds pictures encoded
    data/images/000001.png ...             pictures, with
    data/metadata.parquet (or .csv)        their attributes, `file_name` first: what Hugging Face's `imagefolder` loads

Every picture says in its XMP that a model made it (`sources.synthetic_mark`); it holds no other metadata.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from releases.errors import ReleaseInputError
from releases.guarded_csv import guarded_table
from sources.dataset import Dataset
from sources.image_files import FILE_COLUMN, METADATA
from sources.picture_folder import FOLDER, PICTURE_FORMATS, PictureFormat, image_column_of, metadata, write_pictures
from sources.schema import Schema
from sources.storage import Format, to_storage, write_table
from sources.synthetic_mark import XMP

ReleaseFormat = Literal["parquet", "csv", "png", "webp"]
FORMATS: tuple[ReleaseFormat, ...] = ("parquet", "csv", "png", "webp")
DATA_STEM = "data"


@dataclass(frozen=True, kw_only=True)
class DataFiles:
    """What was written below `data/`.

    Args:
        tables: paths of the tables in the release, the one that viewers load first.
        pictures: what the pictures in `data/images` are, or None where there are none.
        image: the image column of those pictures.
        guarded_columns: columns of which a cell is guarded in CSV.
        c2pa: whether the pictures that are files hold C2PA manifests.

    """

    tables: tuple[str, ...]
    pictures: PictureFormat | None = None
    image: str | None = None
    guarded_columns: tuple[str, ...] = ()
    c2pa: bool = False


def write_data(synthetic: Dataset, release: Path, formats: Sequence[ReleaseFormat]) -> DataFiles:
    """Write the rows below `<release>/data` in each of `formats`.

    Raises:
        ReleaseInputError: no format, an unknown one, or two of picture files.
        SourceInputError: the rows are not what a format holds.

    """
    formats = tuple(dict.fromkeys(formats))
    picture_formats = [one for one in PICTURE_FORMATS if one in formats]
    if not formats or not set(formats) <= set(FORMATS) or len(picture_formats) > 1:
        raise ReleaseInputError(
            "publish.formats: nothing that can be written",
            seen=list(formats),
            remedy=", ".join(FORMATS) + ": at most one of the last two",
        )
    frame = to_storage(synthetic)
    pictures = picture_formats[0] if picture_formats else None
    image = None if pictures is None else image_column_of(synthetic.schema)
    tables: list[tuple[Format, str]] = [
        (one, DATA_STEM) for one in formats if one == "parquet" or (one == "csv" and pictures is None)
    ]
    guarded_columns: tuple[str, ...] = ()
    frames = {DATA_STEM: frame}
    if pictures is not None and image is not None:
        names = write_pictures(frame[image], release / "data", pictures)
        tables.append(("csv" if "csv" in formats else "parquet", METADATA))
        frames[METADATA] = metadata(frame, image, names)
    for form, stem in tables:
        table = frames[stem]
        if form == "csv":
            table, guarded_columns = guarded_table(table)
        write_table(table, release / "data" / f"{stem}.{form}", form, xmp=XMP)
    return DataFiles(
        tables=tuple(f"data/{stem}.{form}" for form, stem in tables),
        pictures=pictures,
        image=image,
        guarded_columns=guarded_columns,
    )


def columns_in(table: str, schema_names: Sequence[str], image_names: Sequence[str]) -> list[str]:
    """Return the columns that the table at the path `table` of a release has."""
    if not is_metadata(table):
        return list(schema_names)
    return [FILE_COLUMN, *(name for name in schema_names if name not in image_names)]


def is_metadata(table: str) -> bool:
    """Return whether the table describes pictures that are files of their own."""
    return table.removeprefix("data/").startswith(f"{METADATA}.")


def is_picture(path: str) -> bool:
    """Return whether the path of a data file is that of a picture."""
    return path.startswith(f"data/{FOLDER}/") and path.rpartition(".")[2] in PICTURE_FORMATS


def has_pictures(schema: Schema) -> bool:
    """Return whether the rows hold pictures."""
    return any(column.kind == "image" for column in schema.columns)

"""Sources read into raw frames: files by any store that fsspec knows, SQL databases, and bundled example sets.

A raw frame holds what the source holds: CSV cells stay text ("007" is no number yet, "NA" no missing cell; decimal
commas become points), Parquet integers stay integers where cells are missing. What the columns mean is for
`sources.inference`.
"""

import gzip
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from sources import bundled, delimited
from sources.errors import SourceInputError, did_you_mean
from sources.image_files import METADATA, TABLES, read_arrays, read_folder
from sources.images import ImageOptions, decode
from sources.inference import MAX_COLUMNS, check_names
from sources.locations import without_credentials

SourceKind = Literal["file", "folder", "arrays", "sql", "statsmodels", "sklearn"]
SOURCE_KINDS: tuple[SourceKind, ...] = ("file", "folder", "arrays", "sql", "statsmodels", "sklearn")
BUNDLED: tuple[SourceKind, ...] = ("statsmodels", "sklearn")
_PARQUET_MAGIC = b"PAR1"
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGIC = b"PK\x03\x04"
_OLD_EXCEL_MAGIC = b"\xd0\xcf\x11\xe0"
_SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".txt": "csv", ".data": "csv", ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SourceSpec:
    """Where a dataset comes from.

    Args:
        kind: file, sql, or one of the libraries with bundled sets.
        path: a file's path or URL (`people.csv`, `s3://bucket/people.parquet`).
        sql: a query, or the name of a table.
        url: the database, as SQLAlchemy writes it.
        dataset: the name of a bundled set; `digits_images` of sklearn holds pictures where `digits` holds pixels.
        folder: of pictures.
        attributes: path of the table that describes the pictures in `folder`.
        arrays: a `.npz` or `.npy` file of pictures; array: the name of the pictures' array in it.
        images: how pictures are read.
        options: for files, what fsspec needs to open the store (`{anon: true}`).

    """

    kind: SourceKind = "file"
    path: str | None = None
    sql: str | None = None
    url: str | None = None
    dataset: str | None = None
    folder: str | None = None
    attributes: str | None = None
    arrays: str | None = None
    array: str | None = None
    images: ImageOptions = field(default_factory=ImageOptions)
    options: Mapping[str, Any] = field(default_factory=dict)


def read(source: SourceSpec) -> pd.DataFrame:
    """Return the raw frame of `source`.

    Raises:
        SourceInputError: the source is missing, unreadable, empty, or no table; says what to do.

    """
    if source.kind not in SOURCE_KINDS:
        hint = did_you_mean(str(source.kind), SOURCE_KINDS)
        raise SourceInputError(
            f"source.kind: unknown{hint}", seen=source.kind, remedy="one of " + ", ".join(SOURCE_KINDS)
        )
    if source.kind == "file":
        return read_table(_given(source.path, "path"), options=source.options, images=source.images)
    if source.kind == "folder":
        folder = _given(source.folder, "folder")
        described = source.attributes or metadata_in(folder)
        attributes = None if described is None else read_table(described)
        return _checked(read_folder(folder, source.images, attributes), "the folder")
    if source.kind == "arrays":
        return _checked(read_arrays(_given(source.arrays, "arrays"), images=source.array), "the arrays")
    if source.kind == "sql":
        return _checked(read_sql(_given(source.sql, "sql"), _given(source.url, "url")), "the query")
    return _checked(bundled.load(source.kind, _given(source.dataset, "dataset")), source.kind)


def read_path(path: str) -> pd.DataFrame:
    """Return the raw frame of whatever lies at `path`, see `source_at`.

    Raises:
        SourceInputError: as `read`.

    """
    return read(source_at(path))


def source_at(path: str) -> SourceSpec:
    """Return what reads `path`: a folder of pictures, arrays, a table, or a bundled set such as `sklearn:wine`."""
    for library in BUNDLED:
        if path.startswith(f"{library}:"):
            return SourceSpec(kind=library, dataset=path.removeprefix(f"{library}:"))
    if "://" not in path and Path(path).expanduser().is_dir():
        return SourceSpec(kind="folder", folder=path)
    if Path(path).suffix.lower() in (".npz", ".npy"):
        return SourceSpec(kind="arrays", arrays=path)
    return SourceSpec(kind="file", path=path)


def metadata_in(folder: str) -> str | None:
    """Return the path of the table in a folder of pictures that describes them by its name, or None.

    Raises:
        SourceInputError: there are several.

    """
    found = [path for suffix in TABLES if (path := Path(folder).expanduser() / f"{METADATA}{suffix}").is_file()]
    if len(found) > 1:
        raise SourceInputError(
            f"{folder}: several tables describe the pictures",
            seen=", ".join(path.name for path in found),
            remedy="remove all but one, or name one: source.attributes",
        )
    return str(found[0]) if found else None


def read_table(
    path: str | Path, *, options: Mapping[str, Any] | None = None, images: ImageOptions | None = None
) -> pd.DataFrame:
    """Return the raw frame in a CSV, TSV or Parquet file, gzipped or not, through fsspec.

    Args:
        path: a path or URL; its suffix, or failing that its content, tells the format.
        options: passed to the file system (`key`, `anon`, ...).
        images: how encoded pictures in Parquet are read.

    Raises:
        SourceInputError: as `read`.

    """
    name = str(path)
    data = _bytes_of(name, options or {})
    name = without_credentials(name)
    path_part = Path(name.split("?", maxsplit=1)[0])
    if data.startswith(_GZIP_MAGIC):
        data = _unzipped(name, data)
        path_part = path_part.with_suffix("") if path_part.suffix.lower() == ".gz" else path_part
    if not data:
        raise SourceInputError(f"{name}: the file is empty", remedy="give a table with a header and rows")
    if data.startswith((_ZIP_MAGIC, _OLD_EXCEL_MAGIC)):
        raise SourceInputError(
            f"{name}: an Excel workbook or a zip archive, whatever its name says",
            remedy="save the sheet as CSV, or unpack the archive; a folder of pictures: source.folder, "
            "arrays: source.arrays",
        )
    suffix = path_part.suffix.lower()
    form = _SUFFIXES.get(suffix)
    if form is None or data.startswith(_PARQUET_MAGIC):
        form = "parquet" if data.startswith(_PARQUET_MAGIC) else form
    if form is None:
        raise SourceInputError(
            f"{name}: not a kind of file that is read here",
            seen=suffix or "no suffix",
            remedy="give CSV, TSV or Parquet",
        )
    if form == "parquet":
        return _checked(_read_parquet(name, data, images or ImageOptions()), name)
    return _checked(delimited.parse(data, name=name, tabs=suffix in (".tsv", ".tab")), name)


def read_sql(sql: str, url: str) -> pd.DataFrame:
    """Return the rows of a query, or of the table named `sql`, in the database at the SQLAlchemy `url`."""
    import sqlalchemy  # noqa: PLC0415 - loaded when a database is read
    import sqlalchemy.exc  # noqa: PLC0415

    try:
        engine = sqlalchemy.create_engine(url)
    except (sqlalchemy.exc.ArgumentError, sqlalchemy.exc.NoSuchModuleError, ValueError) as error:
        raise SourceInputError(
            "source.url: not a database URL that SQLAlchemy understands", remedy="write dialect://user@host/database"
        ) from error
    except ImportError as error:
        raise SourceInputError(
            f"source.url: the database's driver is not installed ({error.name})", remedy=f"pip install {error.name}"
        ) from error
    shown = engine.url.render_as_string(hide_password=True)
    file = engine.url.database
    if engine.dialect.name == "sqlite" and file not in (None, "", ":memory:") and not Path(str(file)).is_file():
        raise SourceInputError(f"{shown}: no such database file", seen=file, remedy="check source.url")
    try:
        with engine.connect() as connection:
            bare = sql.strip().rstrip(";")
            if not any(letter.isspace() for letter in bare):
                preparer = engine.dialect.identifier_preparer
                bare = "SELECT * FROM " + ".".join(preparer.quote(part) for part in bare.split("."))  # noqa: S608 - quoted
            result = connection.execute(sqlalchemy.text(bare.replace(":", r"\:") if ":" in bare else bare))
            if not result.returns_rows:
                raise SourceInputError("source.sql: the statement returns no rows", remedy="give a SELECT or a table")
            names = [str(key) for key in result.keys()]  # noqa: SIM118 - a method, not a dict
            rows = result.fetchall()
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise SourceInputError(
            f"{shown}: the database refused the query ({type(error).__name__})",
            seen=sql,
            remedy="try the query in the database's own client",
        ) from error
    finally:
        engine.dispose()
    columns = list(zip(*rows, strict=True)) if rows else [() for _ in names]
    frame = pd.concat([pd.Series(list(cells), dtype=object) for cells in columns], axis=1) if names else pd.DataFrame()
    frame.columns = pd.Index(names)
    return frame


def _given(value: str | None, key: str) -> str:
    if value is None or not str(value).strip():
        raise SourceInputError(f"source.{key}: missing", remedy=f"say where the data is: source: {{{key}: ...}}")
    return str(value)


def _bytes_of(name: str, options: Mapping[str, Any]) -> bytes:
    import fsspec  # noqa: PLC0415 - loaded when a file is read

    if "://" not in name:
        return _local_bytes(name)
    place = without_credentials(name)
    protocol = name.split("://", maxsplit=1)[0]
    try:
        system, inner = fsspec.core.url_to_fs(name, **options)
    except ImportError as error:
        raise SourceInputError(
            f"{place}: reading {protocol}:// needs a package that is not installed",
            remedy=f"pip install {_PACKAGES.get(protocol, 'the fsspec package for ' + protocol)}",
        ) from error
    except ValueError as error:
        raise SourceInputError(
            f"{place}: unknown protocol", seen=protocol, remedy="use a path, s3://, gs://, abfs:// or https://"
        ) from error
    try:
        data: bytes = system.cat_file(inner)
    except FileNotFoundError as error:
        raise SourceInputError(f"{place}: no such file", remedy="check the path") from error
    except IsADirectoryError as error:
        raise SourceInputError(f"{place}: a folder, not a file", remedy="give one file") from error
    except Exception as error:  # every store raises its own types; without the file there is nothing to go on with
        raise SourceInputError(
            f"{place}: the store did not give the file ({type(error).__name__})",
            remedy="check the address, the credentials and the network",
        ) from error
    return data


_PACKAGES = {
    "s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs", "http": "aiohttp",
    "https": "aiohttp", "hf": "huggingface_hub", "sftp": "paramiko", "ssh": "paramiko",
}  # fmt: skip


def _local_bytes(name: str) -> bytes:
    path = Path(name).expanduser()
    try:
        if path.is_dir():
            raise SourceInputError(f"{name}: a folder, not a file", remedy="give one CSV or Parquet file")
        return path.read_bytes()
    except FileNotFoundError as error:
        near = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
        raise SourceInputError(
            f"{name}: no such file{did_you_mean(path.name, near)}", remedy="check the path"
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise SourceInputError(f"{name}: cannot be read ({reason})", remedy="check the path and its rights") from error


def _unzipped(name: str, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceInputError(
            f"{name}: not a readable gzip file ({type(error).__name__})", remedy="write it anew; it may be cut off"
        ) from error


def is_picture_type(kind: Any) -> bool:
    """Return whether an Arrow type is that of encoded pictures, `{bytes, path}` as Hugging Face writes them."""
    import pyarrow as pa  # noqa: PLC0415

    if not pa.types.is_struct(kind):
        return False
    fields = {kind.field(number).name: kind.field(number).type for number in range(kind.num_fields)}
    return set(fields) == {"bytes", "path"} and (
        pa.types.is_binary(fields["bytes"]) or pa.types.is_large_binary(fields["bytes"])
    )


def _decoded(cells: pd.Series, options: ImageOptions, *, place: str) -> pd.Series:
    """Return encoded pictures decoded; a cell without bytes names a file elsewhere, which is not followed."""
    found = []
    for row, cell in enumerate(cells, start=1):
        if cell is None or cell["bytes"] is None:
            raise SourceInputError(
                f"{place}: row {row:,} holds no picture", remedy="write the pictures' bytes into the file"
            )
        found.append(decode(cell["bytes"], options, place=f"{place}, row {row:,}"))
    return pd.Series(found, dtype=object, name=cells.name)


def _read_parquet(name: str, data: bytes, images: ImageOptions) -> pd.DataFrame:
    import pyarrow as pa  # noqa: PLC0415 - with its reader
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        schema = file.schema_arrow
        _refuse_types(name, schema)
        table = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SourceInputError(
            f"{name}: not a readable Parquet file ({type(error).__name__})",
            remedy="write the file anew; it may be cut off",
        ) from error
    whole = {pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(),
             pa.int64(): pd.Int64Dtype(), pa.uint8(): pd.UInt8Dtype(), pa.uint16(): pd.UInt16Dtype(),
             pa.uint32(): pd.UInt32Dtype(), pa.uint64(): pd.UInt64Dtype(), pa.bool_(): pd.BooleanDtype()}  # fmt: skip
    columns = []
    for field_, column in zip(table.schema, table.columns, strict=True):
        plain = column
        if pa.types.is_large_string(field_.type) or pa.types.is_string_view(field_.type):
            plain = column.cast(pa.string())
        series = plain.to_pandas(types_mapper=whole.get, date_as_object=True, timestamp_as_object=False)
        if is_picture_type(field_.type):
            series = _decoded(series, images, place=f'{name}: column "{field_.name}"')
        columns.append(series.reset_index(drop=True))
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame()
    frame.columns = pd.Index(table.schema.names, dtype=object)
    return frame


def _refuse_types(name: str, schema: Any) -> None:
    import pyarrow as pa  # noqa: PLC0415

    if len(schema) > MAX_COLUMNS:
        return  # said by check_names with the remedy
    for entry in schema:
        if is_picture_type(entry.type):
            continue
        kind = entry.type.value_type if pa.types.is_dictionary(entry.type) else entry.type
        nested = pa.types.is_nested(kind) or pa.types.is_map(kind)
        if nested or pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
            raise SourceInputError(
                f'{name}: column "{entry.name}" holds {"nested" if nested else "binary"} cells',
                seen=str(kind)[:80],
                remedy="flatten it into columns of single values" if nested else "decode it into text, or drop it",
            )


def _checked(frame: pd.DataFrame, place: str) -> pd.DataFrame:
    try:
        check_names(frame)
    except SourceInputError as error:
        raise SourceInputError(f"{place}: {error.what}", seen=error.seen, remedy=error.remedy) from error
    if len(frame) == 0:
        raise SourceInputError(f"{place}: a header and no rows", remedy="give a table with rows under its header")
    return frame

"""Canonical datasets written in the types that files have, the same bytes for the same rows."""

import csv
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sources import files, moments
from sources.dataset import Dataset
from sources.errors import SourceError, SourceInputError
from sources.images import Image, png
from sources.schema import Column

Format = Literal["parquet", "csv"]
IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How Parquet files hold pictures: the layout of `Image` in Hugging Face's datasets."""


def to_storage(dataset: Dataset) -> pd.DataFrame:
    """Return the rows in the types that the source's files have (`Column.storage`).

    Whole numbers are int64, Int64 where cells are missing; other numbers float64 on their decimal lattice; texts are
    objects of str or None; truth values bool, boolean where cells are missing, or what the source used for them;
    times datetime64[us] in the column's zone; dates objects of `datetime.date`; pictures of `sources.images.Image`.

    Raises:
        SourceError: a label of a column stored as a number is no number.

    """
    data = {
        column.name: _pictures(dataset.media[column.name])
        if column.kind == "image"
        else _stored(dataset.frame[column.name], column)
        for column in dataset.schema.columns
    }
    return pd.DataFrame(data, columns=list(dataset.schema.names))


def write_table(
    frame: pd.DataFrame,
    path: Path,
    format: Format,  # noqa: A002 - the reader's word for it
    *,
    xmp: bytes = b"",
) -> None:
    """Write a frame made by `to_storage` to `path`, completely or not at all; equal frames give equal bytes.

    Args:
        frame: the rows.
        path: of the file.
        format: of the file.
        xmp: what each picture in it says of itself, see `sources.images.png`.

    """
    if format == "parquet":
        table = pa.table([_arrow(frame[name], xmp) for name in frame.columns], names=list(frame.columns))
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd", store_schema=True)
        files.write_bytes(path, sink.getvalue())
    elif format == "csv":
        pictures = [name for name in frame.columns if len(frame) and isinstance(frame[name].iloc[0], Image)]
        if pictures:
            raise SourceInputError(
                f'column "{pictures[0]}": CSV holds no pictures', remedy="choose parquet, or a folder of png"
            )
        plain = pd.DataFrame({name: _csv(frame[name]) for name in frame.columns}, columns=list(frame.columns))
        bare_return = any("\r" in name or plain[name].astype(str).str.contains("\r").any() for name in plain.columns)
        quoting: Literal[0, 1] = (
            csv.QUOTE_ALL if bare_return else csv.QUOTE_MINIMAL
        )  # which leaves a bare carriage return unquoted
        text = plain.to_csv(index=False, lineterminator="\n", quoting=quoting)
        files.write_bytes(path, text.encode("utf-8", "strict"))
    else:
        raise SourceInputError("unknown format of a table", seen=format, remedy="choose parquet or csv")


def _stored(values: pd.Series, column: Column) -> pd.Series:
    if column.kind == "numeric":
        return _numbers(values, column)
    if column.kind == "boolean":
        return _truths(values, column)
    if column.kind == "datetime":
        return _times(values, column)
    if column.kind in ("categorical", "id") and column.storage in ("int64", "float64"):
        return _coded(values, column)
    return _objects(values)


def _pictures(pixels: np.ndarray) -> pd.Series:
    return pd.Series([Image(one) for one in pixels], dtype=object)


def _objects(values: pd.Series) -> pd.Series:
    objects = values.to_numpy(dtype=object, copy=True)
    objects[values.isna().to_numpy()] = None
    return pd.Series(objects, dtype=object, name=values.name)


def _numbers(values: pd.Series, column: Column) -> pd.Series:
    numbers = values.to_numpy(dtype="float64", copy=True)
    if column.integer:
        numbers = np.rint(numbers)
    elif column.decimals is not None:
        scale = 10.0**column.decimals
        scaled = numbers * scale
        exact = np.abs(scaled) < 2.0**53
        numbers[exact] = np.rint(scaled[exact]) / scale
    numbers = numbers + 0.0  # no negative zero
    if column.storage != "int64":
        return pd.Series(numbers, name=values.name)
    return _whole(pd.Series(numbers, name=values.name))


def _whole(numbers: pd.Series) -> pd.Series:
    return numbers.astype("Int64") if numbers.isna().any() else numbers.astype("int64")


def _truths(values: pd.Series, column: Column) -> pd.Series:
    if column.truth is not None:
        no, yes = column.truth
        texts = _objects(values.map({False: no, True: yes}))
        return texts if column.storage == "string" else _coded(texts, column)
    missing = bool(values.isna().any())
    if column.storage == "int64":
        return values.astype("Int64" if missing else "int64")
    if column.storage == "float64":
        return values.astype("Float64").astype("float64")
    return values.astype("boolean" if missing else "bool")


def _times(values: pd.Series, column: Column) -> pd.Series:
    if column.storage == "timestamp":
        if column.timezone is None:
            return values
        zoned: pd.Series = values.dt.tz_localize("UTC").dt.tz_convert(_pandas_zone(column.timezone))
        return zoned
    times = [None if pd.isna(value) else value.to_pydatetime() for value in values]
    if column.storage == "date":
        return pd.Series([None if time is None else time.date() for time in times], dtype=object, name=values.name)
    texts = [None if time is None else moments.write(time, column.datetime_format, only_dates=False) for time in times]
    series = pd.Series(texts, dtype=object, name=values.name)
    return _coded(series, column) if column.storage in ("int64", "float64") else series


def _pandas_zone(name: str) -> str:
    return f"UTC{name}" if name[0] in "+-" else name


def _coded(labels: pd.Series, column: Column) -> pd.Series:
    """Return labels as the numbers that the source's files have."""
    codes, uniques = pd.factorize(labels)
    try:
        numbers = np.array([int(label) if column.storage == "int64" else float(label) for label in uniques])
        numbers = numbers.astype(column.storage)
    except (ValueError, OverflowError) as error:
        raise SourceError(f'column "{column.name}": a label is no {column.storage}') from error.with_traceback(None)
    if column.storage == "float64":
        return pd.Series(np.array([*numbers, np.nan])[codes], name=labels.name)
    if (codes < 0).any():
        table = np.array([*numbers.tolist(), pd.NA], dtype=object)
        return pd.Series(table[codes], dtype="Int64", name=labels.name)
    return pd.Series(numbers[codes], name=labels.name)


def _arrow(values: pd.Series, xmp: bytes) -> "pa.Array[Any]":
    if values.dtype != object:
        return pa.Array.from_pandas(values)
    present = values.dropna()
    if len(present) and isinstance(present.iloc[0], Image):
        digits = len(str(len(values)))
        encoded = [
            {"bytes": png(cell.pixels, xmp=xmp), "path": f"{row:0{digits}d}.png"}
            for row, cell in enumerate(values, start=1)
        ]
        return pa.array(encoded, type=IMAGE_TYPE)
    dates = len(present) > 0 and not isinstance(present.iloc[0], str)
    return pa.array(values, type=pa.date32() if dates else pa.string(), from_pandas=True)


def _csv(values: pd.Series) -> pd.Series:
    """Return the cells as the text that a CSV file shows; times in ISO 8601."""
    if not pd.api.types.is_datetime64_any_dtype(values.dtype):
        return values
    texts = [None if pd.isna(value) else value.to_pydatetime().isoformat() for value in values]
    return pd.Series(texts, dtype=object, name=values.name)

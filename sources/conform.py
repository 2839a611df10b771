"""Raw frames brought into the canonical form of their schema, and back into the types that files have.

The same column comes as int64 from one file, as float from the next and as text from a CSV: after `conform` they are
equal. A cell that does not fit is never repaired: `conform` raises, `conform_loosely` counts it and leaves it missing,
so that a judge can refuse a table for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from sources import moments
from sources.cells import EXACT_INTEGER, MOMENT, NUMBER, Cells, cells_of, labels_of, numeric_label
from sources.dataset import Dataset
from sources.errors import SourceInputError, did_you_mean
from sources.images import Image
from sources.inference import check_names
from sources.schema import Column, Schema
from sources.storage import to_storage, write_table
from sources.words import STRONG_MARKS

MismatchKind = Literal["missing_column", "extra_column", "type", "not_whole"]


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """A way in which a frame does not fit a schema.

    Args:
        column: the column's name.
        what: the column is missing or extra, or cells are of another type, or fractions among whole numbers.
        cells: how many cells (0 for missing and extra columns).
        first_row: the first such row, counted from 1 below the header, or None.
        words: the fact for a person, without any cell.

    """

    column: str
    what: MismatchKind
    cells: int = 0
    first_row: int | None = None
    words: str = ""


def conform(frame: pd.DataFrame, schema: Schema) -> Dataset:
    """Return the raw `frame` in the canonical form of `schema`.

    Raises:
        SourceInputError: columns are missing or extra, or cells do not fit; names the column, the number of cells and
            the first row, never a value.

    """
    dataset, mismatches = conform_loosely(frame, schema)
    for mismatch in mismatches:
        hint = ""
        if mismatch.what == "missing_column":
            hint = did_you_mean(mismatch.column, [str(name) for name in frame.columns if name not in schema.names])
        raise SourceInputError(mismatch.words + hint, remedy=_REMEDIES[mismatch.what])
    assert dataset is not None
    return dataset


def conform_loosely(frame: pd.DataFrame, schema: Schema) -> tuple[Dataset | None, tuple[Mismatch, ...]]:
    """Return `frame` as far as it fits `schema`, and where it does not.

    Cells of a wrong type become missing, fractions among whole numbers stay, extra columns are left out; the dataset
    is None where columns are missing. Columns that the schema drops are left out and no misfit.

    Raises:
        SourceInputError: the frame has no columns, unnamed ones, or two of one name.

    """
    check_names(frame)
    found = [
        Mismatch(column=name, what="missing_column", words=f'column "{name}" is missing')
        for name in schema.names
        if name not in frame.columns
    ]
    found += [
        Mismatch(column=name, what="extra_column", words=f'column "{name}" is not in the schema')
        for name in frame.columns
        if name not in schema.names and name not in schema.dropped
    ]
    data: dict[str, pd.Series] = {}
    media: dict[str, np.ndarray] = {}
    for column in schema.columns:
        if column.name not in frame.columns:
            continue
        values, bad = _FITS[column.kind](cells_of(frame[column.name]), column)
        if bad.any():
            found.append(_cells_mismatch(column, bad, "type", _NAMES[column.kind]))
        elif column.kind == "numeric" and column.integer:
            numbers = values.to_numpy()
            fractions = np.isfinite(numbers) & (numbers != np.rint(numbers))
            if fractions.any():
                found.append(_cells_mismatch(column, fractions, "not_whole", "whole numbers"))
        if column.kind == "image":
            media[column.name], values = _stacked(values, column)
        data[column.name] = values
    if len(data) < len(schema.columns):
        return None, tuple(found)
    return Dataset(frame=pd.DataFrame(data, columns=list(schema.names)), schema=schema, media=media), tuple(found)


def _cells_mismatch(column: Column, bad: np.ndarray, what: MismatchKind, wanted: str) -> Mismatch:
    count, first = int(bad.sum()), int(np.argmax(bad)) + 1
    return Mismatch(
        column=column.name,
        what=what,
        cells=count,
        first_row=first,
        words=f'column "{column.name}": {count:,} cells are not {wanted}, the first in row {first:,}',
    )


_NAMES = {
    "numeric": "numbers", "boolean": "truth values", "datetime": "dates in the column's form",
    "categorical": "labels", "text": "texts", "id": "identifiers", "image": "pictures of its size and depth",
}  # fmt: skip
_REMEDIES = {
    "missing_column": "give a table with the columns of the schema",
    "extra_column": "drop the column, or describe it in the schema",
    "type": "correct the cells, add their mark to missing_marks, or choose another kind for the column",
    "not_whole": "correct the cells, or set integer: false for the column",
}
Fit = tuple[pd.Series, np.ndarray]


def _fit_numeric(cells: Cells, column: Column) -> Fit:
    values = cells.series
    none = np.zeros(len(values), dtype=bool)
    if cells.physical == "float":
        infinite = np.isinf(values.to_numpy())
        return values.mask(pd.Series(infinite)) if infinite.any() else values, infinite
    if cells.physical == "int":
        huge = values.map(lambda value: value is not None and abs(value) > EXACT_INTEGER).to_numpy(dtype=bool)
        return pd.to_numeric(values.mask(pd.Series(huge), None)).astype("float64"), huge
    if cells.physical == "bool":
        return values.astype("Float64").astype("float64"), none
    if cells.physical == "empty":
        return pd.Series(np.full(len(values), np.nan), name=values.name), none
    if cells.physical != "text":
        return pd.Series(np.full(len(values), np.nan), name=values.name), values.notna().to_numpy()
    return _by_distinct(values, lambda text: _number(text, column), np.nan, "float64")


def _number(text: str, column: Column) -> float | None:
    bare = text.strip()
    if bare in STRONG_MARKS or bare in column.missing_marks:
        return np.nan
    if not NUMBER.fullmatch(bare):
        return None
    number = float(bare)
    exact = np.isfinite(number) and (abs(number) <= EXACT_INTEGER or not bare.lstrip("-").isdigit())
    return number if exact else None


def _fit_boolean(cells: Cells, column: Column) -> Fit:
    if cells.physical == "bool":
        return cells.series, np.zeros(len(cells.series), dtype=bool)
    if cells.physical in ("timestamp", "date"):
        empty = pd.Series(np.full(len(cells.series), None), dtype="boolean", name=cells.series.name)
        return empty, cells.series.notna().to_numpy()
    return _by_distinct(labels_of(cells), lambda text: _truth(text, column), None, "boolean")


def _truth(text: str, column: Column) -> object:
    bare = text.strip()
    if column.truth is not None and bare in column.truth:
        return bare == column.truth[1]
    if bare in STRONG_MARKS or bare in column.missing_marks:
        return pd.NA
    label = numeric_label(bare).lower()
    if column.truth is not None and label in column.truth:
        return label == column.truth[1]
    return {"0": False, "1": True, "false": False, "true": True}.get(label)


def _fit_datetime(cells: Cells, column: Column) -> Fit:
    values = cells.series
    if cells.physical in ("timestamp", "date"):
        return values.astype(MOMENT), np.zeros(len(values), dtype=bool)
    if cells.physical == "bool":
        return pd.Series(np.full(len(values), np.datetime64("NaT"), dtype=MOMENT)), values.notna().to_numpy(dtype=bool)
    return _by_distinct(labels_of(cells), lambda text: _moment(text, column), np.datetime64("NaT"), MOMENT)


def _moment(text: str, column: Column) -> object:
    bare = text.strip()
    if bare in STRONG_MARKS or bare in column.missing_marks:
        return np.datetime64("NaT")
    moment = moments.read(bare, column.datetime_format)
    return None if moment is None else np.datetime64(moment, "us")


def _fit_label(cells: Cells, column: Column) -> Fit:
    labels = labels_of(cells)
    numeric = column.storage in ("int64", "float64") and column.kind != "text"
    marks = {*column.missing_marks, ""}

    def label(text: str) -> object:
        if text.strip() in marks:
            return _MISSING
        return numeric_label(text) if numeric else text

    return _by_distinct(labels, label, None, "object")


def _fit_image(cells: Cells, column: Column) -> Fit:
    if cells.physical != "image":
        return cells.series, np.ones(len(cells.series), dtype=bool)
    alike = [
        cell is not None and (cell.pixels.shape, str(cell.pixels.dtype)) == (column.shape, column.storage)
        for cell in cells.series
    ]
    return cells.series, ~np.array(alike, dtype=bool)


def _stacked(values: pd.Series, column: Column) -> tuple[np.ndarray, pd.Series]:
    """Return the pictures as one array N H W C, black where one does not fit, and the index into it."""
    assert column.shape is not None
    pixels = np.zeros((len(values), *column.shape), dtype=column.storage)
    for position, cell in enumerate(values):
        if isinstance(cell, Image) and cell.pixels.shape == column.shape and cell.pixels.dtype == pixels.dtype:
            pixels[position] = cell.pixels
    return pixels, pd.Series(np.arange(len(values), dtype=np.int64), name=values.name)


_MISSING = object()


def _by_distinct(values: pd.Series, read: Callable[[str], object], missing: object, dtype: str) -> Fit:
    """Return every text read by `read` (None: does not fit), and which do not; each distinct text is read once."""
    codes, uniques = pd.factorize(values)
    table = np.empty(len(uniques) + 1, dtype=object)
    bad = np.zeros(len(uniques) + 1, dtype=bool)
    table[-1] = missing
    for position, text in enumerate(uniques):
        value = read(str(text))
        bad[position] = value is None
        table[position] = missing if value is None or value is _MISSING else value
    fitted = table[codes]
    result = fitted if dtype == "object" else fitted.astype(dtype) if dtype != "boolean" else fitted
    return pd.Series(result, dtype=dtype, name=values.name), bad[codes]


_FITS: dict[str, Callable[[Cells, Column], Fit]] = {
    "numeric": _fit_numeric,
    "boolean": _fit_boolean,
    "datetime": _fit_datetime,
    "categorical": _fit_label,
    "text": _fit_label,
    "id": _fit_label,
    "image": _fit_image,
}

__all__ = ["Mismatch", "conform", "conform_loosely", "to_storage", "write_table"]

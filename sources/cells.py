"""Raw columns brought to one physical form each, and the labels of their cells.

Readers, libraries and databases give the same column in many types (int8, Int64, object of int, decimals, float32,
categories). Inference and conforming look at `Cells` alone, so each of those types is understood in one place.
"""

import datetime as dt
import decimal
import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from sources.errors import SourceInputError
from sources.images import Image

Physical = Literal["text", "int", "float", "bool", "timestamp", "date", "image", "empty"]

EXACT_INTEGER = 2**53  # float64 holds every whole number up to here
NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
WHOLE = re.compile(r"-?(?:0|[1-9][0-9]*)", re.ASCII)
MOMENT: Literal["datetime64[us]"] = "datetime64[us]"


@dataclass(frozen=True, kw_only=True)
class Cells:
    """One column in its physical form.

    Args:
        physical: which of the forms below `series` has.
        series: text: object of str or None; int: object of Python int or None; float: float64; bool: boolean;
            timestamp, date: datetime64[us] without zone (UTC where `timezone` is set); image: object of
            `sources.images.Image` or None; empty: all missing.
        timezone: the zone that a timestamp column names.
        declared: the source itself calls the column categorical (pandas, Parquet dictionaries).
        notes: what was changed on the way, in words.

    """

    physical: Physical
    series: pd.Series
    timezone: str | None = None
    declared: bool = False
    notes: tuple[str, ...] = ()


def cells_of(series: pd.Series) -> Cells:
    """Return `series` in its physical form with a fresh RangeIndex.

    Raises:
        SourceInputError: nested or binary cells, which no kind can hold.

    """
    series = series.reset_index(drop=True)
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        inner = cells_of(series.astype(object))
        return Cells(physical=inner.physical, series=inner.series, timezone=inner.timezone, declared=True)
    if pd.api.types.is_bool_dtype(dtype) and not pd.api.types.is_object_dtype(dtype):
        return Cells(physical="bool", series=series.astype("boolean"))
    if pd.api.types.is_integer_dtype(dtype):
        return Cells(physical="int", series=_integers(series))
    if pd.api.types.is_float_dtype(dtype):
        return Cells(physical="float", series=_floats(series))
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _moments(series)
    if pd.api.types.is_timedelta64_dtype(dtype):
        seconds = series.dt.total_seconds().astype("float64")
        return Cells(physical="float", series=seconds, notes=("durations are held as seconds",))
    if pd.api.types.is_complex_dtype(dtype):
        raise _unusable(series, "complex numbers", "split the column into two real ones")
    if isinstance(dtype, pd.PeriodDtype):
        return Cells(physical="text", series=_texts(series.astype(object)))
    return _objects(series.astype(object))


def labels_of(cells: Cells) -> pd.Series:
    """Return the cells as labels, object of str or None: `1`, `1.0` and `"1"` of numbers all become `1`."""
    if cells.physical == "text":
        return cells.series
    codes, uniques = pd.factorize(cells.series)
    table = np.empty(len(uniques) + 1, dtype=object)  # the last entry serves the code -1
    for position, value in enumerate(uniques):
        table[position] = label_of(value)
    return pd.Series(table[codes], dtype=object, name=cells.series.name)


def label_of(value: Any) -> str:
    """Return the label of one number, truth value or moment.

    >>> label_of(1.0), label_of(17.5), label_of(True)
    ('1', '17.5', 'True')
    """
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return str(int(number)) if number.is_integer() and abs(number) < 1e16 else repr(number)  # noqa: PLR2004
    if isinstance(value, (pd.Timestamp, dt.datetime, np.datetime64)):
        return pd.Timestamp(value).isoformat()
    return str(value)


def numeric_label(text: str) -> str:
    """Return the label of the number written in `text`, or `text` itself where it is none.

    >>> numeric_label("1.0"), numeric_label(" 2 "), numeric_label("A"), numeric_label("9007199254740993")
    ('1', '2', 'A', '9007199254740993')
    """
    bare = text.strip()
    if WHOLE.fullmatch(bare):
        return str(int(bare))
    return label_of(float(bare)) if NUMBER.fullmatch(bare) else text


def _unusable(series: pd.Series, what: str, remedy: str) -> SourceInputError:
    return SourceInputError(f'column "{series.name}": holds {what}', remedy=remedy)


def _integers(series: pd.Series) -> pd.Series:
    missing = series.isna().to_numpy()
    values = series.astype(object).to_numpy(copy=True)
    values[missing] = None
    if not missing.all():
        values[~missing] = np.array([int(value) for value in values[~missing]], dtype=object)
    return pd.Series(values, dtype=object, name=series.name)


def _floats(series: pd.Series) -> pd.Series:
    values = series.to_numpy(dtype="float64", na_value=np.nan)
    dtype = str(series.dtype).lower()
    if not dtype.startswith(("float64", "double")):  # a shorter float means its shortest decimal: 0.1, not 0.100000001
        short = np.float16 if dtype.startswith(("float16", "halffloat")) else np.float32
        codes, uniques = pd.factorize(values)
        decimals = np.array([*(float(str(short(value))) for value in uniques), np.nan])
        values = decimals[codes]
    return pd.Series(values, name=series.name)


def _moments(series: pd.Series) -> Cells:
    timezone = None
    if isinstance(series.dtype, pd.ArrowDtype):
        series = pd.Series(pd.to_datetime(series.astype(object)), name=series.name)
    zone = getattr(series.dtype, "tz", None)
    if zone is not None:
        timezone = zone_name(zone)
        series = series.dt.tz_convert("UTC").dt.tz_localize(None)
    values = series.astype(MOMENT)
    notes: tuple[str, ...] = ()
    if series.dtype == "datetime64[ns]" and not series.equals(values.astype("datetime64[ns]")):
        notes = ("times are held to the microsecond; finer digits are cut off",)
    return Cells(physical="timestamp", series=values, timezone=timezone, notes=notes)


def zone_name(zone: dt.tzinfo | str) -> str:
    """Return the name by which pandas and Parquet know `zone` (`UTC`, `Europe/Prague`, `+02:00`)."""
    name = str(zone)
    fixed = re.fullmatch(r"(?:UTC|GMT|pytz\.FixedOffset)?\(?([+-]\d{2}:\d{2})\)?", name)
    if fixed:
        return "UTC" if fixed[1] in ("+00:00", "-00:00") else fixed[1]
    if name in ("UTC", "Etc/UTC", "tzutc()", "GMT", "Z"):
        return "UTC"
    offset = None if isinstance(zone, str) else zone.utcoffset(None)
    if offset is not None and getattr(zone, "key", None) is None:
        minutes = round(offset.total_seconds() / 60)
        return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    return name


def _objects(series: pd.Series) -> Cells:
    """Return the physical form of a column of Python objects, by the types that occur."""
    missing = series.isna().to_numpy()
    present = series.to_numpy()[~missing]
    types = {type(value) for value in present}
    if not types:
        return Cells(physical="empty", series=pd.Series(np.full(len(series), None), dtype=object, name=series.name))
    if types == {Image}:
        return Cells(physical="image", series=_or_none(series, missing))
    if any(issubclass(kind, (list, dict, tuple, set, frozenset, np.ndarray)) for kind in types):
        raise _unusable(series, "nested cells (lists, maps)", "flatten it into columns of single values, or drop it")
    if any(issubclass(kind, (bytes, bytearray, memoryview)) for kind in types):
        raise _unusable(series, "binary cells", "decode it into text, or drop it")
    if all(issubclass(kind, (bool, np.bool_)) for kind in types):
        return Cells(physical="bool", series=series.astype("boolean"))
    if all(issubclass(kind, (int, np.integer)) and not issubclass(kind, bool) for kind in types):
        return Cells(physical="int", series=_integers(series))
    if all(issubclass(kind, (int, float, np.number, decimal.Decimal)) and kind is not bool for kind in types):
        return _mixed_numbers(series, missing)
    if all(issubclass(kind, dt.date) for kind in types):
        return _python_moments(series, missing, types)
    if all(issubclass(kind, (dt.timedelta, np.timedelta64)) for kind in types):
        return cells_of(pd.Series(pd.to_timedelta(series), name=series.name))
    return Cells(physical="text", series=_texts(series))


def _or_none(series: pd.Series, missing: np.ndarray) -> pd.Series:
    values = series.to_numpy(copy=True)
    values[missing] = None
    return pd.Series(values, dtype=object, name=series.name)


def _mixed_numbers(series: pd.Series, missing: np.ndarray) -> Cells:
    """Return whole numbers exactly where all are whole, else float64."""
    present = series.to_numpy()[~missing]
    finite = all(value == value and abs(value) != float("inf") for value in present)  # noqa: PLR0124 - NaN test
    if finite and any(type(value) is not float for value in present) and all(value == int(value) for value in present):
        return Cells(physical="int", series=_integers(series))
    values = np.full(len(series), np.nan)
    values[~missing] = [float(value) for value in present]
    return Cells(physical="float", series=pd.Series(values, name=series.name))


def _python_moments(series: pd.Series, missing: np.ndarray, types: set[type]) -> Cells:
    present = series.to_numpy()[~missing]
    zones = {value.tzinfo for value in present if isinstance(value, dt.datetime)}
    if None in zones and len(zones) > 1:
        raise _unusable(series, "times with and without a zone", "give all of them a zone, or none")
    values = np.full(len(series), np.datetime64("NaT"), dtype=MOMENT)
    zoned = bool(zones - {None})
    plain = [value.astimezone(dt.UTC).replace(tzinfo=None) if zoned else value for value in present]
    values[~missing] = np.array(plain, dtype=MOMENT)
    names = {zone_name(zone) for zone in zones if zone is not None}
    timezone = None if not zoned else next(iter(names)) if len(names) == 1 else "UTC"
    only_dates = all(not issubclass(kind, dt.datetime) for kind in types)
    return Cells(
        physical="date" if only_dates else "timestamp",
        series=pd.Series(values, name=series.name),
        timezone=timezone,
    )


def _texts(series: pd.Series) -> pd.Series:
    missing = series.isna().to_numpy()
    values = series.to_numpy(copy=True)
    values[missing] = None
    for position in np.flatnonzero(~missing):
        value = values[position]
        if type(value) is not str:
            values[position] = str(value) if isinstance(value, str) else label_of(value)
    return pd.Series(values, dtype=object, name=series.name)

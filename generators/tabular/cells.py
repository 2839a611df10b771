"""Cells of numbers and moments as float64 and back, and the grid on which they lie."""

import numpy as np
import pandas as pd

from generators.tabular.numeric import LEAF_ROWS, Lattice
from sources.schema import Column

UNITS_US = (86_400_000_000, 3_600_000_000, 60_000_000, 1_000_000, 1_000)  # day, hour, minute, second, millisecond
EXACT_INTEGER = 2**53  # beyond it float64 has no neighbouring whole numbers


def numbers_of(column: Column, cells: pd.Series) -> np.ndarray:
    """Return numbers, float64 N, NaN where missing; moments as microseconds since 1970."""
    if column.kind == "numeric":
        return cells.to_numpy(dtype=np.float64)
    numbers = cells.to_numpy(dtype="datetime64[us]").astype(np.int64).astype(np.float64)
    numbers[cells.isna().to_numpy()] = np.nan
    return numbers


def cells_of(column: Column, numbers: np.ndarray) -> pd.Series:
    """Return the canonical cells of what `numbers_of` returned."""
    if column.kind == "numeric":
        return pd.Series(numbers, dtype="float64")
    absent = np.isnan(numbers)
    moments = np.where(absent, 0, numbers).astype(np.int64).view("datetime64[us]")
    moments[absent] = np.datetime64("NaT")
    return pd.Series(moments)


def lattice_of(column: Column, numbers: np.ndarray) -> Lattice:
    """Return the coarsest grid that holds all `numbers` (float64 N) and that enough of them show."""
    present = numbers[~np.isnan(numbers)]
    if column.kind == "numeric":
        decimals = 0 if column.integer else column.decimals
        if decimals is None:
            return Lattice()
        counts = np.round(present * 10.0**decimals)  # an amount in whole thousands stays one
        shared = np.count_nonzero(counts) >= LEAF_ROWS  # the divisor of a few rows would be what they hold
        exact = np.abs(counts).max(initial=0) < EXACT_INTEGER
        divisor = int(np.gcd.reduce(counts.astype(np.int64))) if shared and exact else 1
        return Lattice(step=max(divisor, 1) / 10.0**decimals, decimals=decimals)
    unit = next((unit for unit in UNITS_US if (present % unit == 0).all()), 1)
    return Lattice(step=float(unit), decimals=0)

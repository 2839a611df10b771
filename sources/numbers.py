"""Columns of numbers: whether they count, name, mark or tell true from false; and their decimal lattice."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sources.cells import EXACT_INTEGER
from sources.schema import Kind
from sources.words import FEW, SHARED, id_name

FINEST_LATTICE = 9  # decimals; random reals have 15 to 17
MOST_CODES = 60
FEW_ROWS = 20  # fewer rows do not tell an id from a measure, or a code from a count
CODE_NAME = re.compile(
    r"(?:^|[\W_])(?:code|codes|type|class|category|cat|group|status|region|zone|district|state|country|nationality|"
    r"occupation|occup|religion|religious|relig|race|ethnicity|ethnic|sex|gender|marital|marriage|zip|zipcode|postcode|"
    r"postal|department|dept|branch|channel|season|weathersit|label|cluster|segment|flag)(?:$|[\W_\d])",
    re.IGNORECASE,
)
SCALE_NAME = re.compile(r"(?:^|[\W_])(?:rate|rating|score|count|number|num|level|age|years?)(?:$|[\W_])", re.IGNORECASE)
_SENTINELS = frozenset({-99, -98, -9, -8, -7, -1, 7, 8, 9, 77, 88, 96, 97, 98, 99, 996, 997, 998, 999, 9999})


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What the distinct numbers of a column have in common.

    Args:
        whole: all are whole.
        exact: float64 holds each of them.
        decimals: the coarsest lattice of 10**-decimals that holds all, or None.

    """

    whole: bool
    exact: bool
    decimals: int | None


def shape_of(values: Sequence[Any]) -> Shape:
    """Return the shape of the distinct finite numbers `values` (Python ints or floats)."""
    if all(isinstance(value, int) for value in values):
        return Shape(whole=True, exact=all(abs(value) <= EXACT_INTEGER for value in values), decimals=0)
    array = np.asarray(values, dtype="float64")
    if bool(np.all(array == np.rint(array))):
        return Shape(whole=True, exact=True, decimals=0)
    return Shape(whole=False, exact=True, decimals=lattice(array))


def lattice(values: np.ndarray) -> int | None:
    """Return the fewest decimals (1 to 9) that write every one of the float64 `values` exactly, or None."""
    largest = float(np.max(np.abs(values), initial=0.0))
    for decimals in range(FINEST_LATTICE + 1):
        scale = 10.0**decimals
        if largest * scale >= EXACT_INTEGER:
            return None
        if bool(np.all(np.rint(values * scale) / scale == values)):
            return decimals
    return None


def fits_int64(values: Sequence[int]) -> bool:
    """Return whether all whole numbers fit into 64 signed bits."""
    return all(-(2**63) <= value < 2**63 for value in values)


def kind_of_numbers(name: str, values: Sequence[Any], num_rows: int, *, declared: bool) -> tuple[Kind, str]:
    """Return the kind of a column of numbers and the reason.

    Args:
        name: the column's name.
        values: the distinct numbers.
        num_rows: cells that are not missing.
        declared: the source itself calls the column categorical.

    """
    count = len(values)
    if declared:
        return "categorical", f"the source calls it categorical; {count} labels"
    shape = shape_of(values)
    if not shape.exact:
        if count <= FEW and num_rows >= SHARED * count:
            return "categorical", f"{count} codes too large for exact numbers"
        return "id", "whole numbers too large for exact arithmetic"
    if not shape.whole:
        on = "" if shape.decimals is None else f" with {shape.decimals} decimals"
        return "numeric", f"{count} different numbers{on}"
    if set(values) == {0, 1}:
        return "boolean", "0 and 1 alone"
    low, high = int(min(values)), int(max(values))
    if id_name(name) and count > max(FEW, num_rows / 20) and count > 1:
        return "id", "its name and its many different values say so"
    if count == num_rows and num_rows >= 100 and high - low + 1 == num_rows:  # noqa: PLR2004 - chance is out of question
        return "id", "it counts the rows"
    shared = num_rows >= SHARED * count and num_rows >= FEW_ROWS
    if count == 2 and shared:  # noqa: PLR2004 - a pair of codes
        return "categorical", "two whole numbers alone"
    if shared and count > 1 and count <= MOST_CODES and CODE_NAME.search(name) and not SCALE_NAME.search(name):
        return "categorical", f"{count} whole numbers, and its name speaks of codes"
    if shared and _sentinel(sorted(int(value) for value in values)):
        return "categorical", f"{count} whole numbers of which one stands apart as codes for `unknown` do"
    return "numeric", f"{count} different whole numbers"


def _sentinel(values: list[int]) -> bool:
    """Return whether 3 to 12 values run 0, 1, 2, ... or 1, 2, 3, ... and then leap to a usual code for `unknown`."""
    if not 3 <= len(values) <= 12:  # noqa: PLR2004 - a scale has so many steps
        return False
    for apart, run in ((values[-1], values[:-1]), (values[0], values[1:])):
        consecutive = run[-1] - run[0] + 1 == len(run) and run[0] in (0, 1)
        if consecutive and apart in _SENTINELS and (apart > run[-1] + 1 or apart < run[0] - 1):
            return True
    return False

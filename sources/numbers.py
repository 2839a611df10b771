"""Columns of numbers: whether they count, name, mark or tell true from false; and their decimal lattice."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sources.cells import EXACT_INTEGER
from sources.schema import Kind
from sources.words import FEW, SHARED, counted, id_name

FINEST_LATTICE = 9  # decimals; random reals have 15 to 17
MOST_CODES = 1000
MOST_KEYS = 100  # a key with fewer values, each shared by rows, is as good as a category
FEW_ROWS = 20  # fewer rows do not tell an id from a measure, or a code from a count
_CODE_WORDS = frozenset({
    "code", "codes", "type", "class", "category", "categories", "cat", "group", "status", "region", "zone", "district",
    "state", "county", "country", "nationality", "occupation", "occup", "religion", "religious", "relig", "race", "sex",
    "ethnicity", "ethnic", "gender", "marital", "marriage", "zip", "zipcode", "postcode", "postal", "department",
    "dept", "branch", "channel", "season", "weathersit", "label", "cluster", "segment", "flag", "browser", "systems",
    "rac1p", "hisp", "mar", "cow", "relp", "pobp", "occp", "indp",
})  # fmt: skip
_SCALE_WORDS = frozenset({
    "rate", "rating", "score", "count", "number", "num", "level", "age", "ages", "year", "years", "size", "population",
    "amount", "sum", "total", "share", "length",
})  # fmt: skip
_WORD = re.compile(r"[A-Z]+(?![a-z])[0-9A-Z]*|[A-Z]?[a-z0-9]+")
_WIDE_SENTINELS = frozenset({-999, -99, -98, -9, -8, -7, 77, 88, 96, 97, 98, 99, 996, 997, 998, 999, 9999})
_NARROW_SENTINELS = frozenset({7, 8, 9})  # on a scale that begins with 1; from 0 on they may be counts


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
        return "categorical", f"the source calls it categorical; {counted(count, 'label')}"
    shape = shape_of(values)
    if not shape.exact:
        if count <= FEW and num_rows >= SHARED * count:
            return "categorical", f"{count} codes too large for exact numbers"
        return "id", "whole numbers too large for exact arithmetic"
    if not shape.whole:
        on = "" if shape.decimals is None else f" with {counted(shape.decimals, 'decimal')}"
        return "numeric", f"{counted(count, 'different number')}{on}"
    if set(values) == {0, 1}:
        return "boolean", "0 and 1 alone"
    low, high = int(min(values)), int(max(values))
    shared = num_rows >= SHARED * count and num_rows >= FEW_ROWS
    if id_name(name) and count > 1 and (count > MOST_KEYS or not shared):
        return "id", "its name and its many different values say so"
    if id_name(name) and shared:
        return "categorical", f"{count} whole numbers, and its name says that they stand for things"
    if count == num_rows and num_rows >= 100 and high - low + 1 == num_rows:  # noqa: PLR2004 - chance is out of question
        return "id", "it counts the rows"
    if count == 2 and shared:  # noqa: PLR2004 - a pair of codes
        return "categorical", "two whole numbers alone"
    if shared and 1 < count <= MOST_CODES and _names_codes(name):
        return "categorical", f"{count} whole numbers, and its name speaks of codes"
    if shared and _sentinel(sorted(int(value) for value in values)):
        return "categorical", f"{count} whole numbers of which one stands apart as codes for `unknown` do"
    return "numeric", counted(count, "different whole number")


def _names_codes(name: str) -> bool:
    """Return whether a word of the name (`TrafficType`, `zip_code`) speaks of codes, and none of a scale."""
    spoken = {word.lower() for word in _WORD.findall(name)} | {part.lower() for part in re.split(r"[\W_]+", name)}
    return bool(spoken & _CODE_WORDS) and not spoken & _SCALE_WORDS


def _sentinel(values: list[int]) -> bool:
    """Return whether 3 to 12 values run 0, 1, 2, ... or 1, 2, 3, ... and then leap to a usual code for `unknown`."""
    if not 3 <= len(values) <= 12:  # noqa: PLR2004 - a scale has so many steps
        return False
    for apart, run in ((values[-1], values[:-1]), (values[0], values[1:])):
        consecutive = run[-1] - run[0] + 1 == len(run) and run[0] in (0, 1)
        usual = apart in _WIDE_SENTINELS or (apart in _NARROW_SENTINELS and run[0] == 1 and len(run) > 1)
        if consecutive and usual and (apart > run[-1] + 1 or apart < run[0] - 1):
            return True
    return False

"""Columns of text that are neither numbers nor dates: marks for missing cells, codes, categories, ids, prose."""

import re
from collections.abc import Callable, Collection

from sources.schema import Kind

STRONG_MARKS = frozenset(
    {"", "?", "NA", "N/A", "n/a", "na", "#N/A", "NaN", "nan", "NAN", "<NA>", "null", "NULL", "NaT"}
)
"""Texts that stand for a missing cell wherever they occur (but see `marks_of` for `NA` among country codes)."""

WEAK_MARKS = frozenset(
    {"-", "--", "---", ".", "..", "none", "None", "NONE", "nil", "missing", "Missing", "unknown", "Unknown", "UNKNOWN",
     "Null", "(null)", "\\N", "#NULL!", "n.a.", "N", "x", "*"}
)  # fmt: skip
"""Texts that stand for a missing cell only where everything else in the column is a number or a date."""

MOST_LABELS = 2000
FEW = 50  # so many labels are categories even where each is held by few rows
SHARED = 5  # rows that a label of a large vocabulary must have on average
LONGEST_LABEL = 120
_ID_NAME = re.compile(r"(?:^|[\s_.-])(?:ids?|uuid|guid|key|nbr|ssn|iban|imei|vin|identifier)$", re.IGNORECASE)
_CAMEL = re.compile(r"(?<=[a-z])(?:ID|Id|Nbr|Key)$")
_ALPHA2 = re.compile(r"[A-Z]{2}")
_SHAPE = (re.compile(r"[A-Z]+"), re.compile(r"[a-z]+"), re.compile(r"[0-9]+"))
_TOKEN = re.compile(r"\S{1,64}")


def id_name(name: str) -> bool:
    """Return whether a column's name says that it holds identifiers."""
    return _ID_NAME.search(name) is not None or _CAMEL.search(name) is not None


def marks_of(distinct: Collection[str], reads: Callable[[list[str]], bool]) -> tuple[str, ...]:
    """Return the marks for missing cells among the `distinct` texts of a column, sorted, without the blank one.

    Args:
        distinct: every text that occurs.
        reads: whether all of the given texts are numbers, or all are dates.

    """
    strong = {text for text in distinct if text.strip() in STRONG_MARKS}
    weak = {text for text in distinct if text.strip() in WEAK_MARKS}
    rest = [text for text in distinct if text not in strong]
    bare = [text for text in rest if text not in weak]
    if weak and bare and not reads(rest) and reads(bare):
        return _stripped(strong | weak)
    codes = [text for text in rest if _ALPHA2.fullmatch(text)]
    if "NA" in strong and len(codes) >= 10 and len(codes) == len(rest):  # noqa: PLR2004 - Namibia among the countries
        strong = strong - {"NA"}
    return _stripped(strong)


def kind_of_words(name: str, distinct: Collection[str], num_rows: int, *, declared: bool) -> tuple[Kind, str]:
    """Return the kind of a column of words and the reason.

    Args:
        name: the column's name.
        distinct: the different texts, without marks.
        num_rows: cells that are not missing.
        declared: the source itself calls the column categorical.

    """
    count = len(distinct)
    if declared:
        return "categorical", f"the source calls it categorical; {count} labels"
    unique = count == num_rows
    tokens = all(_TOKEN.fullmatch(text) for text in distinct)
    if id_name(name) and tokens and count > max(FEW, num_rows / 20):
        return "id", "its name and its many different values say so"
    if unique and num_rows >= 20 and tokens and _formatted(distinct):  # noqa: PLR2004 - fewer prove nothing
        return "id", "every value differs and has the form of an identifier"
    if count <= 5 or (count <= FEW and num_rows >= 2 * count):  # noqa: PLR2004 - so few are categories
        return "categorical", f"{count} labels in {num_rows} rows"
    short = max(len(text) for text in distinct) <= LONGEST_LABEL
    if short and count <= MOST_LABELS and num_rows >= SHARED * count:
        return "categorical", f"{count} labels in {num_rows} rows"
    if tokens and count > num_rows / 2 and _formatted(distinct):
        return "id", "most values differ and have the form of an identifier"
    return "text", f"{count} different texts in {num_rows} rows"


def _formatted(distinct: Collection[str]) -> bool:
    """Return whether nine in ten texts hold digits and the texts have few shapes (`A-0001` has the shape `A-9`)."""
    shapes: dict[str, int] = {}
    digits = 0
    for text in distinct:
        digits += any(letter.isdigit() for letter in text)
        shape = text
        for pattern, letter in zip(_SHAPE, "Aa9", strict=True):
            shape = pattern.sub(letter, shape)
        shapes[shape] = shapes.get(shape, 0) + 1
    hexadecimal = all(re.fullmatch(r"[0-9a-fA-F-]{8,}", text) for text in distinct)
    common = sum(sorted(shapes.values())[-5:])
    return digits >= 0.9 * len(distinct) and (hexadecimal or common >= 0.9 * len(distinct))


def _stripped(marks: set[str]) -> tuple[str, ...]:
    return tuple(sorted({mark.strip() for mark in marks} - {""}))  # blank cells are missing without saying so

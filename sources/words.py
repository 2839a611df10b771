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
_AMOUNT = re.compile(
    r"[+-]?\s?[$€£¥]?\s?[+-]?(?:[0-9]{1,3}(?:[,.' \u00a0\u202f\u2019][0-9]{3})+|[0-9]+)(?:[.,][0-9]+)?\s?[%‰$€£¥]?"
)
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?:\s?[AaPp][Mm])?")
_SIGNS = re.compile(r"[$€£¥%‰:.,]")


def counted(count: int, noun: str) -> str:
    """Return the count and the noun in its number.

    >>> counted(1, "label"), counted(2, "label")
    ('1 label', '2 labels')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


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


def quantities(distinct: Collection[str]) -> bool:
    """Return whether the texts are amounts or times of day (`$1,200.50`, `12 %`, `1,5`, `08:30`), which no id is."""
    bare = [text.strip() for text in distinct]
    if not all(_AMOUNT.fullmatch(text) or _CLOCK.fullmatch(text) for text in bare):
        return False
    return 2 * sum(_SIGNS.search(text) is not None for text in bare) >= len(bare) > 0


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
        return "categorical", f"the source calls it categorical; {counted(count, 'label')}"
    unique = count == num_rows
    tokens = all(_TOKEN.fullmatch(text) for text in distinct) and not quantities(distinct)
    if id_name(name) and tokens and count > max(FEW, num_rows / 20):
        return "id", "its name and its many different values say so"
    if unique and num_rows >= 20 and tokens and _formatted(distinct):  # noqa: PLR2004 - fewer prove nothing
        return "id", "every value differs and has the form of an identifier"
    if count <= 5 or (count <= FEW and num_rows >= 2 * count):  # noqa: PLR2004 - so few are categories
        return "categorical", f"{counted(count, 'label')} in {counted(num_rows, 'row')}"
    short = max(len(text) for text in distinct) <= LONGEST_LABEL
    if short and count <= MOST_LABELS and num_rows >= SHARED * count:
        return "categorical", f"{counted(count, 'label')} in {counted(num_rows, 'row')}"
    if tokens and count > num_rows / 2 and _formatted(distinct):
        return "id", "most values differ and have the form of an identifier"
    return "text", f"{counted(count, 'different text')} in {counted(num_rows, 'row')}"


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

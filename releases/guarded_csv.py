"""CSV that no spreadsheet runs: text that it would take for a formula has one apostrophe in front.

Spreadsheets run a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break (OWASP, "CSV Injection"), also in
the full-width forms that some turn into these and after spaces that some take off. Such texts, and texts that begin
with an apostrophe themselves, get an apostrophe in front; column names likewise. Taking one apostrophe off every text
that begins with one gives the data back, exactly. A text that is a plain number (`-5`) is left alone, for a
spreadsheet reads it as that number; columns of numbers, truth values and times are never touched, and neither is the
Parquet file.
"""

import re

import pandas as pd

MARK = "'"
STARTS = "=+-@\t\r\n＝＋－＠"
BACK_PATTERN = r"^'?([\s\S]*)$"
"""A regular expression whose first group is the text as it was."""
_GUARDED = re.compile(rf"{MARK}|\s*[{re.escape(STARTS)}]")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", re.ASCII)


def guarded(text: str) -> str:
    """Return `text` as it stands in the CSV file.

    >>> guarded("=HYPERLINK(1)"), guarded("-5"), guarded("'tis"), guarded("plain")
    ("'=HYPERLINK(1)", '-5', "''tis", 'plain')
    """
    return MARK + text if _GUARDED.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(text: str) -> str:
    """Return the text that `guarded` was given.

    >>> unguarded(guarded("@SUM(A1)"))
    '@SUM(A1)'
    """
    return text[1:] if text.startswith(MARK) else text


def guarded_table(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return a frame with guarded names and texts, and the names of the columns in which a cell was guarded.

    Args:
        frame: as `sources.storage.to_storage` makes it.

    """
    columns: dict[str, pd.Series] = {}
    touched = []
    for name in map(str, frame.columns):
        cells = frame[name]
        if cells.dtype == object:
            new = cells.map(lambda cell: guarded(cell) if isinstance(cell, str) else cell)
            if any(isinstance(one, str) and one != other for one, other in zip(cells, new, strict=True)):
                touched.append(name)
                cells = pd.Series(new.to_numpy(dtype=object), dtype=object)
        columns[guarded(name)] = cells
    return pd.DataFrame(columns, columns=list(columns)), tuple(touched)

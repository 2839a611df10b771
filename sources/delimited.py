"""CSV and TSV files read without loss: every cell stays the text that it is, but for decimal commas."""

import csv
import io
from typing import Literal

import pandas as pd
import pyarrow as pa
import pyarrow.csv

from sources.decimal_comma import with_points
from sources.errors import SourceInputError
from sources.inference import MAX_COLUMNS

DELIMITERS = (",", ";", "\t", "|")
_SNIFFED_BYTES = 65_536
_SNIFFED_ROWS = 50
_LONGEST_CELL = 16 * 2**20


def parse(data: bytes, *, name: str, tabs: bool = False) -> pd.DataFrame:
    """Return the table in `data` with every cell as text, decimal commas as points.

    Args:
        data: the file, UTF-8 with or without byte order mark.
        name: what to call the file in messages.
        tabs: the file's name says that tabs separate its cells.

    Raises:
        SourceInputError: other encodings, binary content, rows of unequal length, a header that is no header.

    """
    text = _decoded(data, name)
    body = text.encode()
    sample = body[:_SNIFFED_BYTES].decode("utf-8", "ignore")
    delimiter = "\t" if tabs else _delimiter(sample)
    header = _header(sample if len(body) > _SNIFFED_BYTES else text, delimiter, name)
    spaced = delimiter == "," and _spaced(sample)
    if len(header) == 1:
        body = body.rstrip(b"\r\n")  # blank lines at the end are no rows; between rows they are missing cells
    table = _table(body, delimiter, len(header), name).slice(1)
    if delimiter != ",":
        table = with_points(table)
    names = [cell.strip() for cell in header]
    frame: pd.DataFrame = pd.concat([column.to_pandas().astype(object) for column in table.columns], axis=1)
    if spaced:
        frame = frame.apply(lambda column: column.str.removeprefix(" "))
    frame.columns = pd.Index(names, dtype=object)
    return frame


def _decoded(data: bytes, name: str) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceInputError(f"{name}: written in UTF-16", remedy="save the file as UTF-8")
    if b"\0" in data:
        raise SourceInputError(f"{name}: binary content, not text", remedy="give a CSV, TSV or Parquet file")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceInputError(
            f"{name}: not UTF-8, the first wrong byte is in line {line:,}",
            remedy="save the file as UTF-8 (it may be Latin-1 or Windows-1252)",
        ) from error
    if not text.strip():
        raise SourceInputError(f"{name}: the file is empty", remedy="give a table with a header and rows")
    return text


def _delimiter(sample: str) -> str:
    """Return the delimiter that cuts the first rows into the most cells, the same number in each."""
    best, cells = ",", 1
    for candidate in DELIMITERS:
        rows = _rows(sample, candidate)
        widths = [len(row) for row in rows]
        agree = widths.count(widths[0]) if widths else 0
        if widths and widths[0] > cells and agree >= 0.8 * len(widths):
            best, cells = candidate, widths[0]
    return best


def _rows(sample: str, delimiter: str) -> list[list[str]]:
    rows = []
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) > _SNIFFED_ROWS:
                break
        else:
            rows = rows[:-1] if len(rows) > 2 and len(sample) >= _SNIFFED_BYTES // 4 else rows  # noqa: PLR2004 - cut off
    except csv.Error:
        return rows
    return rows


def _header(text: str, delimiter: str, name: str) -> list[str]:
    try:
        header = next(row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
    except (StopIteration, csv.Error) as error:
        raise SourceInputError(f"{name}: its header cannot be read", remedy="give a CSV file with a header") from error
    if len(header) > MAX_COLUMNS:
        raise SourceInputError(
            f"{name}: the table has too many columns",
            seen=f"{len(header):,} (at most {MAX_COLUMNS:,})",
            remedy="choose the columns that are needed, or turn repeated ones into rows",
        )
    return header


def _spaced(sample: str) -> bool:
    """Return whether a blank follows every comma, as in `39, State-gov, 77516`."""
    rows = _rows(sample, ",")[1:]
    cells = [cell for row in rows for cell in row[1:]]
    return bool(cells) and all(cell.startswith(" ") for cell in cells)


def _table(body: bytes, delimiter: str, width: int, name: str) -> pa.Table:
    bad: list[tuple[int | None, int, int]] = []

    def ragged(row: pa.csv.InvalidRow) -> Literal["skip", "error"]:
        bad.append((row.number, row.expected_columns, row.actual_columns))
        return "error"

    names = [str(position) for position in range(width)]
    try:
        return pa.csv.read_csv(
            io.BytesIO(body),
            read_options=pa.csv.ReadOptions(
                column_names=names, use_threads=False, block_size=max(1 << 20, min(len(body) + 1, _LONGEST_CELL))
            ),
            parse_options=pa.csv.ParseOptions(
                delimiter=delimiter, newlines_in_values=True, invalid_row_handler=ragged, ignore_empty_lines=width > 1
            ),
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )
    except pa.ArrowInvalid as error:
        if bad:
            number, expected, actual = bad[0]
            where = "a row" if number is None else f"row {number - 1:,}"
            raise SourceInputError(
                f"{name}: {where} has {actual} cells, the header {expected}",
                remedy="quote cells that hold the delimiter, close open quotes, or complete the row",
            ) from None
        raise SourceInputError(
            f"{name}: not readable as CSV; a quote may be left open", remedy="check the quotes"
        ) from error.with_traceback(None)

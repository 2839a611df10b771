"""Files in which numbers have decimal commas (`1.234,5`), as spreadsheets write them in much of Europe.

The whole file decides: where a column holds numbers that no other reading explains, a comma is a decimal sign
everywhere in the file, and columns of such numbers are rewritten with points.
"""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sources.words import STRONG_MARKS, WEAK_MARKS

_NUMBER = r"^\s*-?(?:[0-9]+|[0-9]{1,3}(?:\.[0-9]{3})+)(?:,[0-9]+)?\s*$"
_SURE = r"^\s*-?(?:[0-9]+,(?:[0-9]{1,2}|[0-9]{4,})|(?:0|[0-9]{4,}|[0-9]{1,3}(?:\.[0-9]{3})+),[0-9]+)\s*$"
_MARKS = pa.array(sorted(STRONG_MARKS | WEAK_MARKS), type=pa.string())


def with_points(table: pa.Table) -> pa.Table:
    """Return the `table` of texts with decimal points for decimal commas, or as it is where it has none.

    `1,234` alone may be a thousand and more; it is read as a decimal only beside numbers that are (`0,5`, `12,50`).
    Marks for missing cells are left as they are.
    """
    columns = [position for position in range(table.num_columns) if _has_commas(table.column(position))]
    if not any(_any(pc.match_substring_regex(table.column(position), _SURE)) for position in columns):
        return table
    for position in columns:
        cells = table.column(position)
        bare = pc.replace_substring(cells, pattern=".", replacement="")
        points = pc.replace_substring(bare, pattern=",", replacement=".")
        rewritten = pc.if_else(pc.match_substring_regex(cells, _NUMBER), points, cells)
        table = table.set_column(position, table.field(position), rewritten)
    return table


def _has_commas(cells: Any) -> bool:
    """Return whether all cells (chunked texts) that are not marks are numbers, some of them with a comma."""
    numbers = pc.match_substring_regex(cells, _NUMBER)
    if not _any(pc.and_(numbers, pc.match_substring(cells, ","))):
        return False
    marks = pc.is_in(pc.utf8_trim_whitespace(cells), value_set=_MARKS)
    return not _any(pc.invert(pc.or_(numbers, marks)))


def _any(mask: Any) -> bool:
    return bool(pc.any(mask).as_py())

"""In which pieces rows are drawn: fixed by how many there are, never by how many processes draw them.

Each piece has a random stream of its own, so the rows of all pieces together are the same bytes whether one process
draws them or four. Pieces are large because draws are stratified within one (`generators.tabular.masked`). Rows that
must agree
across all of them are drawn in one piece: ids, which must differ from each other, and rows under a stated law, whose
shares are exact over all. Pieces with pictures are smaller, so that one fits into memory.
"""

from math import prod

from sources.randomness import derive
from sources.schema import Schema
from sources.targets import Targets

PIECE_ROWS = 2**17
PIECE_BYTES = 2**28
"""Of the pictures in a piece; a piece has `LEAST_ROWS` at least."""
LEAST_ROWS = 2**10


def sizes_of(rows: int, schema: Schema, targets: Targets | None) -> tuple[int, ...]:
    """Return the rows of each piece, which add up to `rows`.

    >>> sizes_of(300_000, Schema(columns=()), None)
    (131072, 131072, 37856)
    """
    together = targets is not None or schema.entity_key is not None or any(one.kind == "id" for one in schema.columns)
    bytes_a_row = sum(prod(one.shape) * (2 if one.storage == "uint16" else 1) for one in schema.columns if one.shape)
    most = max(LEAST_ROWS, min(PIECE_ROWS, PIECE_BYTES // bytes_a_row)) if bytes_a_row else PIECE_ROWS
    if together or rows <= most:
        return (rows,)
    full, rest = divmod(rows, most)
    return (most,) * full + ((rest,) if rest else ())


def seed_of(seed: int, family: str, piece: int) -> int:
    """Return the seed of a piece; the first one has that of a draw in one piece."""
    return derive(seed, "sample", family, piece) if piece else derive(seed, "sample", family)

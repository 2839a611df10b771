"""Cells that repeat another column of their row: a bill that was paid to the cent, an end that is the start.

Two columns of numbers agree to the last digit in a part of the rows, and not in the others. A network that draws both
from bins hits that line by chance alone, and every tree sees the difference. So such a column has a coarse token that
says "as there": it is learnt like any other, and in decoding it takes the number of the other column. It says of nobody
more than that many rows agree. Only earlier columns of a table are repeated, so there is no circle.

Where a column is given and the one that it repeats is not, its number counts as its own.

# N rows, C columns
"""

from collections.abc import Mapping, Sequence

import numpy as np

from generators.tabular.numeric import LEAF_ROWS, MASS_SHARE, NumericCodec

MOST_ECHOES = 3  # columns that one may repeat
CHANCE = 4.0  # times as often as among shuffled rows must two columns agree
GLANCE_ROWS = 4_000  # looked at first: most pairs fail there
GLANCE_SHARE = 0.5  # of the share that is asked for, which a glance must see


def find_echoes(
    numbers: Mapping[str, np.ndarray], codecs: Mapping[str, NumericCodec], rng: np.random.Generator
) -> dict[str, tuple[str, ...]]:
    """Return column -> the earlier columns that it repeats in more than `MASS_SHARE` of the rows, most often first.

    Rows count where the column's number is no point mass, which has a token that says as much; a row counts for the
    first column that it repeats.

    Args:
        numbers: float64 N of each column, in the order of the table, NaN where it is missing; one row of each entity.
        codecs: theirs.
        rng: chooses and shuffles rows.

    """
    if len(numbers) < 2:  # noqa: PLR2004 - nothing to repeat
        return {}
    found: dict[str, tuple[str, ...]] = {}
    names = list(numbers)
    order = rng.permutation(len(numbers[names[0]]))
    glance = order[:GLANCE_ROWS]
    seen = np.stack([numbers[name][glance] for name in names])  # C rows of a glance
    least = max(LEAF_ROWS, MASS_SHARE * len(order))
    for place, name in enumerate(names):
        own = np.where(codecs[name].is_mass(numbers[name]), np.nan, numbers[name])
        agree = (seen[:place] == own[glance]).mean(axis=1)
        likely = [names[other] for other in np.flatnonzero(agree >= GLANCE_SHARE * least / len(order))]
        echoes: list[str] = []
        while likely and len(echoes) < MOST_ECHOES:
            counts = {other: int((own == numbers[other]).sum()) for other in likely}
            best = max(likely, key=lambda other: counts[other])
            by_chance = int((own == numbers[best][order]).sum())
            if counts[best] < max(least, CHANCE * by_chance):
                break
            echoes.append(best)
            own = np.where(own == numbers[best], np.nan, own)
            likely.remove(best)
        if echoes:
            found[name] = tuple(echoes)
    return found


def echo_tokens(
    codec: NumericCodec, tokens: np.ndarray, own: np.ndarray, others: Sequence[np.ndarray | None]
) -> np.ndarray:
    """Return the tokens of a column (int64 N 2) with those of its echoes where it repeats one of `others`.

    Args:
        codec: of the column.
        tokens: without echoes.
        own: its numbers, float64 N.
        others: those of `codec.echoes`, float64 N each, None where a column is not known.

    """
    tokens = tokens.copy()
    free = ~codec.is_mass(own)
    for number, other in enumerate(others):
        rows = np.zeros(len(own), dtype=bool) if other is None else free & (own == other)
        tokens[rows] = codec.num_values + number, 0
        free &= ~rows
    return tokens


def echoed_numbers(
    codec: NumericCodec, coarse: np.ndarray, own: np.ndarray, others: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Return the numbers of a column, float64 N, with those of `others` where its token says so.

    What lies beyond the column's own range becomes its end. Where the other is missing, which no row showed, one of the
    column's leaves gives a number.

    Args:
        codec: of the column.
        coarse: its coarse tokens, int64 N.
        own: its decoded numbers, float64 N.
        others: those of `codec.echoes`, float64 N each.
        rng: of numbers in place of missing ones.

    """
    spare = codec.draw_any(len(own), rng)
    low, high = codec.ends
    for number, other in enumerate(others):
        repeated = np.where(np.isnan(other), spare, np.clip(other, low, high))
        own = np.where(coarse == codec.num_values + number, repeated, own)
    return own

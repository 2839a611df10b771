"""Columns that another column decides: found before training, left out of the network, derived after sampling.

An exact rule (`education` decides `education_num`) costs a network capacity and is still learnt only nearly.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

import numpy as np

MAX_TOKENS = 512  # a larger determinant is close to a key: that it decides others is a matter of course
MAX_COLUMNS = 200  # beyond this the search, quadratic in columns, looks at the first ones alone
SUPPORT = 5  # rows that every token of the determinant must have, and every token of the column that it decides
GLANCE_ROWS = 2_000  # looked at first: most pairs fail there


@dataclass(frozen=True, kw_only=True)
class Dependency:
    """`table[token of determinant]` is the token of `determined`.

    Args:
        determined, determinant: positions of the two columns among the tokens.
        table: int64, one entry a token of the determinant.

    """

    determined: int
    determinant: int
    table: np.ndarray

    def to_json(self) -> dict[str, Any]:
        """Return the dependency as JSON values."""
        return {"determined": self.determined, "determinant": self.determinant, "table": self.table.tolist()}

    @staticmethod
    def from_json(state: dict[str, Any]) -> "Dependency":
        """Return the dependency that `to_json` described."""
        table = np.array(state["table"], dtype=np.int64)
        return Dependency(determined=state["determined"], determinant=state["determinant"], table=table)


def find_dependencies(tokens: np.ndarray, sizes: Sequence[int], decidable: AbstractSet[int]) -> list[Dependency]:
    """Return columns that another one decides without exception, each with the smallest determinant.

    Args:
        tokens: int N T, of columns whose every token but a pooled rare one is an exact value.
        sizes: number of tokens of each of the T columns.
        decidable: positions that may be derived: those without a pooled rare token.

    Returns:
        Dependencies whose determinants are determined by nothing, so that one pass derives all.

    """
    usable = []
    for position in range(min(len(sizes), MAX_COLUMNS)):
        counts = np.bincount(tokens[:, position], minlength=sizes[position])
        if 1 < sizes[position] <= MAX_TOKENS and counts[counts > 0].min() >= SUPPORT and (counts > 0).sum() > 1:
            usable.append(position)
    usable.sort(key=lambda position: (sizes[position], position))
    deciding: set[int] = set()
    found: dict[int, Dependency] = {}
    for determined in usable:
        if determined in deciding or determined not in decidable:
            continue
        for determinant in usable:
            if determinant == determined or determinant in found or sizes[determinant] < sizes[determined]:
                continue
            table = _table(tokens[:, determinant], tokens[:, determined], sizes[determinant])
            if table is not None:
                found[determined] = Dependency(determined=determined, determinant=determinant, table=table)
                deciding.add(determinant)
                break
    return list(found.values())


def _table(determinant: np.ndarray, determined: np.ndarray, size: int) -> np.ndarray | None:
    """Return the function as a table, int64 size, or None where there is none; unseen tokens get 0."""
    for rows in (slice(0, GLANCE_ROWS), slice(None)):
        table = np.zeros(size, dtype=np.int64)
        table[determinant[rows]] = determined[rows]
        if not np.array_equal(table[determinant[rows]], determined[rows]):
            return None
    return table

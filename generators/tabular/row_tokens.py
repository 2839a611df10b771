"""The positions of a row of tokens, and what each of them may hold.

# C coarse tokens of a column, F fine ones
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Literal

import numpy as np

from generators.tabular.identifiers import IdCodec
from generators.tabular.labels import LabelCodec
from generators.tabular.numeric import NumericCodec

ColumnCodec = LabelCodec | NumericCodec | IdCodec


@dataclass(frozen=True, kw_only=True)
class Token:
    """One position of a row of tokens.

    Args:
        column: name of the column.
        level: the coarse or the fine token of the column.
        size: number of tokens, the network's output width here.
        parent: position of the coarse token of a fine one, else None.
        emit: bool size, tokens that may be sampled (pooled rare labels may not).
        valid: bool parent-size size, the fine tokens that each coarse one has; None for coarse ones.
        ranks: float32 size, the tokens' place on the number line, 0 to 1 (fine: inside the coarse one), NaN for
            missing; None for labels.
        leaf_ranks: float32 parent-size size, of a number's fine token: the place of (coarse, fine) on the whole number
            line, 0 to 1, NaN where there is no such leaf; None for coarse ones and for labels.

    """

    column: str
    level: Literal["coarse", "fine"]
    size: int
    parent: int | None
    emit: np.ndarray
    valid: np.ndarray | None
    ranks: np.ndarray | None
    leaf_ranks: np.ndarray | None = None


def tokens_of(columns: Mapping[str, ColumnCodec], left_out: AbstractSet[str]) -> tuple[Token, ...]:
    """Return the positions of a row: coarse tokens in column order, then the fine ones; nothing for constants."""
    coarse: list[Token] = []
    fine: list[tuple[LabelCodec | NumericCodec, int]] = []
    for name, codec in columns.items():
        if isinstance(codec, IdCodec) or name in left_out or max(size_of(codec), codec.num_fine) <= 1:
            continue
        coarse.append(
            Token(
                column=name,
                level="coarse",
                size=size_of(codec),
                parent=None,
                emit=codec.emit if isinstance(codec, LabelCodec) else np.ones(size_of(codec), dtype=bool),
                valid=None,
                ranks=None if isinstance(codec, LabelCodec) else codec.coarse_ranks().astype(np.float32),
            )
        )
        if codec.num_fine > 1:
            fine.append((codec, len(coarse) - 1))
    return (*coarse, *(_fine(codec, coarse[parent].column, parent) for codec, parent in fine))


def clusters_of(tokens: Sequence[Token]) -> dict[int, tuple[int, np.ndarray]]:
    """Return fine position -> (its coarse position, bool C F of its valid tokens), for columns of labels."""
    return {
        place: (token.parent, token.valid)
        for place, token in enumerate(tokens)
        if token.parent is not None and token.valid is not None and token.ranks is None
    }


def leaves_of(tokens: Sequence[Token]) -> dict[int, tuple[int, np.ndarray]]:
    """Return fine position -> (its coarse position, float32 C F of its leaves' ranks), for columns of numbers."""
    return {
        place: (token.parent, token.leaf_ranks)
        for place, token in enumerate(tokens)
        if token.parent is not None and token.leaf_ranks is not None
    }


def size_of(codec: ColumnCodec) -> int:
    """Return the number of coarse tokens of a column."""
    if isinstance(codec, IdCodec):
        return 0
    return codec.size if isinstance(codec, LabelCodec) else codec.num_coarse


def _fine(codec: LabelCodec | NumericCodec, column: str, parent: int) -> Token:
    number = isinstance(codec, NumericCodec)
    places = (np.arange(codec.num_fine) + 0.5) / codec.num_fine
    return Token(
        column=column,
        level="fine",
        size=codec.num_fine,
        parent=parent,
        emit=np.ones(codec.num_fine, dtype=bool),
        valid=codec.valid(),
        ranks=places.astype(np.float32) if number else None,
        leaf_ranks=codec.leaf_ranks().astype(np.float32) if isinstance(codec, NumericCodec) else None,
    )

"""Labels as tokens: those of few holders share one token, which is learnt and never emitted."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from generators.base import GeneratorInputError
from generators.tabular.entities import one_each
from sources.schema import Column


@dataclass(frozen=True, kw_only=True)
class LabelCodec:
    """Tokens of a categorical or boolean column: its labels in order, then `rare`, then missing, where there are any.

    Args:
        labels: that may be emitted; booleans are "False" and "True".
        rare: whether labels of too few rows were seen.
        missing: whether missing cells were seen.

    """

    labels: tuple[str, ...]
    rare: bool
    missing: bool

    @property
    def size(self) -> int:
        """Number of tokens."""
        return len(self.labels) + int(self.rare) + int(self.missing)

    @property
    def emit(self) -> np.ndarray:
        """Which tokens may be sampled, bool size."""
        emit = np.ones(self.size, dtype=bool)
        if self.rare:
            emit[len(self.labels)] = False
        return emit

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return the tokens, int64 N, of `values` (object N of str or None); -1 for what has no token."""
        codes = pd.Categorical(values, categories=list(self.labels)).codes.astype(np.int64)
        absent = pd.isna(values)
        codes[(codes < 0) & ~absent] = len(self.labels) if self.rare else -1
        codes[absent] = self.size - 1 if self.missing else -1
        return codes

    def decode(self, tokens: np.ndarray) -> np.ndarray:
        """Return labels, object N of str or None; None for the rare token too, which nobody should sample (`emit`)."""
        table = np.array([*self.labels, *[None] * (int(self.rare) + int(self.missing))], dtype=object)
        return np.take(table, tokens)


def fit_labels(column: Column, values: pd.Series, min_support: int, entities: np.ndarray | None) -> LabelCodec:
    """Learn the labels of a categorical or boolean column.

    Args:
        column: which.
        values: canonical cells.
        min_support: rows (entities, where they are given) that must hold a label before it can be emitted.
        entities: int64 N, whom each row belongs to, or None.

    Raises:
        GeneratorInputError: no label has the support.

    """
    texts = pd.Series(texts_of(values), dtype=object)
    counts = texts.value_counts()
    missing = bool(texts.isna().any())
    if column.kind == "boolean":  # neither answer names a person
        return LabelCodec(labels=tuple(sorted(counts.index)), rare=False, missing=missing)
    holders = one_each(texts, entities).value_counts()
    kept = holders.index[holders >= min_support]
    rare = len(kept) < len(counts)
    if not len(kept) and rare:
        raise GeneratorInputError(
            f"column {column.name!r}: no label is held by {min_support} {'rows' if entities is None else 'entities'}",
            seen=f"{len(counts)} labels in {len(texts)} rows",
            remedy="set its kind to id or text, drop it, or lower min_support",
        )
    return LabelCodec(labels=tuple(sorted(kept)), rare=rare, missing=missing)


def texts_of(values: pd.Series) -> np.ndarray:
    """Return labels as object N of str or None; booleans as "False" and "True"."""
    return np.array(
        [None if absent else str(value) for value, absent in zip(values, values.isna(), strict=True)], object
    )

"""Labels as tokens: those of few holders share one token, which is learnt and never emitted.

A column of very many labels takes two tokens, so that no network needs an output for each label at once: its most
frequent labels have a coarse token each, as all have elsewhere, and the others share coarse tokens in clusters of about
the root of their number, within which a fine token says which one it is (after Grave et al. 2017, Efficient softmax
approximation for GPUs, arXiv 1609.04309).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from generators.base import GeneratorInputError
from generators.tabular.entities import one_each
from generators.tabular.likeness import order_by_likeness
from sources.schema import Column

MOST_LABELS = 1_024  # with a token each; a column of more has two levels
LEAST_LABELS = 64  # where columns are many
ALL_LABELS = 65_536  # of all columns together, about: what outputs of wide tables may take
OWN_SHARE = 4  # 1/4 of that many labels keep a coarse token of their own in a column of two levels


@dataclass(frozen=True, kw_only=True)
class LabelCodec:
    """Tokens of a categorical or boolean column.

    The coarse ones are the labels with a token of their own, in order, then clusters of the others, then `rare`, then
    missing, where there are any.

    Args:
        labels: that may be emitted: those with a token of their own, then cluster after cluster; booleans are "False"
            and "True".
        rare: whether labels of too few rows were seen.
        missing: whether missing cells were seen.
        clusters: of labels, about as large as each other; 0 where every label has a token of its own.
        own: how many labels have one, where there are clusters.

    """

    labels: tuple[str, ...]
    rare: bool
    missing: bool
    clusters: int = 0
    own: int = 0

    @property
    def size(self) -> int:
        """Number of coarse tokens."""
        return self._num_known + int(self.rare) + int(self.missing)

    @property
    def num_fine(self) -> int:
        """Number of fine tokens; 1 means that the column needs no second token."""
        return -(-(len(self.labels) - self.own) // self.clusters) if self.clusters else 1

    @property
    def emit(self) -> np.ndarray:
        """Which coarse tokens may be sampled, bool size."""
        emit = np.ones(self.size, dtype=bool)
        if self.rare:
            emit[self._num_known] = False
        return emit

    def valid(self) -> np.ndarray:
        """Return which fine tokens each coarse one has, bool size num_fine; what is no cluster has the first alone."""
        counts = np.ones(self.size, dtype=np.int64)
        counts[: self._num_known] = self._counts()
        return np.asarray(np.arange(self.num_fine) < counts[:, None])

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return the tokens, int64 N 2 (coarse, fine), of `values` (object N of str or None).

        The coarse one is -1 for what has no token.
        """
        codes = pd.Categorical(values, categories=list(self.labels)).codes.astype(np.int64)
        absent = pd.isna(values)
        counts = self._counts()
        coarse = np.repeat(np.arange(self._num_known), counts)
        fine = np.arange(len(self.labels)) - np.repeat(np.cumsum(counts) - counts, counts)
        tokens = np.zeros((len(values), 2), dtype=np.int64)
        known = codes >= 0
        tokens[known] = np.column_stack([coarse, fine])[codes[known]]
        tokens[~known & ~absent] = (self._num_known, 0) if self.rare else (-1, -1)
        tokens[absent] = (self.size - 1, 0) if self.missing else (-1, -1)
        return tokens

    def decode(self, coarse: np.ndarray, fine: np.ndarray) -> np.ndarray:
        """Return labels, object N of str or None; None for the rare token too, which nobody should sample (`emit`).

        A fine token that its coarse one lacks is read as the last.
        """
        counts = np.append(self._counts(), np.ones(self.size - self._num_known, dtype=np.int64))
        places = (np.cumsum(counts) - counts)[coarse] + np.minimum(fine, counts[coarse] - 1)
        table = np.array([*self.labels, *[None] * (int(self.rare) + int(self.missing))], dtype=object)
        return np.asarray(np.take(table, places), dtype=object)

    def arranged(self, tokens: np.ndarray, others: Sequence[np.ndarray], rng: np.random.Generator) -> "LabelCodec":
        """Return the codec with labels that go with the same cells of other columns in one cluster.

        Args:
            tokens: int64 N 2, as `encode` returns them.
            others: int64 N each, tokens of other columns.
            rng: see `order_by_likeness`.

        """
        if not self.clusters or not others:
            return self
        counts = self._counts()
        place = (np.cumsum(counts) - counts)[np.minimum(tokens[:, 0], len(counts) - 1)] + tokens[:, 1] - self.own
        place[(tokens[:, 0] < 0) | (tokens[:, 0] >= len(counts))] = -1
        order = self.own + order_by_likeness(np.maximum(place, -1), counts[self.own :], others, rng)
        labels = (*self.labels[: self.own], *np.array(self.labels, dtype=object)[order])
        return replace(self, labels=labels)

    def to_json(self) -> dict[str, Any]:
        """Return the codec as JSON values."""
        state = {"labels": list(self.labels), "rare": self.rare, "missing": self.missing}
        return {**state, "clusters": self.clusters, "own": self.own} if self.clusters else state

    @staticmethod
    def from_json(state: dict[str, Any]) -> "LabelCodec":
        """Return the codec that `to_json` described."""
        return LabelCodec(
            labels=tuple(state["labels"]),
            rare=state["rare"],
            missing=state["missing"],
            clusters=state.get("clusters", 0),
            own=state.get("own", 0),
        )

    @property
    def _num_known(self) -> int:
        """Coarse tokens that hold labels."""
        return self.own + self.clusters if self.clusters else len(self.labels)

    def _counts(self) -> np.ndarray:
        """Return the labels of each coarse token that holds any, int64."""
        if not self.clusters:
            return np.ones(len(self.labels), dtype=np.int64)
        least, larger = divmod(len(self.labels) - self.own, self.clusters)
        return np.asarray(np.repeat([1, least + 1, least], [self.own, larger, self.clusters - larger]))


def most_labels(num_columns: int) -> int:
    """Return how many labels may have a token each in every one of so many columns of labels."""
    return int(np.clip(ALL_LABELS // max(num_columns, 1), LEAST_LABELS, MOST_LABELS))


def fit_labels(
    column: Column, values: pd.Series, min_support: int, entities: np.ndarray | None, most: int = MOST_LABELS
) -> LabelCodec:
    """Learn the labels of a categorical or boolean column.

    Args:
        column: which.
        values: canonical cells.
        min_support: rows (entities, where they are given) that must hold a label before it can be emitted.
        entities: int64 N, whom each row belongs to, or None.
        most: labels that may have a token each.

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
    if len(kept) <= most:
        return LabelCodec(labels=tuple(sorted(kept)), rare=rare, missing=missing)
    order = [label for _, label in sorted(zip(-holders[kept].to_numpy(), kept, strict=True))]
    own = most // OWN_SHARE
    return LabelCodec(
        labels=tuple(order), rare=rare, missing=missing, clusters=math.isqrt(len(order) - own - 1) + 1, own=own
    )


def texts_of(values: pd.Series) -> np.ndarray:
    """Return labels as object N of str or None; booleans as "False" and "True"."""
    codes, distinct = pd.factorize(values)
    texts = np.array([*(str(value) for value in distinct), None], dtype=object)
    return np.asarray(texts[codes])

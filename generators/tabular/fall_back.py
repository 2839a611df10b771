"""When a mixture of latent classes is kept in a network's place: by rows that neither of them learnt from.

A network that has few rows to learn from may predict others worse than a mixture of a few classes does, or than
independent columns, which are the mixture of one class. The rows that ended the network's training also decide between
the two. They favour the network, whose best step they chose; the mixture's shape is chosen by parts of the other rows.

# N rows, T tokens of a row
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from generators.tabular.latent_class_fit import Shape, choose_shape, fit_latent_classes
from generators.tabular.latent_classes import LatentClasses
from generators.tabular.row_tokens import Token
from sources.randomness import derive, stream

SURE = float(np.log(20))  # nats by which the network must win on all unseen rows together: twenty times likelier
MIN_UNSEEN = 10  # held-out rows that can decide; tables of 30 rows lost by a network that three rows chose
MAX_ROWS = 20_000  # more rows are a network's to learn from
MAX_TOKENS, MIN_ROWS = 100_000, 1_000  # of the rows that it learns from, which are some of them in a large table


@dataclass(frozen=True, kw_only=True)
class FallBack:
    """A mixture, and how well it predicts rows that it has not seen.

    Args:
        rows: int N T, what a mixture that is kept learns from.
        unseen: int64 M T, held-out rows.
        nats: float64 M, the negative log likelihood of the unseen ones under a mixture of the other rows.
        tokens: what the T places mean.
        shape: of the mixture.
        seed: of its starts.
        seconds: that all this took.

    """

    rows: np.ndarray
    unseen: np.ndarray
    nats: np.ndarray
    tokens: tuple[Token, ...]
    shape: Shape
    seed: int
    seconds: float

    @property
    def refit_s(self) -> float:
        """Seconds that fitting it to all rows may take: one shape where many were tried."""
        return self.seconds / 2

    @property
    def decides(self) -> bool:
        """Whether the unseen rows are enough to compare it with a network; if not, no network is worth training."""
        return len(self.unseen) >= MIN_UNSEEN

    def loses_to(self, nats: np.ndarray) -> bool:
        """Return whether a network is to be kept, under which the unseen rows have these `nats`, float64 M.

        A network begins as independent columns, so against them any gain is one, and what they lose is all that columns
        have to do with each other.
        """
        return bool((self.nats - nats).sum() > (SURE if self.shape.num_classes > 1 else 0.0))

    def refitted(self) -> LatentClasses:
        """Return the mixture that learns from all rows, those held out too."""
        return fit_latent_classes(self.rows, self.tokens, self.shape, seed=self.seed)

    def note(self, mixture: LatentClasses) -> str:
        """Return what a person is told of the choice."""
        number = len(mixture.shares)
        model = "independent columns" if number == 1 else f"a mixture of {number} classes"
        if not self.decides:
            return f"{model} kept, without a network: {len(self.unseen)} held-out rows could not tell which is better"
        return f"{model} kept in the network's place: as good or better on {len(self.unseen)} held-out rows"


def fit_fall_back(
    rows: np.ndarray,
    held_out: np.ndarray,
    tokens: Sequence[Token],
    *,
    seed: int,
    groups: np.ndarray | None = None,
) -> FallBack | None:
    """Fit the mixture that a network must beat; None where there are more than `MAX_ROWS` rows.

    Args:
        rows: int N T, training rows.
        held_out: bool N, rows that nothing has learnt from.
        tokens: what the T places mean.
        seed: of every draw in here.
        groups: array N naming the entity of each row, or None.

    """
    if len(rows) > MAX_ROWS:
        return None
    began_s = time.monotonic()
    few = stream(seed, "fall back", "rows").permutation(len(rows))[: max(MAX_TOKENS // len(tokens), MIN_ROWS)]
    few.sort()
    learnt = few[~held_out[few]]
    seed = derive(seed, "fall back")
    shape = choose_shape(rows[learnt], tokens, seed=seed, groups=None if groups is None else groups[learnt])
    mixture = fit_latent_classes(rows[learnt], tokens, shape, seed=seed)
    unseen = rows[held_out].astype(np.int64)
    nats = mixture.row_nats(unseen)
    return FallBack(
        rows=rows[few],
        unseen=unseen,
        nats=nats,
        tokens=tuple(tokens),
        shape=shape,
        seed=seed,
        seconds=time.monotonic() - began_s,
    )

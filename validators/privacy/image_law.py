"""How near do pictures come to one another by chance? The lower tail of nearest distances, read off fresh pictures.

Distances of real pictures to the nearest of many others fall off as a power towards 0: the exponent is the number of
dimensions that pictures have nearby (Grassberger and Procaccia 1983, equation 1). Fresh pictures tell the exponent
(Hill 1975, *Annals of Statistics* 3, 1163, over the spacings of Renyi), and with it how many training pictures would
lie within any distance of a synthetic one by chance, also where no fresh picture lies. Distances of two classes, still
and moved, thus become one number: the training pictures expected that near, if nothing was memorised.

What it cannot see: natural duplicates, of which there are more than any power law has; `image_matches` counts these.
"""

import math
from dataclasses import dataclass

import numpy as np

TAIL_SHARE, TAIL_LEAST, TAIL_MOST = 0.02, 40, 120
"""The fresh pictures that tell the law: the nearest of these, as a share of all."""

TRIMMED = 0.1
"""Of the spacings the largest are left out: the gap between natural duplicates and other pictures is among them."""

FEWEST = 10
"""With fewer fresh pictures near nothing is known of the law."""

TINY = 1e-6
"""Distances below it are 0 but for rounding."""

EXPECTED = 0.5
"""A picture counts as matched where so many training pictures, of all, would come as near by chance."""


@dataclass(frozen=True, kw_only=True)
class Law:
    """How many training pictures chance brings within a distance: at_edge x (distance / edge) ^ exponent.

    Args:
        edge: a distance within the tail.
        at_edge: training pictures expected within it; infinite where the law is not known.
        exponent: of the distance.

    """

    edge: float
    at_edge: float
    exponent: float

    def expected(self, distance: np.ndarray) -> np.ndarray:
        """Return the training pictures expected within each distance (float, of the same shape)."""
        if not math.isfinite(self.at_edge):
            return np.full(distance.shape, np.inf)
        with np.errstate(over="ignore"):  # far pictures: infinitely many come as near
            return np.asarray(self.at_edge * np.power(distance / self.edge, self.exponent))


UNKNOWN = Law(edge=1.0, at_edge=math.inf, exponent=0.0)


def law_of(distance: np.ndarray, is_train: np.ndarray) -> Law:
    """Return the law of distances, `UNKNOWN` where most of the nearest fresh pictures are duplicates or none is near.

    Args:
        distance: of each real picture to the nearest synthetic one, infinite where that is far (float N).
        is_train: which of the N are training pictures; the others tell the law.

    """
    fresh = np.sort(distance[~is_train])
    num = min(max(TAIL_LEAST, round(TAIL_SHARE * len(fresh))), TAIL_MOST, int(np.isfinite(fresh).sum()) // 2)
    positive = np.maximum(fresh[:num], TINY)
    if num < FEWEST or positive[num // 2] <= TINY:
        return UNKNOWN
    # Spacings of logarithms between neighbours, times their rank, are exponential with the mean 1 / exponent; the mean
    # without the largest ones is less by a known factor, and minds no duplicates.
    spacings = np.sort(np.arange(1, num) * np.log(positive[1:] / positive[:-1]))
    kept = spacings[: math.ceil((1 - TRIMMED) * len(spacings))]
    spacing = float(kept.mean()) / (1 + TRIMMED * math.log(TRIMMED) / (1 - TRIMMED))
    if spacing <= 0:
        return UNKNOWN
    exponent = (1 - 1 / math.sqrt(num)) / spacing  # by about its standard error smaller: chance is rather more
    return Law(edge=float(positive[-1]), at_edge=int(is_train.sum()) * num / len(fresh), exponent=exponent)

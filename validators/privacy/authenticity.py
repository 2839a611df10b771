"""Authenticity: is a synthetic row farther from its nearest training row than that one is from its own nearest?

Alaa, van Breugel, Saveliev and van der Schaar 2022, *How faithful is your synthetic data?*, section 3. By itself the
share says little: of fresh rows, which copy nobody, about half are not authentic, for some training row is nearer to
them than to its own neighbours. So the same share of fresh rows stands beside it. Given the training rows both are
means of independent rows, hence binomial. A row is never its own neighbour, and the distance that a row is held against
is that of its own nearest training row.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

from validators.privacy.neighbours import nearest

MAX_TRAIN, MAX_ROWS = 10_000, 5_000
"""Rows that are looked at: a share of 5,000 is known to 0.7 points."""


@dataclass(frozen=True, kw_only=True)
class Authenticity:
    """The share of authentic rows among synthetic and among fresh ones.

    Args:
        synthetic, fresh: the shares.
        shortfall: fresh less synthetic; 0 for fresh rows, towards the fresh share for copies.
        low, high: ends of the shortfall, one-sided 95 % each.

    """

    synthetic: float
    fresh: float
    shortfall: float
    low: float
    high: float


def authenticity(train: np.ndarray, fresh: np.ndarray, synthetic: np.ndarray, rng: np.random.Generator) -> Authenticity:
    """Return the shares, of rows drawn where there are many.

    Args:
        train: vectors of training rows, at least two (float32 N F).
        fresh: of rows that the synthesizer never saw (float32 M F).
        synthetic: float32 K F.
        rng: draws rows.

    """
    train = train[rng.permutation(len(train))[:MAX_TRAIN]]
    own = nearest(train, train, own_position=np.arange(len(train)))[0]
    shares, variance = [], 0.0
    for rows in (synthetic, fresh):
        part = rows[rng.permutation(len(rows))[:MAX_ROWS]]
        distance, winner = nearest(part, train)
        authentic = distance > own[winner]
        shares.append(float(authentic.mean()))
        rate = (authentic.sum() + 1) / (len(part) + 2)  # as of Agresti and Caffo 2000: no share is known to be 0
        variance += rate * (1 - rate) / (len(part) + 2)
    shortfall, reach = shares[1] - shares[0], float(stats.norm.isf(0.05)) * math.sqrt(variance)
    return Authenticity(
        synthetic=shares[0], fresh=shares[1], shortfall=shortfall, low=shortfall - reach, high=shortfall + reach
    )

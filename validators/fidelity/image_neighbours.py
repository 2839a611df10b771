"""Density, coverage, precision and recall of pictures in each network's space, against as many fresh real pictures.

Around each unseen real picture (holdout) a ball reaches to its k-th nearest neighbour among the others. `image_density`
counts the balls that a synthetic picture is in, `image_coverage` the balls that hold a synthetic picture (Naeem et al.
2020, equations 3 and 4); `image_precision` is the share of synthetic pictures in any ball, and `image_recall` that of
unseen real ones in any ball of the synthetic pictures (Kynkäänniemi et al. 2019, equations 1 and 2). All are taken of
as many training pictures too, as fresh to the holdout as any, and the value is how much less the synthetic ones have.

What they cannot see: copies, and a fault that moves all pictures within the balls.

Legend: N balls, M rows, F features.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from validators.evidence import Evidence
from validators.fidelity.coverage import covered
from validators.fidelity.image_rows import picture_rows, space_names, too_few_pictures
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.neighbours import several_nearest
from validators.statistics.intervals import gate_ends

K = 5
"""Neighbours: a ball holds one of as many fresh pictures with probability 1 - 2**-5 (Naeem et al. 2020)."""

BLOCK_ROWS = 1024
RECALL_VARIANCE = 1.5
"""Both recalls share their unseen pictures, and balls overlap: over the binomial variance of two shares."""

NAMES = ("image_density", "image_coverage", "image_precision", "image_recall")


@dataclass(frozen=True, kw_only=True)
class Occupancy:
    """Which rows are in which balls.

    Args:
        balls_of_row: the number of balls each row is in (int64 M).
        rows_of_ball: the number of rows in each ball (int64 N).
        sole: the row that is alone in a ball, -1 where none or several are (int64 N).

    """

    balls_of_row: np.ndarray
    rows_of_ball: np.ndarray
    sole: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A share or density of synthetic and of fresh pictures, and the variance of their difference."""

    synthetic: float
    fresh: float
    variance: float


def image_neighbours(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return the four measurements for each network; nothing without pictures."""
    if evidence.features is None:
        return []
    spaces = space_names(evidence.features)
    few = too_few_pictures(evidence, [(name, space) for space in spaces for name in NAMES])
    if few:
        return few
    rows, policy = picture_rows(evidence, rng), evidence.policy
    meanings = {
        "image_density": "Synthetic pictures lie in {0:.2f} times as many balls around unseen real ones as those have "
        "neighbours; fresh real pictures, in {1:.2f}",
        "image_coverage": "Near {0:.1%} of the unseen real pictures there is a synthetic one; of as many fresh real "
        "ones, there is one near {1:.1%}",
        "image_precision": "{0:.1%} of the synthetic pictures lie among unseen real ones; of fresh ones, {1:.1%}",
        "image_recall": "{0:.1%} of the unseen real pictures lie among synthetic ones; among as many fresh real ones, "
        "{1:.1%}",
    }
    found = []
    for space, (train, holdout, synthetic) in rows.spaces():
        for name, figure in figures_of(train, holdout, synthetic).items():
            value = figure.fresh - figure.synthetic
            se = float(np.sqrt(figure.variance * rows.alike))
            low, high = gate_ends(value, se, policy=policy, name=name, reference=0.0, subjects=len(spaces))
            found.append(
                judged(
                    name=name,
                    subject=space,
                    value=value,
                    low=low,
                    high=high,
                    n=min(len(synthetic), len(holdout)),
                    reading=meanings[name].format(figure.synthetic, figure.fresh)
                    + f", by their {space}."
                    + rows.features.caveat,
                    policy=policy,
                    reference=0.0,
                    detail={"synthetic": figure.synthetic, "fresh": figure.fresh, "se": se, "k": K},
                )
            )
    return found


def figures_of(train: np.ndarray, holdout: np.ndarray, synthetic: np.ndarray) -> dict[str, Figure]:
    """Return the figure of each of `NAMES`.

    Args:
        train: fresh to the holdout (float32 M F).
        holdout: float32 N F, more than `K`.
        synthetic: float32 M F.

    """
    radius = radii(holdout)
    inside = [occupancy(holdout, radius, part) for part in (synthetic, train)]
    counts = [one.balls_of_row for one in inside]
    variance = sum(float(count.var(ddof=1)) / len(count) for count in counts) / K**2
    density = Figure(synthetic=float(counts[0].mean()) / K, fresh=float(counts[1].mean()) / K, variance=variance)
    shares, variances = zip(
        *(covered(one.rows_of_ball > 0, one.sole, len(one.balls_of_row)) for one in inside), strict=True
    )
    coverage = Figure(synthetic=shares[0], fresh=shares[1], variance=sum(variances))
    precise = [count > 0 for count in counts]
    recalled = [occupancy(part, radii(part), holdout).balls_of_row > 0 for part in (synthetic, train)]
    return {
        "image_density": density,
        "image_coverage": coverage,
        "image_precision": _shares(precise, 1.0),
        "image_recall": _shares(recalled, RECALL_VARIANCE),
    }


def radii(rows: np.ndarray) -> np.ndarray:
    """Return the distance of each row to its k-th nearest other row (float64 N): the nearest of all is itself."""
    return np.asarray(several_nearest(rows, rows, min(K + 1, len(rows)))[:, -1])


def occupancy(centres: np.ndarray, radius: np.ndarray, rows: np.ndarray) -> Occupancy:
    """Return which of `rows` (float32 M F) are in which balls around `centres` (float32 N F; radius float N)."""
    # A row that coincides with the k-th neighbour is inside: the slack is that of float32 products.
    reach = np.square(radius) * (1 + 1e-5) + 1e-6 * np.square(centres).sum(axis=1).mean()
    own = np.square(centres).sum(axis=1)
    of_row, of_ball = np.zeros(len(rows), dtype=np.int64), np.zeros(len(centres), dtype=np.int64)
    last = np.zeros(len(centres), dtype=np.int64)
    for start in range(0, len(rows), BLOCK_ROWS):
        block = rows[start : start + BLOCK_ROWS]
        inside = np.square(block).sum(axis=1)[:, None] + own - 2 * (block @ centres.T) <= reach
        of_row[start : start + len(block)] = inside.sum(axis=1)
        of_ball += inside.sum(axis=0)
        last = np.where(inside.any(axis=0), start + inside.argmax(axis=0), last)
    return Occupancy(balls_of_row=of_row, rows_of_ball=of_ball, sole=np.where(of_ball == 1, last, -1))


def _shares(hits: list[np.ndarray], factor: float) -> Figure:
    """Return two shares (bool each) and the variance of their difference; 0 and 1 have that of one row more."""
    shares = [float(hit.mean()) for hit in hits]
    kept = [(hit.sum() + 0.5) / (len(hit) + 1) for hit in hits]
    variance = factor * sum(share * (1 - share) / len(hit) for share, hit in zip(kept, hits, strict=True))
    return Figure(synthetic=shares[0], fresh=shares[1], variance=float(variance))

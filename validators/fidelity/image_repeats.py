"""Does the sample repeat itself? Pictures that are copies of other synthetic ones, against the rate of real pictures.

As many synthetic as real pictures are drawn; in each set those nearer to another than a threshold are joined, and what
is beyond one picture of each cluster is redundant. One picture repeated, and a generator that has collapsed onto a few,
show so, whatever the pictures are of. Mirrored pictures count as repeated; twice as many as real ones are tolerated,
for whatever learns a law rounds off its rare pictures.

What it cannot see: a few percent of repeated pictures in a small sample; modes that are lost (see `image_coverage`).
"""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from validators.evidence import Evidence
from validators.fidelity.sides import too_few
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.excess_matches import upper_tail
from validators.privacy.image_comparison import pictures_of
from validators.privacy.image_search import Spaces, nearest_still, spaces_of
from validators.privacy.image_views import canonical

NAME = "image_repeats"
THRESHOLDS: tuple[float, ...] = (0.002, 0.01, 0.05)
"""Quantiles of the pooled distances below which pictures count as the same."""

TOLERATED = 2.0
CANDIDATES = 4
MAX_ROWS = 5_000


def image_repeats(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement for each image column, `image_repeats`: a p-value; nothing where there is none."""
    columns = [column.name for column in evidence.schema.columns if column.kind == "image"]
    few = too_few(evidence, [(NAME, column) for column in columns])
    if few:
        return few
    found = []
    for column in columns:
        parts = [part for part in (evidence.train, evidence.holdout, evidence.reference) if part is not None]
        real = np.concatenate([pictures_of(part, column) for part in parts])
        synthetic = pictures_of(evidence.synthetic, column)
        num = min(len(real) // 2, len(synthetic), MAX_ROWS)
        order = rng.permutation(len(real))
        kept = [canonical(real[order[:num]]), canonical(synthetic[rng.permutation(len(synthetic))[:num]])]
        spaces = spaces_of(canonical(real[order[num : 2 * num]]))
        genuine, made = (_neighbours(pictures, spaces) for pictures in kept)
        p, counts = redundancy(genuine, made)
        reading = "Synthetic pictures do not repeat one another more than real ones do."
        if counts[1] > counts[0]:
            reading = (
                f"Of {num:,} synthetic pictures {counts[1]:,} are near copies of others of them, of as many real ones "
                f"{counts[0]:,}; twice as many would be tolerated (p = {p:.2g})."
            )
        found.append(
            judged(
                name=NAME,
                subject=column,
                value=min(1.0, len(columns) * p),
                low=min(1.0, len(columns) * p),
                high=min(1.0, len(columns) * p),
                n=num,
                reading=reading,
                policy=evidence.policy,
                detail={"real": counts[0], "synthetic": counts[1]},
            )
        )
    return found


Neighbours = tuple[np.ndarray, np.ndarray]
"""Of N pictures some nearest others (int N K) and their distances (float N K)."""


def redundancy(
    real: Neighbours, synthetic: Neighbours, quantiles: Sequence[float] = THRESHOLDS
) -> tuple[float, tuple[int, int]]:
    """Return the p-value of no more than `TOLERATED` times as many redundant pictures, and the counts, real first."""
    pooled = np.concatenate([gap.min(axis=1) for _, gap in (real, synthetic)])
    found = []
    for quantile in quantiles:
        threshold = float(np.quantile(pooled, quantile, method="inverted_cdf"))
        a, b = (_redundant(part, threshold) for part in (synthetic, real))
        found.append((min(1.0, len(quantiles) * upper_tail(a, a + b, TOLERATED / (1 + TOLERATED))), (b, a)))
    return min(found, key=lambda one: (one[0], one[1][0] - one[1][1]))


def _redundant(neighbours: Neighbours, threshold: float) -> int:
    """Return how many pictures are beyond one of each cluster."""
    candidates, gap = neighbours
    rows, columns = np.nonzero(gap <= threshold)
    num = len(gap)
    edges = coo_array((np.ones(len(rows)), (rows, candidates[rows, columns])), shape=(num, num))
    return num - int(connected_components(edges, directed=False)[0])


def _neighbours(pictures: np.ndarray, spaces: Spaces) -> Neighbours:
    num = min(CANDIDATES, len(pictures) - 1)
    return nearest_still(pictures, pictures, spaces, num, own_position=np.arange(len(pictures)))

"""Do synthetic rows crowd around each other more than real rows do?

A table that was padded (each row written again with a little noise), or a sampler that knows a few hundred rows and
jitters them, has rows whose nearest neighbour in the same table is far too near. Distances to the nearest other row
are pooled with those in as many real rows; below any small quantile of the pool the clusters of near rows are counted,
each once however many rows it holds. In tables of one law either count is as likely to be the larger one.

What it cannot see: a table whose rows are all the same (one cluster; see `repeats`), a few percent of near-twins among
2,000 rows, twins that differ in most of their columns.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sources.dataset import Dataset
from validators.evidence import Evidence
from validators.fidelity.lost_values import fewer_p
from validators.fidelity.sides import entity_codes, entity_order, too_few
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.policy import MEASURED_KINDS
from validators.privacy.neighbours import embed, nearest
from validators.privacy.real_rows import real_parts

THRESHOLDS: tuple[float, ...] = (0.002, 0.01, 0.05, 0.2)
"""Quantiles of the pooled distances: a few tight twins show at the first, loose clusters of many rows at the last."""

NEAREST = 64
"""The nearest rows of all are looked at as well: in a small table the lowest quantile holds too few."""

HALF = 0.5
"""Twice as many clusters are tolerated: whatever learns a law rounds off its rare rows, so its own are a bit denser."""

MAX_ROWS = 8_000


class Company(NamedTuple):
    """Each row's nearest other row.

    Args:
        distance: to it (float N).
        neighbour: its position (int64 N).
        entity: a code for what the row belongs to (int64 N), or None where each row stands alone.

    """

    distance: np.ndarray
    neighbour: np.ndarray
    entity: np.ndarray | None = None


def near_twins(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `near_twins`: the p-value of no more than twice as many clusters as in real rows."""
    if not any(column.kind in MEASURED_KINDS for column in evidence.schema.columns):
        return []
    few = too_few(evidence, [("near_twins", "all rows")])
    if few:
        return few
    real = Dataset(frame=real_parts(evidence), schema=evidence.schema)
    rows = min(len(real) // 2, len(evidence.synthetic), MAX_ROWS)
    # Rows of one entity are near each other, so they are drawn together or not at all. The scale is that of further
    # real rows, to which the compared ones of either kind are equally strange.
    drawn, others = (entity_order(part, evidence.schema.entity_key, rng) for part in (evidence.synthetic, real))
    frames = [
        evidence.synthetic.frame.iloc[rng.permutation(drawn[:rows])],
        real.frame.iloc[rng.permutation(others[:rows])],
        real.frame.iloc[others[rows : rows + MAX_ROWS]],
    ]
    synthetic, genuine, _ = embed(frames, evidence.schema, scale=(2,))
    if synthetic.shape[1] == 0:
        reading = "No column has distances: all are texts, images or ids."
        return [undecided(name="near_twins", subject="all rows", n=rows, reading=reading, policy=evidence.policy)]
    key = evidence.schema.entity_key
    p, threshold, counts = crowding(
        *(
            _company(part, None if key is None else entity_codes(frame[key]))
            for part, frame in ((synthetic, frames[0]), (genuine, frames[1]))
        )
    )
    reading = "Synthetic rows do not crowd around each other more than real rows do."
    if counts[0] > counts[1]:
        reading = (
            f"There are {counts[0]:,} clusters of near-identical rows among {rows:,} synthetic rows, and {counts[1]:,} "
            f"among as many real ones; twice as many would be tolerated (p = {p:.2g})."
        )
    return [
        judged(
            name="near_twins",
            subject="all rows",
            value=p,
            low=p,
            high=p,
            n=rows,
            reading=reading,
            policy=evidence.policy,
            detail={"threshold": threshold, "synthetic_clusters": counts[0], "real_clusters": counts[1]},
        )
    ]


def crowding(
    synthetic: Company, real: Company, *, quantiles: Sequence[float] = THRESHOLDS
) -> tuple[float, float, tuple[int, int]]:
    """Return the p-value over all thresholds, the threshold that gives it, and the clusters of either table there."""
    num = len(synthetic.distance), len(real.distance)
    pooled = np.sort(np.concatenate([synthetic.distance, real.distance]))
    ranks = {min(NEAREST, len(pooled)), *(math.ceil(quantile * len(pooled)) for quantile in quantiles)}
    found = []
    for rank in sorted(ranks):
        threshold = float(pooled[rank - 1])
        counts = clusters(synthetic, threshold), clusters(real, threshold)
        p = fewer_p(counts[1], num[1], counts[0], num[0], least=HALF)
        found.append((min(1.0, len(ranks) * p), threshold, counts))
    return min(found, key=lambda one: one[0])


def clusters(table: Company, threshold: float) -> int:
    """Return how many clusters of two rows and more there are when rows within `threshold` are joined.

    Joined are a row with its nearest other row, and all such rows of one entity.
    """
    n = len(table.distance)
    rows = np.flatnonzero(table.distance <= threshold)
    start, end = [rows], [table.neighbour[rows]]
    if table.entity is not None:
        start, end = [*start, rows], [*end, n + table.entity[rows]]
    nodes = n + (0 if table.entity is None else int(table.entity.max()) + 1)
    edges = np.concatenate(start), np.concatenate(end)
    joined = coo_array((np.ones(len(edges[0])), edges), shape=(nodes, nodes))
    _, label = connected_components(joined, directed=False)
    return int((np.bincount(label[:n]) > 1).sum())


def _company(rows: np.ndarray, entity: np.ndarray | None) -> Company:
    distance, neighbour = nearest(rows, rows, own_position=np.arange(len(rows)))
    return Company(distance, neighbour, entity)

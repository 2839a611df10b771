"""Nearest neighbours between tables of mixed kinds: exact, in blocks, with a scale that no tail can spoil.

A row becomes a vector. A number or a moment becomes its normal score: the quantile of the standard normal at its
mid-rank among the real rows, interpolated between them, so that one wild value neither blows up nor hides all
others, and copies with a little noise stay near. A label becomes an indicator. Two random numbers, and two different
labels, are about one apart, squared. A missing cell is a label of its own.

What it cannot see: text, images and ids (see `copies`), labels rarer than the `MAX_LABELS` commonest of a column
(they count as one label), and how far a value lies outside the range of the real rows (it counts as their extreme).
"""

# N rows of the query, M rows of the base, F features

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from scipy.special import ndtri
from threadpoolctl import threadpool_limits

from sources.schema import Schema

MAX_LABELS = 128
"""Labels of a column with an indicator of their own; with more, products of blocks would cost more than they say."""

BLOCK_ROWS, BLOCK_COLUMNS = 512, 4096
"""A block of distances is 8 MiB of float32: it stays in the caches of a core."""


def embed(parts: Sequence[pd.DataFrame], schema: Schema, *, scale: Sequence[int]) -> list[np.ndarray]:
    """Return each part as float32 N F in one common space, distances as in the module's text.

    Args:
        parts: canonical frames of one schema.
        scale: positions of the parts whose pooled rows fix ranks and labels. Where rows of several parts are to be
            exchangeable, all of these parts belong here: then no part is nearer by construction.
        schema: what the columns are.

    """
    columns: list[list[np.ndarray]] = [[np.zeros((len(part), 0))] for part in parts]
    for column in schema.columns:
        cells = [part[column.name] for part in parts]
        if column.kind in ("numeric", "datetime"):
            blocks = _numbers([as_numbers(cell) for cell in cells], scale)
        elif column.kind in ("categorical", "boolean"):
            blocks = _labels([as_labels(cell) for cell in cells], scale)
        else:
            continue
        for own, block in zip(columns, blocks, strict=True):
            own.append(block)
    return [np.ascontiguousarray(np.concatenate(own, axis=1), dtype=np.float32) for own in columns]


def nearest(
    queries: np.ndarray, base: np.ndarray, *, own_position: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each query row the distance (float64 N) to its nearest row of `base`, and that row's position (N).

    The search runs in blocks of float32 products. The distance of each winner is then computed anew from its
    difference, and rows that `base` holds exactly are found by their content: a copy is at exactly 0.

    Args:
        queries: float32 N F.
        base: float32 M F, M at least 1 (2 with `own_position`).
        own_position: position of each query row in `base`, -1 where it is not there; a row is no neighbour of itself.

    """
    left, right = _factors(queries, base)

    def search(start: int) -> np.ndarray:
        own = None if own_position is None else own_position[start : start + BLOCK_ROWS]
        return _winners(left[start : start + BLOCK_ROWS], right, own)

    # Threads over blocks, each with a product of one thread: products of several threads wait for each other.
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        blocks = list(threads.map(search, range(0, len(queries), BLOCK_ROWS)))
    winner = np.concatenate([np.zeros(0, np.int64), *blocks])
    if own_position is None:
        winner = _prefer_copies(queries, base, winner)
    return _distances(queries, base[winner]), winner


def several_nearest(queries: np.ndarray, base: np.ndarray, k: int) -> np.ndarray:
    """Return for each query row the distances to its `k` nearest rows of `base`, the smallest first (float64 N k).

    As `nearest`: found among float32 products, computed anew from the differences.

    Args:
        queries: float32 N F.
        base: float32 M F.
        k: at most M.

    """
    assert 1 <= k <= len(base)
    left, right = _factors(queries, base)

    def search(start: int) -> np.ndarray:
        return _several_winners(left[start : start + BLOCK_ROWS], right, k)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        blocks = list(threads.map(search, range(0, len(queries), BLOCK_ROWS)))
    winners = np.concatenate([np.zeros((0, k), np.int64), *blocks])
    return np.sort(np.column_stack([_distances(queries, base[column]) for column in winners.T]), axis=1)


def as_labels(cells: pd.Series) -> pd.Series:
    """Return cells of a categorical or boolean column as text, a missing cell as None."""
    labels = cells.to_numpy(dtype=object).copy() if cells.dtype == object else _truths(cells)
    labels[cells.isna().to_numpy(dtype=bool)] = None
    return pd.Series(labels, dtype=object)


def _truths(cells: pd.Series) -> np.ndarray:
    return np.array([None if pd.isna(cell) else str(bool(cell)).lower() for cell in cells], dtype=object)


def as_numbers(cells: pd.Series) -> np.ndarray:
    """Return numbers, or moments in microseconds, as float64 N, NaN where missing."""
    if isinstance(cells.dtype, np.dtype) and cells.dtype.kind == "f":
        return cells.to_numpy(dtype=np.float64)
    missing = cells.isna().to_numpy(dtype=bool)
    return np.where(missing, np.nan, cells.astype("int64").to_numpy(dtype=np.float64))


def _numbers(parts: list[np.ndarray], scale: Sequence[int]) -> list[np.ndarray]:
    """Return normal scores (N 1), and an indicator of missing cells where there are any (N 2)."""
    known = np.concatenate([parts[i] for i in scale])
    known = known[~np.isnan(known)]
    values, counts = np.unique(known, return_counts=True)
    some_missing = any(bool(np.isnan(part).any()) for part in parts)
    blocks = []
    for part in parts:
        missing = np.isnan(part)
        scores = np.zeros(len(part))
        if len(values) > 1:
            middle = (counts.cumsum() - counts / 2) / counts.sum()
            scores[~missing] = np.interp(part[~missing], values, ndtri(middle) / np.sqrt(2))
        blocks.append(np.column_stack([scores, missing]) if some_missing else scores[:, None])
    return blocks


def _labels(parts: list[pd.Series], scale: Sequence[int]) -> list[np.ndarray]:
    """Return indicators (N labels) of height sqrt(1/2); rare labels share one, missing cells have one."""
    counts = pd.concat([parts[i] for i in scale]).value_counts()
    own = {
        label: i for i, label in enumerate(sorted(counts.index, key=lambda label: (-counts[label], label))[:MAX_LABELS])
    }
    rare, missing = len(own), len(own) + 1
    blocks = []
    for part in parts:
        code = part.map(own).fillna(rare).to_numpy(dtype=np.int64)
        code[part.isna().to_numpy()] = missing
        block = np.zeros((len(part), len(own) + 2), np.float32)
        block[np.arange(len(part)), code] = np.sqrt(0.5)
        blocks.append(block)
    used = np.any([block.any(axis=0) for block in blocks], axis=0)
    return [block[:, used] for block in blocks]


def _factors(queries: np.ndarray, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return float32 N F+1 and F+1 M whose product is the squared distance less a number for each query."""
    centre = base.mean(axis=0, dtype=np.float64).astype(np.float32)
    left = np.concatenate([queries - centre, np.ones((len(queries), 1), np.float32)], axis=1)
    right = base - centre
    return left, np.concatenate([-2 * right, np.square(right).sum(axis=1, keepdims=True)], axis=1).T.copy()


def _winners(left: np.ndarray, right: np.ndarray, own_position: np.ndarray | None) -> np.ndarray:
    """Return for each row of `left` (N F+1) the column of `right` (F+1 M) with the smallest product (int64 N)."""
    position = np.arange(len(left))
    best, winner = np.full(len(left), np.inf, np.float32), np.zeros(len(left), np.int64)
    room = np.empty(len(left) * BLOCK_COLUMNS, np.float32)
    for first in range(0, right.shape[1], BLOCK_COLUMNS):
        block = right[:, first : first + BLOCK_COLUMNS]
        scores = room[: len(left) * block.shape[1]].reshape(len(left), block.shape[1])
        np.matmul(left, block, out=scores)
        if own_position is not None:
            own = own_position - first
            here = (own >= 0) & (own < block.shape[1])
            scores[position[here], own[here]] = np.inf
        candidate = scores.argmin(axis=1)
        value = scores[position, candidate]
        better = value < best
        best[better] = value[better]
        winner[better] = candidate[better] + first
    return winner


def _several_winners(left: np.ndarray, right: np.ndarray, k: int) -> np.ndarray:
    """Return for each row of `left` (N F+1) the columns of `right` (F+1 M) with the k smallest products (int64 N k)."""
    best, winners = np.zeros((len(left), 0), np.float32), np.zeros((len(left), 0), np.int64)
    for first in range(0, right.shape[1], BLOCK_COLUMNS):
        scores = left @ right[:, first : first + BLOCK_COLUMNS]
        if scores.shape[1] > k:
            own = np.argpartition(scores, k - 1, axis=1)[:, :k]
            scores = np.take_along_axis(scores, own, axis=1)
        else:
            own = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
        best, winners = np.concatenate([best, scores], axis=1), np.concatenate([winners, own + first], axis=1)
        if best.shape[1] > k:
            kept = np.argpartition(best, k - 1, axis=1)[:, :k]
            best, winners = np.take_along_axis(best, kept, axis=1), np.take_along_axis(winners, kept, axis=1)
    return winners


def _prefer_copies(queries: np.ndarray, base: np.ndarray, winner: np.ndarray) -> np.ndarray:
    """Return `winner` with the first identical row of `base` where there is one."""
    place = pd.Series(np.arange(len(base)), index=[row.tobytes() for row in base])
    place = place[~place.index.duplicated()]
    same = place.reindex([row.tobytes() for row in queries]).to_numpy(dtype=np.float64)
    return np.where(np.isnan(same), winner, np.nan_to_num(same)).astype(np.int64)


def _distances(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return Euclidean distances of aligned rows in float64, block by block."""
    result = np.empty(len(left))
    for start in range(0, len(left), BLOCK_COLUMNS):
        rows = slice(start, start + BLOCK_COLUMNS)
        gap = left[rows].astype(np.float64) - right[rows]
        result[rows] = np.sqrt(np.einsum("nf,nf->n", gap, gap))
    return result

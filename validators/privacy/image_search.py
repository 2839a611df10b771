"""The nearest synthetic picture of each real one: as it stands or mirrored, and moved, cropped or enlarged.

Three steps, each on fewer pairs with more detail. *Coarse*: every real picture against every synthetic one on grids of
six cells a side, in a hundred windows; the few nearest are kept. *Finer*: these on eight cells, in hundreds of windows.
*Full*: on the pictures' own grid; pairs that were not moved all of them, of moved ones the nearest alone, put on top of
each other by least squares (`image_registration`).

Two distances come out for each real picture, for their laws differ: `still` and `moved`, 1 - cosine of descriptors.
"""

# N real pictures, M synthetic pictures, K candidates of each real picture, D components, G windows

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from validators.privacy.image_registration import middle_of, registered
from validators.privacy.image_views import Space, Window, described, sampled, sampled_all, space_of, windows

CANDIDATES, MOVED_CANDIDATES = 8, 48
"""Synthetic pictures that are kept for each real one, plain and moved: of 10,000 pictures of MNIST and Fashion-MNIST, a
moved copy of the real one is among these always, and a cropped one 99 times in a hundred."""

MIDDLE = 13 / 14
"""The part of a synthetic picture that is compared where it may have been moved: its margin may be made up."""

REACH = 1 / 14
"""Copies are looked for as far as this from their place, in shares of the side."""

COARSE, FINER, FULL = 6, 8, 24
COMPONENTS = {COARSE: 24, FINER: 64, FULL: 160}
COARSE_WINDOWS = windows((1.0, 0.94, 0.88, 0.82), MIDDLE, (5, 4, 5, 6), REACH)
FINER_WINDOWS = windows((1.0, 0.96, 0.92, 0.88, 0.84, 0.8), MIDDLE, (5, 4, 5, 6, 7, 8), REACH)
WHOLE = Window(top=0.0, left=0.0, share=1.0)
MIRRORED = Window(top=0.0, left=0.0, share=1.0, mirrored=True)
INNER = Window(top=(1 - MIDDLE) / 2, left=(1 - MIDDLE) / 2, share=MIDDLE)

FULL_SHARE, FULL_LEAST = 0.2, 400
"""The real pictures nearest in the finer step whose moved pair is looked at in full: laws are read off their tail."""

BLOCK_ROWS, BLOCK_COLUMNS, FINER_ROWS = 256, 2048, 64
"""A block of scores is 2 MiB of float32: it stays in the cache of a core."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What the search found for N real pictures.

    Args:
        still: distance to the nearest synthetic picture, as it stands or mirrored (float N).
        moved: the same, moved or cropped; infinite where it is not among the nearest (float N).
        still_pairs: distance of each candidate (float N K); still_candidates: its position (int N K).
        moved_candidate: position of the nearest moved one (int N).

    """

    still: np.ndarray
    moved: np.ndarray
    still_pairs: np.ndarray
    still_candidates: np.ndarray
    moved_candidate: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Spaces:
    """The spaces of descriptors over the real pictures, by cells of a side: of whole pictures, and of middles."""

    whole: dict[int, Space]
    middle: dict[int, Space]


def spaces_of(real: np.ndarray) -> Spaces:
    """Return the spaces over real pictures (float32 N C H W), all parts alike."""
    whole, middle = (
        {cells: space_of(sampled(real, view, grid_of(real, cells)), COMPONENTS[cells]) for cells in sizes}
        for view, sizes in ((WHOLE, (COARSE, FINER, FULL)), (INNER, (COARSE, FINER)))
    )
    return Spaces(whole=whole, middle=middle | {FULL: space_of(middle_of(real), COMPONENTS[FULL])})


def grid_of(pictures: np.ndarray, cells: int) -> tuple[int, int]:
    """Return the grid of at most `cells` a side for float32 N C H W."""
    height, width = (min(cells, length) for length in pictures.shape[2:])
    return height, width


def search(real: np.ndarray, synthetic: np.ndarray, spaces: Spaces) -> Found:
    """Return the nearest synthetic pictures of the real ones.

    Args:
        real: float32 N C H W, of `image_views.canonical`.
        synthetic: float32 M C H W, M at least 1.
        spaces: over the real pictures.

    """
    num = min(CANDIDATES, len(synthetic))
    still = nearest_still(real, synthetic, spaces, num)
    best = still[1].argmin(axis=1)
    moved, chosen = nearest_moved(real, synthetic, spaces)
    return Found(
        still=still[1][np.arange(len(real)), best],
        moved=moved,
        still_pairs=still[1],
        still_candidates=still[0],
        moved_candidate=chosen,
    )


def nearest_moved(real: np.ndarray, synthetic: np.ndarray, spaces: Spaces) -> tuple[np.ndarray, np.ndarray]:
    """Return each real picture's distance to the nearest moved one, as `Found.moved`, and which that is (int N)."""
    num = min(MOVED_CANDIDATES, len(synthetic))
    candidates = _coarse(real, synthetic, spaces.middle[COARSE], COARSE_WINDOWS, INNER, num=num)
    gap, chosen, window = _finer(real, synthetic, spaces.middle[FINER], candidates)
    kept = np.argsort(gap, kind="stable")[: max(FULL_LEAST, round(FULL_SHARE * len(real)))]
    moved = np.full(len(real), np.inf)
    moved[kept] = moved_pairs(real[kept], synthetic[chosen[kept]], spaces.middle[FULL], window[kept])
    return moved, chosen


def nearest_still(
    real: np.ndarray, synthetic: np.ndarray, spaces: Spaces, num: int, *, own_position: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return `num` candidates of each real picture (int N K) and their distances in full, mirrored or not (float N K).

    Args:
        real: float32 N C H W.
        synthetic: float32 M C H W.
        spaces: over the real pictures.
        num: K, at most M.
        own_position: position of each real picture in `synthetic`; a picture is no neighbour of itself.

    """
    views = (WHOLE, MIRRORED)
    candidates = _coarse(real, synthetic, spaces.whole[COARSE], views, WHOLE, num=num, own_position=own_position)
    space, grid = spaces.whole[FULL], grid_of(real, FULL)
    base = described(sampled(synthetic, WHOLE, grid), space)
    cosine = np.full(candidates.shape, -1.0)
    for view in views:
        query = described(sampled(real, view, grid), space)
        for column in range(num):
            cosines = np.einsum("nd,nd->n", query, base[candidates[:, column]])
            np.maximum(cosine[:, column], cosines, out=cosine[:, column])
    gap = np.maximum(1 - cosine, 0.0)
    if own_position is not None:
        gap[candidates == own_position[:, None]] = np.inf
    return candidates, gap


def moved_pairs(real: np.ndarray, synthetic: np.ndarray, space: Space, window: np.ndarray) -> np.ndarray:
    """Return the distances of aligned pairs (float32 N C H W each), the real ones put where they fit best (float N).

    Args:
        real: one of each pair.
        synthetic: the other.
        space: of middles, in full.
        window: position in `FINER_WINDOWS` from which each pair's place is sought (int N).

    """
    start = np.array([(one.top, one.left, one.share) for one in FINER_WINDOWS])[window]

    def of_rows(first: int) -> np.ndarray:
        rows = slice(first, first + BLOCK_ROWS)
        corner, share = start[rows, :2], start[rows, 2]
        shown = registered(real[rows], synthetic[rows], corner + share[:, None] / 2, share / MIDDLE)
        pair = (described(one, space) for one in (shown, middle_of(synthetic[rows])))
        return np.asarray(np.einsum("nd,nd->n", *pair))

    cosine = np.concatenate([np.zeros(0), *_beside(of_rows, range(0, len(real), BLOCK_ROWS))])
    return np.asarray(np.maximum(1 - cosine, 0.0))


def _coarse(
    real: np.ndarray,
    synthetic: np.ndarray,
    space: Space,
    views: Sequence[Window],
    middle: Window,
    *,
    num: int,
    own_position: np.ndarray | None = None,
) -> np.ndarray:
    """Return the synthetic pictures that are nearest to each real one in any view (int N K), in no order."""
    grid = grid_of(real, COARSE)
    base = described(sampled(synthetic, middle, grid), space).T.copy()

    def of_rows(start: int) -> np.ndarray:
        rows = slice(start, start + BLOCK_ROWS)
        queries = _views(real[rows], views, grid, space).transpose(1, 0, 2)
        own = None if own_position is None else own_position[rows]
        return _highest(queries, base, num, own)

    return np.concatenate([np.zeros((0, num), np.int64), *_beside(of_rows, range(0, len(real), BLOCK_ROWS))])


def _views(real: np.ndarray, views: Sequence[Window], grid: tuple[int, int], space: Space) -> np.ndarray:
    """Return the descriptors of all windows of real pictures: float32 N G D."""
    if any(view.mirrored for view in views):
        return np.stack([described(sampled(real, view, grid), space) for view in views], axis=1)
    seen = sampled_all(real, views, grid)
    vectors = described(seen.reshape(-1, *seen.shape[2:]), space)
    return vectors.reshape(*seen.shape[:2], vectors.shape[1])


def _highest(queries: np.ndarray, base: np.ndarray, num: int, own: np.ndarray | None) -> np.ndarray:
    """Return the `num` columns of `base` (D M) with the highest product over the views of each row (float32 G N D)."""
    rows = np.arange(len(queries[0]))
    best, place = np.zeros((len(rows), 0), np.float32), np.zeros((len(rows), 0), np.int64)
    for first in range(0, base.shape[1], BLOCK_COLUMNS):
        block = base[:, first : first + BLOCK_COLUMNS]
        scores = queries[0] @ block
        other = np.empty_like(scores)
        for query in queries[1:]:
            np.matmul(query, block, out=other)
            np.maximum(scores, other, out=scores)
        if own is not None:
            here = (own >= first) & (own < first + block.shape[1])
            scores[rows[here], own[here] - first] = -np.inf
        if scores.shape[1] > num:
            kept = np.argpartition(scores, scores.shape[1] - num, axis=1)[:, -num:]
            scores = np.take_along_axis(scores, kept, axis=1)
        else:
            kept = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
        best, place = np.concatenate([best, scores], axis=1), np.concatenate([place, kept + first], axis=1)
        if best.shape[1] > num:
            kept = np.argpartition(best, best.shape[1] - num, axis=1)[:, -num:]
            best, place = np.take_along_axis(best, kept, axis=1), np.take_along_axis(place, kept, axis=1)
    return place


def _finer(
    real: np.ndarray, synthetic: np.ndarray, space: Space, candidates: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each real picture's distance to the nearest of its candidates, which it is, and in which window."""
    grid = grid_of(real, FINER)
    base = described(sampled(synthetic, INNER, grid), space)

    def of_rows(start: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rows = slice(start, start + FINER_ROWS)
        query = _views(real[rows], FINER_WINDOWS, grid, space)
        cosine = (base[candidates[rows]] @ query.transpose(0, 2, 1)).reshape(len(query), -1)
        best = cosine.argmax(axis=1)
        chosen, place = np.divmod(best, query.shape[1])
        each = np.arange(len(query))
        return 1 - cosine[each, best].astype(float), candidates[rows][each, chosen], place

    blocks = _beside(of_rows, range(0, len(real), FINER_ROWS))
    gap, chosen, window = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return gap, chosen, window


def _beside(work: Any, tasks: Any) -> list[Any]:
    """Return what `work` makes of each task, on all cores, with products of one thread each."""
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return list(threads.map(work, tasks))

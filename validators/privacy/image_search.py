"""The nearest synthetic picture of each real one: as it stands or mirrored, and moved, cropped or enlarged.

Three steps, each on fewer pairs with more detail. *Coarse*: every real picture against every synthetic one on grids of
six cells a side, in all windows; the few nearest are kept. *Finer*: these on eight cells, in hundreds of windows.
*Full*: on the pictures' own grid; pairs that were not moved all of them, moved ones the nearest alone.

Two distances come out for each real picture, for their laws differ: `still` and `moved`, 1 - cosine of descriptors.
"""

# N real pictures, M synthetic pictures, K candidates of each real picture, D components, G windows

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from validators.privacy.image_views import Space, Window, described, sampled, sampled_each, space_of, windows

CANDIDATES = 8
"""Synthetic pictures that are kept for each real one and each class of views: of the cropped copies of MNIST and
Fashion-MNIST the original's place is among these for about nine in ten."""

MIDDLE = 13 / 14
"""The part of a synthetic picture that is compared where it may have been moved: its margin may be made up."""

REACH = 1 / 14
"""Copies are looked for as far as this from their place, in shares of the side."""

COARSE, FINER, FULL = 6, 8, 24
COMPONENTS = {COARSE: 24, FINER: 64, FULL: 160}
COARSE_WINDOWS = windows((1.0, 0.93, 0.85), MIDDLE, (3, 3, 4), REACH)
FINER_WINDOWS = windows((1.0, 0.96, 0.92, 0.88, 0.84, 0.8), MIDDLE, (5, 4, 5, 6, 7, 8), REACH)
WHOLE = Window(top=0.0, left=0.0, share=1.0)
MIRRORED = Window(top=0.0, left=0.0, share=1.0, mirrored=True)
INNER = Window(top=(1 - MIDDLE) / 2, left=(1 - MIDDLE) / 2, share=MIDDLE)

STEPS: tuple[float, ...] = (0.02, 0.01, 0.005)
"""By so much, in shares of the side, a pair's place is moved and scaled when it is sought in full: half a pixel of 28
and less."""

DIRECTIONS = list(product((0.0, -1.0, 1.0), repeat=3))

FULL_SHARE, FULL_LEAST = 0.2, 400
"""The real pictures nearest in the finer step whose moved pair is looked at in full: laws are read off their tail."""

BLOCK_ROWS, BLOCK_COLUMNS = 256, 2048
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
    return Spaces(
        **{
            name: {
                cells: space_of(sampled(real, window, grid_of(real, cells)), COMPONENTS[cells])
                for cells in (COARSE, FINER, FULL)
            }
            for name, window in (("whole", WHOLE), ("middle", INNER))
        }
    )


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
    candidates = _coarse(real, synthetic, spaces.middle[COARSE], COARSE_WINDOWS, INNER, num=num)
    gap, chosen, window = _finer(real, synthetic, spaces.middle[FINER], candidates)
    kept = np.argsort(gap, kind="stable")[: max(FULL_LEAST, round(FULL_SHARE * len(real)))]
    moved = np.full(len(real), np.inf)
    moved[kept] = moved_pairs(real[kept], synthetic[chosen[kept]], spaces.middle[FULL], window[kept])
    return Found(
        still=still[1][np.arange(len(real)), best],
        moved=moved,
        still_pairs=still[1],
        still_candidates=still[0],
        moved_candidate=chosen,
    )


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
    """Return the distances in full of aligned pairs (float32 N C H W each), the real ones moved as fits best (float N).

    Args:
        real: one of each pair.
        synthetic: the other.
        space: of middles, in full.
        window: position in `FINER_WINDOWS` from which each pair's place is sought, in ever smaller steps (int N).

    """
    grid = grid_of(real, FULL)
    base = described(sampled(synthetic, INNER, grid), space)
    place = np.array([(one.top, one.left, one.share) for one in FINER_WINDOWS])[window]
    place[:, :2] += place[:, 2:] / 2  # the middle of the window, about which it grows
    best = np.full(len(real), -1.0)
    for step in STEPS:
        start = place.copy()
        for direction in DIRECTIONS:
            tried = start + step * np.array(direction)
            corner = tried[:, :2] - tried[:, 2:] / 2
            query = described(sampled_each(real, corner[:, 0], corner[:, 1], tried[:, 2], grid), space)
            cosine = np.einsum("nd,nd->n", query, base)
            better = cosine > best
            best[better], place[better] = cosine[better], tried[better]
    return np.asarray(np.maximum(1 - best, 0.0))


def _coarse(
    real: np.ndarray,
    synthetic: np.ndarray,
    space: Space,
    views: "tuple[Window, ...] | list[Window]",
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
        queries = [described(sampled(real[rows], view, grid), space) for view in views]
        own = None if own_position is None else own_position[rows]
        return _highest(queries, base, num, own)

    return np.concatenate([np.zeros((0, num), np.int64), *_beside(of_rows, range(0, len(real), BLOCK_ROWS))])


def _highest(queries: list[np.ndarray], base: np.ndarray, num: int, own: np.ndarray | None) -> np.ndarray:
    """Return the `num` columns of `base` (D M) with the highest product over the views of each row (G times N D)."""
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
        rows = slice(start, start + BLOCK_ROWS)
        some, own = real[rows], base[candidates[rows]]
        best, chosen, place = np.full(len(some), -2.0), np.zeros(len(some), np.int64), np.zeros(len(some), np.int64)
        for position, window in enumerate(FINER_WINDOWS):
            query = described(sampled(some, window, grid), space)
            cosine = (own @ query[:, :, None])[:, :, 0]
            nearest = cosine.argmax(axis=1)
            value = cosine[np.arange(len(some)), nearest]
            better = value > best
            best[better], chosen[better], place[better] = value[better], nearest[better], position
        return 1 - best, candidates[rows][np.arange(len(some)), chosen], place

    blocks = _beside(of_rows, range(0, len(real), BLOCK_ROWS))
    gap, chosen, window = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return gap, chosen, window


def _beside(work: Any, tasks: Any) -> list[Any]:
    """Return what `work` makes of each task, on all cores, with products of one thread each."""
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
        return list(threads.map(work, tasks))

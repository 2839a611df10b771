"""Pictures as descriptors: windows of a picture, with brightness and contrast taken out, in a whitened space.

Every window (the whole, a part, a mirror image of either) is sampled on one small grid; sampling is linear and
separable, two small matrices for each window whatever the pictures' size. A descriptor is then a unit vector: the grid
less its mean, its principal components over the real pictures, each whitened as far as noise lets it (Wiener's filter
over the standard deviation: s / (s^2 + noise^2)), and scaled to length 1. What all pictures share counts little that
way, and what noise or compression do not leave counts nothing. The distance of two descriptors is 1 - their cosine.

What it cannot see: rotations; crops of less than three quarters; a picture put together of several; blank pictures.
"""

# N pictures, H height, W width, C channels, P cells of a grid's side, D components

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import linalg

LARGEST_SIDE = 32
"""Pictures are reduced to this: what tells two pictures apart is seen there, and the search costs the same for all."""

BLANK = 1e-3
"""Standard deviation of a grid, of full range 1, below which there is nothing in a picture to compare."""

FLOOR = 0.15
"""Noise of a copy relative to its contrast that is expected: that of JPEG at quality 50, about."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of a picture.

    Args:
        top, left: of the part, in shares of height and width.
        share: of the height and of the width that the part has.
        mirrored: left for right.

    """

    top: float
    left: float
    share: float
    mirrored: bool = False


@dataclass(frozen=True, kw_only=True)
class Space:
    """What turns grids into descriptors.

    Args:
        mean: of the real grids, float32 F.
        axes: principal axes over their standard deviations, float32 F D.

    """

    mean: np.ndarray
    axes: np.ndarray


def canonical(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 or uint16 N H W C as float32 N C h w in [0, 1], sides of at most `LARGEST_SIDE`."""
    top = np.iinfo(pixels.dtype).max
    height, width = (min(length, LARGEST_SIDE) for length in pixels.shape[1:3])
    whole = Window(top=0.0, left=0.0, share=1.0)
    found = np.empty((len(pixels), pixels.shape[3], height, width), dtype=np.float32)
    step = 1024
    for start in range(0, len(pixels), step):
        rows = slice(start, start + step)
        some = np.moveaxis(pixels[rows], 3, 1).astype(np.float32) / top
        found[rows] = some if some.shape[2:] == (height, width) else sampled(some, whole, (height, width))
    return found


def sampled(pictures: np.ndarray, window: Window, grid: tuple[int, int]) -> np.ndarray:
    """Return the window of each picture (float32 N C H W) on a grid: float32 N C P Q."""
    height, width = pictures.shape[2:]
    rows, columns = (
        sampling(cells, length, np.array([start]), np.array([window.share]))[0]
        for cells, length, start in ((grid[0], height, window.top), (grid[1], width, window.left))
    )
    if window.mirrored:
        columns = columns[::-1]
    return np.ascontiguousarray(rows @ pictures @ columns.T)


def sampled_all(pictures: np.ndarray, views: Sequence[Window], grid: tuple[int, int]) -> np.ndarray:
    """Return many windows of each picture (float32 N C H W), as `windows` gives them: float32 N G C P Q.

    Windows of one share are all combinations of some tops with some lefts: two matrices make all of them at once.
    """
    num, channels, height, width = pictures.shape
    found = []
    for share in dict.fromkeys(view.share for view in views):
        tops, lefts = (
            list(dict.fromkeys(getattr(view, end) for view in views if view.share == share)) for end in ("top", "left")
        )
        assert [(view.top, view.left) for view in views if view.share == share] == list(product(tops, lefts))
        rows, columns = (
            sampling(cells, length, np.array(starts), np.full(len(starts), share)).reshape(-1, length)
            for cells, length, starts in ((grid[0], height, tops), (grid[1], width, lefts))
        )
        along = (pictures.reshape(-1, width) @ columns.T).reshape(num, channels, height, -1)
        cells = (rows @ along).reshape(num, channels, len(tops), grid[0], len(lefts), grid[1])
        found.append(cells.transpose(0, 2, 4, 1, 3, 5).reshape(num, -1, channels, *grid))
    return np.concatenate(found, axis=1)


def sampling(cells: int, length: int, start: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return float32 N `cells` `length`: means around the centres of equal cells of each part of a side.

    The weight falls linearly to 0 at the width of a cell, or of a pixel where that is wider. What lies outside is as
    the edge.

    Args:
        cells: of the grid.
        length: of the side, in pixels.
        start: of the parts, in shares of the side (float N).
        share: of the side that each part has (float N).

    """
    extent = length * share[:, None]
    width = np.maximum(extent / cells, 1.0)[..., None]
    centres = length * start[:, None] + (np.arange(cells) + 0.5) / cells * extent
    centres = np.clip(centres, 0.5, length - 0.5)[..., None]
    weights = np.maximum(0.0, 1 - np.abs(np.arange(length) + 0.5 - centres) / width)
    return np.asarray(weights / weights.sum(axis=2, keepdims=True), np.float32)


def space_of(grids: np.ndarray, components: int) -> Space:
    """Return the space of descriptors over real grids (float32 N C P Q), of at most so many components."""
    flat, known = _levelled(grids)
    flat = flat[known] if known.any() else flat
    mean = flat.mean(axis=0, dtype=np.float64)
    gap = (flat - mean).astype(np.float32)
    covariance = gap.T @ gap / np.float32(max(len(flat), 1))
    num = len(covariance)
    variances, axes = linalg.eigh(covariance, subset_by_index=(max(0, num - components), num - 1))
    variances = np.maximum(variances, 0.0)
    scale = np.sqrt(variances) / (variances + FLOOR**2)  # grids have unit variance a cell
    return Space(mean=mean.astype(np.float32), axes=(axes * scale).astype(np.float32))


def described(grids: np.ndarray, space: Space) -> np.ndarray:
    """Return grids (float32 N C P Q) as descriptors (float32 N D) of length 1, 0 where they are blank."""
    flat, known = _levelled(grids)
    vectors = (flat - space.mean) @ space.axes
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.where(known[:, None] & (length > 0), vectors / np.maximum(length, 1e-12), 0.0), np.float32)


def _levelled(grids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return grids as float32 N F of mean 0 and variance 1, and which of them are not blank (bool N)."""
    flat = grids.reshape(len(grids), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(flat).mean(axis=1, keepdims=True))
    return flat / np.maximum(deviation, BLANK), deviation[:, 0] >= BLANK


def windows(shares: Sequence[float], inner: float, places: Sequence[int], reach: float) -> list[Window]:
    """Return windows of a picture that the middle part of another one may show.

    Args:
        shares: how much of the picture the other one shows, each.
        inner: the middle part of the other one that is compared.
        places: along each side for each share, at equal distances.
        reach: how far, in shares of the side, a window of share 1 is moved.

    """
    found = []
    for share, num in zip(shares, places, strict=True):
        middle = (1 - inner * share) / 2
        most = reach if share == 1 else middle
        offsets = np.linspace(-most, most, num) if num > 1 else np.zeros(1)
        found += [
            Window(top=middle + float(dy), left=middle + float(dx), share=inner * share)
            for dy in offsets
            for dx in offsets
        ]
    return found

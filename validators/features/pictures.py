"""Pictures as the networks and the checks see them: uint8 or uint16 N H W C to float32, shrunk where they are large."""

from collections.abc import Iterator

import numpy as np

MAX_SIDE = 32
"""Longer sides are shrunk to this by averaging: the cost of a judgement must not grow with the resolution."""

CHUNK = 1024


def shrunk(images: np.ndarray) -> np.ndarray:
    """Return pictures (uint8 or uint16 N H W C) as float32 N h w C in [0, 1], the longer side at most `MAX_SIDE`.

    Each new pixel is the mean of the old ones that it covers, by the part of them that it covers, so no brightness is
    lost whatever the sides are. The aspect ratio is kept up to a pixel.
    """
    _, height, width, channels = images.shape
    h, w = shrunk_sides(height, width)
    whole = np.float32(np.iinfo(images.dtype).max)
    found = np.empty((len(images), h, w, channels), dtype=np.float32)
    for first, part in _chunks(images):
        found[first : first + len(part)] = averaged(part.astype(np.float32) / whole, h, w)
    return found


def within(pixels: np.ndarray, most: int) -> np.ndarray:
    """Return pictures (float32 N H W C) averaged down to at most about `most` numbers each, the aspect ratio kept."""
    _, height, width, channels = pixels.shape
    scale = min(1.0, float(np.sqrt(most / (height * width * channels))))
    return averaged(pixels, max(1, round(height * scale)), max(1, round(width * scale)))


def averaged(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return pictures (float32 N H W C) of `height` and `width`, each pixel the mean of what it covers."""
    if (height, width) == pixels.shape[1:3]:
        return pixels
    rows, columns = _means(pixels.shape[1], height), _means(pixels.shape[2], width)
    tall = np.einsum("ah,nhwc->nawc", rows, pixels, optimize=True)
    return np.asarray(np.einsum("bw,nawc->nabc", columns, tall, optimize=True))


def shrunk_sides(height: int, width: int) -> tuple[int, int]:
    """Return the sides that `shrunk` gives pictures of these sides.

    >>> [shrunk_sides(*sides) for sides in ((8, 8), (28, 28), (37, 53), (1024, 4))]
    [(8, 8), (28, 28), (22, 32), (32, 1)]
    """
    scale = min(1.0, MAX_SIDE / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _means(old: int, new: int) -> np.ndarray:
    """Return the matrix (float32 new old) whose rows average the old pixels that a new one covers."""
    edges = np.linspace(0, old, new + 1)
    pixel = np.arange(old)
    covered = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    covered = np.maximum(covered, 0.0)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), dtype=np.float32)


def _chunks(images: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for first in range(0, len(images), CHUNK):
        yield first, images[first : first + CHUNK]

"""Many pictures on one sheet, small enough for a page: scaled down, in rows, with a gap between them.

# n pictures, h height, w width, C channels
"""

from typing import Any

import numpy as np

GAP = 2


def thumbnails(pixels: np.ndarray, *, most: int, top: int | None = None) -> np.ndarray:
    """Return pictures of 8 bits that no side of is longer than `most`.

    Args:
        pixels: uint8 or uint16 n H W C.
        most: pixels of a side.
        top: the level that becomes white where there are 16 bits; the largest one of `pixels` when None.

    Returns:
        uint8 n h w C.

    """
    small = np.stack([_scaled(one, most) for one in _bytes_of(pixels, top)]) if len(pixels) else None
    return np.zeros((0, 1, 1, pixels.shape[3]), dtype=np.uint8) if small is None else small


def top_of(pixels: np.ndarray) -> int | None:
    """Return the `top` that these pictures set for others beside them."""
    return int(pixels.max(initial=1)) if pixels.dtype == np.uint16 else None


def sheet(pictures: np.ndarray, *, columns: int) -> np.ndarray:
    """Return the pictures in rows of `columns`, transparent between them.

    Args:
        pictures: uint8 n h w C, at least one.
        columns: pictures in a row.

    Returns:
        uint8 H W 4.

    """
    num, height, width, channels = pictures.shape
    rows = -(-num // columns)
    canvas = np.zeros((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP, 4), dtype=np.uint8)
    for place, picture in enumerate(pictures):
        row, column = divmod(place, columns)
        y, x = row * (height + GAP), column * (width + GAP)
        colours = np.repeat(picture, 3, axis=2) if channels == 1 else picture[:, :, :3]
        opacity = picture[:, :, 3:] if channels == 4 else np.full((height, width, 1), 255, dtype=np.uint8)  # noqa: PLR2004
        canvas[y : y + height, x : x + width] = np.concatenate([colours, opacity], axis=2)
    return canvas


def enlarged(pictures: np.ndarray, *, least: int) -> np.ndarray:
    """Return pictures (uint8 n h w C) whose pixels are repeated until a side has `least` pixels or more."""
    factor = max(1, -(-least // max(pictures.shape[1:3])))
    return pictures.repeat(factor, axis=1).repeat(factor, axis=2)


def _bytes_of(pixels: np.ndarray, top: int | None) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    white = max(1, int(pixels.max(initial=1)) if top is None else top)
    scaled: np.ndarray = np.rint(255 * np.minimum(pixels / white, 1)).astype(np.uint8)
    return scaled


def _scaled(picture: np.ndarray, most: int) -> np.ndarray:
    height, width, channels = picture.shape
    longest = max(height, width)
    if longest <= most:
        return picture
    from PIL import Image as Pillow  # noqa: PLC0415 - only where pictures are large

    size = max(1, round(width * most / longest)), max(1, round(height * most / longest))
    plain: Any = Pillow.fromarray(picture[:, :, 0] if channels == 1 else picture)
    small: np.ndarray = np.asarray(plain.resize(size, Pillow.Resampling.BOX))
    return small[:, :, None] if channels == 1 else small

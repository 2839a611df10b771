"""Where in a real picture does a synthetic one lie, to a hundredth of a pixel? Least squares over place and size.

A pair that was found by its descriptors is put on top of each other: the real picture is moved and scaled until it
explains the synthetic one best, up to brightness and contrast (Lucas and Kanade 1981: Gauss-Newton steps, here with
gain and offset as two more unknowns). Between pixels it is read by cubic convolution (Keys 1981, a = -1/2). A copy then
fits but for noise and compression, a stranger keeps what is its own.

What it cannot see: rotations; unequal stretching of the sides.
"""

# N pairs, C channels, H height, W width, P Q pixels of the middle that is compared

import numpy as np

STEPS = 5
MARGIN = 28
"""One pixel in so many is left out at each edge of the synthetic picture: it may be made up."""

MOST_MOVED, MOST_SCALED = 1.0, 0.04
"""What one step may change: the place in pixels, the size relatively. Linear models hold no farther."""

RIDGE = 1e-4
"""Of the unknowns, relative to their own diagonal: a picture of stripes does not tell where along them it lies."""

REACHED, BEYOND = 2, 3
"""Pixels that cubic convolution reads on either side, and those beyond an edge that are as the edge."""


def margins(length: int) -> int:
    """Return how many pixels are left out at each end of a side."""
    return round(length / MARGIN)


def middle_of(pictures: np.ndarray) -> np.ndarray:
    """Return the middles of pictures (float32 N C H W) that are compared: float32 N C P Q."""
    high, wide = (margins(length) for length in pictures.shape[2:])
    return pictures[:, :, high : pictures.shape[2] - high, wide : pictures.shape[3] - wide]


def registered(real: np.ndarray, synthetic: np.ndarray, centre: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the real pictures of pairs as the middles of the synthetic ones would show them: float32 N C P Q.

    Args:
        real: float32 N C H W.
        synthetic: float32 N C H W.
        centre: where the search starts: the middle of the synthetic picture in the real one, row and column in shares
            of the sides (float N 2).
        scale: pixels of the real picture for one of the synthetic one (float N).

    """
    height, width = real.shape[2:]
    target = middle_of(synthetic)
    place = np.stack([centre[:, 0] * height, centre[:, 1] * width, scale], axis=1)
    best = np.full(len(real), -np.inf)
    found = np.empty(target.shape, np.float32)
    for step in range(STEPS + 1):
        shown, slopes = _shown(real, place, target.shape[2:])
        cosine, change = _fitted(target, shown, slopes)
        better = cosine > best
        best[better], found[better] = cosine[better], shown[better]
        if step < STEPS:
            most = np.array([MOST_MOVED, MOST_MOVED, MOST_SCALED])
            place = place + np.clip(change, -most, most)
    return found


def _shown(real: np.ndarray, place: np.ndarray, grid: tuple[int, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the real pictures at their places (float32 N C P Q), and how that changes with row, column and scale."""
    height, width = grid
    down, right = (np.arange(cells) + 0.5 - cells / 2 for cells in (height, width))
    rows, row_slopes = _cubic(real.shape[2], place[:, :1] - 0.5 + place[:, 2:] * down)
    columns, column_slopes = _cubic(real.shape[3], place[:, 1:2] - 0.5 + place[:, 2:] * right)
    rows, row_slopes = rows[:, None], row_slopes[:, None]
    columns, column_slopes = (one.transpose(0, 2, 1)[:, None] for one in (columns, column_slopes))
    along = rows @ real
    shown, by_column = along @ columns, along @ column_slopes
    by_row = (row_slopes @ real) @ columns
    by_scale = by_row * down[:, None].astype(np.float32) + by_column * right.astype(np.float32)
    return shown, [by_row, by_column, by_scale]


def _fitted(target: np.ndarray, shown: np.ndarray, slopes: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the correlation of pictures with what they shall show (float N), and by how much to move (float N 3)."""
    wanted = target.reshape(len(target), -1)
    basis = np.stack([one.reshape(len(target), -1) for one in (shown, *slopes)], axis=1)
    wanted = wanted - wanted.mean(axis=1, keepdims=True)
    basis = basis - basis.mean(axis=2, keepdims=True)
    gram = (basis @ basis.transpose(0, 2, 1)).astype(np.float64)
    right = (basis @ wanted[:, :, None]).astype(np.float64)
    lengths = gram[:, 0, 0] * np.square(wanted).sum(axis=1)
    cosine = right[:, 0, 0] / np.sqrt(np.maximum(lengths, 1e-12))
    diagonal = np.einsum("nii->ni", gram)
    diagonal *= 1 + RIDGE
    diagonal += 1e-6
    solved = np.linalg.solve(gram, right)[:, :, 0]
    gain = np.maximum(np.abs(solved[:, :1]), 0.1)  # near nothing, or a negative: no copy, and no step to infinity
    return cosine, solved[:, 1:] / gain


def _cubic(length: int, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of a side's pixels at places between them, and their slopes (float32 N P `length` each).

    Args:
        length: of the side.
        place: in pixels, 0 the centre of the first one (float N P).

    """
    place = np.clip(place, 1 - BEYOND, length + BEYOND - 2)[..., None]
    gap = np.arange(-BEYOND, length + BEYOND) - place
    far = np.abs(gap)
    inner, reached = far < 1, far < REACHED
    nearby, beyond = (1.5 * far - 2.5) * far**2 + 1, ((2.5 - 0.5 * far) * far - 4) * far + 2
    weights = np.where(inner, nearby, np.where(reached, beyond, 0.0))
    nearby, beyond = (4.5 * far - 5) * far, (5 - 1.5 * far) * far - 4
    slopes = np.where(inner, nearby, np.where(reached, beyond, 0.0)) * -np.sign(gap)
    return _folded(weights), _folded(slopes)


def _folded(weights: np.ndarray) -> np.ndarray:
    """Return weights with those beyond the edges given to the edge."""
    kept = weights[..., BEYOND:-BEYOND].astype(np.float32)
    kept[..., 0] += weights[..., :BEYOND].sum(axis=-1)
    kept[..., -1] += weights[..., -BEYOND:].sum(axis=-1)
    return kept

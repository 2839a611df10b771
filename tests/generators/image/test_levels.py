"""Pixels become symbols and come back, whatever their size and depth."""

from typing import Any

import numpy as np
import pytest

from generators.image.cells import Cells
from generators.image.levels import LevelCode, fit_levels

RNG_SEED = 4


def pictures(shape: tuple[int, ...], dtype: Any, most: int) -> np.ndarray:
    return np.random.default_rng(RNG_SEED).integers(0, most + 1, size=shape).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "dtype", "most", "sizes"),
    [
        ((40, 5, 6, 1), np.uint8, 255, (16, 16)),
        ((40, 5, 6, 3), np.uint8, 255, (16, 16) * 3),
        ((40, 5, 6, 1), np.uint16, 65_535, (16,) * 4),
        ((40, 5, 6, 4), np.uint16, 1_023, (4, 16, 16) * 4),
        ((40, 5, 6, 1), np.uint8, 16, (17,)),
        ((40, 5, 6, 1), np.uint8, 0, (1,)),
        ((40, 5, 6, 3), np.uint8, 1, (8,)),
        ((40, 5, 6, 3), np.uint8, 9, (10,) * 3),
    ],
)
def test_pixels_come_back_as_they_were(shape: tuple[int, ...], dtype: Any, most: int, sizes: tuple[int, ...]) -> None:
    images = pictures(shape, dtype, most)
    code = fit_levels(images)
    assert code.sizes == sizes
    symbols = code.encode(images)
    assert (symbols.reshape(-1, len(sizes)).max(axis=0) < np.array(sizes)).all()
    back = LevelCode.from_json(code.to_json()).decode(symbols)
    assert back.dtype == images.dtype
    np.testing.assert_array_equal(back, images)


def test_a_palette_is_of_levels_that_five_pictures_share() -> None:
    images = pictures((40, 4, 4, 1), np.uint8, 3) * 50
    assert fit_levels(images).palette == ((0,), (50,), (100,), (150,))
    images[:4, 0, 0] = 77
    assert fit_levels(images).palette is None
    images[4, 0, 0] = 77
    assert fit_levels(images).palette == ((0,), (50,), (77,), (100,), (150,))


@pytest.mark.parametrize(("height", "width", "side"), [(37, 53, 4), (8, 8, 2), (1, 3, 1), (5, 4, 4)])
def test_cells_come_together_as_they_were_cut(height: int, width: int, side: int) -> None:
    cells = Cells(height=height, width=width, symbols=2, side=side)
    symbols = pictures((3, height, width, 2), np.uint8, 15)
    cut = cells.cut(symbols)
    assert cut.shape == (3, cells.rows * cells.columns, side**2 * 2)
    np.testing.assert_array_equal(cells.joined(cut), symbols)
    assert cells.inside().sum() == height * width * 2
    assert not cut[:, ~cells.inside()].any()


def test_a_cell_is_a_square_of_neighbouring_pixels_row_by_row() -> None:
    picture = np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1)
    cut = Cells(height=4, width=4, symbols=1, side=2).cut(picture)
    assert cut[0].tolist() == [[0, 1, 4, 5], [2, 3, 6, 7], [8, 9, 12, 13], [10, 11, 14, 15]]

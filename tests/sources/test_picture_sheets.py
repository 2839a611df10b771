"""Sheets of pictures: every pixel where it belongs, nothing between them, 16 bits over the whole range."""

import numpy as np
import pytest

from sources.picture_sheets import GAP, enlarged, sheet, thumbnails, top_of
from sources.randomness import stream


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_each_picture_lies_in_its_place_and_the_gaps_are_transparent(channels: int) -> None:
    pictures = stream(1, "sheets").integers(0, 256, (5, 3, 4, channels)).astype(np.uint8)
    whole = sheet(pictures, columns=2)
    assert whole.shape == (3 * 3 + 2 * GAP, 2 * 4 + GAP, 4)
    covered = np.zeros(whole.shape[:2], dtype=bool)
    for place, picture in enumerate(pictures):
        y, x = place // 2 * (3 + GAP), place % 2 * (4 + GAP)
        there = whole[y : y + 3, x : x + 4]
        covered[y : y + 3, x : x + 4] = True
        assert np.array_equal(there[:, :, : min(channels, 3)], picture[:, :, :3])
        assert np.array_equal(there[:, :, 3], picture[:, :, 3] if channels == 4 else np.full((3, 4), 255))
    assert not whole[~covered].any()


def test_deep_pictures_reach_from_black_to_white_and_share_a_given_top() -> None:
    pixels = np.array([0, 100, 400], dtype=np.uint16).reshape(1, 1, 3, 1)
    assert thumbnails(pixels, most=9).ravel().tolist() == [0, 64, 255]
    assert thumbnails(pixels, most=9, top=200).ravel().tolist() == [0, 128, 255]
    assert top_of(pixels) == 400
    assert top_of(pixels.astype(np.uint8)) is None
    assert thumbnails(np.zeros((1, 2, 2, 1), dtype=np.uint16), most=9).max() == 0


def test_large_pictures_are_scaled_by_the_mean_and_small_ones_repeated() -> None:
    pixels = stream(2, "sheets").integers(0, 256, (1, 8, 4, 1)).astype(np.uint8)
    small = thumbnails(pixels, most=4)
    assert small.shape == (1, 4, 2, 1)
    means = pixels.reshape(1, 4, 2, 2, 2, 1).mean(axis=(2, 4))
    assert np.abs(small - means).max() <= 1
    large = enlarged(pixels, least=20)
    assert large.shape == (1, 24, 12, 1)
    assert np.array_equal(large[:, ::3, ::3], pixels)

"""Large pictures are shrunk by averaging."""

import numpy as np
import pytest

from sources.randomness import stream
from validators.features.pictures import MAX_SIDE, shrunk


def test_small_pictures_stay_as_they_are_but_for_the_scale() -> None:
    images = stream(1, "pictures").integers(0, 256, size=(3, 8, 9, 3)).astype(np.uint8)
    assert np.allclose(shrunk(images) * 255, images, atol=1e-4)
    deep = images.astype(np.uint16) * 257
    assert np.allclose(shrunk(deep), shrunk(images), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(37, 53), (64, 64), (33, 7), (200, 100)])
def test_no_brightness_is_lost_in_the_mean(height: int, width: int) -> None:
    images = stream(1, "pictures").integers(0, 256, size=(5, height, width, 2)).astype(np.uint8)
    found = shrunk(images)
    assert max(found.shape[1:3]) == MAX_SIDE
    assert np.allclose(found.mean(axis=(1, 2)), images.mean(axis=(1, 2)) / 255, atol=1e-4)


def test_halving_is_the_mean_of_four_pixels() -> None:
    images = stream(1, "pictures").integers(0, 256, size=(2, 64, 64, 1)).astype(np.uint8)
    blocks = images.reshape(2, 32, 2, 32, 2, 1).mean(axis=(2, 4)) / 255
    assert np.allclose(shrunk(images), blocks, atol=1e-5)

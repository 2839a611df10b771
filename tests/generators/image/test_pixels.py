"""Pictures between whole numbers and [-1, 1]."""

import numpy as np
import pytest
import torch

from generators.image.pixels import Held, cropped, margins, padded, to_pixels


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_level_comes_back(dtype: type[np.uint8 | np.uint16]) -> None:
    levels = np.arange(np.iinfo(dtype).max + 1).astype(dtype).reshape(1, 16, -1, 1)
    held = Held(levels, torch.device("cpu"))
    inside = held.at(torch.tensor([0]))
    assert (float(inside.min()), float(inside.max())) == (-1.0, 1.0)
    np.testing.assert_array_equal(to_pixels(inside, held.levels), levels)
    np.testing.assert_array_equal(held.levels_at(torch.tensor([0])).permute(0, 2, 3, 1).numpy(), levels)


def test_rows_are_picked_in_order_and_channels_come_first() -> None:
    images = np.random.default_rng(1).integers(0, 256, size=(5, 3, 4, 3)).astype(np.uint8)
    before = images.copy()
    picked = Held(images, torch.device("cpu")).at(torch.tensor([4, 0, 4]))
    assert picked.shape == (3, 3, 3, 4)
    np.testing.assert_array_equal(to_pixels(picked, 256), images[[4, 0, 4]])
    np.testing.assert_array_equal(images, before)


def test_what_is_beyond_the_ends_is_the_end_and_what_is_no_number_a_defect() -> None:
    assert to_pixels(torch.tensor([-7.0, 7.0]).view(1, 1, 1, 2), 256).ravel().tolist() == [0, 255]
    with pytest.raises(AssertionError, match="no numbers"):
        to_pixels(torch.tensor([torch.nan]).view(1, 1, 1, 1), 256)


@pytest.mark.parametrize("size", [(8, 8), (37, 53), (1, 1), (5, 64)])
@pytest.mark.parametrize("multiple", [1, 2, 4, 8])
def test_padding_is_undone_by_cropping(size: tuple[int, int], multiple: int) -> None:
    pictures = torch.rand((2, 3, *size), generator=torch.Generator().manual_seed(1))
    large = padded(pictures, multiple)
    assert large.shape[2] % multiple == large.shape[3] % multiple == 0
    assert max(large.shape[2] - size[0], large.shape[3] - size[1]) < multiple
    assert torch.equal(cropped(large, *size), pictures)
    assert sum(margins(*size, multiple)) == large.shape[2] + large.shape[3] - sum(size)

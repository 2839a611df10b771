"""Pictures between their two forms: whole numbers outside, float32 in [-1, 1] inside.

# N pictures, B batch, H height, W width, C channels (1 grey, 3 red green blue, 4 with opacity)
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

LEVELS: dict[np.dtype[Any], int] = {np.dtype(np.uint8): 2**8, np.dtype(np.uint16): 2**16}
"""How many values a pixel of each type can take."""


class Held:
    """All pictures as one tensor, in as few bytes as they came with; batches are made from it.

    Args:
        images: uint8 or uint16 N H W C.
        device: where the tensor lives.

    """

    def __init__(self, images: np.ndarray, device: torch.device) -> None:
        """Keep 16 bits as int16, which torch can index everywhere, with the same bits."""
        self.levels = LEVELS[images.dtype]
        plain = images.view(np.int16) if images.dtype == np.uint16 else images
        self._pixels = torch.from_numpy(np.ascontiguousarray(plain.transpose(0, 3, 1, 2))).to(device)

    def __len__(self) -> int:
        """Return N."""
        return len(self._pixels)

    def levels_at(self, rows: Tensor) -> Tensor:
        """Return the pictures at the row numbers `rows` (int64 B, any device) as int32 B C H W of whole levels."""
        picked = self._pixels[rows.to(self._pixels.device)].to(torch.int32)
        return picked & (self.levels - 1)

    def at(self, rows: Tensor) -> Tensor:
        """Return the pictures at the row numbers `rows` (int64 B, any device) as float32 B C H W in [-1, 1]."""
        return scaled(self.levels_at(rows), self.levels)


def scaled(levels: Tensor, num_levels: int) -> Tensor:
    """Return whole levels (0 to `num_levels` - 1, any shape) as float32 in [-1, 1]."""
    return levels.to(torch.float32) * (2 / (num_levels - 1)) - 1


def to_pixels(pictures: Tensor, num_levels: int) -> np.ndarray:
    """Return float B C H W as uint8 or uint16 B H W C: the nearest level, the first or last beyond [-1, 1].

    >>> to_pixels(torch.tensor([-1.0, 0.0, 3.0]).view(1, 1, 1, 3), 256).ravel()
    array([  0, 128, 255], dtype=uint8)
    """
    pictures = pictures.detach().float()
    assert bool(torch.isfinite(pictures).all()), "a network drew pixels that are no numbers"
    numbers = ((pictures.clamp(-1, 1) + 1) * ((num_levels - 1) / 2)).round()
    return np.ascontiguousarray(numbers.permute(0, 2, 3, 1).cpu().numpy().astype(dtype_of(num_levels)))


def dtype_of(num_levels: int) -> np.dtype[Any]:
    """Return the type of pixels that take so many values."""
    return next(dtype for dtype, count in LEVELS.items() if count == num_levels)


def margins(height: int, width: int, multiple: int) -> tuple[int, int, int, int]:
    """Return what to add left, right, above and below so that both sides are multiples of `multiple`.

    >>> margins(37, 53, 4)
    (1, 2, 1, 2)
    """
    across, down = -width % multiple, -height % multiple
    return across // 2, across - across // 2, down // 2, down - down // 2


def padded(pictures: Tensor, multiple: int) -> Tensor:
    """Return float B C H W with its edges repeated up to the next multiple of `multiple` on both sides."""
    around = margins(pictures.shape[2], pictures.shape[3], multiple)
    return torch.nn.functional.pad(pictures, around, mode="replicate") if any(around) else pictures


def cropped(pictures: Tensor, height: int, width: int) -> Tensor:
    """Undo `padded`: return the middle `height` by `width` of B C H W."""
    top, left = (pictures.shape[2] - height) // 2, (pictures.shape[3] - width) // 2
    return pictures[:, :, top : top + height, left : left + width]

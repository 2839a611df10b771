"""The two networks of `image.gan`: grids of features in residual blocks without any normalisation.

A block is 1x1 -> grouped 3x3 -> 1x1 on an inner width twice as large, and begins as the identity (Huang et al. 2024,
arXiv 2501.05441, section 3). Attributes enter the generator beside the noise and the discriminator as an inner product
with its features (Miyato and Koyama 2018, arXiv 1802.05637). Tensors are channels-last: on a CPU that is two to five
times as fast, in bfloat16 even more.

# B batch, C channels of a picture, F features, H W pixels, T tokens, Z latent, E embedding of attributes
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from generators.nn.attributes import AttributeInput

SLOPE = 0.2  # of the leaky rectifier below zero
EXPAND = 2  # a block's inner width over its outer one
GROUP = 16  # channels of the inner width that a 3x3 convolution joins


@dataclass(frozen=True, kw_only=True)
class Architecture:
    """The sizes of both networks; they follow from shape and device alone (`gan.architecture_of`).

    Args:
        height, width, channels: of a picture.
        patch: side of the square of pixels that one place of the finest grid stands for, 1 or 2.
        widths: features of each grid, coarsest first; every grid has twice the side of the one before.
        depth: blocks a grid.
        latent: Z.
        condition: E.

    """

    height: int
    width: int
    channels: int
    patch: int
    widths: tuple[int, ...]
    depth: int
    latent: int
    condition: int

    @property
    def multiple(self) -> int:
        """The number that the sides of a padded picture are multiples of."""
        return int(self.patch * 2 ** (len(self.widths) - 1))

    @property
    def coarsest(self) -> tuple[int, int]:
        """Rows and columns of the coarsest grid."""
        return -(-self.height // self.multiple), -(-self.width // self.multiple)


class Block(nn.Module):
    """B F H W -> B F H W; the last convolution begins at zero.

    Args:
        features: F.
        scale: of the other convolutions' weights at the beginning (He et al. times this; Zhang et al. 2019, arXiv
            1901.09321, take the number of blocks to the power -1/4).

    """

    def __init__(self, features: int, scale: float) -> None:
        """Build it."""
        super().__init__()
        inner = EXPAND * features
        self.widen = _convolution(features, inner, 1, scale=scale)
        self.mix = _convolution(inner, inner, 3, groups=max(inner // GROUP, 1), scale=scale)
        self.narrow = _convolution(inner, features, 1, scale=0.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the block's correction."""
        inner = functional.leaky_relu_(self.widen(x), SLOPE)
        inner = functional.leaky_relu_(self.mix(inner), SLOPE)
        corrected: Tensor = x + self.narrow(inner)
        return corrected


class Bounded(torch.autograd.Function):
    """Numbers cut to [-1, 1], with a slope of 1 inside, and outside as well wherever a step would lead back in.

    A hyperbolic tangent has no slope left once a fast generator has driven it to its ends, and never gets back.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Return x cut to [-1, 1]."""
        ctx.save_for_backward(x)
        return x.clamp(-1, 1)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> Tensor:
        """Return the slopes without those that would lead farther out."""
        (x,) = ctx.saved_tensors
        (slope,) = slopes
        inward: Tensor = slope * ~(((x > 1) & (slope < 0)) | ((x < -1) & (slope > 0)))
        return inward


class Generator(nn.Module):
    """Noise and attributes to padded pictures in [-1, 1].

    Args:
        sizes, ranks: of the attributes' tokens.
        architecture: the sizes.

    """

    def __init__(self, sizes: Sequence[int], ranks: Sequence[np.ndarray | None], architecture: Architecture) -> None:
        """Build it; the blocks begin as the identity."""
        super().__init__()
        self.architecture, widths = architecture, architecture.widths
        self.attributes = AttributeInput(sizes, ranks, architecture.condition)
        rows, columns = architecture.coarsest
        num_inputs = architecture.latent + architecture.condition
        self.begin = nn.Linear(num_inputs, widths[0] * rows * columns)
        nn.init.normal_(self.begin.weight, std=1 / math.sqrt(num_inputs))
        nn.init.zeros_(self.begin.bias)
        scale = (architecture.depth * len(widths)) ** -0.25
        self.grids = nn.ModuleList(
            nn.Sequential(*(Block(features, scale) for _ in range(architecture.depth))) for features in widths
        )
        self.finer = nn.ModuleList(_convolution(above, below, 1) for above, below in itertools.pairwise(widths))
        self.draw = _convolution(widths[-1], architecture.channels * architecture.patch**2, 3, scale=0.5)

    @torch.no_grad()
    def begin_at(self, colour: Tensor) -> None:
        """Set what is drawn before anything is learnt to one colour, float C in [-1, 1]."""
        assert self.draw.bias is not None
        self.draw.bias.copy_(colour.repeat_interleave(self.architecture.patch**2))

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Return standard normal noise, n Z, on the generator's device."""
        return torch.randn(n, self.architecture.latent, generator=generator, device=generator.device)

    def forward(self, noise: Tensor, tokens: Tensor) -> Tensor:
        """Return padded pictures, B C H W, for noise B Z and int64 tokens B T."""
        rows, columns = self.architecture.coarsest
        x = self.begin(torch.cat([noise, self.attributes(tokens)], dim=1))
        x = x.view(len(noise), rows, columns, -1).permute(0, 3, 1, 2)  # channels-last without a copy
        for number, grid in enumerate(self.grids):
            if number:
                x = functional.interpolate(self.finer[number - 1](x), scale_factor=2, mode="nearest")
            x = grid(x)
        x = functional.leaky_relu(x, SLOPE)
        drawn: Tensor = Bounded.apply(functional.pixel_shuffle(self.draw(x), self.architecture.patch).float())  # type: ignore[no-untyped-call]
        return drawn


class Discriminator(nn.Module):
    """One number for each picture with its attributes: high where it takes both for real.

    Args:
        sizes, ranks: of the attributes' tokens.
        architecture: the sizes.

    """

    def __init__(self, sizes: Sequence[int], ranks: Sequence[np.ndarray | None], architecture: Architecture) -> None:
        """Build it; the blocks begin as the identity."""
        super().__init__()
        widths, patch = architecture.widths, architecture.patch
        self.attributes = AttributeInput(sizes, ranks, architecture.condition)
        self.look = nn.Conv2d(architecture.channels, widths[-1], 2 * patch + 1, stride=patch, padding=patch)
        _begin(self.look, 1.0)
        scale = (architecture.depth * len(widths)) ** -0.25
        self.grids = nn.ModuleList(
            nn.Sequential(*(Block(features, scale) for _ in range(architecture.depth))) for features in reversed(widths)
        )
        self.coarser = nn.ModuleList(
            _convolution(below, above, 1) for below, above in zip(widths[::-1], widths[-2::-1], strict=False)
        )
        rows, columns = architecture.coarsest
        self.basis = nn.Parameter(torch.randn(widths[0], rows, columns) / math.sqrt(rows * columns))
        self.score = nn.Linear(widths[0], 1 + architecture.condition)

    def forward(self, pictures: Tensor, tokens: Tensor) -> Tensor:
        """Return scores, float32 B, of padded pictures (B C H W) with int64 tokens (B T)."""
        x = self.look(pictures.contiguous(memory_format=torch.channels_last))
        for number, grid in enumerate(self.grids):
            if number:
                x = functional.avg_pool2d(self.coarser[number - 1](x), 2)
            x = grid(x)
        seen = (functional.leaky_relu(x, SLOPE) * self.basis).sum((2, 3))
        plain, matched = self.score(seen).float().split([1, self.attributes.width], dim=1)
        with_attributes = (matched * self.attributes(tokens).float()).sum(1) / math.sqrt(self.attributes.width)
        scores: Tensor = plain[:, 0] + with_attributes
        return scores


def _convolution(inputs: int, outputs: int, size: int, *, groups: int = 1, scale: float = 1.0) -> nn.Conv2d:
    made = nn.Conv2d(inputs, outputs, size, padding=size // 2, groups=groups)
    _begin(made, scale)
    return made


def _begin(convolution: nn.Conv2d, scale: float) -> None:
    """Begin at the weights of He et al. 2015 (arXiv 1502.01852) times `scale`, and no bias."""
    gain = math.sqrt(2 / (1 + SLOPE**2))
    nn.init.normal_(convolution.weight, std=scale * gain / math.sqrt(convolution.weight[0].numel()))
    assert convolution.bias is not None
    nn.init.zeros_(convolution.bias)

"""What a causal transformer reads of a picture: its pixels themselves, or tokens learnt for pictures of this kind.

`PixelSymbols` loses nothing: the transformer's likelihood is the picture's. `LearntSymbols` are for pictures of so many
pixels that a transformer would not learn them in time: a small convolutional network writes 4 x 4 pixels or more as one
place of a few cut numbers (`nn.scalar_quantiser`), another says the distribution of every pixel given them. Both are
trained together with the transformer, and -log p(tokens) - log p(picture | tokens) bounds the picture's from above.

# B pictures, H height, W width, C channels, N cells, D symbols of a cell, R pixels on a side of a place, F features
"""

import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from generators.image.cells import Cells
from generators.image.levels import LevelCode
from generators.image.painter import Form
from generators.image.pixels import Held, cropped, padded, to_pixels
from generators.nn.logistics import mixture_of, num_parameters
from generators.nn.scalar_quantiser import ScalarQuantiser

TOKEN_LEVELS = (8, 5, 5, 5)  # of a place's numbers: 1,000 different places (Mentzer et al., table 1)
COMPONENTS = 3  # of the mixture for a pixel
SMALLEST_PLACE = 4  # pixels on a side
GRID = 16  # places on the longer side of a picture, at most


class Symbols(Protocol):
    """How pictures become cells of symbols, and cells pictures."""

    cells: Cells
    sizes: tuple[int, ...]

    def held(self, images: np.ndarray, device: torch.device) -> Callable[[Tensor], Tensor]:
        """Return row numbers (int64 B) -> what the other methods see of those pictures, from uint N H W C."""
        ...

    def read(self, seen: Tensor) -> Tensor:
        """Return cells, int64 B N D, without gradients."""
        ...

    def lost_nats(self, seen: Tensor) -> Tensor | None:
        """Return -log p(picture | its cells), B; None where cells say everything."""
        ...

    def pictures(self, cells: Tensor) -> np.ndarray:
        """Return images, uint8 or uint16 B H W C, of cells, int64 B N D."""
        ...


class PixelSymbols(nn.Module):
    """Cells of pixels, each written in digits or by its number in a palette; there is nothing to learn.

    Args:
        form: of the pictures.
        code: how a pixel is written.
        side: of a cell, in pixels.

    """

    def __init__(self, form: Form, code: LevelCode, side: int) -> None:
        """Remember how pictures are cut."""
        super().__init__()
        height, width, _ = form.shape
        self.code = code
        self.sizes = code.sizes
        self.cells = Cells(height=height, width=width, symbols=len(code.sizes), side=side)

    def held(self, images: np.ndarray, device: torch.device) -> Callable[[Tensor], Tensor]:
        """See `Symbols`; cells of all pictures are made once, a byte a symbol."""
        every = torch.from_numpy(self.cells.cut(self.code.encode(images))).to(device)
        return lambda rows: every[rows.to(device)]

    def read(self, seen: Tensor) -> Tensor:
        """See `Symbols`."""
        return seen.long()

    def lost_nats(self, seen: Tensor) -> Tensor | None:  # noqa: ARG002 - as `Symbols` has it
        """See `Symbols`."""
        return None

    def pictures(self, cells: Tensor) -> np.ndarray:
        """See `Symbols`."""
        return self.code.decode(self.cells.joined(cells.to(torch.uint8).cpu().numpy()))


class LearntSymbols(nn.Module):
    """Cells of places, each written in `TOKEN_LEVELS`.

    Args:
        form: of the pictures.
        side: of a cell, in places.
        width: F.
        with_encoder: False where pictures are only drawn.

    """

    def __init__(self, form: Form, side: int, width: int, *, with_encoder: bool = True) -> None:
        """Build both networks."""
        super().__init__()
        self.form = form
        self.place = place_of(form)
        rows, columns = (-(-extent // self.place) for extent in form.shape[:2])
        self.sizes = TOKEN_LEVELS
        self.cells = Cells(height=rows, width=columns, symbols=len(TOKEN_LEVELS), side=side)
        self.quantiser = ScalarQuantiser(TOKEN_LEVELS)
        channels, halvings = form.shape[2], int(math.log2(self.place // SMALLEST_PLACE))
        self.encoder = _encoder(channels, width, halvings) if with_encoder else None
        self.decoder = _decoder(num_parameters(channels, COMPONENTS), width, halvings)
        spread = torch.linspace(-0.5, 0.5, COMPONENTS).expand(channels, COMPONENTS).contiguous()
        self.register_buffer("offset", spread, persistent=False)

    offset: Tensor

    def held(self, images: np.ndarray, device: torch.device) -> Callable[[Tensor], Tensor]:
        """See `Symbols`; pictures are kept in as few bytes as they came with."""
        return Held(images, device).at

    @torch.no_grad()
    def read(self, seen: Tensor) -> Tensor:
        """See `Symbols`."""
        _, levels = self.quantiser(self._raw(seen))
        side = self.cells.side
        beyond = (0, 0, 0, self.cells.columns * side - self.cells.width, 0, self.cells.rows * side - self.cells.height)
        whole = nn.functional.pad(levels, beyond)
        parts = whole.view(len(seen), self.cells.rows, side, self.cells.columns, side, len(TOKEN_LEVELS))
        return parts.transpose(2, 3).reshape(len(seen), self.cells.rows * self.cells.columns, -1)

    def lost_nats(self, seen: Tensor) -> Tensor | None:
        """See `Symbols`; gradients reach both networks."""
        codes, _ = self.quantiser(self._raw(seen))
        parameters = self._distribution(codes)
        with torch.autocast(seen.device.type, enabled=False):
            mixture = mixture_of(
                parameters.float(), self.form.shape[2], COMPONENTS, self.form.levels, offset=self.offset
            )
            return -mixture.log_likelihood(seen).flatten(1).sum(1)

    @torch.no_grad()
    def pictures(self, cells: Tensor) -> np.ndarray:
        """See `Symbols`; a pixel is the mean of its likeliest component: noise of single pixels would be grain."""
        levels = self.cells.joined(cells.cpu().numpy())
        codes = self.quantiser.codes(torch.from_numpy(levels).to(self.offset.device))
        mixture = mixture_of(
            self._distribution(codes).float(), self.form.shape[2], COMPONENTS, self.form.levels, offset=self.offset
        )
        return to_pixels(mixture.likeliest_means(), self.form.levels)

    def _raw(self, seen: Tensor) -> Tensor:
        assert self.encoder is not None
        raw: Tensor = self.encoder(padded(seen, self.place)).permute(0, 2, 3, 1)
        return raw

    def _distribution(self, codes: Tensor) -> Tensor:
        return cropped(self.decoder(codes.permute(0, 3, 1, 2)), *self.form.shape[:2])


class ConvolutionBlock(nn.Module):
    """Bend, mix neighbours, bend, mix channels, add: B F H W -> B F H W; begins as the identity.

    Args:
        width: F.

    """

    def __init__(self, width: int) -> None:
        """One convolution of three by three, one of one by one."""
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the block's correction."""
        inner: Tensor = self.second(nn.functional.silu(self.first(nn.functional.silu(self.norm(x)))))
        return x + inner


def place_of(form: Form) -> int:
    """Return R: the smallest power of two that leaves at most `GRID` places on the longer side."""
    place = SMALLEST_PLACE
    while -(-max(form.shape[:2]) // place) > GRID:
        place *= 2
    return place


def _encoder(channels: int, width: int, halvings: int) -> nn.Sequential:
    layers: list[nn.Module] = [
        nn.PixelUnshuffle(SMALLEST_PLACE),
        nn.Conv2d(channels * SMALLEST_PLACE**2, width, 3, padding=1),
        ConvolutionBlock(width),
    ]
    for _ in range(halvings):
        layers += [nn.Conv2d(width, width, 2, stride=2), ConvolutionBlock(width)]
    return nn.Sequential(
        *layers, ConvolutionBlock(width), nn.GroupNorm(1, width), nn.Conv2d(width, len(TOKEN_LEVELS), 1)
    )


def _decoder(numbers: int, width: int, halvings: int) -> nn.Sequential:
    layers: list[nn.Module] = [nn.Conv2d(len(TOKEN_LEVELS), width, 3, padding=1), ConvolutionBlock(width)]
    for _ in range(halvings):
        layers += [ConvolutionBlock(width), nn.ConvTranspose2d(width, width, 2, stride=2)]
    return nn.Sequential(
        *layers,
        ConvolutionBlock(width),
        ConvolutionBlock(width),
        nn.GroupNorm(1, width),
        nn.SiLU(),
        nn.Conv2d(width, numbers * SMALLEST_PLACE**2, 3, padding=1),
        nn.PixelShuffle(SMALLEST_PLACE),
    )

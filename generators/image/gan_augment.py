"""Changes to pictures before the discriminator sees them, so that few of them are not learnt by heart.

Each change befalls each picture with the same probability, real ones and drawn ones alike. Below about 0.8 that can be
undone in distribution, so what is drawn shows none of it (Karras et al. 2020, arXiv 2006.06676, section 2.2). Nothing
is mirrored: a mirrored letter, organ or road sign is another thing. The probability follows from how much better the
discriminator knows the pictures it learns from than those held out (same paper, equation 1, r_v).

# B batch, C channels, H height, W width
"""

import torch
from torch import Tensor, nn

MOST = 0.8  # probability
SHIFT = 1 / 8  # of a side, at most
CUT = 1 / 2  # side of the hidden rectangle
BRIGHTNESS, CONTRAST = 0.4, 0.3  # at most: added, and as a factor's distance from 1
TARGET = 0.3  # share of the discriminator's advantage on real pictures that is lost on held-out ones
MEMORY = 0.98  # of the running means, a measurement: scores of one batch say little where both are close
GREY = 0.0  # of what is hidden


class Augmentation(nn.Module):
    """Shift, brightness and contrast, and a hidden rectangle, each with a probability that adapts.

    Args:
        start: the probability at the beginning.
        step: how far one measurement moves it; 0 fixes it.

    """

    probability: Tensor
    told: Tensor

    def __init__(self, start: float, step: float) -> None:
        """Keep the state in buffers, which go into checkpoints."""
        super().__init__()
        self.step = step
        self.register_buffer("probability", torch.tensor(start))
        self.register_buffer("told", torch.zeros(2))  # running means: train over drawn, train over held out

    def forward(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Return changed pictures, float32 B C H W; differentiable, and each row depends on its own alone."""
        if pictures.device.type == "cpu" and not float(self.probability):  # on a GPU, looking would wait for it
            return pictures
        pictures = shifted(pictures, *self._shifts(pictures, generator))
        factor = 1 + self._signed(pictures, generator) * CONTRAST
        pictures = pictures * factor + self._signed(pictures, generator) * BRIGHTNESS
        return torch.where(self._hidden(pictures, generator), GREY, pictures)

    @torch.no_grad()
    def adapt(self, real: Tensor, held: Tensor, drawn: Tensor) -> None:
        """Move the probability after scores (each float B) of pictures learnt from, held out, and drawn."""
        if not self.step:
            return
        now = torch.stack([real.mean() - drawn.mean(), real.mean() - held.mean()])
        self.told.mul_(MEMORY).add_(now, alpha=1 - MEMORY)
        more = torch.where(self.told[1] > TARGET * self.told[0].clamp(min=0), 1.0, -1.0)
        self.probability.add_(more * self.step).clamp_(0, MOST)

    @property
    def overfitting(self) -> float:
        """The share of the discriminator's advantage that is lost on held-out pictures; 0 before any measurement."""
        advantage, lost = self.told.tolist()
        return lost / advantage if advantage > 0 else 0.0

    def _chosen(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Return which pictures are changed, bool B 1 1 1."""
        draws = torch.rand(len(pictures), 1, 1, 1, generator=generator, device=pictures.device)
        return draws < self.probability

    def _signed(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Return uniform numbers in [-1, 1] where a picture is changed and 0 elsewhere, B 1 1 1."""
        draws = torch.rand(len(pictures), 1, 1, 1, generator=generator, device=pictures.device) * 2 - 1
        return draws * self._chosen(pictures, generator)

    def _shifts(self, pictures: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return rows down and columns to the right, int64 B each."""
        chosen = self._chosen(pictures, generator).flatten()
        down, right = (
            (torch.rand(len(pictures), generator=generator, device=pictures.device) * 2 - 1) * max(side * SHIFT, 1.0)
            for side in pictures.shape[2:]
        )
        return (down.round() * chosen).long(), (right.round() * chosen).long()

    def _hidden(self, pictures: Tensor, generator: torch.Generator) -> Tensor:
        """Return which pixels are hidden, bool B 1 H W: a rectangle around a uniform place."""
        sides = []
        for dimension, side in ((2, pictures.shape[2]), (3, pictures.shape[3])):
            middle = torch.rand(len(pictures), 1, 1, 1, generator=generator, device=pictures.device) * side
            place = torch.arange(side, device=pictures.device) + 0.5
            place = place.view([side if number == dimension else 1 for number in range(4)])
            sides.append((place - middle).abs() < side * CUT / 2)
        return sides[0] & sides[1] & self._chosen(pictures, generator)


def shifted(pictures: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return pictures (B C H W) moved by whole pixels (int64 B each), their edges repeated."""
    _, channels, height, width = pictures.shape
    rows = (torch.arange(height, device=pictures.device) - down[:, None]).clamp(0, height - 1)
    columns = (torch.arange(width, device=pictures.device) - right[:, None]).clamp(0, width - 1)
    moved = pictures.gather(2, rows[:, None, :, None].expand(-1, channels, -1, width))
    return moved.gather(3, columns[:, None, None, :].expand(-1, channels, height, -1))

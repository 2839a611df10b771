"""Numbers cut to a few levels each, through which gradients pass as if nothing had been cut.

Finite scalar quantisation (Mentzer et al. 2023, arXiv 2309.15505, section 3.1): no codebook, hence none that collapses;
the levels of each number are steps of equal size from -1 to 1.

# F numbers of a place, L levels of one of them
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ScalarQuantiser(nn.Module):
    """Cuts the last dimension of a tensor, ... F.

    Args:
        levels: L of each of the F numbers, 2 or more.

    """

    steps: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        """Remember the levels."""
        super().__init__()
        self.register_buffer("steps", torch.tensor([level - 1 for level in levels]).float(), persistent=False)

    def forward(self, raw: Tensor) -> tuple[Tensor, Tensor]:
        """Return (codes in [-1, 1] with the gradient of tanh, ... F; their levels, int64 ... F) of any numbers."""
        bounded = torch.tanh(raw.float())
        levels = ((bounded.detach() + 1) / 2 * self.steps).round()
        codes = bounded + (self._codes(levels) - bounded.detach())
        return codes, levels.long()

    def codes(self, levels: Tensor) -> Tensor:
        """Return the codes, float32 ... F, of levels, int64 ... F."""
        return self._codes(levels.float())

    def _codes(self, levels: Tensor) -> Tensor:
        return levels / self.steps * 2 - 1

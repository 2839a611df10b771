"""The trunk of residual blocks that tabular networks share.

# B batch, H width
"""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Dropout whose mask takes eight random bits a unit, an eighth of the cost of torch's on a CPU.

    Draws from torch's default generator, as `nn.Dropout` does: seed it around the step.

    Args:
        share: of units that are dropped, rounded to 1/256.

    """

    def __init__(self, share: float) -> None:
        """Round the share to what eight bits can say."""
        super().__init__()
        self.dropped = round(share * 256)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with units zeroed and the rest scaled up, in training; x itself otherwise."""
        if not self.training or not self.dropped:
            return x
        if x.device.type != "cpu":
            return nn.functional.dropout(x, self.dropped / 256)
        words = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: x.numel()].view(x.shape) >= self.dropped
        return x * (kept.to(x.dtype) * (256 / (256 - self.dropped)))


class ResidualBlock(nn.Module):
    """Normalise, widen, bend, narrow, add: B H -> B H.

    Args:
        width: H.
        hidden: the inner width.
        dropout: share of inner units that are dropped in training.

    """

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        """Begin as the identity: the last layer's weights are zero."""
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.dropout = Dropout(dropout)
        nn.init.zeros_(self.narrow.weight)
        nn.init.zeros_(self.narrow.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the block's correction."""
        inner = self.dropout(torch.nn.functional.silu(self.widen(self.norm(x))))
        corrected: Tensor = x + self.narrow(inner)
        return corrected


class Trunk(nn.Module):
    """A chain of residual blocks and a last normalisation: B H -> B H.

    Args:
        width: H.
        hidden: the blocks' inner width.
        depth: number of blocks.
        dropout: see `ResidualBlock`.

    """

    def __init__(self, width: int, hidden: int, depth: int, dropout: float) -> None:
        """Build the chain."""
        super().__init__()
        self.blocks = nn.Sequential(*(ResidualBlock(width, hidden, dropout) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features from which heads read."""
        features: Tensor = self.norm(self.blocks(x))
        return features

"""The trunk of residual blocks that tabular networks share.

# B batch, H width
"""

import torch
from torch import Tensor, nn


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
        self.dropout = nn.Dropout(dropout)
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

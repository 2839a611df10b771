"""Attributes as features that condition a network, and how they are hidden from it at times.

# B batch, T tokens of a row's attributes, H width
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from generators.nn.tokens import TokenInput

EMBEDDING = 16  # numbers a token


class AttributeInput(nn.Module):
    """Rows of attributes to features, int64 B T -> B H; token `size` of a position means unknown.

    Without attributes (T = 0) the features are one learnt vector.

    Args:
        sizes: number of tokens at each of the T positions.
        ranks: see `generators.nn.tokens.TokenTable`.
        width: H.

    """

    def __init__(self, sizes: Sequence[int], ranks: Sequence[np.ndarray | None], width: int) -> None:
        """Build the tables of all tokens, each position's unknown one included."""
        super().__init__()
        self.width = width
        self.tokens = TokenInput(sizes, ranks, EMBEDDING, width) if sizes else None
        self.alone = None if sizes else nn.Parameter(torch.zeros(width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return features, B H, of int64 tokens, B T."""
        if self.tokens is None:
            assert self.alone is not None
            return self.alone.expand(len(tokens), self.width)
        features: Tensor = self.tokens(tokens)
        return features


def hidden(tokens: Tensor, sizes: Sequence[int], share: float, generator: torch.Generator) -> Tensor:
    """Return tokens (int64 B T) in which a `share` of the rows, drawn at random, is wholly unknown.

    So one network learns p(picture) beside p(picture | attributes), and guidance has both (Ho and Salimans 2022, arXiv
    2207.12598, section 3).
    """
    gone = torch.rand(len(tokens), generator=generator, device=tokens.device) < share
    unknown = torch.tensor(list(sizes), dtype=tokens.dtype, device=tokens.device)
    return torch.where(gone[:, None], unknown, tokens)

"""Embedding of token rows, in which every token may be unknown.

# B batch, T positions, E embedding width, H width
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from generators.nn.segments import offsets_of

KNOTS = 9  # of the piecewise linear functions of rank that ordered tokens begin with


class TokenInput(nn.Module):
    """Rows of tokens to features, B T -> B H; token `size` of a position means unknown.

    Ordered tokens begin with random piecewise linear functions of their rank, so that neighbours look alike before
    anything is learnt.

    Args:
        sizes: number of tokens at each of the T positions.
        ranks: float size (0 to 1, NaN where not ordered) for positions of ordered tokens, else None.
        embedding: E.
        width: H.

    """

    def __init__(
        self, sizes: Sequence[int], ranks: Sequence[np.ndarray | None], embedding: int, width: int
    ) -> None:
        """Build the table of all tokens, each position's unknown one included."""
        super().__init__()
        self.offsets = offsets_of([size + 1 for size in sizes])
        self.embedding = nn.Embedding(self.offsets[-1], embedding)
        self.project = nn.Linear(len(sizes) * embedding, width)
        with torch.no_grad():
            for start, rank in zip(self.offsets[:-1], ranks, strict=True):
                if rank is not None:
                    place = torch.from_numpy(rank).float()
                    ordered = torch.nonzero(~place.isnan())[:, 0]
                    hats = (1 - (place[ordered, None] * (KNOTS - 1) - torch.arange(KNOTS)).abs()).clamp(min=0)
                    smooth = hats @ torch.randn(KNOTS, embedding)
                    self.embedding.weight[start + ordered] = smooth + 0.1 * self.embedding.weight[start + ordered]

    def forward(self, tokens: Tensor) -> Tensor:
        """Return features, B H, of int64 tokens, B T."""
        starts = torch.tensor(self.offsets[:-1], device=tokens.device)
        features: Tensor = self.project(self.embedding(tokens + starts).flatten(1))
        return features

    def tables(self) -> tuple[Tensor, list[Tensor]]:
        """Return (features of a wholly unknown row, H; for each position what each token adds to it, size H)."""
        start = self.project.bias.detach().clone()
        gains = []
        weights = self.project.weight.detach().split(self.embedding.embedding_dim, dim=1)
        for begin, end, weight in zip(self.offsets[:-1], self.offsets[1:], weights, strict=True):
            rows = self.embedding.weight.detach()[begin:end] @ weight.T  # size + 1, H
            start += rows[-1]
            gains.append(rows[:-1] - rows[-1])
        return start, gains

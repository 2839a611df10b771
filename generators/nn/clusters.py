"""Labels in clusters: a vector and a few numbers for each, so that very many of them take little memory.

A cluster is a coarse token that stands for several labels; a fine token says which. What a fine token means depends on
its coarse one, so nothing is shared among the fine tokens of two clusters, and each row looks at one cluster alone.

# B batch, C coarse tokens, F fine ones, K clusters, E embedding width, H width, R rank
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

SMOOTH = 0.5  # added to each label's count before the logarithm that its bias begins with
RANK = 16  # numbers of each label at the output, by which the features choose
NEVER = -1e4  # logit of a fine token that its coarse one lacks
PIECE_ROWS = 2_048  # whose clusters are gathered at a time where no gradient is wanted


class _Clusters(nn.Module):
    """Which coarse token is which cluster."""

    cluster: Tensor
    valid: Tensor

    def __init__(self, valid: np.ndarray) -> None:
        super().__init__()
        several = valid.sum(1) > 1
        number = np.where(several, np.cumsum(several) - 1, -1)
        self.shape = (int(several.sum()), valid.shape[1])
        self.register_buffer("cluster", torch.from_numpy(np.append(number, -1)), persistent=False)  # unknown last
        self.register_buffer("valid", torch.from_numpy(valid), persistent=False)


class ClusterInput(_Clusters):
    """A vector for every label in a cluster.

    Args:
        valid: bool C F, the fine tokens that each coarse one has; a coarse token with several is a cluster.
        width: E.

    """

    def __init__(self, valid: np.ndarray, width: int) -> None:
        """Begin at standard normal vectors."""
        super().__init__(valid)
        self.vectors = nn.Parameter(torch.randn(self.shape[0] * self.shape[1], width))

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return the vectors, B E, of int64 tokens, B and B; 0 where either is unknown or there is no cluster."""
        cluster = self.cluster[coarse]
        known = (cluster >= 0) & (fine < self.shape[1])
        place = torch.where(known, cluster * self.shape[1] + fine, 0)
        vectors: Tensor = nn.functional.embedding(place, self.vectors) * known[:, None]
        return vectors


class ClusterHead(_Clusters):
    """The logits of fine tokens given the coarse one: a bias for each label and a product of low rank.

    Args:
        valid: as of `ClusterInput`.
        width: H.

    """

    def __init__(self, valid: np.ndarray, width: int) -> None:
        """Begin at the bias alone, which is 0 until `begin_at`."""
        super().__init__(valid)
        self.query = nn.Linear(width, RANK, bias=False)
        self.keys = nn.Parameter(torch.zeros(self.shape[0], self.shape[1] * RANK))
        self.bias = nn.Parameter(torch.zeros(self.shape))

    @torch.no_grad()
    def begin_at(self, coarse: Tensor, fine: Tensor, smooth: float) -> None:
        """Set the bias to the logarithm of each label's frequency in its cluster, of int64 tokens, N and N."""
        cluster = self.cluster[coarse]
        place = (cluster * self.shape[1] + fine)[cluster >= 0]
        counts = torch.bincount(place, minlength=self.bias.numel()).view(self.shape) + smooth
        self.bias.copy_((counts / counts.sum(1, keepdim=True)).log())

    def forward(self, features: Tensor, coarse: Tensor) -> Tensor:
        """Return what is added to the logits, B F, given features (B H) and int64 coarse tokens (B, all known)."""
        if torch.is_grad_enabled() or len(coarse) <= PIECE_ROWS:
            return self._logits(features, coarse)
        pieces = zip(torch.split(features, PIECE_ROWS), torch.split(coarse, PIECE_ROWS), strict=True)
        return torch.cat([self._logits(*piece) for piece in pieces])

    def _logits(self, features: Tensor, coarse: Tensor) -> Tensor:
        cluster = self.cluster[coarse]
        own = cluster.clamp(min=0)
        keys = nn.functional.embedding(own, self.keys).view(len(own), self.shape[1], RANK)
        logits = (keys @ self.query(features)[:, :, None])[:, :, 0].float() + nn.functional.embedding(own, self.bias)
        masked: Tensor = (logits * (cluster >= 0)[:, None]).masked_fill(~self.valid[coarse], NEVER)
        return masked


class ClusterHeads(nn.Module):
    """What the clusters of all positions add to logits, B V.

    Args:
        sizes: number of tokens at each of the T positions.
        clusters: fine position -> (its coarse position, bool C F as of `ClusterHead`).
        width: H.

    """

    def __init__(self, sizes: Sequence[int], clusters: Mapping[int, tuple[int, np.ndarray]], width: int) -> None:
        """Build a head for each such position; there may be none."""
        super().__init__()
        self.sizes = list(sizes)
        self.coarse = {place: coarse for place, (coarse, _) in clusters.items()}
        self.heads = nn.ModuleDict({str(place): ClusterHead(valid, width) for place, (_, valid) in clusters.items()})

    def begin_at(self, rows: Tensor) -> None:
        """Set the biases to the frequencies among `rows`, integers N T."""
        for place, coarse in self.coarse.items():
            self._head(place).begin_at(rows[:, coarse].long(), rows[:, place].long(), SMOOTH)

    def add_to(self, logits: Tensor, features: Tensor, tokens: Tensor) -> Tensor:
        """Return logits (B V) with what rows (int64 B T) with a known coarse token add, given features (B H)."""
        if not self.coarse:
            return logits
        parts = list(torch.split(logits, self.sizes, dim=1))
        for place, coarse in self.coarse.items():
            known = torch.nonzero(tokens[:, coarse] < self.sizes[coarse])[:, 0]
            extra = self._head(place)(features[known], tokens[known, coarse])
            parts[place] = parts[place].index_add(0, known, extra.to(logits.dtype))
        return torch.cat(parts, dim=1)

    def add_at(self, place: int, logits: Tensor, features: Tensor, tokens: Tensor) -> Tensor:
        """Return the logits (float32 B size) of one position likewise, whose coarse tokens are all known."""
        if place not in self.coarse:
            return logits
        extra: Tensor = self._head(place)(features, tokens[:, self.coarse[place]])
        return logits + extra

    def _head(self, place: int) -> ClusterHead:
        head = self.heads[str(place)]
        assert isinstance(head, ClusterHead)
        return head

"""Tables of one vector per token, at the input and at the output of tabular networks.

# B batch, T positions, V tokens of all positions together, E embedding width, H width
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from generators.nn.clusters import ClusterInput
from generators.nn.segments import offsets_of

LEAF_KNOTS = 33  # of the function of rank that a number's coarse and fine token make together
KNOTS = 9  # of the piecewise linear function of rank that ordered tokens share
OWN_SCALE = 0.1  # of an ordered token's own vector at the beginning, against the shared function's 1


class TokenTable(nn.Module):
    """A vector for every token; ordered tokens share a piecewise linear function of their rank.

    The vector of a token is its own plus, where it has a rank, the function there. So a number is learnt from its
    neighbours too, which is what a table of separate bins cannot do with few rows.

    Args:
        sizes: number of tokens at each of the T positions.
        ranks: float32 size (0 to 1, NaN where not ordered) for positions of ordered tokens, else None.
        width: length of a vector.
        scale: standard deviation of the vectors at the beginning.

    """

    own: nn.Parameter
    shared: nn.Parameter
    left: Tensor
    share: Tensor

    def __init__(self, sizes: Sequence[int], ranks: Sequence[np.ndarray | None], width: int, scale: float) -> None:
        """Find for every token the two knots between which it lies."""
        super().__init__()
        left, share, num_knots = [], [], 0
        for size, rank in zip(sizes, ranks, strict=True):
            place = torch.full((size,), torch.nan)
            if rank is not None:
                place[: len(rank)] = torch.from_numpy(rank).float()
            ordered = ~place.isnan()
            scaled = place.nan_to_num() * (KNOTS - 1)  # tokens without a rank get both shares zero below
            knot = scaled.floor().clamp(max=KNOTS - 2)
            right = scaled - knot
            left.append(num_knots + knot.long() if rank is not None else torch.zeros(size, dtype=torch.int64))
            share.append(torch.stack([1 - right, right], dim=1) * ordered[:, None])
            num_knots += KNOTS if rank is not None else 0
        share_all = torch.cat(share)
        own = torch.where(share_all.sum(1, keepdim=True) > 0, OWN_SCALE, 1.0)
        self.own = nn.Parameter(torch.randn(sum(sizes), width) * own * scale)
        self.shared = nn.Parameter(torch.randn(max(num_knots, 2), width) * scale)
        self.register_buffer("left", torch.cat(left), persistent=False)
        self.register_buffer("share", share_all, persistent=False)

    def forward(self, begin: int = 0, end: int | None = None) -> Tensor:
        """Return all vectors, V width, or those from `begin` to `end`."""
        left, share = self.left[begin:end], self.share[begin:end]
        low, high = self.shared[left], self.shared[left + 1]
        vectors: Tensor = self.own[begin:end] + share[:, :1] * low + share[:, 1:] * high
        return vectors


class LeafTable(nn.Module):
    """A vector for every (coarse, fine) pair of a number: a piecewise linear function of its rank.

    Args:
        ranks: float32 C F, 0 to 1, NaN where there is no such pair: the vector is 0 there.
        width: length of a vector.

    """

    left: Tensor
    share: Tensor

    def __init__(self, ranks: np.ndarray, width: int) -> None:
        """Find for every pair the two knots between which it lies."""
        super().__init__()
        place = torch.from_numpy(ranks).float().flatten()
        scaled = place.nan_to_num() * (LEAF_KNOTS - 1)
        knot = scaled.floor().clamp(max=LEAF_KNOTS - 2)
        right = scaled - knot
        self.num_fine = ranks.shape[1]
        smooth = torch.randn(width, 1, KNOTS)  # begins as wavy as the functions that tokens share
        smooth = nn.functional.interpolate(smooth, LEAF_KNOTS, mode="linear", align_corners=True)
        self.knots = nn.Parameter(smooth[:, 0].T.contiguous())
        self.register_buffer("left", knot.long(), persistent=False)
        self.register_buffer(
            "share", torch.stack([1 - right, right], dim=1) * ~place.isnan()[:, None], persistent=False
        )

    def forward(self) -> Tensor:
        """Return all vectors, C F width."""
        vectors = self.share[:, :1] * self.knots[self.left] + self.share[:, 1:] * self.knots[self.left + 1]
        return vectors.view(-1, self.num_fine, vectors.shape[1])


class TokenInput(nn.Module):
    """Rows of tokens to features, B T -> B H; token `size` of a position means unknown.

    Args:
        sizes: number of tokens at each of the T positions.
        ranks: see `TokenTable`.
        embedding: E.
        width: H.
        leaves: fine position -> (its coarse position, ranks of the pairs as in `LeafTable`).
        clusters: fine position -> (its coarse position, which pairs there are as in `ClusterInput`).

    """

    def __init__(
        self,
        sizes: Sequence[int],
        ranks: Sequence[np.ndarray | None],
        embedding: int,
        width: int,
        *,
        leaves: Mapping[int, tuple[int, np.ndarray]] | None = None,
        clusters: Mapping[int, tuple[int, np.ndarray]] | None = None,
    ) -> None:
        """Build the table of all tokens, each position's unknown one included."""
        super().__init__()
        self.offsets = offsets_of([size + 1 for size in sizes])
        self.embedding = embedding
        self.table = TokenTable([size + 1 for size in sizes], ranks, embedding, scale=1.0)
        self.project = nn.Linear(len(sizes) * embedding, width)
        self.register_buffer("starts", torch.tensor(self.offsets[:-1]), persistent=False)
        leaves = leaves or {}
        shapes = [ranks.shape for _, ranks in leaves.values()]
        self.leaves = nn.ModuleList(LeafTable(ranks, embedding) for _, ranks in leaves.values())
        for name, numbers in (
            ("fine", list(leaves)),
            ("coarse", [coarse for coarse, _ in leaves.values()]),
            ("num_coarse", [shape[0] for shape in shapes]),
            ("num_fine", [shape[1] for shape in shapes]),
            ("begin", offsets_of([shape[0] * shape[1] for shape in shapes])[:-1]),
        ):
            self.register_buffer(name, torch.tensor(numbers, dtype=torch.int64), persistent=False)
        self.leaf_number = {place: number for number, place in enumerate(leaves)}
        clusters = clusters or {}
        self.members = nn.ModuleDict(
            {str(place): ClusterInput(valid, embedding) for place, (_, valid) in clusters.items()}
        )
        self.member_coarse = {place: parent for place, (parent, _) in clusters.items()}

    starts: Tensor
    fine: Tensor
    coarse: Tensor
    num_coarse: Tensor
    num_fine: Tensor
    begin: Tensor

    def forward(self, tokens: Tensor) -> Tensor:
        """Return features, B H, of int64 tokens, B T."""
        vectors = nn.functional.embedding(tokens + self.starts, self.table())
        if len(self.leaves):
            coarse, fine = tokens[:, self.coarse], tokens[:, self.fine]
            known = (coarse < self.num_coarse) & (fine < self.num_fine)
            place = torch.where(known, self.begin + coarse * self.num_fine + fine, 0)
            table = torch.cat([leaf().flatten(0, 1) for leaf in self.leaves])
            of_leaves = nn.functional.embedding(place, table) * known[:, :, None]
            vectors = vectors.index_add(1, self.fine, of_leaves)
        for at, parent in self.member_coarse.items():
            own = self.members[str(at)](tokens[:, parent], tokens[:, at])
            vectors = vectors.index_add(1, torch.tensor([at], device=tokens.device), own[:, None])
        features: Tensor = self.project(vectors.flatten(1))
        return features

    @torch.no_grad()
    def start(self) -> Tensor:
        """Return the features of a wholly unknown row, H."""
        start = self.project.bias.clone()
        for place in range(len(self.offsets) - 1):
            rows, _ = self._rows(place)
            start += rows[-1]
        return start

    @torch.no_grad()
    def gain(self, place: int, tokens: Tensor) -> Tensor:
        """Return what the tokens (int64 B T) at `place` add to the features of rows that lack them, B H.

        What a fine token adds depends on its coarse one. The table that is read takes little memory only because it is
        made for one position at a time.
        """
        rows, weight = self._rows(place)
        gains = rows[:-1] - rows[-1]
        if place in self.leaf_number:
            number = self.leaf_number[place]
            gains = (gains + self.leaves[number]() @ weight.T).flatten(0, 1)
            pairs = tokens[:, int(self.coarse[number])] * int(self.num_fine[number]) + tokens[:, place]
            return nn.functional.embedding(pairs, gains)
        own = nn.functional.embedding(tokens[:, place], gains)
        if place in self.member_coarse:
            own = own + self.members[str(place)](tokens[:, self.member_coarse[place]], tokens[:, place]) @ weight.T
        return own

    def _rows(self, place: int) -> tuple[Tensor, Tensor]:
        """Return (what each token at `place` adds to the features, the unknown one last, size + 1 H; the weights)."""
        begin, end = self.offsets[place : place + 2]
        weight = self.project.weight[:, place * self.embedding : (place + 1) * self.embedding]
        return self.table(begin, end) @ weight.T, weight


class TokenHeads(nn.Module):
    """The logits of all tokens at all positions as one product: B H -> B V. Begins at the bias alone.

    Args:
        sizes: number of tokens at each of the T positions.
        ranks: see `TokenTable`.
        width: H.

    """

    def __init__(self, sizes: Sequence[int], ranks: Sequence[np.ndarray | None], width: int) -> None:
        """Begin at zero."""
        super().__init__()
        self.table = TokenTable(sizes, ranks, width, scale=0.0)
        self.bias = nn.Parameter(torch.zeros(sum(sizes)))

    def forward(self, features: Tensor) -> Tensor:
        """Return logits, B V."""
        return nn.functional.linear(features, self.table(), self.bias)

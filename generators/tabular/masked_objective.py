"""What `tabular.autoregressive` minimises, and the exact likelihood by which it is validated.

# B batch, N rows, T tokens of a row
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from generators.device import Device
from generators.nn.segments import segmented_cross_entropy
from generators.tabular.masked import MaskedNetwork
from generators.tabular.row_tokens import Token

FORWARD_ROWS = 4_096  # through the network at a time


class MaskedObjective:
    """The loss of hidden tokens, and the likelihood of rows in the order in which they are drawn.

    Args:
        network: knows all conditionals.
        tokens: what the T positions mean.
        order: of sampling.
        prefix_share: part of a batch that sees a prefix of the sampling order.
        next_weight: part of such a row's loss that is about the next token alone.

    """

    def __init__(
        self,
        network: MaskedNetwork,
        tokens: Sequence[Token],
        order: Sequence[int],
        *,
        prefix_share: float,
        next_weight: float,
    ) -> None:
        """Put the order where the network is."""
        self.network, self.tokens, self.order = network, tuple(tokens), order
        self.sizes = [token.size for token in tokens]
        self.prefix_share, self.next_weight = prefix_share, next_weight
        device = network.heads.bias.device
        self.unknown = torch.tensor(self.sizes, device=device)
        self.rank = torch.empty(len(order), dtype=torch.int64, device=device)  # place of each token in the order
        self.rank[torch.tensor(order, device=device)] = torch.arange(len(order), device=device)
        self.fine = [place for place, token in enumerate(tokens) if token.parent is not None]
        self.parents = [token.parent for token in tokens if token.parent is not None]

    def loss(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Return the weighted cross entropy of hidden tokens, nats per row, for int64 tokens B T."""
        B, T = tokens.shape
        device = tokens.device
        share = torch.rand(B, 1, generator=generator, device=device)
        known = torch.rand(B, T, generator=generator, device=device) < share
        cut = int(B * self.prefix_share)
        length = torch.randint(T, (cut, 1), generator=generator, device=device)
        known[:cut] = self.rank < length
        scored = ~known
        if self.fine:
            known[:, self.fine] &= known[:, self.parents]
            scored[:, self.fine] = known[:, self.parents] & ~known[:, self.fine]
        count = scored.sum(1, keepdim=True).clamp(min=1)
        weights = scored * (T / count)
        following = self.rank == length  # a fine token always follows its coarse one, so it is scored here
        weights[:cut] = (1 - self.next_weight) * weights[:cut] + self.next_weight * T * following
        return self._cross_entropy(tokens, known, weights / B)

    def nats_per_row(self, tokens: Tensor, _generator: torch.Generator) -> Tensor:
        """Return the mean negative log likelihood of rows in the sampling order, exactly, for int64 tokens B T."""
        total = torch.zeros((), device=tokens.device)
        for place, logits in self._in_order(tokens):
            total += nn.functional.cross_entropy(logits, tokens[:, place])
        return total

    @torch.inference_mode()
    def row_nats(self, rows: Tensor, device: Device) -> np.ndarray:
        """Return the negative log likelihood of each row as rows are drawn, float64 N, for int64 tokens N T.

        Other than in `nats_per_row` a fine token that its coarse one does not have is impossible, as it is in a draw.
        """
        found = []
        for tokens in torch.split(rows, max(FORWARD_ROWS // len(self.sizes), 1)):
            total = torch.zeros(len(tokens), dtype=torch.float64, device=tokens.device)
            with device.autocast():
                for place, logits in self._in_order(tokens):
                    token = self.tokens[place]
                    if token.valid is not None and token.parent is not None:
                        valid = torch.from_numpy(token.valid).to(tokens.device)[tokens[:, token.parent]]
                        logits = logits.masked_fill(~valid, -torch.inf)  # noqa: PLW2901 - the same logits, restricted
                    total += nn.functional.cross_entropy(logits.double(), tokens[:, place], reduction="none")
            found.append(total.cpu().numpy())
        return np.concatenate([np.zeros(0), *found])

    def _in_order(self, tokens: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Yield each place in the sampling order and its logits, float32 B size, given what comes before it."""
        B, T = tokens.shape
        length = torch.arange(T, device=tokens.device).repeat_interleave(B)[:, None]
        hidden = torch.where(self.rank < length, tokens.repeat(T, 1), self.unknown)
        features = self.network.trunk(self.network.input(hidden))
        for place, part in zip(self.order, torch.split(features, B), strict=True):  # a head sees its own prefix alone
            yield place, self.network.logits_at(place, part, tokens).float()

    def _cross_entropy(self, tokens: Tensor, known: Tensor, weights: Tensor) -> Tensor:
        logits = self.network(torch.where(known, tokens, self.unknown))
        return segmented_cross_entropy(logits, tokens, weights, self.sizes)

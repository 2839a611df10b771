"""The network of `tabular.autoregressive`, and how rows are drawn from it.

# B batch, T tokens of a row, V sizes of all tokens together, H width, N rows
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from generators.device import Device
from generators.nn.residual import Trunk
from generators.nn.segments import draw, offsets_of, stratified_uniforms
from generators.nn.tokens import TokenHeads, TokenInput
from generators.tabular.codec import Token
from sources.randomness import derive

SAMPLE_ROWS = 16_384  # rows in one piece of sampling


class MaskedNetwork(nn.Module):
    """All conditionals of all tokens: B T (with unknowns) -> logits B V."""

    def __init__(
        self, tokens: tuple[Token, ...], *, width: int, hidden: int, depth: int, embedding: int, dropout: float
    ) -> None:
        """Build it; the output begins at zero, the bias is set by `begin_at`."""
        super().__init__()
        sizes = [token.size for token in tokens]
        ranks = [token.ranks for token in tokens]
        leaves = {
            place: (token.parent, token.leaf_ranks)
            for place, token in enumerate(tokens)
            if token.parent is not None and token.leaf_ranks is not None
        }
        self.input = TokenInput(sizes, ranks, embedding, width, leaves)
        self.trunk = Trunk(width, hidden, depth, dropout)
        self.heads = TokenHeads(sizes, ranks, width)

    @torch.no_grad()
    def begin_at(self, marginals: Sequence[Tensor]) -> None:
        """Set the output bias to the logarithm of the `marginals`, float size each."""
        self.heads.bias.copy_(torch.cat(list(marginals)).log())

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits, B V, for int64 tokens, B T."""
        logits: Tensor = self.heads(self.trunk(self.input(tokens)))
        return logits


@torch.inference_mode()
def draw_rows(
    network: MaskedNetwork,
    codec_tokens: Sequence[Token],
    order: Sequence[int],
    known: np.ndarray,
    allowed: Mapping[int, np.ndarray],
    *,
    device: Device,
    seed: int,
) -> np.ndarray:
    """Return tokens, N T in the type of `known`, in which every unknown one has been drawn.

    Args:
        network: trained, in evaluation mode.
        codec_tokens: what the T positions mean.
        order: positions in the order of drawing.
        known: integers N T, -1 where unknown, which is the same positions in every row.
        allowed: position -> bool N size, tokens that may be drawn there; such positions are drawn first.
        device: where the network is.
        seed: same seed, same tokens.

    """
    n = len(known)
    result = torch.from_numpy(known.astype(np.int64))
    todo = [place for place in order if n and int(known[0, place]) < 0]
    todo.sort(key=lambda place: place not in allowed)  # what is restricted conditions all others, so it comes first
    uniforms = {}
    for place in todo:
        token = codec_tokens[place]
        generator = torch.Generator()
        generator.manual_seed(derive(seed, "draw", token.column, token.level))
        uniforms[place] = stratified_uniforms(n, generator)
    painter = Painter(network, codec_tokens, device)
    for start in range(0, n, SAMPLE_ROWS):
        piece = slice(start, start + SAMPLE_ROWS)
        result[piece] = painter.fill(
            result[piece],
            {place: uniforms[place][piece] for place in todo},
            {place: mask[piece] for place, mask in allowed.items()},
        )
    return result.numpy().astype(known.dtype)


class Painter:
    """Fills in tokens column after column; the input layer is a running sum of table rows."""

    def __init__(self, network: MaskedNetwork, tokens: Sequence[Token], device: Device) -> None:
        """Take the tables out of the network, which stays as it is."""
        self.tokens = tokens
        self.device = device
        self.network = network
        self.start, self.gains = network.input.tables()
        offsets = offsets_of([token.size for token in tokens])
        weight, bias = network.heads.table(), network.heads.bias
        self.heads = [(weight[a:b], bias[a:b]) for a, b in pairwise(offsets)]
        self.forbidden = [~torch.from_numpy(token.emit).to(self.device.torch) for token in self.tokens]

    def fill(self, tokens: Tensor, uniforms: Mapping[int, Tensor], allowed: Mapping[int, np.ndarray]) -> Tensor:
        """Return int64 tokens B T, the places in `uniforms` drawn in their order."""
        device = self.device.torch
        tokens = tokens.to(device)
        features = self.start.repeat(len(tokens), 1)
        known = [place for place in range(len(self.tokens)) if place not in uniforms]
        for place in known:
            features += self.gain(place, tokens)
        states, state = torch.unique(tokens[:, known], dim=0, return_inverse=True) if known else _one_state(tokens)
        num_states = len(states)
        for place, uniform in uniforms.items():
            token = self.tokens[place]
            if num_states * 2 < len(tokens):  # rows that are still alike share one pass through the trunk
                first = torch.empty(num_states, dtype=torch.int64, device=device)
                first[state] = torch.arange(len(tokens), device=device)
                probabilities = self.probabilities(features[first], place)[state]
            else:
                probabilities = self.probabilities(features, place)
            if token.valid is not None and token.parent is not None:
                probabilities = probabilities * torch.from_numpy(token.valid).to(device)[tokens[:, token.parent]]
            if place in allowed:
                probabilities = probabilities * torch.from_numpy(allowed[place]).to(device)
            tokens[:, place] = draw(probabilities, uniform.to(device))
            features += self.gain(place, tokens)
            if num_states * 2 < len(tokens):
                found, state = torch.unique(state * token.size + tokens[:, place], return_inverse=True)
                num_states = len(found)
        return tokens.cpu()

    def gain(self, place: int, tokens: Tensor) -> Tensor:
        """Return what the tokens at `place` add to the features, B H."""
        parent = self.tokens[place].parent
        return self.gains[place][tokens[:, place] if parent is None else (tokens[:, parent], tokens[:, place])]

    def probabilities(self, features: Tensor, place: int) -> Tensor:
        """Return the distribution of the token at `place`, float64 B size, for the features (float B H) of rows."""
        with self.device.autocast():
            hidden = self.network.trunk(features)
        weight, bias = self.heads[place]
        logits = hidden.float() @ weight.T + bias
        probabilities: Tensor = logits.masked_fill(self.forbidden[place], -torch.inf).double().softmax(1)
        return probabilities


def _one_state(tokens: Tensor) -> tuple[Tensor, Tensor]:
    return tokens[:1], torch.zeros(len(tokens), dtype=torch.int64, device=tokens.device)

"""The network of `tabular.autoregressive`, and how rows are drawn from it.

# B batch, T tokens of a row, V sizes of all tokens together, H width, N rows
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from generators.device import Device
from generators.nn.clusters import ClusterHeads
from generators.nn.residual import Trunk
from generators.nn.segments import draw, offsets_of, stratified_uniforms
from generators.nn.tokens import TokenHeads, TokenInput
from generators.tabular.row_tokens import Token, clusters_of, leaves_of
from generators.training import memory
from sources.randomness import derive

SAMPLE_ROWS = 16_384  # rows in one piece of sampling
CACHE_ROWS = 4_096  # of which each thread of a CPU takes so many through the trunk at a time: they stay in its cache
STRATIFIED_CELLS = 2**25  # rows times tokens that are stratified together: their uniforms take 256 MiB


class MaskedNetwork(nn.Module):
    """All conditionals of all tokens: B T (with unknowns) -> logits B V."""

    def __init__(
        self, tokens: tuple[Token, ...], *, width: int, hidden: int, depth: int, embedding: int, dropout: float
    ) -> None:
        """Build it; the output begins at zero, the bias is set by `begin_at`."""
        super().__init__()
        sizes = [token.size for token in tokens]
        self.offsets = offsets_of(sizes)
        ranks = [token.ranks for token in tokens]
        clusters = clusters_of(tokens)
        self.input = TokenInput(sizes, ranks, embedding, width, leaves=leaves_of(tokens), clusters=clusters)
        self.trunk = Trunk(width, hidden, depth, dropout)
        self.heads = TokenHeads(sizes, ranks, width)
        self.clusters = ClusterHeads(sizes, clusters, width)

    @torch.no_grad()
    def begin_at(self, marginals: Sequence[Tensor], rows: np.ndarray) -> None:
        """Set the output bias to the logarithm of the `marginals`, float size each; in clusters to that of `rows`."""
        within = self.clusters.coarse  # there the clusters' own heads begin at the frequencies
        flat = [torch.ones_like(part) if place in within else part for place, part in enumerate(marginals)]
        self.heads.bias.copy_(torch.cat(flat).log())
        self.clusters.begin_at(torch.from_numpy(rows))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits, B V, for int64 tokens, B T; those of fine tokens mean something where the coarse is known."""
        features = self.trunk(self.input(tokens))
        logits: Tensor = self.clusters.add_to(self.heads(features), features, tokens)
        return logits

    def head(self, place: int) -> tuple[Tensor, Tensor]:
        """Return weights (size H) and bias (size) of the logits at `place`."""
        begin, end = self.offsets[place : place + 2]
        return self.heads.table(begin, end), self.heads.bias[begin:end]

    def logits_at(self, place: int, features: Tensor, tokens: Tensor) -> Tensor:
        """Return the logits at `place`, float32 B size, for the trunk's features (B H) and the rows, int64 B T."""
        weight, bias = self.head(place)
        return self.clusters.add_at(place, nn.functional.linear(features.float(), weight, bias), features, tokens)


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
    result = known.copy()
    todo = [place for place in order if n and int(known[0, place]) < 0]
    todo.sort(key=lambda place: place not in allowed)  # what is restricted conditions all others, so it comes first
    painter = Painter(network, codec_tokens, device)
    block_rows = max(STRATIFIED_CELLS // max(len(todo), 1), SAMPLE_ROWS)
    for begin in range(0, n, block_rows):
        end = min(begin + block_rows, n)
        uniforms = {}
        for place in todo:
            token = codec_tokens[place]
            generator = torch.Generator()
            block = (begin,) if begin else ()
            generator.manual_seed(derive(seed, "draw", token.column, token.level, *block))
            uniforms[place] = stratified_uniforms(end - begin, generator)
        start, piece_rows = begin, SAMPLE_ROWS
        while start < end:
            stop = min(start + piece_rows, end)
            try:
                drawn = painter.fill(
                    torch.from_numpy(known[start:stop].astype(np.int64)),
                    {place: uniforms[place][start - begin : stop - begin] for place in todo},
                    {place: mask[start:stop] for place, mask in allowed.items()},
                )
            except (MemoryError, RuntimeError) as error:
                if not memory.is_out_of_memory(error) or stop - start == 1:
                    raise
                drawn = None
            if drawn is None:  # after the error, whose frames hold what has to be freed
                memory.release()
                piece_rows = (stop - start) // 2
                continue
            result[start:stop] = drawn.numpy()
            start = stop
    return result


class Painter:
    """Fills in tokens column after column; the input layer is a running sum of table rows."""

    def __init__(self, network: MaskedNetwork, tokens: Sequence[Token], device: Device) -> None:
        """Take the tables out of the network, which stays as it is."""
        self.tokens = tokens
        self.device = device
        self.network = network
        self.start = network.input.start()
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
                probabilities = self.probabilities(features[first], place, tokens[first])[state]
            else:
                probabilities = self.probabilities(features, place, tokens)
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
        """Return what the tokens (int64 B T) at `place` add to the features, B H."""
        return self.network.input.gain(place, tokens)

    def probabilities(self, features: Tensor, place: int, tokens: Tensor) -> Tensor:
        """Return the distribution of the token at `place`, float64 B size, for features (float B H) of rows, B T."""
        size = max(len(features) if self.device.is_gpu else CACHE_ROWS * torch.get_num_threads(), 1)
        logits = []
        for piece, rows in zip(torch.split(features, size), torch.split(tokens, size), strict=True):
            with self.device.autocast():
                hidden = self.network.trunk(piece)
            logits.append(self.network.logits_at(place, hidden, rows))
        return torch.cat(logits).masked_fill_(self.forbidden[place], -torch.inf).double().softmax(1)


def _one_state(tokens: Tensor) -> tuple[Tensor, Tensor]:
    return tokens[:1], torch.zeros(len(tokens), dtype=torch.int64, device=tokens.device)

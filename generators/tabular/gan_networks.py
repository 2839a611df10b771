"""Generator and discriminator of `tabular.gan`, both over rows of tokens as one-hot vectors.

The generator turns noise into the logits of all columns at once; columns are drawn independently given the noise. For
training a draw is a straight-through Gumbel softmax (Jang, Gu and Poole 2017, arXiv 1611.01144, section 2.2): forward
it is exactly one-hot, as real rows are, so that the discriminator cannot tell rows by softness; backward it has the
gradient of the softmax.

# B batch, T tokens of a row, V sizes of all tokens together, S the same of the coarse ones alone, H width, Z noise
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from generators.nn.residual import Trunk
from generators.nn.segments import draw, offsets_of, stratified_uniforms
from generators.nn.tokens import TokenHeads, TokenTable
from generators.tabular.codec import Token
from sources.randomness import derive

SAMPLE_ROWS = 16_384  # rows in one piece of sampling
LAPLACE = 0.5  # added to each token's count before the logarithm that the logits begin with
INPUT_SCALE = 1.5  # of the discriminator's first layer, over the root of the tokens that add up in it
NEVER = -1e4  # logit of a fine token that its coarse one lacks


class Generator(nn.Module):
    """Noise to rows of tokens; begins as independent columns with the frequencies that `begin_at` is given.

    Args:
        tokens: of the codec.
        latent: Z.
        width, hidden, depth: of the trunk.

    """

    def __init__(self, tokens: Sequence[Token], *, latent: int, width: int, hidden: int, depth: int) -> None:
        """Build it; the heads' weights begin at zero."""
        super().__init__()
        self.tokens = tuple(tokens)
        self.sizes = [token.size for token in tokens]
        self.latent = latent
        self.input = nn.Linear(latent, width)
        self.trunk = Trunk(width, hidden, depth, 0.0)
        self.heads = TokenHeads(self.sizes, [token.ranks for token in tokens], width)
        for place, token in enumerate(tokens):  # what a fine token's logits begin at, given its coarse one
            if token.parent is not None:
                self.register_buffer(f"fine_{place}", torch.zeros(self.sizes[token.parent], token.size))

    @torch.no_grad()
    def begin_at(self, rows: Tensor) -> None:
        """Set the logits to the frequencies among `rows`, int64 N T; those of fine tokens within each coarse one."""
        parts = torch.split(self.heads.bias, self.sizes)
        for place, token in enumerate(self.tokens):
            if token.parent is None or token.valid is None:
                counts = torch.bincount(rows[:, place], minlength=token.size)
                parts[place].copy_(((counts + LAPLACE) / len(rows)).log())
                continue
            together = rows[:, token.parent] * token.size + rows[:, place]
            shape = (self.sizes[token.parent], token.size)
            counts = torch.bincount(together, minlength=math.prod(shape)).view(shape) + LAPLACE
            frequencies = (counts / counts.sum(1, keepdim=True)).log()
            self._fine(place).copy_(frequencies.masked_fill(~torch.from_numpy(token.valid), NEVER))

    def forward(self, noise: Tensor) -> Tensor:
        """Return logits, B V, for noise, B Z; those of fine tokens still lack what their coarse ones add."""
        logits: Tensor = self.heads(self.trunk(self.input(noise)))
        return logits

    def noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Return standard normal noise, n Z, on the generator's device."""
        return torch.randn(n, self.latent, generator=generator, device=generator.device)

    def relaxed(self, logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        """Return drawn rows, float32 B V: one-hot forward, the Gumbel softmax's gradient backward."""
        logits = logits.float()
        gumbel = -torch.empty_like(logits).exponential_(generator=generator).log()
        parts: list[Tensor] = []
        for place, (token, own, noise) in enumerate(
            zip(
                self.tokens, torch.split(logits, self.sizes, dim=1), torch.split(gumbel, self.sizes, dim=1), strict=True
            )
        ):
            if token.parent is not None:
                own = own + self._fine(place)[parts[token.parent].detach().argmax(1)]  # noqa: PLW2901 - its full logits
            soft = torch.softmax((own + noise) / temperature, dim=1)
            hard = torch.zeros_like(soft).scatter_(1, soft.argmax(1, keepdim=True), 1.0)
            parts.append(hard + soft - soft.detach())
        return torch.cat(parts, dim=1)

    def coarse_probabilities(self, logits: Tensor) -> Tensor:
        """Return the coarse tokens' probabilities given the noise, float32 B S."""
        parts = [
            torch.softmax(own.float(), dim=1)
            for token, own in zip(self.tokens, torch.split(logits, self.sizes, dim=1), strict=True)
            if token.parent is None
        ]
        return torch.cat(parts, dim=1)

    def draw(self, n: int, seed: int) -> np.ndarray:
        """Return `n` rows of tokens, int64 n T, in pieces; see `sample`."""
        pieces = [np.zeros((0, len(self.sizes)), dtype=np.int64)]
        for start in range(0, n, SAMPLE_ROWS):
            generator = torch.Generator()
            generator.manual_seed(derive(seed, "sample", start))
            pieces.append(self.sample(min(SAMPLE_ROWS, n - start), generator).numpy())
        return np.concatenate(pieces)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Return `n` rows of tokens that may be emitted, int64 n T; each column's uniforms are stratified."""
        drawn: list[Tensor] = []
        logits = self(self.noise(n, generator)).float()
        for place, (token, own) in enumerate(zip(self.tokens, torch.split(logits, self.sizes, dim=1), strict=True)):
            allowed = torch.from_numpy(token.emit).to(own.device).expand(n, -1)
            if token.parent is not None and token.valid is not None:
                parent = drawn[token.parent]
                allowed = allowed & torch.from_numpy(token.valid).to(own.device)[parent]
                own = own + self._fine(place)[parent]  # noqa: PLW2901 - its full logits
            uniforms = _stratified(n, generator)
            drawn.append(draw(torch.softmax(own.masked_fill(~allowed, -torch.inf), dim=1), uniforms))
        return torch.stack(drawn, dim=1)

    def _fine(self, place: int) -> Tensor:
        return self.get_buffer(f"fine_{place}")


class Discriminator(nn.Module):
    """One number for each row: high where it takes it for real.

    Args:
        tokens: of the codec.
        width, hidden, depth: of the trunk.

    """

    def __init__(self, tokens: Sequence[Token], *, width: int, hidden: int, depth: int) -> None:
        """Build it; blocks begin with small corrections, because there is a gradient to give from the first step."""
        super().__init__()
        sizes, ranks = [token.size for token in tokens], [token.ranks for token in tokens]
        self.table = TokenTable(sizes, ranks, width, scale=INPUT_SCALE / math.sqrt(len(sizes)))
        self.bias = nn.Parameter(torch.zeros(width))
        self.trunk = Trunk(width, hidden, depth, 0.0)
        for block in self.trunk.blocks:
            nn.init.normal_(block.narrow.weight, std=0.5 / math.sqrt(hidden))  # type: ignore[union-attr, arg-type]
        self.output = nn.Linear(width, 1)

    def forward(self, rows: Tensor) -> Tensor:
        """Return scores, float32 B, of rows as vectors, B V."""
        scores: Tensor = self.output(self.trunk(rows @ self.table() + self.bias))
        return scores[:, 0].float()


def one_hot(rows: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return int64 tokens B T as one-hot vectors, float32 B V."""
    starts = torch.from_numpy(np.array(offsets_of(sizes)[:-1])).to(rows.device)
    return torch.zeros((len(rows), sum(sizes)), device=rows.device).scatter_(1, rows + starts, 1.0)


def _stratified(n: int, generator: torch.Generator) -> Tensor:
    """Return stratified uniforms, float64 n, on the generator's device."""
    if generator.device.type == "cpu":
        return stratified_uniforms(n, generator)
    order = torch.randperm(n, generator=generator, device=generator.device)
    return (order + torch.rand(n, generator=generator, dtype=torch.float64, device=generator.device)) / max(n, 1)

"""What the two networks of `tabular.gan` are trained on.

The game is the relativistic pairing loss with zero-centred gradient penalties on real and on drawn rows (Huang et al.
2024, arXiv 2501.05441, section 2; Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406, equation 9). Beside it
the generator matches the shares of single tokens and of pairs of tokens in two columns. Given the noise columns are
independent, so the product of two probabilities is exactly the expected share of a pair, without any relaxation; the
two factors of each square come from two halves of the batch, which leaves no bias of few rows.

# B batch, T tokens of a row, V sizes of all tokens together, S the same of the coarse ones alone, K tokens of a group
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from generators.nn.segments import offsets_of
from generators.tabular.gan_networks import Discriminator, Generator, one_hot
from generators.training.batches import ShuffledRows
from sources.randomness import stream

GROUP_TOKENS = 1_024  # coarse tokens whose pairs are matched together: their table takes 4 MiB
MAX_GROUPS = 16  # drawn groups of columns where a table has more tokens than that
COUNTED_ROWS = 8_192  # at a time, so that their one-hot vectors take little memory
SMOOTH = 1e-3  # share added to a pair's expected one, so that what hardly any row holds does not rule the loss
PENALTY_EVERY = 16  # steps between gradient penalties, weighted up likewise (Karras et al. 2020, arXiv 1912.04958, 3.1)

Batch = tuple[Tensor, Tensor, int]
"""Real tokens for the generator's loss and for the discriminator's, int64 B T each, and the step."""


def real_batches(rows: Tensor, batch_size: int, *, seed: int) -> Callable[[int], Batch]:
    """Return step -> batch of `rows`, int64 N T; B is even, at most `batch_size` and a quarter of N."""
    size = max(2, min(batch_size, len(rows) // 4) // 2 * 2)
    chosen = ShuffledRows(len(rows), size, seed=seed)

    def batches(step: int) -> Batch:
        first, second = chosen(2 * step).to(rows.device), chosen(2 * step + 1).to(rows.device)
        return rows[first], rows[second], step

    return batches


@dataclass(frozen=True)
class _Group:
    """Some columns: the places of their tokens among the coarse ones, int64 K, and what real rows have of them.

    `pairs` holds the shares of real rows, float32 K K; `weights` what each squared difference counts, float32 K K.
    """

    places: Tensor
    pairs: Tensor
    weights: Tensor


class PairShares:
    """The shares of pairs of coarse tokens among real rows, to be met by a generator.

    Args:
        generator: whose tokens are counted.
        rows: int64 N T.
        seed: of the groups of columns, where there are too many tokens for one.

    """

    def __init__(self, generator: Generator, rows: Tensor, *, seed: int) -> None:
        """Count the pairs; columns with more tokens than a group holds are left out."""
        coarse = [place for place, token in enumerate(generator.tokens) if token.parent is None]
        sizes = [generator.sizes[place] for place in coarse]
        starts = offsets_of(sizes)
        self._groups: list[_Group] = []
        for columns in _groups(sizes, seed):
            places = torch.cat([torch.arange(starts[c], starts[c + 1]) for c in columns]).to(rows.device)
            owner = torch.cat([torch.full((sizes[c],), c) for c in columns]).to(rows.device)
            pairs = _count_pairs(rows[:, [coarse[c] for c in columns]], [sizes[c] for c in columns]) / len(rows)
            shares = pairs.diagonal()
            expected = shares[:, None] * shares[None, :] + SMOOTH
            num_pairs = max(len(columns) * (len(columns) - 1), 1)  # each is counted twice
            weights = (owner[:, None] != owner[None, :]) / (expected * num_pairs)
            self._groups.append(_Group(places, pairs, weights + torch.diag(1 / ((shares + SMOOTH) * len(columns)))))

    def distance(self, probabilities: Tensor, generator: torch.Generator) -> Tensor:
        """Return an unbiased estimate of the weighted squared distance of the shares, a scalar.

        Args:
            probabilities: of coarse tokens given the noise, float32 B S.
            generator: chooses a group of columns where there are several.

        """
        if not self._groups:
            return probabilities.new_zeros(())
        chosen = int(torch.randint(len(self._groups), (), generator=generator, device=generator.device))
        group = self._groups[chosen]
        parts = probabilities[:, group.places] if len(group.places) < probabilities.shape[1] else probabilities
        first, second = (_shares(half) - group.pairs for half in parts.tensor_split(2))
        return (first * second * group.weights).sum()


@dataclass
class Game:
    """The losses of both networks, with the rows that the one has drawn for the other in between.

    Args:
        g_net: the generator.
        d_net: the discriminator.
        pair_shares: of the training rows.
        pair_weight: of their distance in the generator's loss.
        penalty: gamma, the weight of the gradient penalties.
        temperature: of the Gumbel softmax.

    """

    g_net: Generator
    d_net: Discriminator
    pair_shares: PairShares
    pair_weight: float
    penalty: float
    temperature: float
    _drawn: Tensor = field(default_factory=lambda: torch.empty(0))

    def generator_loss(self, batch: Batch, generator: torch.Generator) -> Tensor:
        """Draw as many rows as there are real ones; return what they lack."""
        rows, _, _ = batch
        logits = self.g_net(self.g_net.noise(len(rows), generator))
        drawn = self.g_net.relaxed(logits, self.temperature, generator)
        self._drawn = drawn.detach()
        with torch.no_grad():
            real_scores = self.d_net(one_hot(rows, self.g_net.sizes))
        fixed = {name: parameter.detach() for name, parameter in self.d_net.named_parameters()}
        scores: Tensor = torch.func.functional_call(self.d_net, fixed, (drawn,))
        loss = nn.functional.softplus(real_scores - scores).mean()
        if self.pair_weight:
            with torch.autocast(rows.device.type, enabled=False):
                probabilities = self.g_net.coarse_probabilities(logits)
                loss = loss + self.pair_weight * self.pair_shares.distance(probabilities, generator)
        return loss

    def discriminator_loss(self, batch: Batch, _generator: torch.Generator) -> Tensor:
        """Return how badly real rows are told from those that the generator has just drawn."""
        _, rows, step = batch
        real = one_hot(rows, self.g_net.sizes)
        real_scores, scores = self.d_net(torch.cat([real, self._drawn])).chunk(2)
        loss: Tensor = nn.functional.softplus(scores - real_scores).mean()
        if self.penalty and step % PENALTY_EVERY == 0:
            with torch.autocast(rows.device.type, enabled=False):
                slopes = self._squared_slope(real) + self._squared_slope(self._drawn)
            loss = loss + PENALTY_EVERY * self.penalty / 2 * slopes
        return loss

    def _squared_slope(self, rows: Tensor) -> Tensor:
        """Return the mean squared norm of the discriminator's gradient at `rows`, B V."""
        at = rows.clone().requires_grad_()
        (slope,) = torch.autograd.grad(self.d_net(at).sum(), at, create_graph=True)
        squared: Tensor = slope.square().sum(1).mean()
        return squared


def _count_pairs(rows: Tensor, sizes: list[int]) -> Tensor:
    """Return how many rows have each two tokens, float32 K K, for int64 tokens N T."""
    counts = torch.zeros((sum(sizes), sum(sizes)), device=rows.device)
    for part in torch.split(rows, COUNTED_ROWS):
        hot = one_hot(part, sizes)
        counts += hot.T @ hot
    return counts


def _shares(probabilities: Tensor) -> Tensor:
    """Return the mean share of each pair of tokens, K K; that of each single token on the diagonal."""
    pairs = probabilities.T @ probabilities / len(probabilities)
    return pairs - torch.diag(pairs.diagonal()) + torch.diag(probabilities.mean(0))


def _groups(sizes: list[int], seed: int) -> list[list[int]]:
    """Return groups of columns, at most `GROUP_TOKENS` tokens each: one, or `MAX_GROUPS` drawn ones."""
    fitting = [column for column, size in enumerate(sizes) if size <= GROUP_TOKENS]
    if sum(sizes[column] for column in fitting) <= GROUP_TOKENS:
        return [fitting] if fitting else []
    rng = stream(seed, "groups of columns")
    groups = []
    for _ in range(MAX_GROUPS):
        group, room = [], GROUP_TOKENS
        for column in rng.permutation(fitting).tolist():
            if sizes[column] <= room:
                group.append(column)
                room -= sizes[column]
        groups.append(sorted(group))
    return groups

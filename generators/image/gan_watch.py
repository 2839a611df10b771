"""What is watched while `image.gan` trains: how far drawn pictures are from held-out ones, and which kinds it lost.

The distance is an unbiased squared maximum mean discrepancy with a cubic kernel of features (Binkowski et al. 2018,
arXiv 1801.01401, section 2) times one of attributes, so pictures must be right and belong to their attributes; 0
is expected of fresh real ones. It chooses the weights that are kept. Coverage is the share of held-out pictures with a
drawn one no farther than their fifth neighbour (Naeem et al. 2020, arXiv 2002.09797, equation 4); a generator that
repeats itself loses it. All of it is done on the validation part of the training rows, which no judge uses.

# N held-out pictures, M drawn ones, T tokens of a row's attributes, F features, L labels of an attribute
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from generators.image.random_features import RandomFeatures

UNIT = "kernel distance of drawn to held-out pictures and attributes"
FEWEST = 8  # held-out pictures that are worth looking at
LEAST_DRAWN, MOST_DRAWN = 512, 2_048  # pictures
NEIGHBOURS = 5
ATTRIBUTES = 0.8  # part of the kernel that only rows with the same attributes have
LABELS = (2, 50)  # numbers of labels whose agreement is measured
RIDGE = 1e-2  # per row, of the linear map that reads labels off features
LOST_COVERAGE = 0.4  # of the best coverage: what is less has collapsed
WORTH_LOSING = 0.2  # coverage that must have been reached before it can be lost
REGAINED = 0.5  # of the first distance: who is back there after having come below an eighth of it has collapsed
LOW_AGREEMENT = 0.7  # of the agreement of real pictures: what is less is told


@dataclass
class Watch:
    """Compares drawn pictures with real ones of the validation part.

    Args:
        features: pictures (float B C H W, not padded) -> B F.
        learnt: features of pictures that are learnt from, and their tokens: what labels are read off by.
        held: features of the validation part, and its tokens.
        sizes: number of tokens at each position.
        ranks: None for positions whose tokens have no order.

    `figures` holds what the last comparison found: `coverage`, and `agreement` where there are labels: how often the
    label that is read off a drawn picture is the one it was drawn for, over the same for held-out pictures.

    """

    features: RandomFeatures
    learnt: tuple[Tensor, Tensor]
    held: tuple[Tensor, Tensor]
    sizes: Sequence[int]
    ranks: Sequence[np.ndarray | None]
    figures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Fit what reads labels, and measure the real pictures."""
        known, tokens = self.learnt
        self._readers: dict[int, Tensor] = {}
        for place, (size, rank) in enumerate(zip(self.sizes, self.ranks, strict=True)):
            if rank is None and LABELS[0] <= size <= LABELS[1]:
                self._readers[place] = _reader(known, tokens[:, place], size)
        real, real_tokens = self.held
        self._real_agreement = self._agreement(real, real_tokens)
        apart = torch.cdist(real, real)
        self._radii = apart.kthvalue(min(NEIGHBOURS, len(real) - 1) + 1, dim=1).values  # the first is itself
        self._real_kernel = _off_diagonal_mean(_kernel(real, real_tokens, real, real_tokens))

    @property
    def tokens(self) -> Tensor:
        """The attributes to draw for, int64 M T: those of the validation part, over and over where it is small."""
        tokens = self.held[1]
        count = min(max(len(tokens), LEAST_DRAWN), MOST_DRAWN)
        return tokens.repeat(-(-count // len(tokens)), 1)[:count]

    def distance(self, pictures: Tensor) -> Tensor:
        """Note `figures` of pictures drawn for `tokens` (float M C H W), and return the distance, a scalar."""
        return self.distance_of(self.features(pictures))

    def distance_of(self, drawn: Tensor) -> Tensor:
        """Return what `distance` does, of features M F."""
        tokens = self.tokens
        real, real_tokens = self.held
        nearest = torch.cdist(real, drawn[: len(real)]).min(dim=1).values
        self.figures = {"coverage": float((nearest <= self._radii).double().mean())}
        if self._readers:
            self.figures["agreement"] = self._agreement(drawn, tokens) / max(self._real_agreement, 1e-9)
        across = _kernel(real, real_tokens, drawn, tokens).mean()
        return self._real_kernel + _off_diagonal_mean(_kernel(drawn, tokens, drawn, tokens)) - 2 * across

    def _agreement(self, features: Tensor, tokens: Tensor) -> float:
        """Return how often the label read off the features is the token, the mean over attributes of labels."""
        shares = [
            float((_with_one(features) @ reader).argmax(1).eq(tokens[:, place]).double().mean())
            for place, reader in self._readers.items()
        ]
        return sum(shares) / len(shares) if shares else 1.0


def collapsed(history: Sequence[Mapping[str, float]]) -> bool:
    """Return whether the last row of history lost the coverage that the best had, or most of what was learnt."""
    best, first, last = min(history, key=lambda row: row["validation_loss"]), history[0], history[-1]
    lost = best["coverage"] >= WORTH_LOSING and last["coverage"] < LOST_COVERAGE * best["coverage"]
    came_close = best["validation_loss"] < first["validation_loss"] / 8
    return lost or (came_close and last["validation_loss"] > REGAINED * first["validation_loss"])


def notes(history: Sequence[Mapping[str, float]], collapsed_step: int | None, kept_step: int) -> tuple[str, ...]:
    """Return sentences about a collapse and about labels that the pictures of the kept step do not follow."""
    notes = []
    if collapsed_step is not None:
        notes.append(
            f"training collapsed by step {collapsed_step}: drawn pictures lost their variety or moved away from "
            f"real ones; the model is that of step {kept_step}, the best"
        )
    agreement = next((row.get("agreement", 1.0) for row in history if row["step"] == kept_step), 1.0)
    if agreement < LOW_AGREEMENT:
        notes.append(f"labels are read off drawn pictures at {agreement:.0%} of the rate of real ones")
    return tuple(notes)


def _kernel(first: Tensor, first_tokens: Tensor, second: Tensor, second_tokens: Tensor) -> Tensor:
    """Return the kernel of rows (features N F, int64 tokens N T) with others, float64 N M."""
    alike = (first.double() @ second.double().T / first.shape[1] + 1) ** 3
    if not first_tokens.shape[1]:
        return alike
    shared = (first_tokens[:, None] == second_tokens[None]).double().mean(2)
    return alike * (1 - ATTRIBUTES + ATTRIBUTES * shared)


def _off_diagonal_mean(square: Tensor) -> Tensor:
    count = len(square)
    return (square.sum() - square.diagonal().sum()) / (count * (count - 1))


def _reader(features: Tensor, labels: Tensor, size: int) -> Tensor:
    """Return the ridge regression of one-hot labels (int64 N; `size` is unknown) on features, F + 1 L."""
    known = labels < size
    inputs, targets = _with_one(features[known]).double(), torch.nn.functional.one_hot(labels[known], size).double()
    product = inputs.T @ inputs
    product.diagonal().add_(RIDGE * max(len(inputs), 1))
    weights: Tensor = torch.linalg.solve(product, inputs.T @ targets).float()
    return weights


def _with_one(features: Tensor) -> Tensor:
    return torch.cat([features, features.new_ones(len(features), 1)], dim=1)

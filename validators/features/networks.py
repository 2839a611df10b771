"""The three small convolutional networks that see pictures, and how they are trained: the one module with torch here.

- `random`: He-initialised, never trained; sees whatever is different, without an opinion on what matters.
- `self-supervised`: trained to know a picture again after it was moved, turned, scaled, dimmed and half covered, among
  other pictures (NT-Xent, Chen et al. 2020, equation 1).
- `supervised`: trained to tell the labels of all categorical columns, one head each (cross-entropy).

All run in float32 on one thread of the CPU for a number of steps, so judgements agree on all machines of a kind.

Legend: B batch, C channels, H height, W width, F features, K classes. Pictures are standardised by channel.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sources.randomness import derive

NUM_FEATURES = 64
"""Few: a covariance of F features is known from some hundred pictures (Naeem et al. 2020 use as many)."""

WIDTHS = (16, 32, 64)
LAST_SIDE = 4
"""Halvings stop where the longer side is about this."""

BATCH = 128
RATE = 3e-3
TEMPERATURE = 0.2
CHUNK = 512
SHIFT, TURN, ZOOM, DIM = 0.12, 0.2, 0.15, 0.2
"""Views: shift as a share of the side, radians, share of the size, share of the contrast; each uniform, both ways."""

COVER = 0.4
"""The largest side of the rectangle that a view hides, as a share of the picture's."""


class Network(nn.Module):
    """Three convolutions and a linear layer: float B C H W -> float B F.

    Args:
        height, width, channels: of the pictures.

    """

    def __init__(self, height: int, width: int, channels: int) -> None:
        """Draw the weights from torch's global state: see `seeded`."""
        super().__init__()
        halvings = max(0, min(len(WIDTHS), round(float(np.log2(max(height, width) / LAST_SIDE)))))
        layers: list[nn.Module] = []
        for position, out in enumerate(WIDTHS):
            halves = position < halvings
            stride = (2 if halves and height > 1 else 1, 2 if halves and width > 1 else 1)
            layers += [nn.Conv2d(channels, out, 3, stride=stride, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
            height, width, channels = -(-height // stride[0]), -(-width // stride[1]), out
        self.body = nn.Sequential(*layers)
        self.embed = nn.Linear(height * width * channels, NUM_FEATURES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Return the features of standardised pictures."""
        return torch.as_tensor(self.embed(self.body(pictures).flatten(1)))


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A frozen network with one head for each categorical column (none but for `supervised`)."""

    network: Network
    heads: Mapping[str, nn.Linear]


def untrained(pictures: np.ndarray, *, seed: int) -> Trained:
    """Return the random network; `pictures` (float32 N C H W) only settle the scale of its layers."""
    with one_thread(), seeded(seed):
        network = _network(pictures)
        for module in network.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None  # the running figures are then plain means over the batches
        network.train()
        with torch.no_grad():
            for first in range(0, len(pictures) - 1, CHUNK):
                network(torch.from_numpy(pictures[first : first + CHUNK]))
        return Trained(network=network.eval(), heads={})


def self_supervised(pictures: np.ndarray, *, seed: int, steps: int) -> Trained:
    """Return the network that knows pictures (float32 N C H W, at least two) again."""
    with one_thread(), seeded(seed):
        network = _network(pictures)
        head = nn.Sequential(nn.ReLU(), nn.Linear(NUM_FEATURES, NUM_FEATURES))
        optimizer, schedule = _optimizer([network, head], steps)
        rng = torch.Generator().manual_seed(derive(seed, "views"))
        for rows in _batches(len(pictures), steps, seed):
            batch = torch.from_numpy(pictures[rows])
            found = functional.normalize(head(network(torch.cat([_view(batch, rng), _view(batch, rng)]))), dim=1)
            likeness = found @ found.T / TEMPERATURE
            likeness.fill_diagonal_(-torch.inf)
            partner = torch.arange(len(found)).roll(len(batch))
            _step(functional.cross_entropy(likeness, partner), optimizer, schedule)
        return Trained(network=network.eval(), heads={})


def supervised(
    pictures: np.ndarray,
    labels: Mapping[str, np.ndarray],
    num_classes: Mapping[str, int],
    *,
    seed: int,
    steps: int,
) -> Trained:
    """Return the network that tells the labels of `pictures` (float32 N C H W, at least two).

    Args:
        pictures: standardised.
        labels: column -> class of each picture (int64 N), -1 where it is not known.
        num_classes: column -> K.
        seed: of everything drawn.
        steps: of Adam.

    """
    with one_thread(), seeded(seed):
        network = _network(pictures)
        heads = {name: nn.Linear(NUM_FEATURES, num) for name, num in num_classes.items()}
        optimizer, schedule = _optimizer([network, *heads.values()], steps)
        rng = torch.Generator().manual_seed(derive(seed, "views"))
        for rows in _batches(len(pictures), steps, seed):
            found = functional.relu(network(_view(torch.from_numpy(pictures[rows]), rng)))
            losses = []
            for name, head in heads.items():
                told = torch.from_numpy(labels[name][rows])
                if bool((told >= 0).any()):
                    losses.append(functional.cross_entropy(head(found), told, ignore_index=-1))
            if losses:
                _step(torch.stack(losses).sum(), optimizer, schedule)
        return Trained(network=network.eval(), heads={name: head.eval() for name, head in heads.items()})


def embedded(trained: Trained, pictures: np.ndarray) -> np.ndarray:
    """Return the features of `pictures` (float32 N C H W) as float32 N F."""
    with one_thread(), torch.no_grad():
        chunks = [trained.network(torch.from_numpy(part)).numpy() for part in _chunks(pictures)]
    return np.concatenate(chunks) if chunks else np.empty((0, NUM_FEATURES), dtype=np.float32)


def told(trained: Trained, column: str, features: np.ndarray) -> np.ndarray:
    """Return the probability of each class of `column` given what `embedded` returned (float32 N F -> float32 N K)."""
    with one_thread(), torch.no_grad():
        scores = trained.heads[column](functional.relu(torch.from_numpy(features)))
        return np.asarray(functional.softmax(scores, dim=1).numpy())


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute on one thread: sums over threads differ in the last digits with their number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let layers draw their first weights from `seed`, leaving torch's global state as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "weights"))  # noqa: TID251 - inside fork_rng
        yield


def _network(pictures: np.ndarray) -> Network:
    _, channels, height, width = pictures.shape
    return Network(height, width, channels)


def _optimizer(
    modules: Sequence[nn.Module], steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    for module in modules:
        module.train()
    parameters = [parameter for module in modules for parameter in module.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=1e-2)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)


def _step(loss: Tensor, optimizer: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    schedule.step()


def _batches(num_rows: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Yield the rows of `steps` batches: epochs of random order, the rest of each left out."""
    rng = np.random.Generator(np.random.PCG64(derive(seed, "batches")))
    size = min(BATCH, num_rows)
    done = 0
    while True:
        order = rng.permutation(num_rows)
        for first in range(0, num_rows - size + 1, size):
            if done == steps:
                return
            yield order[first : first + size]
            done += 1


def _chunks(pictures: np.ndarray) -> Iterator[np.ndarray]:
    for first in range(0, len(pictures), CHUNK):
        yield pictures[first : first + CHUNK]


def _view(pictures: Tensor, rng: torch.Generator) -> Tensor:
    """Return the pictures (B C H W) each moved, turned, scaled, dimmed and partly covered at random."""
    num, _, height, width = pictures.shape

    def drawn(*shape: int) -> Tensor:
        return torch.rand(num, *shape, generator=rng) * 2 - 1

    angle, zoom = drawn() * TURN, 1 + drawn() * ZOOM
    law = torch.stack(
        [
            torch.stack([zoom * angle.cos(), -zoom * angle.sin(), 2 * SHIFT * drawn()], dim=1),
            torch.stack([zoom * angle.sin(), zoom * angle.cos(), 2 * SHIFT * drawn()], dim=1),
        ],
        dim=1,
    )
    grid = functional.affine_grid(law, list(pictures.shape), align_corners=False)
    seen = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    seen = seen * (1 + DIM * drawn(1, 1, 1)) + DIM * drawn(1, 1, 1)
    y, x = torch.arange(height).view(1, -1, 1) / height, torch.arange(width).view(1, 1, -1) / width
    top, left, tall, wide = (torch.rand(num, 1, 1, generator=rng) for _ in range(4))
    covered = (y >= top) & (y < top + COVER * tall) & (x >= left) & (x < left + COVER * wide)
    return seen.masked_fill(covered.unsqueeze(1), 0.0)

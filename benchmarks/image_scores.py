"""An outside judge of synthetic pictures; it shares no code with `validators/`.

- tstr: accuracy on test pictures of a small convolutional network trained on the synthetic ones; of fresh real pictures
  that of the same network trained on train;
- label agreement: part of the synthetic pictures whose label a network trained on train says;
- fid ratio: Frechet distance (Heusel et al. 2017, eq. 6) of synthetic to test pictures in the hidden layer of a network
  trained on train, by that of as many train pictures; 1 for fresh real ones;
- dcr share: part of the synthetic pictures nearer (in pixels) to train than to as many test pictures; .5 if fresh;
- copies: synthetic pictures that are in train, pixel by pixel;
- near real: mean distance in pixels to the nearest test picture, by that of train pictures; 1 for fresh real ones;
- own fid, own fid of real, own fid ratio: with `--extractor`, the Frechet distance of synthetic and of as many train
  pictures to test pictures in all features of that network, opened as a policy's is, by `validators/features/own.py`.

# N rows, H height, W width, C channels, F features
"""

import json
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from validators.features.own import OwnNetwork

STEPS = 1_500
BATCH = 128
FEATURES = 128
MOST_COMPARED = 5_000
"""Pictures whose distances to others are looked at."""


class Classifier(nn.Module):
    """Two convolutions and one hidden layer, for pictures of any size: B C H W -> B classes."""

    def __init__(self, channels: int, classes: int) -> None:
        """Build it."""
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveMaxPool2d(7),
            nn.Flatten(),
            nn.Linear(64 * 49, FEATURES),
            nn.ReLU(),
        )
        self.head = nn.Linear(FEATURES, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits."""
        logits: Tensor = self.head(self.body(images))
        return logits


def floats(images: np.ndarray) -> Tensor:
    """Return float32 N C H W in [0, 1] for uint8 or uint16 N H W C."""
    scale = np.float32(np.iinfo(images.dtype).max)
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(images.astype(np.float32) / scale, 3, 1)))


def trained(images: np.ndarray, labels: np.ndarray, classes: int, *, seed: int, device: str) -> Classifier:
    """Return a network trained on uint8 N H W C and int64 labels N."""
    generator = torch.Generator()
    generator.manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)  # noqa: TID251 - forked, see above
        network = Classifier(images.shape[3], classes).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=STEPS)
    everything, targets = floats(images), torch.from_numpy(labels)
    for _ in range(STEPS):
        rows = torch.randint(len(everything), (BATCH,), generator=generator)
        loss = nn.functional.cross_entropy(network(everything[rows].to(device)), targets[rows].to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


@torch.no_grad()
def features(network: Classifier, images: np.ndarray, *, device: str) -> np.ndarray:
    """Return float64 N F."""
    pieces = [network.body(piece.to(device)).cpu() for piece in floats(images).split(1_000)]
    return torch.cat(pieces).double().numpy()


@torch.no_grad()
def accuracy(network: Classifier, images: np.ndarray, labels: np.ndarray, *, device: str) -> float:
    """Return the part of the pictures whose label the network says."""
    said = torch.cat([network(piece.to(device)).argmax(1).cpu() for piece in floats(images).split(1_000)])
    return float((said.numpy() == labels).mean())


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    """Return the Frechet distance of two normal laws fitted to float64 N F each."""
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    values, vectors = np.linalg.eigh(first)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    crossed = np.sqrt(np.clip(np.linalg.eigvalsh(root @ second @ root), 0, None)).sum()
    return float(((one.mean(0) - other.mean(0)) ** 2).sum() + np.trace(first) + np.trace(second) - 2 * crossed)


def nearest(queries: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of each of N flat pictures to the nearest of a pool, float64 N."""
    a, b = (torch.from_numpy(one.reshape(len(one), -1).astype(np.float32)) for one in (queries, pool))
    return torch.cat([torch.cdist(piece, b).amin(1) for piece in a.split(500)]).double().numpy()


def all_scores(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    synthetic: tuple[np.ndarray, np.ndarray],
    *,
    reader: Classifier,
    seed: int,
    device: str,
) -> dict[str, float]:
    """Return every score of `synthetic`; a part is (images N H W C, int64 labels N), `reader` is trained on train."""
    rng = np.random.default_rng(seed)
    size = min(len(train[0]), len(test[0]), len(synthetic[0]))
    few = min(size, MOST_COMPARED)
    some_train, some_drawn = (one[0][rng.permutation(len(one[0]))[:size]] for one in (train, synthetic))
    some_test = test[0][rng.permutation(len(test[0]))[:size]]
    real, drawn, fresh = (features(reader, one, device=device) for one in (some_train, some_drawn, some_test))
    to_train, to_test = nearest(some_drawn[:few], some_train), nearest(some_drawn[:few], some_test)
    classes = int(max(part[1].max() for part in (train, test, synthetic))) + 1
    pupil = trained(*synthetic, classes, seed=seed, device=device)
    known = {picture.tobytes() for picture in train[0]}
    return {
        "tstr": accuracy(pupil, *test, device=device),
        "label agreement": accuracy(reader, *synthetic, device=device),
        "fid ratio": frechet(drawn, fresh) / frechet(real, fresh),
        "dcr share": float(((to_train < to_test) + 0.5 * (to_train == to_test)).mean()),
        "copies": float(sum(picture.tobytes() in known for picture in synthetic[0])),
        "near real": float(to_test.mean() / nearest(some_train[:few], some_test).mean()),
    }


def own_network(extractor: str) -> "OwnNetwork":
    """Return the network that the JSON text of a policy's `extractor` names; it reads files of users alone."""
    from validators.features.extractor import read_extractor  # noqa: PLC0415 - where a network is given
    from validators.features.own import load  # noqa: PLC0415

    return load(read_extractor(json.loads(extractor)))


def own_distances(
    network: "OwnNetwork", train: np.ndarray, test: np.ndarray, synthetic: np.ndarray, *, seed: int
) -> dict[str, float]:
    """Return the distances of synthetic and of train pictures to test pictures, as many of each (N H W C)."""
    from validators.features.own import embedded  # noqa: PLC0415

    rng = np.random.default_rng(seed)
    size = min(map(len, (train, test, synthetic)))
    real, fresh, drawn = (
        embedded(network, part[rng.permutation(len(part))[:size]]).astype(np.float64)
        for part in (train, test, synthetic)
    )
    found = {"own fid": frechet(drawn, fresh), "own fid of real": frechet(real, fresh)}
    return found | {"own fid ratio": found["own fid"] / found["own fid of real"]}

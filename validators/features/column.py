"""Features of the pictures of one image column, computed when first asked for, and never twice.

Legend: N rows, F features, K classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.randomness import derive
from validators.features.own_space import OWN, OwnSpace
from validators.features.pictures import CHUNK, shrunk

if TYPE_CHECKING:
    from validators.features.networks import Trained
    from validators.features.own import OwnNetwork

RANDOM = "random"
SELF_SUPERVISED = "self-supervised"
SUPERVISED = "supervised"
FEWEST_LEARNT = 30
"""With fewer pictures to learn from, only the network that learns nothing is used."""

STEPS = 200
"""Of training of each network: seconds, after which 2,300 digits of MNIST are read with 97 %."""

MAX_CLASSES = 64
FEWEST_OF_CLASS = 4
"""Labels with fewer pictures to learn from are not told."""


class PictureColumn:
    """The pictures of one image column through frozen networks that are trained on `learnt` alone.

    What is asked for is kept, so the arrays that are returned are shared, and read-only.

    Args:
        name: of the image column.
        learnt: the rows that the networks are trained on; they must not be judged by them.
        seed: of everything that is drawn.
        steps: of training of each network.
        own: a user's own network, or None.

    """

    def __init__(
        self, name: str, learnt: Dataset, *, seed: int, steps: int = STEPS, own: "OwnNetwork | None" = None
    ) -> None:
        """Keep the rows; nothing is computed yet."""
        self.name = name
        self.learnt = learnt
        self.classes: Mapping[str, tuple[str, ...]] = _classes(learnt)
        self._steps = steps
        self._seed = derive(seed, "features", name)
        self._kept: dict[tuple[str, int], tuple[Dataset, np.ndarray]] = {}
        self._networks: dict[str, tuple[Trained, np.ndarray, np.ndarray]] = {}
        self._scale: tuple[np.ndarray, np.ndarray] | None = None
        self._own = None if own is None else OwnSpace(own, self.raw(learnt), seed=self._seed)

    @property
    def extractors(self) -> tuple[str, ...]:
        """Return the names of the networks that there are: `supervised` only where there are labels."""
        if len(self.learnt) < FEWEST_LEARNT:
            return (RANDOM,)
        return (RANDOM, SELF_SUPERVISED, SUPERVISED) if self.classes else (RANDOM, SELF_SUPERVISED)

    @property
    def spaces(self) -> tuple[str, ...]:
        """Return the names of all networks: `extractors`, and `own` where a user gave one."""
        return self.extractors if self._own is None else (*self.extractors, OWN)

    def raw(self, dataset: Dataset) -> np.ndarray:
        """Return the pictures of a dataset's rows as they are (uint8 or uint16 N H W C)."""
        images, rows = dataset.media[self.name], dataset.frame[self.name].to_numpy()
        in_order = len(rows) == len(images) and np.array_equal(rows, np.arange(len(rows)))
        return images if in_order else images[rows]

    def pixels(self, dataset: Dataset) -> np.ndarray:
        """Return the pictures of a dataset's rows in [0, 1], large ones shrunk (float32 N h w C)."""
        return self._once("pixels", dataset, lambda: shrunk(self.raw(dataset)))

    def pixels_at(self, dataset: Dataset, rows: np.ndarray) -> np.ndarray:
        """Return `pixels` of the rows at the positions `rows` (int64 M) alone, which is not kept (float32 M h w C)."""
        return shrunk(self.raw(dataset)[rows])

    def features(self, dataset: Dataset, extractor: str) -> np.ndarray:
        """Return the features of a dataset's rows by one of `extractors`, standardised on `learnt` (float32 N F)."""
        return self._once(extractor, dataset, lambda: self._features(dataset, extractor))

    def features_at(self, dataset: Dataset, space: str, rows: np.ndarray) -> np.ndarray:
        """Return the features of the rows at the positions `rows` (int64 M) by one of `spaces` (float32 M F)."""
        if space != OWN:
            return np.asarray(self.features(dataset, space)[rows])
        assert self._own is not None
        return self._own.features(dataset, self.raw(dataset), rows)

    def probabilities(self, dataset: Dataset, column: str) -> np.ndarray:
        """Return how probable the supervised network finds each of `classes[column]` (float32 N K)."""
        return self._once(f"told {column}", dataset, lambda: self._told(dataset, column))

    def labels(self, dataset: Dataset, column: str) -> np.ndarray:
        """Return the rows' own labels as positions in `classes[column]` (int64 N), -1 for missing and other labels."""
        return codes_of(dataset.frame[column], self.classes[column])

    def _once(self, what: str, dataset: Dataset, make: Callable[[], np.ndarray]) -> np.ndarray:
        key = what, id(dataset)  # the dataset is kept beside, so its id is not given to another one
        if key not in self._kept:
            made = make()
            made.flags.writeable = False
            self._kept[key] = dataset, made
        return self._kept[key][1]

    def _standard(self, images: np.ndarray) -> np.ndarray:
        """Return raw pictures as the networks take them (float32 N C H W), standardised by channel on `learnt`."""
        if self._scale is None:
            values = self.pixels(self.learnt)
            deviation = values.std(axis=(0, 1, 2), dtype=np.float64)
            centre = values.mean(axis=(0, 1, 2), dtype=np.float64)
            self._scale = centre.astype(np.float32), np.where(deviation > 0, deviation, 1.0).astype(np.float32)
        centre, deviation = self._scale
        return np.ascontiguousarray(((shrunk(images) - centre) / deviation).transpose(0, 3, 1, 2))

    def _network(self, extractor: str) -> tuple["Trained", np.ndarray, np.ndarray]:
        """Return the network, and mean and deviation of its features of `learnt` (float32 F each)."""
        if extractor not in self._networks:
            from validators.features import networks  # noqa: PLC0415 - torch is loaded when pictures are judged

            assert extractor in self.extractors, extractor
            pictures, seed = self._standard(self.raw(self.learnt)), derive(self._seed, extractor)
            if extractor == RANDOM:
                trained = networks.untrained(pictures, seed=seed)
            elif extractor == SELF_SUPERVISED:
                trained = networks.self_supervised(pictures, seed=seed, steps=self._steps)
            else:
                labels = {name: self.labels(self.learnt, name) for name in self.classes}
                sizes = {name: len(classes) for name, classes in self.classes.items()}
                trained = networks.supervised(pictures, labels, sizes, seed=seed, steps=self._steps)
            own = networks.embedded(trained, pictures)
            deviation = own.std(axis=0)
            self._networks[extractor] = trained, own.mean(axis=0), np.where(deviation > 0, deviation, 1.0)
        return self._networks[extractor]

    def _features(self, dataset: Dataset, extractor: str) -> np.ndarray:
        from validators.features import networks  # noqa: PLC0415 - likewise

        trained, centre, deviation = self._network(extractor)
        images = self.raw(dataset)
        found = np.empty((len(images), networks.NUM_FEATURES), dtype=np.float32)
        for first in range(0, len(images), CHUNK):
            chunk = networks.embedded(trained, self._standard(images[first : first + CHUNK]))
            found[first : first + len(chunk)] = (chunk - centre) / deviation
        return found

    def _told(self, dataset: Dataset, column: str) -> np.ndarray:
        from validators.features import networks  # noqa: PLC0415 - likewise

        trained, centre, deviation = self._network(SUPERVISED)
        return networks.told(trained, column, self.features(dataset, SUPERVISED) * deviation + centre)


@dataclass(frozen=True, kw_only=True, eq=False)
class Features:
    """The pictures of a judgement.

    Args:
        columns: one for each image column, in the order of the schema.
        train, holdout, synthetic: the rows that may be judged; none of them was seen by a network. `holdout` is made
            of training rows where the evidence has none.
        caveat: what every reading ends with: empty, or which rows stand in for which.

    """

    columns: tuple[PictureColumn, ...]
    train: Dataset
    holdout: Dataset
    synthetic: Dataset
    caveat: str = field(default="")


def codes_of(cells: pd.Series, classes: tuple[str, ...]) -> np.ndarray:
    """Return the position of each cell's label in `classes` (int64 N), -1 where it is missing or another."""
    place = {label: position for position, label in enumerate(classes)}
    return np.array([-1 if pd.isna(cell) else place.get(str(cell), -1) for cell in cells], dtype=np.int64)


def _classes(learnt: Dataset) -> dict[str, tuple[str, ...]]:
    """Return the labels of each categorical or boolean column that has two frequent ones, most frequent first."""
    found = {}
    for column in learnt.schema.columns:
        if column.kind not in ("categorical", "boolean"):
            continue
        counts = learnt.frame[column.name].dropna().map(str).value_counts()
        counts = counts[counts >= FEWEST_OF_CLASS]
        labels = sorted((str(label) for label in counts.index), key=lambda label: (-counts[label], label))[:MAX_CLASSES]
        if len(labels) > 1:
            found[column.name] = tuple(labels)
    return found

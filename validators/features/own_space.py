"""The pictures of one column in the space of a user's own extractor, brought to the measure of the others.

Its D features are centred and divided by one common scale, both taken from the rows that train the other networks, so
that rare features do not grow large; more than `NUM_FEATURES` are turned into so many by a fixed random projection,
which keeps distances (Johnson and Lindenstrauss 1984): limits then mean the same for every extractor, and the
covariance of some hundred pictures is known.

Legend: N, M rows, D features of the network, F features that are compared.
"""

from typing import TYPE_CHECKING

import numpy as np

from sources.dataset import Dataset
from sources.randomness import stream

if TYPE_CHECKING:
    from validators.features.own import OwnNetwork

OWN = "own"
NUM_FEATURES = 64
"""As many as the networks have that are made here (`validators.features.networks`)."""

SCALE_ROWS = 1_000
"""Rows that settle centre and scale; a large network sees few pictures a second."""


class OwnSpace:
    """What a user's own network makes of pictures; each is computed once.

    Args:
        network: of the user.
        learnt: the pictures that settle centre and scale (uint8 or uint16 N H W C); they are not judged.
        seed: of the projection.

    """

    def __init__(self, network: "OwnNetwork", learnt: np.ndarray, *, seed: int) -> None:
        """Keep the pictures; nothing is computed yet."""
        self._network = network
        self._learnt = learnt
        self._seed = seed
        self._map: tuple[np.ndarray, np.ndarray] | None = None
        self._kept: dict[int, tuple[Dataset, np.ndarray]] = {}

    def features(self, dataset: Dataset, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the features of some rows (float32 M F).

        Args:
            dataset: the rows' dataset, under which they are kept.
            images: the pictures of all its rows (uint8 or uint16 N H W C).
            rows: positions (int64 M).

        """
        from validators.features.own import embedded  # noqa: PLC0415 - torch is loaded when pictures are judged

        centre, turn = self._turn()
        if id(dataset) not in self._kept:  # the dataset is kept beside, so its id is not given to another one
            self._kept[id(dataset)] = dataset, np.full((len(images), turn.shape[1]), np.nan, dtype=np.float32)
        kept = self._kept[id(dataset)][1]
        lacking = np.unique(rows[np.isnan(kept[rows, 0])])
        if len(lacking):
            kept[lacking] = (embedded(self._network, images[lacking]) - centre) @ turn
        return np.asarray(kept[rows])

    def _turn(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the centre (float32 D) and the matrix that scales and projects (float32 D F)."""
        if self._map is None:
            from validators.features.own import embedded  # noqa: PLC0415 - likewise

            rng = stream(self._seed, "own features")
            own = embedded(self._network, self._learnt[rng.permutation(len(self._learnt))[:SCALE_ROWS]])
            num = own.shape[1]
            scale = max(float(np.sqrt(own.var(axis=0, dtype=np.float64).mean())), float(np.finfo(np.float32).tiny))
            turn = np.eye(num)
            if num > NUM_FEATURES:
                turn = np.linalg.qr(rng.normal(size=(num, NUM_FEATURES)))[0]
            self._map = own.mean(axis=0), (turn / scale).astype(np.float32)
        return self._map

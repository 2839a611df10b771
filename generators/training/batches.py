"""Which rows make batch k: a pure function of (seed, k), so that resuming replays nothing."""

import numpy as np
import torch

from sources.randomness import derive, stream


class ShuffledRows:
    """Row numbers of batch k, each epoch in an order of its own; called with the step, from 0.

    Args:
        num_rows: rows to draw from, at least 1.
        batch_size: rows a batch; more than `num_rows` means all of them. The few rows that do not fill the last
            batch of an epoch are left out of that epoch, others in the next.
        seed: of the stream.

    >>> rows = ShuffledRows(10, 5, seed=0)
    >>> sorted(torch.cat([rows(0), rows(1)]).tolist()) == list(range(10))
    True
    """

    def __init__(self, num_rows: int, batch_size: int, *, seed: int) -> None:
        """Remember the sizes; no order is made before it is asked for."""
        assert num_rows >= 1
        assert batch_size >= 1
        self.num_rows = num_rows
        self.batch_size = min(batch_size, num_rows)
        self.steps_per_epoch = num_rows // self.batch_size
        self._seed = seed
        self._epoch = -1
        self._order = torch.empty(0, dtype=torch.int64)

    def __call__(self, step: int) -> torch.Tensor:
        """Return the row numbers of batch `step`, int64 B on the CPU."""
        epoch, part = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator()
            generator.manual_seed(derive(self._seed, "epoch", epoch))
            self._order = torch.randperm(self.num_rows, generator=generator)
            self._epoch = epoch
        return self._order[part * self.batch_size : (part + 1) * self.batch_size]


def hold_out(num_rows: int, *, seed: int, share: float, groups: np.ndarray | None = None) -> np.ndarray:
    """Choose the rows of `train` that early stopping looks at.

    Args:
        num_rows: rows in all.
        seed: of the stream.
        share: part of the rows (of the groups, where they are given), rounded down.
        groups: array N naming the entity of each row, whose rows stay together, or None.

    Returns:
        bool array N, True for held-out rows; none at all where `share` of the rows is less than one.

    """
    units = np.arange(num_rows) if groups is None else np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]
    count = int(units.max()) + 1 if num_rows else 0
    chosen = np.zeros(count, dtype=bool)
    chosen[stream(seed, "hold out").permutation(count)[: int(count * share)]] = True
    return chosen[units]

"""Boosted trees that tell two sets of rows apart, on small integers: how much likelier is a row in the first?

All nodes of one depth share a column and a threshold (symmetric trees, Kohavi 1994, Bottom-up induction of oblivious
read-once decision graphs; boosted in Prokhorenkova et al. 2018, arXiv 1706.09516, section 4), so a tree is D columns,
D thresholds and 2^D numbers: small to keep, and a few vectorised comparisons to read. Fitted by Newton steps on the
logistic loss, each tree on a random part of the rows (Friedman 2002, Stochastic gradient boosting).

# N rows, F columns, B bins, R trees, D depth
"""

import time
from dataclasses import dataclass

import numpy as np

BINS = 256  # values of a column at most
DEPTH = 6
MAX_TREES = 400
LEARNING_RATE = 0.15
RIDGE = 10.0  # added to the curvature of a leaf: leaves of few rows say little
TREE_ROWS = 24_000  # of which one tree is fitted
TREE_COLUMNS = 16  # at which one tree looks
LEAF_ROWS = 20  # a leaf of fewer rows says nothing
PATIENCE = 40  # trees without a better validation loss
TIMED = 3  # trees that are grown to see how long it takes


@dataclass(frozen=True, kw_only=True)
class Trees:
    """A sum of symmetric trees.

    Args:
        columns: int64 R D.
        thresholds: uint8 R D; a row goes right where its value is above.
        values: float32 R 2^D.

    """

    columns: np.ndarray
    thresholds: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        """Return R."""
        return len(self.values)

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Return the log odds of the first set against the second, float32 N, for uint8 F N (a row per column)."""
        total = np.zeros(rows.shape[1], dtype=np.float32)
        for columns, thresholds, values in zip(self.columns, self.thresholds, self.values, strict=True):
            total += values[_leaves(rows, columns, thresholds)]
        return total


def fit_trees(
    first: np.ndarray, second: np.ndarray, checks: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> tuple[Trees, float]:
    """Learn to tell `first` from `second`, each weighing the same in all; stops where it no longer helps on `checks`.

    Args:
        first: uint8 F N.
        second: the same of other rows.
        checks: two further such sets, not learnt from.
        rng: of the rows and columns of each tree.

    Returns:
        The trees up to the best validation loss, and by how many standard errors they lower that loss (0: no tree
        helps).

    """
    rows = np.concatenate([first, second], axis=1)
    y = np.repeat([1.0, 0.0], [first.shape[1], second.shape[1]])
    weight = np.where(y > 0, 0.5 / first.shape[1], 0.5 / second.shape[1]) * len(y)
    check = np.concatenate(checks, axis=1)
    y_check = np.repeat([1.0, 0.0], [part.shape[1] for part in checks])
    weight_check = np.where(y_check > 0, 0.5 / max(checks[0].shape[1], 1), 0.5 / max(checks[1].shape[1], 1))
    score, score_check = np.zeros(len(y)), np.zeros(len(y_check))
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    best, best_trees, gains = float(np.log(2.0)), 0, np.zeros(len(y_check))
    for _ in range(MAX_TREES):
        some = rng.permutation(len(y))[:TREE_ROWS] if len(y) > TREE_ROWS else np.arange(len(y))
        p = 1 / (1 + np.exp(-score[some]))
        tree = _tree(
            rows[:, some],
            weight[some] * (y[some] - p),
            weight[some] * p * (1 - p),
            rng.permutation(len(rows))[:TREE_COLUMNS],
        )
        found.append(tree)
        score += tree[2][_leaves(rows, tree[0], tree[1])]
        score_check += tree[2][_leaves(check, tree[0], tree[1])]
        losses = np.logaddexp(0.0, np.where(y_check > 0, -score_check, score_check))
        loss = float((weight_check * losses).sum())
        if loss < best:
            best, best_trees, gains = loss, len(found), np.log(2.0) - losses
        elif len(found) - best_trees >= PATIENCE:
            break
    kept = found[:best_trees]
    trees = Trees(
        columns=np.array([tree[0] for tree in kept], dtype=np.int64).reshape(-1, DEPTH),
        thresholds=np.array([tree[1] for tree in kept], dtype=np.uint8).reshape(-1, DEPTH),
        values=np.array([tree[2] for tree in kept], dtype=np.float32).reshape(-1, 2**DEPTH),
    )
    spread = float(np.sqrt((weight_check**2 * (gains - (weight_check * gains).sum()) ** 2).sum()))
    return trees, (float(np.log(2.0)) - best) / spread if spread > 0 else 0.0


def growing_s(num_rows: int, num_columns: int) -> float:
    """Return the seconds that `fit_trees` takes at most here, by growing and reading a tree of arbitrary rows."""
    rng = np.random.default_rng(0)
    rows = rng.integers(BINS, size=(min(num_columns, TREE_COLUMNS), min(num_rows, TREE_ROWS)), dtype=np.uint8)
    slope, curvature = np.asarray(rng.standard_normal(rows.shape[1])), np.ones(rows.shape[1])
    seconds: list[float] = []
    for _ in range(TIMED):
        began_s = time.monotonic()
        columns, thresholds, _values = _tree(rows, slope, curvature, np.arange(len(rows)))
        grown_s = time.monotonic()
        _leaves(rows, columns, thresholds)
        read_s = (time.monotonic() - grown_s) * num_rows / rows.shape[1]
        seconds.append(grown_s - began_s + read_s)
    return MAX_TREES * min(seconds)


def _tree(
    rows: np.ndarray, slope: np.ndarray, curvature: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (columns D, thresholds D, values 2^D) of one tree, found greedily depth by depth."""
    sizes = rows.max(axis=1, initial=0).astype(np.int64) + 2  # one more than there are, so that no column is a constant
    leaf = np.zeros(rows.shape[1], dtype=np.int64)
    chosen, thresholds = [], []
    for depth in range(DEPTH):
        best = (-np.inf, 0, 0)
        for column in columns:
            shape = (2**depth, int(sizes[column]))
            place = leaf * shape[1] + rows[column]
            G = np.bincount(place, slope, minlength=shape[0] * shape[1]).reshape(shape)
            C = np.bincount(place, curvature, minlength=shape[0] * shape[1]).reshape(shape)
            left_G, left_C = G.cumsum(1), C.cumsum(1)
            right_G, right_C = left_G[:, -1:] - left_G, left_C[:, -1:] - left_C
            gain = (left_G**2 / (left_C + RIDGE) + right_G**2 / (right_C + RIDGE)).sum(0)[:-1]
            at = int(gain.argmax())
            if gain[at] > best[0]:
                best = (float(gain[at]), int(column), at)
        chosen.append(best[1])
        thresholds.append(best[2])
        leaf = leaf * 2 + (rows[best[1]] > best[2])
    size = 2**DEPTH
    G, C = np.bincount(leaf, slope, minlength=size), np.bincount(leaf, curvature, minlength=size)
    values = np.where(np.bincount(leaf, minlength=size) >= LEAF_ROWS, LEARNING_RATE * G / (C + RIDGE), 0.0)
    return np.array(chosen), np.array(thresholds), values.astype(np.float32)


def _leaves(rows: np.ndarray, columns: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    leaf = np.zeros(rows.shape[1], dtype=np.uint8)
    for column, threshold in zip(columns, thresholds, strict=True):
        leaf = (leaf << 1) | (rows[column] > threshold)
    return leaf

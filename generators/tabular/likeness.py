"""Which labels go with the same cells of other columns: these share a cluster.

A label is described by the mean of a random vector for every token of the other columns, over the rows that hold it;
rare tokens weigh more, as in correspondence analysis. Labels are then cut in two along the direction in which they
differ most, and each part again, until there are as many parts as clusters.

# N rows, L labels, D dimensions of a description
"""

from collections.abc import Sequence

import numpy as np

DIMENSIONS = 24  # of a description
MOST_COLUMNS = 64  # others that are looked at
WEIGHTLESS = 0.01  # share added to a token's own before its weight is the inverse root
DOUBT_ROWS = 10  # by which a label's mean is drawn towards the mean of all, so that few rows say little


def order_by_likeness(
    label: np.ndarray, counts: np.ndarray, others: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Return the labels in an order, int64 L, such that runs of the lengths in `counts` hold labels that are alike.

    Args:
        label: int64 N, each row's label, 0 to L - 1; -1 for rows without one.
        counts: int64, labels of each cluster; they sum up to L.
        others: int64 N each, tokens of other columns; -1 where there is none.
        rng: of the random vectors.

    """
    rows = label >= 0
    means = _descriptions(label[rows], int(counts.sum()), [tokens[rows] for tokens in others], rng)
    order: list[np.ndarray] = []
    _cut(np.arange(len(means)), counts, means, order)
    return np.concatenate(order)


def _descriptions(
    label: np.ndarray, num_labels: int, others: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """Return a description of each label, float64 L D."""
    some = rng.permutation(len(others))[:MOST_COLUMNS]
    vectors = []
    for number in some:
        shares = np.bincount(others[number] + 1) / max(len(label), 1)
        drawn = rng.normal(size=(len(shares), DIMENSIONS)) / np.sqrt(shares + WEIGHTLESS)[:, None]
        vectors.append(drawn - shares @ drawn)
    held = np.bincount(label, minlength=num_labels)
    means = np.zeros((num_labels, DIMENSIONS))
    for dimension in range(DIMENSIONS):
        total = np.zeros(len(label))
        for number, drawn in zip(some, vectors, strict=True):
            total += drawn[:, dimension][others[number] + 1]
        means[:, dimension] = np.bincount(label, total, minlength=num_labels) / (held + DOUBT_ROWS)
    return means


def _cut(labels: np.ndarray, counts: np.ndarray, means: np.ndarray, order: list[np.ndarray]) -> None:
    """Append the `labels` (int64) to `order`, cluster after cluster."""
    if len(counts) == 1:
        order.append(labels)
        return
    centred = means[labels] - means[labels].mean(0)
    direction = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    direction *= np.sign(direction[np.abs(direction).argmax()])
    labels = labels[np.argsort(centred @ direction, kind="stable")]
    half = len(counts) // 2
    _cut(labels[: counts[:half].sum()], counts[:half], means, order)
    _cut(labels[counts[:half].sum() :], counts[half:], means, order)

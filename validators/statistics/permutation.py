"""Exact tests of exchangeability: two samples of one law may swap their labels."""

import numpy as np


def permutation_p_value(
    first: np.ndarray, second: np.ndarray, *, num_permutations: int, rng: np.random.Generator
) -> float:
    """Return the one-sided p-value of mean(first) > mean(second) when labels are exchangeable.

    Counts the observed labelling among the permuted ones, so the test is exact (Phipson and Smyth 2010, equation 2).

    Args:
        first: one number a row (float M).
        second: likewise (float N).
        num_permutations: labellings drawn; the smallest p-value is 1 / (num_permutations + 1).
        rng: draws the labellings.

    """
    pooled = np.concatenate([first, second])
    total, m, n = pooled.sum(), len(first), len(second)
    observed = first.mean() - second.mean()
    reached = 0
    for _ in range(num_permutations):
        part = rng.permutation(pooled)[:m].sum()
        reached += part / m - (total - part) / n >= observed - 1e-12 * max(1.0, abs(observed))
    return (1 + reached) / (1 + num_permutations)

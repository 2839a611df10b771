"""Resampling: standard errors and percentile ends by the bootstrap, variances by the grouped jackknife."""

from collections.abc import Callable

import numpy as np


def bootstrap_draws(
    statistic: Callable[[np.ndarray], float], n: int, *, num_draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Return `statistic(rows)` for `num_draws` draws of n rows with replacement (float num_draws).

    For a paired bootstrap the statistic takes the same rows of both things it compares.
    """
    return np.array([statistic(rng.integers(0, n, size=n)) for _ in range(num_draws)], dtype=np.float64)


def percentile_ends(draws: np.ndarray, *, low_error: float, high_error: float) -> tuple[float, float]:
    """Return the percentile interval of bootstrap draws (Efron 1979); needs several times 1/error draws."""
    return float(np.quantile(draws, low_error)), float(np.quantile(draws, 1 - high_error))


def jackknife_variance(replicates: np.ndarray) -> np.ndarray:
    """Return the variance that leaving out one of G groups at a time gives (Tukey 1958).

    Args:
        replicates: the statistic without group g, along the last axis (float ... G).

    Returns:
        (G - 1) / G times the sum of squared deviations from their mean (float ...).

    """
    groups = replicates.shape[-1]
    deviations = replicates - replicates.mean(axis=-1, keepdims=True)
    return np.asarray((groups - 1) / groups * (deviations**2).sum(axis=-1))

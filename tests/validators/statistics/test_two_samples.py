"""The kernel and the Fréchet distance against naive sums, closed forms and chance."""

import numpy as np
import pytest

from sources.randomness import stream
from validators.statistics.two_samples import frechet_distances, kernel_distance


def sample(n: int, seed: int, *, shift: float = 0.0, scale: float = 1.0, width: int = 6) -> np.ndarray:
    drawn = stream(seed, "sample").normal(size=(n, width)) * scale + shift
    return np.asarray(drawn, dtype=np.float32)


def test_the_kernel_distance_is_the_sum_over_all_pairs() -> None:
    first, second = sample(31, 1), sample(45, 2, shift=0.5)

    def mean(x: np.ndarray, y: np.ndarray, *, own: bool) -> float:
        values = [
            (float(a @ b) / x.shape[1] + 1) ** 3
            for i, a in enumerate(x)
            for j, b in enumerate(y)
            if not (own and i == j)
        ]
        return float(np.mean(values))

    expected = mean(first, first, own=True) + mean(second, second, own=True) - 2 * mean(first, second, own=False)
    found = kernel_distance(first, second)
    assert found.kid == pytest.approx(expected, rel=1e-3)
    itself = float(np.mean([(float(b @ b) / 6 + 1) ** 3 for b in second]))
    assert found.share == pytest.approx(expected / (itself - mean(second, second, own=True)), rel=1e-3)


def test_the_kernel_distance_has_no_bias_and_an_interval_that_is_rather_wide() -> None:
    found = [kernel_distance(sample(100, 2 * seed), sample(80, 2 * seed + 1)) for seed in range(200)]
    shares = np.array([one.share for one in found])
    assert abs(shares.mean()) < 4 * shares.std(ddof=1) / np.sqrt(len(shares))
    assert shares.std(ddof=1) < np.mean([one.se for one in found]) * 1.1


def test_the_frechet_distance_of_large_samples_is_the_closed_form() -> None:
    near, far, base = sample(20_000, 1), sample(20_000, 2, shift=1.0, scale=2.0), sample(20_000, 3)
    found = frechet_distances(far, near, base, rows=20_000)
    assert found.first == pytest.approx(6 * (1.0**2 + (2.0 - 1.0) ** 2), rel=0.02)
    assert found.second < 0.02
    assert found.rows == 20_000


def test_the_ratio_is_one_for_samples_of_one_law_whatever_the_number_of_rows() -> None:
    for rows in (100, 300):
        found = [
            frechet_distances(sample(600, 3 * seed), sample(600, 3 * seed + 1), sample(600, 3 * seed + 2), rows=rows)
            for seed in range(40)
        ]
        ratios = np.array([one.ratio for one in found])
        assert np.median(ratios) == pytest.approx(1.0, abs=0.15)
        assert np.mean([one.second for one in found]) > 0  # the bias that the ratio takes off
    few, many = (frechet_distances(sample(600, 1), sample(600, 2), sample(600, 3), rows=r).second for r in (60, 600))
    assert few > 2 * many

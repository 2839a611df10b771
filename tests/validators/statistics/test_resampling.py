"""Bootstrap, jackknife, permutation test and Holm against closed forms."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from sources.randomness import stream
from validators.statistics.bootstrap import bootstrap_draws, jackknife_variance, percentile_ends
from validators.statistics.multiple import holm
from validators.statistics.permutation import permutation_p_value


def test_the_bootstrap_gives_the_standard_error_of_a_mean() -> None:
    rng = stream(1, "bootstrap")
    x = rng.normal(size=200)
    draws = bootstrap_draws(lambda rows: float(x[rows].mean()), 200, num_draws=2000, rng=rng)
    assert draws.std() == pytest.approx(x.std() / np.sqrt(200), rel=0.08)  # its own sd is 1.6 %
    low, high = percentile_ends(draws, low_error=0.05, high_error=0.05)
    assert np.mean(draws < low) == pytest.approx(0.05, abs=0.002)
    assert np.mean(draws > high) == pytest.approx(0.05, abs=0.002)


def test_leaving_out_single_rows_gives_the_exact_variance_of_a_mean() -> None:
    x = stream(2, "jackknife").normal(size=50)
    replicates = (x.sum() - x) / 49
    assert jackknife_variance(replicates) == pytest.approx(x.var(ddof=1) / 50)
    assert jackknife_variance(np.stack([replicates, 2 * replicates]))[1] == pytest.approx(4 * x.var(ddof=1) / 50)


def test_permutation_p_values_are_uniform_without_effect_and_small_with_one() -> None:
    p_values = []
    for seed in range(200):
        rng = stream(seed, "permutation")
        x, y = rng.exponential(size=20), rng.exponential(size=30)
        p_values.append(permutation_p_value(x, y, num_permutations=99, rng=rng))
    # On the lattice of hundredths: jitter down to make them uniform on (0, 1).
    jittered = np.array(p_values) - stream(0, "jitter").random(200) / 100
    assert stats.kstest(jittered, "uniform").pvalue > 0.01
    rng = stream(1, "permutation")
    shifted = permutation_p_value(rng.normal(2, 1, 30), rng.normal(0, 1, 30), num_permutations=199, rng=rng)
    assert shifted == 1 / 200


def test_holm_is_that_of_statsmodels() -> None:
    p_values = stream(3, "holm").random(25) ** 4
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert len(holm(np.empty(0))) == 0

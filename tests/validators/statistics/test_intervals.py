"""Interval ends against closed forms, statsmodels and simulation."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from sources.randomness import stream
from validators.policy import Policy
from validators.statistics.intervals import clopper_pearson, gate_ends, newcombe, normal_ends, wilson


@pytest.mark.parametrize(("successes", "n"), [(0, 12), (3, 12), (12, 12), (1, 1), (40, 1000)])
def test_proportion_intervals_are_those_of_statsmodels(successes: int, n: int) -> None:
    for ours, method in ((clopper_pearson, "beta"), (wilson, "wilson")):
        low, high = ours(successes, n, low_error=0.025, high_error=0.025)
        expected = proportion_confint(successes, n, alpha=0.05, method=method)
        assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_newcombe_is_that_of_statsmodels() -> None:
    low, high = newcombe((15, 9), (60, 80), low_error=0.025, high_error=0.025)
    expected = confint_proportions_2indep(15, 60, 9, 80, method="newcomb", alpha=0.05)
    assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_each_end_has_its_own_error() -> None:
    low, high = normal_ends(2.0, 0.5, low_error=0.001, high_error=0.05)
    assert stats.norm.sf((2.0 - low) / 0.5) == pytest.approx(0.001)
    assert stats.norm.sf((high - 2.0) / 0.5) == pytest.approx(0.05)
    assert normal_ends(2.0, 0.0, low_error=0.1, high_error=0.1) == (2.0, 2.0)


def test_the_exact_interval_covers_at_least_as_often_as_it_says() -> None:
    n, p = 30, 0.1
    ends = [clopper_pearson(k, n, low_error=0.01, high_error=0.05) for k in range(n + 1)]
    weights = stats.binom.pmf(np.arange(n + 1), n, p)
    assert weights[[low > p for low, _ in ends]].sum() <= 0.01
    assert weights[[high < p for _, high in ends]].sum() <= 0.05


def test_a_good_end_beyond_the_limit_means_beyond_in_doubt_and_unlike_fresh_rows() -> None:
    policy = Policy.preset("standard")
    limit = policy.limits["label_noise"]
    assert isinstance(limit, float)
    z_doubt, z_alarm = stats.norm.isf([policy.doubt, policy.alarm_share(3)])
    for se in (0.001, 0.02, 0.05, 0.3):
        for value in np.linspace(-0.2, 1.2, 300):
            low, high = gate_ends(value, se, policy=policy, name="label_noise", reference=0.0, subjects=3)
            beyond = value - stats.norm.isf(policy.doubt / 3) * se > limit
            unlike = value - z_alarm * se > 0
            assert (low > limit) == (beyond and unlike)
            assert high == pytest.approx(value + z_doubt * se)


def test_ends_of_the_directions_mirror_each_other() -> None:
    policy = Policy.preset("standard")
    policy = dataclasses.replace(
        policy, limits={**policy.limits, "kway_1": 0.1, "exact_copies": -0.1, "c2st": (-0.1, 0.1)}
    )
    low, high = gate_ends(0.2, 0.05, policy=policy, name="kway_1", reference=0.0)
    mirrored = gate_ends(-0.2, 0.05, policy=policy, name="exact_copies", reference=0.0)
    assert mirrored == pytest.approx((-high, -low))
    assert gate_ends(0.2, 0.05, policy=policy, name="c2st", reference=0.0) == pytest.approx((low, 0.4 - low))


def test_newcombe_keeps_its_error_in_simulation() -> None:
    rng = stream(1, "newcombe")
    draws = rng.binomial(60, 0.2, size=(2000, 2))
    above = [newcombe((int(a), int(b)), (60, 60), low_error=0.05, high_error=0.05)[0] > 0 for a, b in draws]
    assert np.mean(above) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 2000)

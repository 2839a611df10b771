"""Interval ends from an estimate and its standard error, and exact ones for proportions.

Each end has its own one-sided error (see `validators.policy`).
"""

import math

from scipy import stats

from validators.limits.limits import LIMITS
from validators.policy import Policy


def normal_ends(value: float, se: float, *, low_error: float, high_error: float) -> tuple[float, float]:
    """Return the ends of the normal interval of `value` with one-sided errors `low_error` and `high_error`.

    >>> [round(end, 2) for end in normal_ends(0.0, 1.0, low_error=0.025, high_error=0.05)]
    [-1.96, 1.64]
    """
    assert se >= 0
    low, high = (-stats.norm.ppf(error) * se for error in (low_error, high_error))
    return float(value - low), float(value + high)


def gate_ends(
    value: float, se: float, *, policy: Policy, name: str, reference: float, subjects: int = 1
) -> tuple[float, float]:
    """Return the ends that the gate compares with the limit of the measurement `name`.

    The bad end is one-sided at `doubt`. The good end is so far out that two things hold when it is beyond the limit:
    the value is beyond the limit with one-sided error `doubt`, and it differs from what fresh real rows score with the
    error `alarm_share_of`, simultaneous over checks and subjects. The farther the limit is from `reference`, the sooner
    the second follows from the first.

    Args:
        value: the estimate, normal in good approximation.
        se: its standard error.
        policy: limits and errors.
        name: of the measurement; says limit and direction.
        reference: what fresh real rows score in the mean.
        subjects: how many of them the alarm is shared among.

    """
    assert se >= 0
    limit, direction = policy.limits[name], LIMITS[name].direction
    doubt, shared, alarm = (
        float(stats.norm.isf(error)) * se
        for error in (policy.doubt, policy.doubt / subjects, policy.alarm_share_of(name, subjects))
    )

    def beyond(bound: float) -> float:
        return max(shared, alarm - abs(bound - reference))

    if isinstance(limit, tuple):  # each end is the bad one of its own side and the good one of the other
        floor, ceiling = limit
        return value - max(doubt, beyond(ceiling)), value + max(doubt, beyond(floor))
    if direction == "lower_is_better":
        return value - beyond(limit), value + doubt
    return value - doubt, value + beyond(limit)


def clopper_pearson(successes: int, n: int, *, low_error: float, high_error: float) -> tuple[float, float]:
    """Return the exact interval of a proportion (Clopper and Pearson 1934) with the given one-sided errors.

    >>> [round(end, 3) for end in clopper_pearson(0, 10, low_error=0.025, high_error=0.025)]
    [0.0, 0.308]
    """
    assert 0 <= successes <= n
    assert n > 0
    low = stats.beta.ppf(low_error, successes, n - successes + 1) if successes else 0.0
    high = stats.beta.ppf(1 - high_error, successes + 1, n - successes) if successes < n else 1.0
    return float(low), float(high)


def wilson(successes: float, n: float, *, low_error: float, high_error: float) -> tuple[float, float]:
    """Return the score interval of a proportion (Wilson 1927) with the given one-sided errors."""
    assert 0 <= successes <= n
    assert n > 0
    ends = []
    for error, sign in ((low_error, -1), (high_error, 1)):
        z = -stats.norm.ppf(error)
        p = successes / n
        centre = p + z * z / (2 * n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        ends.append((centre + sign * half) / (1 + z * z / n))
    return float(max(ends[0], 0.0)), float(min(ends[1], 1.0))


def newcombe(
    successes: tuple[float, float], n: tuple[float, float], *, low_error: float, high_error: float
) -> tuple[float, float]:
    """Return the interval of p0 - p1 from two score intervals (Newcombe 1998, method 10).

    Args:
        successes: of the first and the second sample.
        n: rows of the first and the second sample.
        low_error: one-sided error of the low end of the difference.
        high_error: one-sided error of its high end.

    """
    p0, p1 = successes[0] / n[0], successes[1] / n[1]
    low0, high0 = wilson(successes[0], n[0], low_error=low_error, high_error=high_error)
    low1, high1 = wilson(successes[1], n[1], low_error=high_error, high_error=low_error)
    return p0 - p1 - math.hypot(p0 - low0, high1 - p1), p0 - p1 + math.hypot(high0 - p0, p1 - low1)

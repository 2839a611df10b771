"""Interval ends from an estimate and its standard error, and exact ones for proportions.

Each end has its own one-sided error: the good end of an interval is simultaneous over all checks, the bad end is not
(see `validators.policy`).
"""

import math

from scipy import stats

from validators.measurement import Direction
from validators.policy import Policy


def normal_ends(value: float, se: float, *, low_error: float, high_error: float) -> tuple[float, float]:
    """Return the ends of the normal interval of `value` with one-sided errors `low_error` and `high_error`.

    >>> [round(end, 2) for end in normal_ends(0.0, 1.0, low_error=0.025, high_error=0.05)]
    [-1.96, 1.64]
    """
    assert se >= 0
    low, high = (-stats.norm.ppf(error) * se for error in (low_error, high_error))
    return float(value - low), float(value + high)


def end_errors(policy: Policy, direction: Direction, *, subjects: int = 1) -> tuple[float, float]:
    """Return the one-sided errors of the low and the high end: `alarm_share` at the good one, `doubt` at the bad one.

    Where both sides are bad (`inside_is_better`) each end is the good end of the other side, so both are simultaneous.
    """
    good, bad = policy.alarm_share(subjects), policy.doubt
    ends: dict[Direction, tuple[float, float]] = {
        "lower_is_better": (good, bad),
        "higher_is_better": (bad, good),
        "inside_is_better": (good, good),
    }
    return ends[direction]


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

"""Are the differences between protected groups larger in the synthetic rows than in the real ones?

A generator that learns `mostly men earn well` and draws the likeliest answer makes the difference between the groups
wider than it is. Each group's own rate may then be within what `outcome_shift` tolerates, while all of them move apart.
`bias_amplification` is directional bias amplification (Wang and Russakovsky 2021, *Directional Bias Amplification*,
equations 1 to 3) of the synthetic rows over the real ones: how much more often, on average, a group has the outcomes
that it has more often among real rows, and how much more often an outcome has the groups. `widened_gaps` tests whether
the differences between the groups are more than a fifth wider than in the real rows, and refuses what is sure.

What it cannot see: differences that shrink or turn round (`outcome_gap` and `outcome_shift` look at both sides);
combinations of columns; outcomes beyond the commonest labels of a target of many.

Legend: G groups, K outcomes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from sources.schema import Column
from validators.bias.groups import Grouping, groupings
from validators.bias.outcome import Outcome, outcomes_of
from validators.evidence import Evidence
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.policy import Policy
from validators.statistics.intervals import gate_ends

WIDER, POINTS = 0.2, 0.005
"""What `widened_gaps` lets pass: differences a fifth wider, or half a point where they are small."""

PASS_POWER = 0.9995
"""Chance with which a fresh sample must pass for a group to be measured on its own; there may be dozens of groups."""

NAMES = ("bias_amplification", "widened_gaps")


@dataclass(frozen=True, kw_only=True)
class _Pair:
    """The cross table of one protected column and the outcomes, real and synthetic (float G K + 1 each).

    The last column counts rows with none of the outcomes.
    """

    grouping: Grouping
    outcomes: tuple[str, ...]
    real: np.ndarray
    synthetic: np.ndarray

    def take(self, groups: np.ndarray) -> "_Pair":
        """Return the table of some groups, as if there were no others."""
        return replace(self, real=self.real[groups], synthetic=self.synthetic[groups])


def amplification(evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `bias_amplification` of each protected column both ways and `widened_gaps`; nothing without a target."""
    target = evidence.schema.target
    if target is None or not evidence.schema.protected:
        return []
    policy = evidence.policy
    events = events_of(evidence, target)
    single = groupings(evidence)
    reading = ""
    if not events:
        reading = f"The target {target.name} is of kind {target.kind}: it has no outcomes to compare."
    elif min(min(_known(one.real), _known(one.synthetic)) for one in events) < policy.min_rows:
        reading = f"Too few rows with a known {target.name} to compare its outcomes."
    elif not single:
        reading = "Every protected column holds texts, ids or images: they make no groups."
    if reading:
        n = len(evidence.synthetic)
        return [undecided(name=name, subject="all groups", n=n, reading=reading, policy=policy) for name in NAMES]
    pairs = [_pair(events, grouping) for grouping in single]
    found = [one for pair in pairs for one in _both_ways(pair, target.name, len(pairs), policy)]
    return [*found, _widened(pairs, target.name, policy)]


def events_of(evidence: Evidence, target: Column) -> list[Outcome]:
    """Return the outcomes as rates: those of `outcomes_of`, and a number that has no threshold as above the median."""
    found = []
    for one in outcomes_of(evidence, target):
        event = one
        if not one.rate:
            median = float(np.nanmedian(one.real))
            over = [np.where(np.isnan(cells), np.nan, cells > median) for cells in (one.real, one.synthetic)]
            event = Outcome(name=f"rate of {target.name} above its median", real=over[0], synthetic=over[1], rate=True)
        found.append(event)
    return found


def amplified(real: np.ndarray, synthetic: np.ndarray, signs: np.ndarray) -> tuple[float, float, float]:
    """Return the amplification of rows towards columns and its variance, due to the synthetic and to the real rows.

    It is the mean over rows a and outcomes t of s (P(t | a) in the synthetic rows - P(t | a) in the real rows), where s
    is 1 if a and t go together more often than independently in the real rows, else -1 (the cited equations 1 to 3).

    Args:
        real: counts (float A T), no row of them 0.
        synthetic: likewise.
        signs: s, 0 for columns that are no outcome of their own (float A T).

    """
    num = np.count_nonzero(signs)
    value = float((signs * (_rates(synthetic) - _rates(real))).sum() / num)
    variances = []
    for counts in (synthetic, real):
        rates = _rates(counts + 0.5)  # a rate that was never seen is not known to be 0
        spread = (rates * signs**2).sum(axis=1) - (rates * signs).sum(axis=1) ** 2
        variances.append(float((spread / counts.sum(axis=1)).sum()) / num**2)
    return value, variances[0], variances[1]


def signs_of(counts: np.ndarray) -> np.ndarray:
    """Return 1 where group and outcome go together more often than independently, else -1; 0 in the last column."""
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    signs = np.where(counts > expected, 1.0, -1.0)
    signs[:, -1] = 0.0
    return np.asarray(signs)


def widening(real: np.ndarray, synthetic: np.ndarray) -> tuple[float, float, float]:
    """Return how much wider the groups' differences are, relative to the real ones, and the p-value of the tolerance.

    The synthetic rates' deviations are regressed on the real ones, b, weighted with n = 1 / (1 / M + 1 / N) of M
    synthetic and N real rows: Q = sum n b (p - p_real) against sum n b² has the slope 0 for fresh rows and 1 where all
    differences are doubled. Noise in b can only lower Q.

    Args:
        real: outcomes and rows of each group (float G 2).
        synthetic: likewise.

    Returns:
        slope: Q / sum n b².
        p: the normal upper tail of Q at the tolerance.
        spread: the real rates' weighted standard deviation.

    """
    n = 1 / (1 / real[:, 1] + 1 / synthetic[:, 1])
    rates = real[:, 0] / real[:, 1]
    b = rates - (n * rates).sum() / n.sum()
    q = float((n * b * (synthetic[:, 0] / synthetic[:, 1] - rates)).sum())
    square = float((n * b**2).sum())
    if square <= 0:
        return 0.0, 1.0, 0.0
    pooled = (real[:, 0] + synthetic[:, 0] + 0.5) / (real[:, 1] + synthetic[:, 1] + 1)
    error = math.sqrt(float((n * b**2 * pooled * (1 - pooled)).sum()))
    tolerated = max(WIDER * square, POINTS * float((n * np.abs(b)).sum()))
    return q / square, float(stats.norm.sf((q - tolerated) / error)), math.sqrt(square / n.sum())


def _known(cells: np.ndarray) -> int:
    return int(np.count_nonzero(~np.isnan(cells)))


def _rates(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _pair(events: Sequence[Outcome], grouping: Grouping) -> _Pair:
    """Return the cross table; outcomes exclude each other, so every row counts once."""
    num_groups, num = len(grouping.labels), len(events)
    tables = []
    for side in ("real", "synthetic"):
        groups = getattr(grouping, side)
        hits = np.stack([getattr(one, side) for one in events], axis=1)
        counted = ~np.isnan(hits).any(axis=1) & (groups >= 0)
        outcome = np.where(hits[counted].any(axis=1), hits[counted].argmax(axis=1), num)
        code = groups[counted] * (num + 1) + outcome
        counts = np.bincount(code, minlength=num_groups * (num + 1)).reshape(num_groups, num + 1)
        tables.append(counts.astype(np.float64))
    names = tuple(one.name.removeprefix("rate of ") for one in events)
    return _Pair(grouping=grouping, outcomes=names, real=tables[0], synthetic=tables[1])


def _both_ways(pair: _Pair, target: str, num_columns: int, policy: Policy) -> list[Measurement]:
    """Return the amplification of a group's outcomes and, where outcomes have rows enough, of an outcome's groups."""
    column, n = pair.grouping.name, int(pair.synthetic.sum())
    subjects = f"{column} → {target}", f"{target} → {column}"
    if len(pair.grouping.labels) < 2:  # noqa: PLR2004 - two groups differ
        reading = f"{column} has one group: nobody differs from anybody."
        alike = judged(
            name=NAMES[0],
            subject=subjects[0],
            value=0,
            low=0,
            high=0,
            n=n,
            reading=reading,
            policy=policy,
            reference=0.0,
        )
        return [alike]
    chosen = _chosen(pair, policy)
    if len(chosen) < 2:  # noqa: PLR2004 - likewise
        reading = f"Too few rows to say how the groups of {column} differ in {target}."
        return [undecided(name=NAMES[0], subject=subjects[0], n=n, reading=reading, policy=policy)]
    left = len(pair.grouping.labels) - len(chosen)
    told = f" Left out, too small: {left} of its {len(pair.grouping.labels)} groups." if left else ""
    part = pair.take(chosen)
    words = (
        f"A group of {column} has the outcomes of {target} that are typical of it",
        f"An outcome of {target} has the groups of {column} that are typical of it",
    )
    found = []
    for forward, subject, what in zip((True, False), subjects, words, strict=True):
        sides = _towards(part, forward=forward)
        if not sides or not _is_decided(part, policy, forward=forward):
            continue  # a rare outcome says little about who has it
        value, *variances = amplified(*sides)
        error = math.sqrt(sum(variances))
        low, high = gate_ends(value, error, policy=policy, name=NAMES[0], reference=0.0, subjects=2 * num_columns)
        often = "more" if value >= 0 else "less"
        found.append(
            judged(
                name=NAMES[0],
                subject=subject,
                value=value,
                low=low,
                high=high,
                n=n,
                reading=f"{what} {often} often than among real rows, by {abs(value):.1%} of cases on average.{told}",
                policy=policy,
                reference=0.0,
                detail={"groups": [pair.grouping.labels[i] for i in chosen], "outcomes": list(pair.outcomes)},
            )
        )
    return found


def _chosen(pair: _Pair, policy: Policy) -> np.ndarray:
    """Return the groups that are compared: so many of the largest that fresh rows pass."""
    rows = pair.real.sum(axis=1)
    expected = rows * min(_per_real(pair), 1.0)
    order = np.argsort(-rows, kind="stable")
    order = order[(expected[order] >= policy.min_group_rows) & (pair.synthetic[order].sum(axis=1) > 0)]
    while len(order) >= 2 and not _is_decided(pair.take(order), policy, forward=True):  # noqa: PLR2004 - two differ
        order = order[:-1]
    return np.sort(order)


def _is_decided(part: _Pair, policy: Policy, *, forward: bool) -> bool:
    """Say whether fresh rows would pass; the synthetic rows have no say but for their number."""
    sides = _towards(replace(part, synthetic=part.real), forward=forward)
    if not sides:
        return False
    limit = float(policy.limits[NAMES[0]])  # type: ignore[arg-type]
    reach = float(stats.norm.isf(policy.doubt) + stats.norm.isf(1 - PASS_POWER))
    variance = amplified(*sides)[2] * (1 + 1 / max(_per_real(part), 1e-9))
    return reach * math.sqrt(variance) <= limit


def _per_real(pair: _Pair) -> float:
    """Return the synthetic rows for each real one."""
    return float(pair.synthetic.sum() / max(pair.real.sum(), 1.0))


def _towards(pair: _Pair, *, forward: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return real counts, synthetic counts and signs, given group (forward) or given outcome; None without outcomes."""
    signs = signs_of(pair.real)
    if forward:
        return pair.real, pair.synthetic, signs
    kept = np.flatnonzero((pair.real.sum(axis=0) > 0) & (pair.synthetic.sum(axis=0) > 0))
    kept = kept[kept < len(pair.outcomes)]
    return (pair.real[:, kept].T, pair.synthetic[:, kept].T, signs[:, kept].T) if len(kept) else None


def _widened(pairs: Sequence[_Pair], target: str, policy: Policy) -> Measurement:
    """Return the smallest p-value over protected columns and outcomes, times their number."""
    tests = len(pairs) * len(pairs[0].outcomes)
    best: tuple[float, str, str, float, float] = (1.0, "", "", 0.0, 0.0)
    for pair in pairs:
        rows = np.stack([pair.real.sum(axis=1), pair.synthetic.sum(axis=1)], axis=1)
        large = rows.min(axis=1) >= policy.min_group_rows
        if large.sum() < 2:  # noqa: PLR2004 - two groups differ
            continue
        for at, name in enumerate(pair.outcomes):
            real, synthetic = (
                np.stack([counts[large, at], rows[large, i]], axis=1)
                for i, counts in enumerate((pair.real, pair.synthetic))
            )
            slope, p, spread = widening(real, synthetic)
            if tests * p < best[0]:
                best = (tests * p, pair.grouping.name, name, slope, spread)
    p, column, name, slope, spread = best
    reading = f"The differences in {target} between groups are no wider than in the real rows, as far as chance says."
    if p < 1:
        reading = (
            f"The differences between the groups of {column} in the rate of {name} are {1 + slope:.2f} times those of "
            f"the real rows (p = {p:.2g})."
        )
    return judged(
        name=NAMES[1],
        subject="all groups",
        value=p,
        low=p,
        high=p,
        n=int(pairs[0].synthetic.sum()),
        reading=reading,
        policy=policy,
        detail={"column": column, "outcome": name, "times": 1 + slope, "real_spread": spread},
    )

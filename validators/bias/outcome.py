"""Does every protected group have the outcomes that it has in the real rows?

The outcome is the target's positive label, a number above the target's threshold, each label in turn where there are
several, or the number itself in standard deviations (cut at its outer half percents, so that one wild value is not the
mean of a group). As for representation there are two measurements: `outcome_gap`, the group's rate in the synthetic
rows minus that in the real ones with an interval inside limits, for all rows and for each group large enough; and
`outcome_shift`, a test over all groups and combinations of two and three protected columns whether any rate has moved
by more than the tolerance, which refuses what is sure.

What it cannot see: shifts within chance; labels beyond the `MAX_LABELS` commonest; combinations of four columns.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

from sources.schema import Column
from validators.bias.groups import Grouping, ends_errors, groupings, real_frame, together
from validators.evidence import Evidence
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.privacy.neighbours import as_labels, as_numbers
from validators.statistics.intervals import newcombe, normal_ends

RATE_TOLERANCE, MEAN_TOLERANCE = 0.05, 0.05
"""A rate may move by a twentieth of itself (of its complement above one half), a mean by a twentieth of a standard
deviation, before `outcome_shift` looks at it: the best models are off by that much, and a test without tolerance
refuses every model once the table is large enough."""

SINGLE_WEIGHT = 0.9
"""The part of the error of `outcome_shift` that single groups have; combinations, which are many, have the rest."""

RARER_WEIGHT = 0.75
"""The part of a test's error on the side where a group loses its rarer outcome: that is what generators do to the few;
the other side has the rest."""

HALVED = 0.5
"""The loss of a group's rarer outcome for which the error is shared out among the groups (`shares_of_error`)."""

MAX_LABELS = 8
PASS_POWER = 0.9995
"""Chance with which a fresh sample must pass for a group to be measured on its own; there may be dozens of groups."""

TAIL = 0.005
LEAST_VARIANCE = 0.16
"""Of a rate when it is asked how large a group must be: intervals of small rates are longer on one side."""

EXACT_BELOW = 100
"""Synthetic rows of a group below which Fisher's test stays exact; above it the observed table counts half (mid-p)."""

LEAST_ROWS = 20
"""Rows that a group needs on either side for its mean to be nearly normal."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One number that a row's target gives.

    Args:
        name: in words, such as `rate of >50K`.
        real, synthetic: float N and M, NaN where the target is missing; 0 or 1 for a rate.
        rate: whether it is a rate.

    """

    name: str
    real: np.ndarray
    synthetic: np.ndarray
    rate: bool


def outcome(evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `outcome_gap` for all rows and each group large enough, `outcome_shift` once; nothing without a target."""
    target = evidence.schema.target
    if target is None:
        return []
    policy = evidence.policy
    outcomes = outcomes_of(evidence, target)
    known = [(int((~np.isnan(one.real)).sum()), int((~np.isnan(one.synthetic)).sum())) for one in outcomes]
    if not known or min(min(pair) for pair in known) < policy.min_rows:
        reading = f"Too few rows with a known {target.name} to judge its outcomes."
        if target.kind in ("text", "id", "image"):
            reading = f"The target {target.name} is of kind {target.kind}: it has no outcomes to compare."
        return [
            undecided(name=name, subject=subject, n=len(evidence.synthetic), reading=reading, policy=policy)
            for name, subject in (("outcome_gap", "all rows"), ("outcome_shift", "all groups"))
        ]
    single = groupings(evidence)
    return [*_gaps(evidence, outcomes, single), _shift(evidence, outcomes, single)]


def outcomes_of(evidence: Evidence, target: Column) -> list[Outcome]:
    """Return what the target's cells mean: one rate, one number, or one rate a label (the `MAX_LABELS` commonest)."""
    cells = real_frame(evidence)[target.name], evidence.synthetic.frame[target.name]
    if target.kind in ("numeric", "datetime"):
        real, synthetic = (as_numbers(part) for part in cells)
        if target.threshold is not None:
            over = [np.where(np.isnan(part), np.nan, part > target.threshold) for part in (real, synthetic)]
            name = f"rate of {target.name} > {target.threshold:g}"
            return [Outcome(name=name, real=over[0], synthetic=over[1], rate=True)]
        known = real[~np.isnan(real)]
        if not len(known):
            return []
        bottom, top = np.quantile(known, (TAIL, 1 - TAIL))
        spread = float(known.clip(bottom, top).std()) or 1.0
        scaled = [part.clip(bottom, top) / spread for part in (real, synthetic)]
        return [Outcome(name=f"mean of {target.name} in sd", real=scaled[0], synthetic=scaled[1], rate=False)]
    if target.kind not in ("categorical", "boolean"):
        return []
    texts = [as_labels(part) for part in cells]
    counts = texts[0].value_counts()
    labels = sorted(counts.index, key=lambda label: (-counts[label], label))
    if target.positive is not None:
        labels = [target.positive]
    elif len(labels) == 2:  # noqa: PLR2004 - two labels are one rate; the rarer one is the outcome
        labels = labels[1:]
    found = []
    for label in labels[:MAX_LABELS]:
        hits = [np.where(part.isna(), np.nan, (part == label).to_numpy(dtype=np.float64)) for part in texts]
        found.append(Outcome(name=f"rate of {target.name}={label}", real=hits[0], synthetic=hits[1], rate=True))
    return found


def shift_p(hits: tuple[float, float], rows: tuple[int, int], tolerance: float = RATE_TOLERANCE) -> float:
    """Return the p-value of `the synthetic rate is as the real one but for the tolerance`, by Fisher's test.

    It is the smaller tail over its part of the error, `RARER_WEIGHT` on the side of fewer rarer outcomes. The tolerance
    is given to the synthetic count before it is tested, so the test keeps its level in small groups too. In groups of
    `EXACT_BELOW` rows and more it is the mid-p value (Lancaster 1961).

    Args:
        hits: positive outcomes in the synthetic and the real group.
        rows: of both.
        tolerance: of the rarer outcome's rate, as a part of itself.

    """
    (k, real_k), (n, real_n) = hits, rows
    slack = tolerance * min(real_k, real_n - real_k) / real_n * n
    below, above = min(float(n), math.floor(k + slack)), max(0.0, math.ceil(k - slack))
    low = stats.hypergeom.cdf(below, n + real_n, below + real_k, n)
    high = stats.hypergeom.sf(above - 1, n + real_n, above + real_k, n)
    if n >= EXACT_BELOW:
        low -= stats.hypergeom.pmf(below, n + real_n, below + real_k, n) / 2
        high -= stats.hypergeom.pmf(above, n + real_n, above + real_k, n) / 2
    fewer, more = (low, high) if 2 * real_k <= real_n else (high, low)
    return float(min(1.0, fewer / RARER_WEIGHT, more / (1 - RARER_WEIGHT)))


def mean_shift_p(difference: float, error: float, tolerance: float = MEAN_TOLERANCE) -> float:
    """Return the two-sided normal p-value of a difference of means, of standard error `error`, beyond the tolerance."""
    over = max(abs(difference) - tolerance, 0.0)
    return min(1.0, 2 * float(stats.norm.sf(over / error))) if error > 0 else float(over == 0)


def shares_of_error(rows: np.ndarray, real_rows: np.ndarray, rates: np.ndarray, error: float) -> np.ndarray:
    """Return each test's share of `error`, summing to 1: more where halved outcomes could just be seen (float N).

    Half of the error is shared equally. The other half goes where it gives most power: a test of the mean d needs the
    error P(Z > d / 2 + c / d), with c such that the errors add up (Roeder and Wasserman 2009, *Statistical Science* 24,
    398). Huge groups show a halving at any error and tiny ones at none. Real rows alone decide.

    Args:
        rows: expected synthetic rows of each group (float N).
        real_rows: real rows (float N).
        rates: of the outcome among real rows (float N).
        error: of all tests together.

    """
    rare = np.minimum(rates, 1 - rates).clip(0.5 / np.maximum(real_rows, 1), None)
    deviation = np.sqrt(rare * (1 - rare) * (1 / np.maximum(rows, 1e-9) + 1 / np.maximum(real_rows, 1e-9)))
    d = np.maximum((HALVED - RATE_TOLERANCE) * rare / deviation, 1e-3)

    def excess(c: float) -> float:
        return float(stats.norm.sf(d / 2 + c / d).sum() - error)

    top = 1.0
    while excess(top) > 0:
        top *= 2
    best = stats.norm.sf(d / 2 + optimize.brentq(excess, -1e3, top) / d) if excess(-1e3) > 0 else np.ones(len(d))
    return np.asarray(0.5 / len(d) + 0.5 * best / best.sum())


def _gaps(evidence: Evidence, outcomes: Sequence[Outcome], single: Sequence[Grouping]) -> list[Measurement]:
    """Return the gap of all rows and of each group large enough; of several labels, the one that moved most."""
    policy = evidence.policy
    low_limit, high_limit = policy.limits["outcome_gap"]  # type: ignore[misc]
    margin = min(-low_limit, high_limit)
    subjects = (1 + sum(len(grouping.labels) for grouping in single)) * len(outcomes)
    reach = max(
        stats.norm.isf(policy.doubt) + stats.norm.isf(1 - PASS_POWER), stats.norm.isf(policy.alarm_share(subjects))
    )
    everyone = (slice(None), slice(None))
    found = [_gap(evidence, outcomes, "all rows", everyone, subjects)]
    for grouping in single:
        covered = 0.0
        for group in range(len(grouping.labels)):
            rows = grouping.real == group, grouping.synthetic == group
            if not _is_large(outcomes, rows, len(grouping.synthetic) / len(grouping.real), margin / reach):
                continue
            covered += float(rows[0].mean())
            found.append(_gap(evidence, outcomes, grouping.subject(group), rows, subjects))
        if not covered:
            reading = f"Too few rows to compare the outcomes of the groups of {grouping.name}."
            found.append(
                undecided(
                    name="outcome_gap",
                    subject=grouping.name,
                    n=len(evidence.synthetic),
                    reading=reading,
                    policy=policy,
                )
            )
    return found


def _is_large(outcomes: Sequence[Outcome], rows: tuple[np.ndarray, np.ndarray], per_real: float, most: float) -> bool:
    """Say whether the gap of fresh rows would have a standard error of at most `most`; synthetic rows have no say."""
    for one in outcomes:
        real = one.real[rows[0]]
        real = real[~np.isnan(real)]
        if len(real) < LEAST_ROWS:
            return False
        rate = (real.sum() + 1) / (len(real) + 2)
        variance = max(rate * (1 - rate), LEAST_VARIANCE) if one.rate else float(real.var())
        if math.sqrt(variance * (1 / len(real) + 1 / (len(real) * per_real))) > most:
            return False
    return bool(rows[1].sum() >= LEAST_ROWS) if not outcomes[0].rate else True


def _gap(
    evidence: Evidence,
    outcomes: Sequence[Outcome],
    subject: str,
    rows: tuple[np.ndarray, np.ndarray] | tuple[slice, slice],
    subjects: int,
) -> Measurement:
    policy = evidence.policy
    candidates = []
    for one in outcomes:
        real, synthetic = one.real[rows[0]], one.synthetic[rows[1]]
        real, synthetic = real[~np.isnan(real)], synthetic[~np.isnan(synthetic)]
        if not len(synthetic):
            continue
        value = float(synthetic.mean() - real.mean())
        low_error, high_error = ends_errors(value, 0.0, policy, subjects=subjects)
        if one.rate:
            low, high = newcombe(
                (float(synthetic.sum()), float(real.sum())),
                (len(synthetic), len(real)),
                low_error=low_error,
                high_error=high_error,
            )
        else:
            error = math.sqrt(synthetic.var() / len(synthetic) + real.var() / len(real))
            low, high = normal_ends(value, error, low_error=low_error, high_error=high_error)
        candidates.append((value, low, high, float(synthetic.mean()), float(real.mean()), len(synthetic), one))
    if not candidates:
        return undecided(
            name="outcome_gap",
            subject=subject,
            n=0,
            reading=f"{subject} has no synthetic row with an outcome: nothing to compare.",
            policy=policy,
        )
    value, low, high, rate, real_rate, n, one = max(candidates, key=lambda row: abs(row[0]))
    numbers = f"{rate:.1%} in the synthetic rows, {real_rate:.1%} in the real ones"
    if not one.rate:
        numbers = f"{rate:.2f} in the synthetic rows, {real_rate:.2f} in the real ones"
    return judged(
        name="outcome_gap",
        subject=subject,
        value=value,
        low=min(low, value),
        high=max(high, value),
        n=n,
        reference=0.0,
        reading=f"The {one.name} for {subject} is {numbers}.",
        policy=policy,
        detail={"outcome": one.name, "synthetic": rate, "real": real_rate, "rate": one.rate},
    )


def _shift(evidence: Evidence, outcomes: Sequence[Outcome], single: Sequence[Grouping]) -> Measurement:
    """Return the smallest p-value over all rows, groups and combinations, each over its share of the error."""
    everyone = Grouping(
        name="all rows",
        labels=("all",),
        real=np.zeros(len(outcomes[0].real), dtype=np.int64),
        synthetic=np.zeros(len(outcomes[0].synthetic), dtype=np.int64),
        detail={},
    )
    kinds = [([everyone, *single], SINGLE_WEIGHT if len(single) > 1 else 1.0)]
    kinds += together(single, single_weight=SINGLE_WEIGHT, least_expected=evidence.policy.min_group_rows)
    best: tuple[float, str, str, float, float] = (1.0, "all groups", outcomes[0].name, 0.0, 0.0)
    for kind, weight in kinds:
        shares = weight * _shares(outcomes, kind, float(evidence.policy.limits["outcome_shift"]))  # type: ignore[arg-type]
        at = 0
        for grouping in kind:
            subjects = (
                [grouping.name] if grouping is everyone else [grouping.subject(i) for i in range(len(grouping.labels))]
            )
            for one in outcomes:
                for subject, (p, rate, real_rate) in zip(subjects, _ps(one, grouping), strict=True):
                    if p / shares[at] < best[0]:
                        best = (p / float(shares[at]), subject, one.name, rate, real_rate)
                    at += 1
    p, subject, name, rate, real_rate = best
    reading = "No group's outcomes have moved by more than is tolerated, as far as chance lets one say."
    if p < 1:
        numbers = f"{rate:.3g} in the synthetic rows, {real_rate:.3g} in the real ones"
        reading = f"The {name} for {subject} is {numbers} (p = {p:.2g})."
    return judged(
        name="outcome_shift",
        subject="all groups",
        value=p,
        low=p,
        high=p,
        n=len(evidence.synthetic),
        reading=reading,
        policy=evidence.policy,
        detail={"group": subject, "outcome": name, "synthetic": rate, "real": real_rate},
    )


def _shares(outcomes: Sequence[Outcome], kind: Sequence[Grouping], error: float) -> np.ndarray:
    """Return each test's share of the error by grouping, outcome and group; means share equally."""
    found = []
    for grouping in kind:
        for one in outcomes:
            known = ~np.isnan(one.real)
            real = np.bincount(grouping.real[known], minlength=len(grouping.labels))
            hits = np.bincount(grouping.real[known], weights=one.real[known], minlength=len(grouping.labels))
            expected = real * (len(one.synthetic) / max(len(one.real), 1))
            found.append(np.stack([expected, real, hits / np.maximum(real, 1)], axis=1))
    tests = np.concatenate(found)
    if not outcomes[0].rate:
        return np.full(len(tests), 1 / len(tests))
    return shares_of_error(tests[:, 0], tests[:, 1], tests[:, 2], error)


def _ps(one: Outcome, grouping: Grouping) -> list[tuple[float, float, float]]:
    """Return p-value, synthetic mean and real mean of each group; a group too small for its test has p = 1."""
    num = len(grouping.labels)
    known, candidates = ~np.isnan(one.real), ~np.isnan(one.synthetic) & (grouping.synthetic >= 0)
    real_groups, groups = grouping.real[known], grouping.synthetic[candidates]
    real_values, values = one.real[known], one.synthetic[candidates]
    real_n, n = np.bincount(real_groups, minlength=num), np.bincount(groups, minlength=num)
    real_sum = np.bincount(real_groups, weights=real_values, minlength=num)
    total = np.bincount(groups, weights=values, minlength=num)
    with_squares = [
        np.bincount(real_groups, weights=real_values**2, minlength=num),
        np.bincount(groups, weights=values**2, minlength=num),
    ]
    found = []
    for i in range(num):
        rows = int(n[i]), int(real_n[i])
        if min(rows) < (1 if one.rate else LEAST_ROWS):
            found.append((1.0, 0.0, 0.0))
            continue
        mean, real_mean = total[i] / rows[0], real_sum[i] / rows[1]
        if one.rate:
            p = shift_p((float(total[i]), float(real_sum[i])), rows)
        else:
            variances = with_squares[1][i] / rows[0] - mean**2, with_squares[0][i] / rows[1] - real_mean**2
            error = math.sqrt(max(variances[0], 0) / rows[0] + max(variances[1], 0) / rows[1])
            p = mean_shift_p(mean - real_mean, error)
        found.append((p, float(mean), float(real_mean)))
    return found

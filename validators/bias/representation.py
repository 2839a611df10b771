"""Is every protected group there, about as often as in the real rows?

Two measurements, since a limit wide enough for a fresh sample of a small group is too wide for a large one.
`representation` is the ratio of the group's shares, synthetic over real, with an interval that must lie inside the
limits; it is taken of groups large enough for that. `group_loss` is a test over all groups and all combinations of two
and three protected columns: is any group there less than four fifths as often, or any combination less than half? It
refuses what is sure and passes the rest.

Cf. the four-fifths rule, 29 CFR 1607.4(D). What it cannot see: groups whose loss is within chance; combinations of
four columns; labels that only the synthetic rows have (the contract sees those).
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from validators.bias.groups import Grouping, ends_errors, groupings, together
from validators.evidence import Evidence
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.statistics.intervals import normal_ends

FOUR_FIFTHS, HALF = 0.8, 0.5
"""How much of a group may be lost before `group_loss` looks at it; of a combination of groups, half."""

SINGLE_WEIGHT = 0.8
"""The part of the error of `group_loss` that single groups have; combinations, which are many, have the rest."""

PASS_POWER = 0.9995
"""Chance with which a fresh sample must pass for a group to be measured on its own; there may be dozens of groups."""

LEAST_COVERED = 0.5
"""Share of the real rows that must lie in groups large enough, else the column is undecided."""


def representation(evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `representation` for each group large enough and `group_loss` once; nothing without protected columns."""
    if not evidence.schema.protected:
        return []
    policy = evidence.policy
    num_real = sum(len(part) for part in (evidence.train, evidence.holdout) if part is not None)
    if min(num_real, len(evidence.synthetic)) < policy.min_rows:
        reading = f"Too few rows to judge: {num_real} real, {len(evidence.synthetic)} synthetic."
        return [
            undecided(name=name, subject="all groups", n=len(evidence.synthetic), reading=reading, policy=policy)
            for name in ("representation", "group_loss")
        ]
    single = groupings(evidence)
    if not single:
        reading = "Every protected column holds texts, ids or images: they make no groups."
        return [
            undecided(name=name, subject="all groups", n=len(evidence.synthetic), reading=reading, policy=policy)
            for name in ("representation", "group_loss")
        ]
    return [*_ratios(evidence, single), _group_loss(evidence, single)]


def loss_p(real: int, num_real: int, synthetic: int, num_synthetic: int, least: float) -> float:
    """Return the p-value of `the group is there at least the part `least` as often`, given how many there are in all.

    Of the group's rows in both tables, those in the synthetic one are binomial with the share of its rows, weighted
    with `least`; with one for a group that is not there at all, where nothing is left to be tolerated.
    """
    weight = (least if synthetic else 1.0) * num_synthetic
    return float(stats.binom.cdf(synthetic, real + synthetic, weight / (weight + num_real)))


def _ratios(evidence: Evidence, single: Sequence[Grouping]) -> list[Measurement]:
    policy = evidence.policy
    low_limit, high_limit = policy.limits["representation"]  # type: ignore[misc]
    margin = min(-math.log(low_limit), math.log(high_limit))
    num_subjects = sum(len(grouping.labels) for grouping in single)
    reach = max(
        stats.norm.isf(policy.doubt) + stats.norm.isf(1 - PASS_POWER), stats.norm.isf(policy.alarm_share(num_subjects))
    )
    found = []
    for grouping in single:
        real, synthetic = grouping.counts()
        num_real, num_synthetic = len(grouping.real), len(grouping.synthetic)
        share = real / num_real
        expected_error = np.sqrt((1 - share) / share * (1 / num_synthetic + 1 / num_real))
        large = np.flatnonzero(expected_error * reach <= margin)
        if share[large].sum() < LEAST_COVERED:
            found.append(
                undecided(
                    name="representation",
                    subject=grouping.name,
                    n=num_synthetic,
                    reading=(
                        f"Too few rows to say whether the groups of {grouping.name} are there as often as they should "
                        f"be ({num_synthetic} synthetic, {num_real} real)."
                    ),
                    policy=policy,
                )
            )
            continue
        for group in large.tolist():
            count = max(int(synthetic[group]), 0.5)  # a half stands for none: the logarithm needs a number
            ratio = count / num_synthetic / share[group]
            error = math.sqrt(max(1 / count - 1 / num_synthetic, 0) + max(1 / int(real[group]) - 1 / num_real, 0))
            low_error, high_error = ends_errors(ratio, 1.0, policy, subjects=num_subjects)
            low, high = normal_ends(math.log(ratio), error, low_error=low_error, high_error=high_error)
            synthetic_share = synthetic[group] / num_synthetic
            found.append(
                judged(
                    name="representation",
                    subject=grouping.subject(group),
                    value=ratio,
                    low=math.exp(low),
                    high=math.exp(high),
                    n=int(synthetic[group]),
                    reference=1.0,
                    reading=(
                        f"{grouping.subject(group)} is {synthetic_share:.1%} of the synthetic rows and "
                        f"{share[group]:.1%} of the real ones ({ratio:.2f} times as often)."
                    ),
                    policy=policy,
                    detail={
                        "synthetic_share": float(synthetic_share),
                        "real_share": float(share[group]),
                        "real_rows": int(real[group]),
                        **grouping.detail,
                    },
                )
            )
    return found


def _group_loss(evidence: Evidence, single: Sequence[Grouping]) -> Measurement:
    """Return the smallest p-value over groups and combinations, weighted by `SINGLE_WEIGHT`."""
    looks = [(single, FOUR_FIFTHS, SINGLE_WEIGHT if len(single) > 1 else 1.0)]
    several = together(single, single_weight=SINGLE_WEIGHT, least_expected=evidence.policy.min_group_rows)
    looks += [(list(kind), HALF, weight) for kind, weight in several]
    best: tuple[float, str, int, int, float] = (1.0, "all groups", 0, 0, 0.0)
    for kind, least, weight in looks:
        times = sum(len(grouping.labels) for grouping in kind) / weight
        for grouping in kind:
            real, synthetic = grouping.counts()
            num_real, num_synthetic = len(grouping.real), len(grouping.synthetic)
            for group, (count, found) in enumerate(zip(real.tolist(), synthetic.tolist(), strict=True)):
                p = min(1.0, times * loss_p(count, num_real, found, num_synthetic, least))
                if p < best[0]:
                    best = (p, grouping.subject(group), found, count, count / num_real * num_synthetic)
    p, subject, found, count, expected = best
    reading = "No group is there less than four fifths as often as in the real rows, as far as chance lets one say."
    if p < 1:
        reading = (
            f"{subject} has {found} synthetic rows where its share of the real ones gives {expected:.0f} (p = {p:.2g})."
        )
    return judged(
        name="group_loss",
        subject="all groups",
        value=p,
        low=p,
        high=p,
        n=len(evidence.synthetic),
        reading=reading,
        policy=evidence.policy,
        detail={"group": subject, "synthetic_rows": found, "real_rows": count, "expected": expected},
    )

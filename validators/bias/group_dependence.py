"""Do the cells of a row belong together within each protected group, or only in the others?

A group of a few percent hardly moves a measurement over all rows: all of it may be one average person repeated, or
independent columns, and classifiers and k-way tables pass it. So the AUC of `fidelity.dependence` is taken among the
rows of each group, synthetic against fresh: how well whole rows are told from rows with cells shuffled in the group.

What it cannot see: groups too small for a fresh sample to pass; a group's single columns, which shuffling keeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from validators.bias.groups import groupings
from validators.encoding import encode
from validators.evidence import Evidence
from validators.fidelity.dependence import pair_information, whole_row_auc
from validators.fidelity.kway import column_sets
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.statistics.intervals import gate_ends

PASS_POWER = 0.9995
"""Chance with which a fresh sample must pass for a group to be measured on its own."""

LEAST_ROWS = 30
EVERYONE = "all rows"


@dataclass(frozen=True, kw_only=True)
class _Loss:
    subject: str
    value: float
    error: float
    n: int


def group_dependence(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `group_dependence` for the group that lost most; nothing without protected columns or without pairs."""
    encoded = encode(evidence)
    if not evidence.schema.protected or len(encoded.columns) < 2:  # noqa: PLR2004 - a pair
        return []
    policy = evidence.policy
    fresh = [part.cells for part in (encoded.holdout, encoded.reference) if part is not None]
    rows = min(len(encoded.train), sum(map(len, fresh)), len(encoded.synthetic))
    if rows < policy.min_rows:
        few = f"Too few rows of a part to look into groups ({rows}; {policy.min_rows} are needed)."
        none = "Groups are compared with real rows that the synthesizer never saw: give a holdout."
        reading = few if fresh else none
        return [undecided(name="group_dependence", subject="all groups", n=rows, reading=reading, policy=policy)]
    real, synthetic = np.concatenate(fresh), encoded.synthetic.cells
    sets = column_sets(len(encoded.columns), 2, rng)
    information = pair_information(encoded.train, encoded.columns, sets)
    limit = float(policy.limits["group_dependence"])  # type: ignore[arg-type]
    reach = float(stats.norm.isf(policy.doubt) + stats.norm.isf(1 - PASS_POWER))
    found = []
    for grouping in groupings(evidence):
        own = grouping.real[len(encoded.train) :]
        for group in range(len(grouping.labels)):
            mine, theirs = real[own == group], synthetic[grouping.synthetic == group]
            if len(mine) < LEAST_ROWS:
                continue
            auc, variance = whole_row_auc(mine, information, rng)
            expected = variance * len(real) / len(synthetic)  # of as many fresh rows as the synthetic part should hold
            if reach * np.sqrt(variance + expected) > limit or len(theirs) < LEAST_ROWS:
                continue  # an absent group is `group_loss`'s
            other, other_variance = whole_row_auc(theirs, information, rng)
            error = float(np.sqrt(variance + max(other_variance, 0.0)))
            found.append(_Loss(subject=grouping.subject(group), value=auc - other, error=error, n=len(theirs)))
    if not found:  # no group is large enough: all rows are the one group there is
        (auc, variance), (other, more) = (whole_row_auc(part, information, rng) for part in (real, synthetic))
        found = [_Loss(subject=EVERYONE, value=auc - other, error=float(np.sqrt(variance + more)), n=len(synthetic))]
    ends = [
        gate_ends(one.value, one.error, policy=policy, name="group_dependence", reference=0.0, subjects=len(found))
        for one in found
    ]
    worst = max(range(len(found)), key=lambda i: ends[i][0])
    return [
        judged(
            name="group_dependence",
            subject="worst group",
            value=found[worst].value,
            low=ends[worst][0],
            high=max(high for _, high in ends),
            n=found[worst].n,
            reading=(
                f"In {found[worst].subject} a whole row is told from one with shuffled cells less often among "
                f"synthetic than among fresh real rows, by {found[worst].value:.1%} of cases."
            ),
            policy=policy,
            reference=0.0,
            detail={"group": found[worst].subject, "num_groups": len(found)},
        )
    ]

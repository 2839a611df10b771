"""Are the training pictures of a protected group matched more closely than its fresh ones?"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from validators.bias.groups import groupings
from validators.evidence import Evidence
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.excess_matches import nearest_of_entities, tail, tolerant_share, upper_tail
from validators.privacy.image_comparison import Comparison, is_match
from validators.privacy.per_group import GROUP_NEAREST, LEAST_FRESH
from validators.privacy.real_rows import all_undecided
from validators.statistics.multiple import holm

NAME = "image_group_matches"


def image_group_matches(evidence: Evidence, comparison: Comparison, column: str) -> Sequence[Measurement]:
    """Return one measurement, the smallest corrected p over the groups; nothing without a protected column.

    Within a group, which of its pictures are of train is a random choice that distances know nothing of: the tail test
    at few nearest, and the matched pictures, of train against fresh.
    """
    if not evidence.schema.protected:
        return []
    real, rank = comparison.real, comparison.rank
    matched = is_match(comparison.still, comparison.found.still) | is_match(comparison.moved, comparison.found.moved)
    found: dict[str, tuple[float, int, int]] = {}
    for grouping in groupings(evidence):
        codes = grouping.real[comparison.rows]
        for group in range(len(grouping.labels)):
            rows = np.flatnonzero(codes == group)
            num_train = int(real.is_train[rows].sum())
            if num_train < evidence.policy.min_group_rows or len(rows) - num_train < LEAST_FRESH:
                continue
            entities = None if real.entities is None else real.entities[rows]
            (own, far), is_train = nearest_of_entities(
                [stats.rankdata(rank[rows]), 1.0 - matched[rows]], real.is_train[rows], entities
            )
            near = far < 1
            first = tail(own, is_train, [min(number / len(is_train), 1.0) for number in GROUP_NEAREST]).p
            chance = tolerant_share(int(is_train.sum()), int((~is_train).sum()))
            second = upper_tail(int((near & is_train).sum()), int(near.sum()), chance)
            subject = grouping.subject(group)
            found[subject] = (
                min(1.0, 2 * min(first, second)),
                int((near & is_train).sum()),
                int((near & ~is_train).sum()),
            )
    if not found:
        reading = "No protected group has enough training and fresh pictures to be judged."
        return all_undecided(evidence, [(NAME, column)], reading)
    adjusted = holm(np.array([p for p, _, _ in found.values()]))
    worst = int(adjusted.argmin())
    name, p = list(found)[worst], float(adjusted[worst])
    _, num_train, num_fresh = found[name]
    return [
        judged(
            name=NAME,
            subject=column,
            value=p,
            low=p,
            high=p,
            n=len(real.frame),
            reading=(
                f"Of {len(found)} protected groups {name} stands out most: {num_train} of its training pictures are "
                f"matched and {num_fresh} of its fresh ones (p = {p:.2g}, corrected for the number of groups)."
            ),
            policy=evidence.policy,
            detail={"group": name, "groups": {group: {"p": one} for group, (one, _, _) in found.items()}},
        )
    ]

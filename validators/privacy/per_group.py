"""Are the training rows of a protected group matched more closely than its fresh rows? The tail test by group.

A leak of the few rows of a small group drowns among the natural matches of all rows. Within the group there are far
fewer of these, so the test of `excess_matches` is repeated there, corrected for the number of groups (Holm 1979).

What it cannot see: what `excess_matches` cannot; leaks of groups too small to be judged, or that are combinations of
columns; in a group of more rows than `MAX_GROUP_ROWS` a side, small leaks, which are left to `excess_matches`.
"""

from collections.abc import Sequence

import numpy as np

from validators.bias.groups import groupings
from validators.evidence import Evidence
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.excess_matches import Tail, nearest_of_entities, tail
from validators.privacy.neighbours import embed, nearest
from validators.privacy.real_rows import RealRows, all_undecided, real_rows
from validators.statistics.multiple import holm

GROUP_NEAREST: tuple[int, ...] = (16, 64, 256)
"""So many nearest rows of a group are looked at, beside the 32 of every table: a group's leak is a number of rows."""

MAX_GROUP_ROWS = 3_000
"""Rows of a group that are looked at in train and among the fresh ones, drawn at random; each row costs a search."""

LEAST_FRESH = 10
"""With fewer fresh rows of a group even a copy of all its training rows would hardly stand out."""

SUBJECTS: tuple[tuple[str, str], ...] = (("group_matches", "all groups"),)


def group_matches(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement, `group_matches`: the smallest corrected p; nothing without a protected column."""
    if not evidence.schema.protected:
        return []
    real = real_rows(evidence)
    if isinstance(real, str):
        return all_undecided(evidence, SUBJECTS, real)
    groups = _groups(evidence, real, rng)
    if not groups:
        return all_undecided(evidence, SUBJECTS, "No protected group has enough training and fresh rows to be judged.")
    looked_at = np.unique(np.concatenate(list(groups.values())))
    base, candidates = embed([real.frame, evidence.synthetic.frame], evidence.schema, scale=(0,))
    if base.shape[1] == 0:
        return all_undecided(evidence, SUBJECTS, "No column has distances: all are texts, images or ids.")
    distance = np.full(len(base), np.nan)
    distance[looked_at], _ = nearest(base[looked_at], candidates)
    found = [_tail_of(distance, real, rows) for rows in groups.values()]
    adjusted = holm(np.array([one.p for one in found]))
    worst = int(adjusted.argmin())
    p, name = float(adjusted[worst]), list(groups)[worst]
    detail = {
        group: {"p": one.p, "adjusted": float(value), "train": one.train, "fresh": one.fresh, "expected": one.expected}
        for (group, one), value in zip(zip(groups, found, strict=True), adjusted, strict=True)
    }
    return [
        judged(
            name="group_matches",
            subject="all groups",
            value=p,
            low=p,
            high=p,
            n=len(looked_at),
            reading=_reading(name, found[worst], p, len(groups)),
            policy=evidence.policy,
            detail={"group": name, "groups": detail},
        )
    ]


def _groups(evidence: Evidence, real: RealRows, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the positions of the real rows of each group that is large enough, at most `MAX_GROUP_ROWS` a side."""
    found = {}
    for grouping in groupings(evidence):
        for group in range(len(grouping.labels)):
            rows = np.flatnonzero(grouping.real == group)
            sides = [rows[real.is_train[rows]], rows[~real.is_train[rows]]]
            if len(sides[0]) < evidence.policy.min_group_rows or len(sides[1]) < LEAST_FRESH:
                continue
            kept = [side[rng.permutation(len(side))[:MAX_GROUP_ROWS]] for side in sides]
            found[grouping.subject(group)] = np.concatenate(kept)
    return found


def _tail_of(distance: np.ndarray, real: RealRows, rows: np.ndarray) -> Tail:
    entities = None if real.entities is None else real.entities[rows]
    (nearest_of_each,), is_train = nearest_of_entities([distance[rows]], real.is_train[rows], entities)
    quantiles = [min(number / len(is_train), 1.0) for number in GROUP_NEAREST]
    return tail(nearest_of_each, is_train, quantiles)


def _reading(group: str, found: Tail, p: float, num_groups: int) -> str:
    if found.train <= found.expected:
        return f"In none of {num_groups} protected groups are training rows matched more closely than fresh rows are."
    return (
        f"Of {num_groups} protected groups {group} stands out most: {found.train} of its training rows are matched "
        f"closely where chance gives {found.expected:.0f} (p = {p:.2g}, corrected for the number of groups)."
    )

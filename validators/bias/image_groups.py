"""Are the pictures of each protected group as good as those of the others are allowed to be?

`image_group_coverage`: of the unseen real pictures of a group, how many have a synthetic picture of the group near
them (as `image_coverage`, among the group's own rows)? `image_group_agreement`: how often does a network read from the
pictures of a group the labels that they have, the group's own among them? Both against fresh real ones of the group.

What they cannot see: groups too small for chance to be told apart (the detail counts them); groups that do not show.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from validators.bias.groups import groupings
from validators.evidence import Evidence
from validators.features.column import RANDOM, SELF_SUPERVISED, SUPERVISED
from validators.fidelity.coverage import covered
from validators.fidelity.image_labels import agreement
from validators.fidelity.image_neighbours import occupancy, radii
from validators.fidelity.image_rows import too_few_pictures
from validators.fidelity.sides import design_effect
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.statistics.intervals import gate_ends

LEAST_ROWS = 60
"""Pictures of a group on every side; with fewer the interval says nothing."""

MAX_ROWS = 2_000
NAMES = ("image_group_coverage", "image_group_agreement")


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """One group under one look: the synthetic and the fresh figure, and the variance of their difference."""

    subject: str
    synthetic: float
    fresh: float
    variance: float
    n: int

    @property
    def value(self) -> float:
        """Return how much less the synthetic pictures have."""
        return self.fresh - self.synthetic


@dataclass(frozen=True, kw_only=True)
class _Group:
    """Positions of a group's rows in the parts of the features."""

    subject: str
    train: np.ndarray
    holdout: np.ndarray
    synthetic: np.ndarray


def image_groups(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return both measurements of the worst group; nothing without pictures or protected columns."""
    if evidence.features is None or not evidence.schema.protected:
        return []
    few = too_few_pictures(evidence, [(name, "worst group") for name in NAMES])
    if few:
        return few
    groups = list(_groups(evidence))
    large = [g for g in groups if min(len(g.train), len(g.holdout), len(g.synthetic)) >= LEAST_ROWS]
    looks = {
        "image_group_coverage": [_coverage(evidence, group, rng) for group in large],
        "image_group_agreement": [look for group in large for look in _agreements(evidence, group)],
    }
    return [_worst(evidence, name, found, len(groups) - len(large)) for name, found in looks.items()]


def _groups(evidence: Evidence) -> Iterator[_Group]:
    of = evidence.features
    assert of is not None
    own = Evidence(
        train=of.train, holdout=of.holdout, synthetic=of.synthetic, schema=evidence.schema, policy=evidence.policy
    )
    for grouping in groupings(own):
        train, holdout = grouping.real[: len(of.train)], grouping.real[len(of.train) :]
        for group in range(len(grouping.labels)):
            yield _Group(
                subject=grouping.subject(group),
                train=np.flatnonzero(train == group),
                holdout=np.flatnonzero(holdout == group),
                synthetic=np.flatnonzero(grouping.synthetic == group),
            )


def _coverage(evidence: Evidence, group: _Group, rng: np.random.Generator) -> _Compared:
    of = evidence.features
    assert of is not None
    worst: _Compared | None = None
    for column in of.columns:
        extractor = SELF_SUPERVISED if SELF_SUPERVISED in column.extractors else RANDOM
        rows = min(len(group.train), len(group.synthetic), MAX_ROWS)
        train, synthetic = (
            column.features(part, extractor)[rng.permutation(own)[:rows]]
            for part, own in ((of.train, group.train), (of.synthetic, group.synthetic))
        )
        holdout = column.features(of.holdout, extractor)[rng.permutation(group.holdout)[:MAX_ROWS]]
        radius = radii(holdout)
        sides = [occupancy(holdout, radius, part) for part in (synthetic, train)]
        shares, variances = zip(*(covered(one.rows_of_ball > 0, one.sole, rows) for one in sides), strict=True)
        compared = _Compared(
            subject=group.subject,
            synthetic=shares[0],
            fresh=shares[1],
            variance=sum(variances),
            n=min(rows, len(holdout)),
        )
        worst = compared if worst is None or compared.value > worst.value else worst
    assert worst is not None
    return worst


def _agreements(evidence: Evidence, group: _Group) -> Iterator[_Compared]:
    of = evidence.features
    assert of is not None
    for column in of.columns:
        if SUPERVISED not in column.extractors:
            continue
        for name in column.classes:
            sides = []
            for part, own in ((of.synthetic, group.synthetic), (of.holdout, group.holdout), (of.train, group.train)):
                agrees, known = agreement(column, part, name)
                sides.append(agrees[own][known[own]])
            hits = sides[0], np.concatenate(sides[1:])
            if min(map(len, hits)) < LEAST_ROWS:
                continue
            shares = [float(hit.mean()) for hit in hits]
            kept = [(hit.sum() + 0.5) / (len(hit) + 1) for hit in hits]
            yield _Compared(
                subject=f"{name} in {group.subject}",
                synthetic=shares[0],
                fresh=shares[1],
                variance=sum(share * (1 - share) / len(hit) for share, hit in zip(kept, hits, strict=True)),
                n=len(hits[0]),
            )


def _worst(evidence: Evidence, name: str, found: Sequence[_Compared], num_small: int) -> Measurement:
    """Return the look whose lower end is largest; the ends are simultaneous over the looks."""
    of, policy = evidence.features, evidence.policy
    assert of is not None
    if not found:
        reading = f"No group has {LEAST_ROWS} pictures in every part, or none has labels to read." + of.caveat
        return undecided(name=name, subject="worst group", n=0, reading=reading, policy=policy)
    alike = design_effect(evidence)
    ends = [
        gate_ends(
            one.value,
            float(np.sqrt(one.variance * alike)),
            policy=policy,
            name=name,
            reference=0.0,
            subjects=len(found),
        )
        for one in found
    ]
    worst = max(range(len(found)), key=lambda i: ends[i][0])
    one = found[worst]
    if name == "image_group_coverage":
        reading = (
            f"Near {one.synthetic:.1%} of the unseen real pictures of {one.subject} there is a synthetic one; "
            f"of as many fresh real ones of the group, there is one near {one.fresh:.1%}."
        )
    else:
        reading = (
            f"A network reads the own label ({one.subject}) of {one.synthetic:.1%} of the synthetic pictures and of "
            f"{one.fresh:.1%} of real ones that it has not seen."
        )
    return judged(
        name=name,
        subject="worst group",
        value=one.value,
        low=ends[worst][0],
        high=max(high for _, high in ends),
        n=one.n,
        reading=reading + of.caveat,
        policy=policy,
        reference=0.0,
        detail={"looks": {each.subject: each.value for each in found}, "num_small_groups": num_small},
    )

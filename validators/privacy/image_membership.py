"""Can somebody who sees only synthetic pictures tell which pictures were in train? Membership attacks on pictures.

As `membership` for rows: the attacker has the synthetic pictures and fresh ones of his own, and gives every target a
score: how much nearer it lies to synthetic pictures than to his own, by the whitened pixels of `image_views` (the
nearest one, and the mean of five), and by the features of a network that learnt from pictures which nobody is judged by
(`validators.features`). What is measured is how many times as many members are found as chance would find, while 1 %
of strangers are accused, or 5 % where they are few, with exact ends that hold for all attacks at once.

What it cannot see: a few copied pictures (see `image_matches`); a stronger attack than these; a holdout that the
synthesizer saw.
"""

# N pictures, F features, m members, n strangers

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special, stats

from sources.dataset import Dataset
from validators.evidence import Evidence
from validators.features.column import Features
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.image_comparison import pictures_of
from validators.privacy.image_search import FINER, WHOLE, grid_of, spaces_of
from validators.privacy.image_views import canonical, described, sampled
from validators.privacy.membership import FLOOR, MAX_TARGETS, NEIGHBOURS, Found, chance_of, counts_above, members_found
from validators.privacy.neighbours import several_nearest
from validators.privacy.real_rows import all_undecided, real_rows

NAME = "image_membership"
FPRS = ((1_000, 0.01), (0, 0.05))
"""Strangers at least, and the share of them that is accused: the upper hundredth of few is not known, their upper
twentieth is."""

OWN_SHARE = 1 / 3
"""Of the fresh pictures that nobody learnt from, the attacker owns so many; the others are the strangers."""

MAX_OWN, MAX_SYNTHETIC = 10_000, 20_000


def image_membership(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement for each image column, `image_membership`; nothing where there is none."""
    columns = [column.name for column in evidence.schema.columns if column.kind == "image"]
    real = real_rows(evidence) if columns else ""
    if isinstance(real, str):
        return all_undecided(evidence, [(NAME, column) for column in columns], real)
    features = evidence.features
    assert features is not None, "the judge makes the features of pictures"
    sides = _sides(features, evidence.schema.entity_key, rng)
    if min(len(part) for part in sides.values()) < 2 * max(NEIGHBOURS):
        return all_undecided(evidence, [(NAME, column) for column in columns], "Too few fresh pictures for an attack.")
    return [_judged(evidence, column, sides, features, num_columns=len(columns), rng=rng) for column in columns]


def _sides(features: Features, entity_key: str | None, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return positions: the attacker's own in the holdout, strangers there, members in train, synthetic ones.

    Of the targets, one picture of each entity; none of the strangers' entities is the attacker's.
    """

    def units(part: Dataset) -> np.ndarray:
        if entity_key is None:
            return np.arange(len(part))
        codes = pd.factorize(part.frame[entity_key])[0]
        return np.where(codes < 0, codes.max(initial=0) + 1 + np.arange(len(codes)), codes)

    def one_of_each(rows: np.ndarray, unit: np.ndarray) -> np.ndarray:
        rows = rng.permutation(rows)
        return np.asarray(rows[~pd.Series(unit[rows]).duplicated().to_numpy()][:MAX_TARGETS])

    fresh = units(features.holdout)
    own = np.isin(fresh, rng.permutation(np.unique(fresh))[: math.ceil(OWN_SHARE * len(np.unique(fresh)))])
    return {
        "own": rng.permutation(np.flatnonzero(own))[:MAX_OWN],
        "strangers": one_of_each(np.flatnonzero(~own), fresh),
        "members": one_of_each(np.arange(len(features.train)), units(features.train)),
        "synthetic": rng.permutation(len(features.synthetic))[:MAX_SYNTHETIC],
    }


def _judged(
    evidence: Evidence,
    column: str,
    sides: Mapping[str, np.ndarray],
    features: Features,
    *,
    num_columns: int,
    rng: np.random.Generator,
) -> Measurement:
    m, n = len(sides["members"]), len(sides["strangers"])
    member = np.arange(m + n) < m
    scores = _scores(column, sides, features)
    policy = evidence.policy
    fpr = next(share for least, share in FPRS if n >= least)
    above = {attack: counts_above(score, member, rng) for attack, score in scores.items()}
    ends = {attack: _ends(counts, m, evidence, fpr, len(above) * num_columns) for attack, counts in above.items()}
    best = max(ends, key=lambda attack: ends[attack].value)
    value, low, high = (max(getattr(one, end) for one in ends.values()) for end in ("value", "low", "high"))
    detail: dict[str, Any] = {
        "attack": best,
        "members": m,
        "strangers": n,
        "accused_share": fpr,
        "attacks": {attack: {"value": one.value, "low": one.low, "high": one.high} for attack, one in ends.items()},
    }
    return judged(
        name=NAME,
        subject=column,
        value=value / fpr,
        low=low / fpr,
        high=high / fpr,
        n=m + n,
        reference=1.0,
        reading=(
            f"Who accuses {fpr:.0%} of {n} pictures that were not in train recognises {value:.1%} of {m} training "
            f"pictures (at most {high:.1%}), where chance gives {fpr:.0%}.{features.caveat}"
        ),
        policy=policy,
        detail=detail,
    )


def _ends(above: np.ndarray, m: int, evidence: Evidence, fpr: float, attacks: int) -> Found:
    """Return the share of members found with the ends of the gate; see `membership`."""
    policy, limit = evidence.policy, fpr * float(evidence.policy.limits[NAME])  # type: ignore[arg-type]
    found = members_found(above, m, fpr, low_error=policy.doubt / attacks, high_error=policy.doubt)
    if chance_of(above, m, fpr) <= policy.alarm_share_of(NAME, attacks):
        return found
    return Found(value=found.value, low=min(found.low, limit), high=found.high)


def _scores(column: str, sides: Mapping[str, np.ndarray], features: Features) -> dict[str, np.ndarray]:
    """Return attack -> score of each target, members first (float m+n), high where it is taken for a member."""
    parts = {
        "own": features.holdout,
        "strangers": features.holdout,
        "members": features.train,
        "synthetic": features.synthetic,
    }
    pixels = {name: canonical(pictures_of(part, column)[sides[name]]) for name, part in parts.items()}
    space = spaces_of(np.concatenate([pixels["own"], pixels["synthetic"]])).whole[FINER]
    grid = grid_of(pixels["own"], FINER)
    told = next(one for one in features.columns if one.name == column)
    extractor = told.extractors[min(1, len(told.extractors) - 1)]  # the self-supervised one, where there is one
    views = {
        "pixels": {name: described(sampled(part, WHOLE, grid), space) for name, part in pixels.items()},
        "features": {name: told.features(part, extractor)[sides[name]] for name, part in parts.items()},
    }
    scores = {}
    for view, vectors in views.items():
        targets = np.concatenate([vectors["members"], vectors["strangers"]])
        num = min(max(NEIGHBOURS), len(vectors["own"]), len(vectors["synthetic"]))
        far, near = (several_nearest(targets, vectors[side], num) for side in ("own", "synthetic"))
        for k in NEIGHBOURS:
            gaps = [np.log(FLOOR + distance[:, :k].mean(axis=1)) for distance in (far, near)]
            scores[f"{view} {k}"] = gaps[0] - gaps[1]
    ranks = [stats.rankdata(score) / (len(score) + 1) for score in scores.values()]
    scores["together"] = np.mean([special.ndtri(rank) for rank in ranks], axis=0)
    return scores

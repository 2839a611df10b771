"""Can somebody who sees only the synthetic rows tell who was in train? Membership attacks, at few false accusations.

The attacker has the synthetic rows and real rows of his own: the reference part, or where there is none a random third
of the fresh rows. He gives every target a score: how much nearer it lies to synthetic rows than to his own (`nearer`),
how much denser the synthetic rows are around it (`density`; cf. DOMIAS, van Breugel et al. 2023, AISTATS), how
synthetic a classifier takes it for that has seen no target (`classifier`), and the mean of these as normal scores
(`together`). Where the model itself is at hand and gives rows a likelihood, two attacks more look into it
(`white_box`): releases hold rows alone, but what a model has learnt by heart its rows may tell, so these refuse what
they prove and are told otherwise. Targets are training
rows (members) and fresh rows that the attacker does not own (strangers). Without a
leak the two are exchangeable, and whoever accuses 1 % of the strangers accuses 1 % of the members. A mean over all rows
(AUC, accuracy) hides the few who are exposed, so what is measured is the share of members found while few strangers are
accused (Carlini et al. 2022, *Membership inference attacks from first principles*): `membership` over all rows at 1 %,
and `membership_atypical` over the strange ones, who have most to lose, at 5 %.

What it cannot see: exposed members fewer than a few percent (that is what `excess_matches` and `exact_copies` are
for); a stranger attack than these; a holdout that the synthesizer saw; what is in texts, images and ids.
"""

# N rows, U units (rows, or entities with all their rows), m members, n strangers

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import optimize, special, stats

from sources.schema import Schema
from validators.evidence import Evidence
from validators.fidelity.trees import classifier, on_one_thread
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.policy import Policy
from validators.privacy.excess_matches import NUM_ANCHORS
from validators.privacy.neighbours import embed, nearest, several_nearest
from validators.privacy.real_rows import RealRows, all_undecided, real_rows
from validators.privacy.white_box import WHITE_BOX, as_features, white_box

FPRS: tuple[float, ...] = (0.001, 0.01, 0.05)
"""Shares of strangers accused that are told."""

JUDGED_FPR = {"membership": 0.01, "membership_atypical": 0.05}
"""The one that is judged. Of 300 strange strangers the upper hundredth is not known, the upper twentieth is."""

OWN_SHARE = 1 / 3
"""Of the fresh rows, where there is no reference part: the interval lacks strangers more than the attacker rows."""

NEIGHBOURS: tuple[int, ...] = (1, 5)
"""Rows over which the distances of `density` are averaged: copies show at one, smeared ones at several."""

FLOOR = 0.01
"""Added to distances before their ratio is taken, where two labels are one apart: below it all are equally near."""

MAX_TARGETS = 4_000
"""Targets a side, drawn: 1 % is then known to 0.2 points."""

MAX_OWN, MAX_SYNTHETIC, MAX_SEARCHED = 20_000, 50_000, 30_000
"""Rows that the attacker uses, and real rows a side among which strange ones are looked for, drawn."""

ATYPICAL_SHARE, ATYPICAL_LEAST = 0.1, 750
"""The strange rows: a tenth, for 1 % of fewer strangers than some hundred is hardly one, and 750 where rows are few."""

NUM_POINTS = 20
SUBJECTS: tuple[tuple[str, str], ...] = (("membership", "all rows"), ("membership_atypical", "strangest rows"))


@dataclass(frozen=True, kw_only=True)
class Found:
    """The share of members above the strangers' upper quantile, with its interval."""

    value: float
    low: float
    high: float


@on_one_thread
def membership(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return the measurements named in `SUBJECTS`."""
    real = real_rows(evidence)
    if isinstance(real, str):
        return all_undecided(evidence, SUBJECTS, real)
    unit = real.entities if real.entities is not None else np.arange(len(real.frame))
    own, target = _sides(evidence, real, unit, rng)
    own = _drawn(own, MAX_OWN, rng)
    target = np.concatenate(
        [_drawn_units(target[real.is_train[target] == side], unit, MAX_SEARCHED, rng) for side in (True, False)]
    )
    synthetic = evidence.synthetic.frame.iloc[_drawn(np.arange(len(evidence.synthetic)), MAX_SYNTHETIC, rng)]
    frames = [synthetic, real.frame.iloc[own], real.frame.iloc[target]]
    _, first, unit = np.unique(unit[target], return_index=True, return_inverse=True)
    member = real.is_train[target][first]
    if member.all() or not member.any():
        return all_undecided(evidence, SUBJECTS, "No fresh rows are left beside those that the attacker owns.")
    vectors = embed(frames, evidence.schema, scale=(0, 1))
    if vectors[0].shape[1] == 0:
        return all_undecided(evidence, SUBJECTS, "No column has distances: all are texts, images or ids.")

    anchors = vectors[1][_drawn(np.arange(len(own)), NUM_ANCHORS, rng)]
    strangeness = _largest(nearest(vectors[2], anchors)[0], unit)
    num_strange = min(len(member), max(ATYPICAL_LEAST, math.ceil(ATYPICAL_SHARE * len(member))))
    by_strangeness = np.lexsort((rng.random(len(member)), -strangeness))  # ties favour no side
    strange = _capped(by_strangeness[:num_strange], member, MAX_TARGETS, rng)
    everyone = _capped(np.arange(len(member)), member, MAX_TARGETS, rng)

    rows = np.flatnonzero(np.isin(unit, np.union1d(strange, everyone)))
    scores = _scores([*frames[:2], frames[2].iloc[rows]], [*vectors[:2], vectors[2][rows]], evidence.schema, rng)
    if evidence.row_nats is not None:
        own_rows = frames[1].iloc[_drawn(np.arange(len(own)), MAX_TARGETS, rng)]
        scores |= white_box(evidence.row_nats, own_rows, frames[2].iloc[rows], evidence.schema, rng)
    by_unit = {name: _largest(score, unit[rows], len(member)) for name, score in scores.items()}
    what = "training rows" if real.entities is None else f"values of {evidence.schema.entity_key} in train"
    return [
        _judged(
            evidence, subject, {name: by_unit[name][chosen] for name in by_unit}, member[chosen], what=what, rng=rng
        )
        for subject, chosen in zip(SUBJECTS, (everyone, strange), strict=True)
    ]


def members_found(above: np.ndarray, m: int, fpr: float, *, low_error: float, high_error: float) -> Found:
    """Return which share of the members lies above the strangers' upper `fpr` quantile, exact ends included.

    The quantile is not known: of n strangers drawn from a continuous law J lie above it, J ~ Binomial(n, fpr), so it
    lies between the J-th and the (J+1)-th highest of them. Given J the members above it are between two counts, and the
    ends are those of Clopper and Pearson (1934); the interval mixes their laws over J. Hence it is as wide as both
    samples are small, and where J = 0 is likely the low end is 0: so small a share of so few strangers is unknown.

    Args:
        above: members above the j-th highest stranger, for j = 0 (none) to n + 1 (all) (int64 n+2).
        m: number of members.
        fpr: the share of strangers that may be accused.
        low_error: one-sided error of the low end.
        high_error: one-sided error of the high end.

    """
    weight, fewest, most = _laws(above, fpr)

    def below(share: float) -> tuple[float, float]:
        """Return the chance that the found share is at most `share`, under the laws of the low and the high end."""
        few = np.where(fewest > 0, special.betainc(np.maximum(fewest, 1), m - fewest + 1, share), 1.0)
        many = np.where(most < m, special.betainc(most + 1, np.maximum(m - most, 1), share), float(share >= 1))
        return float(weight @ few), float(weight @ many)

    low = 0.0 if below(0.0)[0] >= low_error else optimize.brentq(lambda share: below(share)[0] - low_error, 0.0, 1.0)
    reached = below(1 - 1e-12)[1]
    high = 1.0 if reached <= 1 - high_error else optimize.brentq(lambda x: below(x)[1] - 1 + high_error, 0.0, 1 - 1e-12)
    value = share_above(above, m, fpr)
    return Found(value=value, low=min(float(low), value), high=max(float(high), value))


def share_above(above: np.ndarray, m: int, fpr: float) -> float:
    """Return the value of `members_found`: half way between the two counts given J, in the mean over J."""
    weight, fewest, most = _laws(above, fpr)
    return float(weight @ (fewest + most)) / 2 / m


def chance_of(above: np.ndarray, m: int, fpr: float) -> float:
    """Return the p-value of as many members above the strangers' rank at `fpr` when the two are exchangeable.

    x members above the j-th highest of n strangers mean fewer than j strangers among the x + j - 1 highest of all:
    a hypergeometric law, exact for any number of strangers.
    """
    n = len(above) - 2
    rank = max(1, round(fpr * n))
    return float(stats.hypergeom.cdf(rank - 1, m + n, n, above[rank] + rank - 1))


def counts_above(score: np.ndarray, member: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the members above the j-th highest stranger, j = 0 to n + 1 (int64 n+2); lots break ties."""
    falling = member[np.lexsort((rng.random(len(score)), -score))]
    return np.concatenate([[0], np.cumsum(falling)[~falling], [falling.sum()]])


def _laws(above: np.ndarray, fpr: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the chances of J, and the fewest and the most members that lie above the quantile given J."""
    n = len(above) - 2
    chance = stats.binom.pmf(np.arange(n + 1), n, fpr)
    likely = chance > 1e-12  # noqa: PLR2004 - far below any error asked for
    return chance[likely] / chance[likely].sum(), above[:-1][likely], above[1:][likely]


def _sides(
    evidence: Evidence, real: RealRows, unit: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the attacker's own rows and of the targets; no entity has rows in both."""
    fresh = np.flatnonzero(~real.is_train)
    num_reference = 0 if evidence.reference is None else len(evidence.reference)
    if num_reference >= evidence.policy.min_rows:
        own = np.arange(len(unit) - num_reference, len(unit))
    else:
        units = np.unique(unit[fresh])
        own = fresh[np.isin(unit[fresh], rng.permutation(units)[: math.ceil(OWN_SHARE * len(units))])]
    return own, np.flatnonzero(~np.isin(unit, unit[own]))


def _drawn(positions: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return all positions, or `most` of them drawn."""
    return positions if len(positions) <= most else rng.choice(positions, most, replace=False)


def _drawn_units(positions: np.ndarray, unit: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return all positions, or about `most` of them: whole units are drawn, lest their largest score depend on it."""
    units = np.unique(unit[positions])
    kept = _drawn(units, max(1, len(units) * most // max(len(positions), 1)), rng)
    return positions[np.isin(unit[positions], kept)]


def _capped(units: np.ndarray, member: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Return `units`, at most `most` of either side."""
    return np.concatenate([_drawn(units[member[units] == side], most, rng) for side in (True, False)])


def _largest(score: np.ndarray, unit: np.ndarray, num_units: int | None = None) -> np.ndarray:
    """Return the largest score of each unit (float U), -inf where it has no row."""
    largest = np.full(unit.max() + 1 if num_units is None else num_units, -np.inf)
    np.maximum.at(largest, unit, score)
    return largest


def _scores(
    frames: Sequence[pd.DataFrame], vectors: Sequence[np.ndarray], schema: Schema, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Return attack -> score of each target (float N), high where the attacker takes it for a member.

    Args:
        frames: synthetic rows, the attacker's own, the targets.
        vectors: the same as vectors.
        schema: what the columns are.
        rng: seeds the classifier.

    """
    synthetic, own, targets = vectors
    num = min(max(NEIGHBOURS), len(synthetic), len(own))
    to_synthetic, to_own = (several_nearest(targets, base, num) for base in (synthetic, own))
    scores = {"nearer": to_own[:, 0] - to_synthetic[:, 0]}
    for k in NEIGHBOURS:
        gaps = [np.log(FLOOR + distance[:, :k].mean(axis=1)) for distance in (to_own, to_synthetic)]
        scores[f"density {k}"] = gaps[0] - gaps[1]
    told = _told_synthetic(frames, schema, rng)
    scores["classifier"] = told
    ranks = [stats.rankdata(score) / (len(score) + 1) for score in (scores["density 1"], scores["density 5"], told)]
    scores["together"] = np.mean([special.ndtri(rank) for rank in ranks], axis=0)
    return scores


def _told_synthetic(frames: Sequence[pd.DataFrame], schema: Schema, rng: np.random.Generator) -> np.ndarray:
    """Return the log odds that a target is synthetic rather than the attacker's own (float N)."""
    known = pd.concat(frames[:2], ignore_index=True)
    X, unseen, categorical = as_features(known, frames[2], schema)
    is_synthetic = np.arange(len(known)) < len(frames[0])
    order = rng.permutation(len(known))
    model = classifier(X[order], is_synthetic[order], categorical, rng)
    return np.asarray(model.decision_function(unseen), dtype=np.float64)


def _judged(
    evidence: Evidence,
    subject: tuple[str, str],
    scores: Mapping[str, np.ndarray],
    member: np.ndarray,
    *,
    what: str,
    rng: np.random.Generator,
) -> Measurement:
    """Return the largest share over the attacks; its ends are the largest of their simultaneous ends."""
    policy, (name, about) = evidence.policy, subject
    m, n = int(member.sum()), int((~member).sum())
    if m == 0 or n == 0:
        reading = f"The {about} are all in train or all fresh: nothing to compare them with."
        return undecided(name=name, subject=about, n=m + n, reading=reading, policy=policy)
    above = {attack: counts_above(score, member, rng) for attack, score in scores.items()}
    judged_fpr = JUDGED_FPR[name]
    found = {
        fpr: {attack: _ends(counts, m, fpr, policy, name=name, subjects=len(above)) for attack, counts in above.items()}
        for fpr in FPRS
    }
    by_rows = _judging(found[judged_fpr], limit=float(policy.limits[name]))  # type: ignore[arg-type]
    told = {
        fpr: _largest_of({attack: by_attack[attack] for attack in by_rows}, fpr, n, policy)
        for fpr, by_attack in found.items()
    }
    value, low, high = (told[judged_fpr][end] for end in ("value", "low", "high"))
    reading = (
        f"Who accuses {judged_fpr:.0%} of {n} {'strange ' * (about != 'all rows')}rows that were not in train "
        f"recognises {value:.1%} of {m} {what} (at most {high:.1%}), where chance gives {judged_fpr:.0%}."
    )
    if told[judged_fpr]["attack"].startswith(WHITE_BOX):
        reading += " The best attack looks into the model, which no release holds."
    elif len(by_rows) < len(found[judged_fpr]):
        inside = max(one.value for attack, one in found[judged_fpr].items() if attack not in by_rows)
        reading += f" Who had the model itself, which no release holds: {inside:.1%}, not surely beyond the limit."
    best = above[told[judged_fpr]["attack"]]
    points = np.geomspace(min(FPRS), 1.0, NUM_POINTS).clip(max=1.0)
    detail: dict[str, Any] = {
        "attack": told[judged_fpr]["attack"],
        "members": m,
        "strangers": n,
        "attacks": {attack: _plain(one) for attack, one in found[judged_fpr].items()},
        "told": [{"fpr": fpr, **one} for fpr, one in told.items()],
        "roc": {"fpr": points.tolist(), "tpr": [share_above(best, m, float(fpr)) for fpr in points]},
    }
    return judged(
        name=name,
        subject=about,
        value=value,
        low=low,
        high=high,
        n=m + n,
        reference=judged_fpr,
        reading=reading,
        policy=policy,
        detail=detail,
    )


def _judging(found: Mapping[str, Found], *, limit: float) -> tuple[str, ...]:
    """Return the attacks that judge: those on rows, and those on the model where they are surely beyond the limit.

    Nobody who has a release has its model. So an attack on the model refuses what it proves to have been learnt by
    heart, but a release need not prove the absence of what nobody can mount, for which few rows would be too few.
    """
    return tuple(attack for attack, one in found.items() if not attack.startswith(WHITE_BOX) or one.low > limit)


def _ends(above: np.ndarray, m: int, fpr: float, policy: Policy, *, name: str, subjects: int) -> Found:
    """Return one attack's share with the ends of the gate: as `gate_ends`, with exact ends.

    The good end is beyond the limit only where, simultaneously over the attacks, the share is so with error `doubt` and
    differs from chance with error `alarm`.
    """
    limit = float(policy.limits[name])  # type: ignore[arg-type]
    found = members_found(above, m, fpr, low_error=policy.doubt / subjects, high_error=policy.doubt)
    return (
        found
        if chance_of(above, m, fpr) <= policy.alarm_share(subjects)
        else Found(value=found.value, low=min(found.low, limit), high=found.high)
    )


def _largest_of(by_attack: Mapping[str, Found], fpr: float, n: int, policy: Policy) -> dict[str, Any]:
    """Return the best attack, the largest value and ends, and whether so few strangers have such an upper quantile."""
    needed = math.ceil(math.log(policy.doubt) / math.log1p(-fpr))
    return {
        "attack": max(by_attack, key=lambda attack: by_attack[attack].value),
        **{end: max(getattr(one, end) for one in by_attack.values()) for end in ("value", "low", "high")},
        "strangers_needed": needed,
        "known": "yes" if n >= needed else f"no: {n} strangers are too few, the upper end alone says something",
    }


def _plain(found: Found) -> dict[str, float]:
    return {"value": found.value, "low": found.low, "high": found.high}

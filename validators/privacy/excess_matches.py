"""Is some of the training part matched more closely than fresh real rows are? The tail test against the holdout.

Every real row has a distance to its nearest synthetic row. Rows that the synthesizer never saw (holdout and reference)
say how near chance comes. Without a leak, which of the real rows were the training rows is a random choice that the
distances know nothing of. So of the rows below any threshold the number from train follows a binomial law with the
train's share of all real rows, natural duplicates included; a leak puts too many of train there. Cf. arXiv 2606.16952.

Three measurements: `excess_matches` over all rows, `atypical_matches` over the strangest rows, which are the ones that
an attacker recognises, and `detectable_leak`: how many copied rows would have been seen.

What it cannot see: a leak of rows that train and holdout share; a holdout that the synthesizer saw (both sides are then
matched alike, and nothing that only looks at the rows can tell); rows copied only in a few of their columns.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from validators.evidence import Evidence
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.privacy.dcr_share import dcr_share
from validators.privacy.neighbours import embed, nearest
from validators.privacy.real_rows import RealRows, all_undecided, real_rows

THRESHOLDS: tuple[float, ...] = (0.002, 0.01, 0.05)
"""Quantiles of the pooled distances that are looked at: few copies show at the first, smeared ones at the last."""

ATYPICAL_THRESHOLDS: tuple[float, ...] = (0.02, 0.1, 0.3)
"""The same within the strangest rows, of which there are few."""

NEAREST = 32
"""The nearest rows of all are looked at as well: in a large table the lowest quantile holds hundreds by chance."""

TOLERANCE = 0.1
"""Training rows may be matched this much more often than fresh ones. Whatever learns fits its own rows a little better
than others, and a test without tolerance refuses every model once the table is large enough. Copies are far more: of
twelve copied rows, all are of train."""

ATYPICAL_SHARE, ATYPICAL_LEAST = 0.02, 200
NUM_ANCHORS = 4096
"""Real rows, drawn without regard to the parts, that say how strange a row is."""

POWER = 0.95
MAX_PAIRS = 4e10
"""About two minutes of two cores; beyond it train and fresh rows are thinned alike, as `detectable_leak` then tells."""

SUBJECTS: tuple[tuple[str, str], ...] = (
    ("excess_matches", "all rows"),
    ("atypical_matches", "strangest rows"),
    ("detectable_leak", "all rows"),
    ("dcr_share", "all rows"),
)


@dataclass(frozen=True, kw_only=True)
class Tail:
    """The count below the threshold that speaks most for a leak.

    Args:
        p: the smallest of the upper tails, times their number.
        quantile: of the pooled distances; threshold: the distance there.
        train, fresh: rows at or below it.
        expected: rows of train there without a leak.

    """

    p: float
    quantile: float
    threshold: float
    train: int
    fresh: int
    expected: float


def excess_matches(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return the measurements named in `SUBJECTS`."""
    real = real_rows(evidence)
    if isinstance(real, str):
        return all_undecided(evidence, SUBJECTS, real)
    synthetic = evidence.synthetic.frame
    kept = min(1.0, MAX_PAIRS / len(real.frame) / len(synthetic))
    if kept < 1:
        real = real.take(np.flatnonzero(rng.random(len(real.frame)) < kept))
    base, candidates = embed([real.frame, synthetic], evidence.schema, scale=(0,))
    if base.shape[1] == 0:
        return all_undecided(evidence, SUBJECTS, "No column has distances: all are texts, images or ids.")
    distance, _ = nearest(base, candidates)
    _, winner = nearest(candidates, base)
    anchors = rng.choice(len(base), size=min(NUM_ANCHORS, len(base)), replace=False)
    own_position = np.full(len(base), -1)
    own_position[anchors] = np.arange(len(anchors))
    strangeness, _ = nearest(base, base[anchors], own_position=own_position)
    share = dcr_share(_votes(base, winner), real.is_train, evidence.policy)
    return [*_tests(evidence, distance, strangeness, real, rng), share]


def ranks_of(num_rows: int, quantiles: Sequence[float]) -> list[int]:
    """Return how many of the nearest rows each threshold takes: a quantile of all, and the `NEAREST` ones."""
    ranks = [math.ceil(quantile * num_rows) for quantile in quantiles]
    return [min(NEAREST, num_rows), *(max(rank, 1) for rank in ranks)]


def _votes(base: np.ndarray, winner: np.ndarray) -> np.ndarray:
    """Return the votes that each real row gets (float N); identical rows, which are equally near, share theirs."""
    alike, _ = pd.factorize(np.array([row.tobytes() for row in base], dtype=object))
    return np.asarray(np.bincount(alike[winner], minlength=len(base))[alike] / np.bincount(alike)[alike])


def tail(distance: np.ndarray, is_train: np.ndarray, quantiles: Sequence[float]) -> Tail:
    """Return the count that speaks most for a leak.

    Args:
        distance: to the nearest synthetic row (float N).
        is_train: which of the N rows are training rows; the others are fresh.
        quantiles: the shares of the N rows that are looked at.

    """
    chance = tolerant_share(int(is_train.sum()), int((~is_train).sum()))
    ordered = np.sort(distance)
    found = []
    ranks = ranks_of(len(ordered), quantiles)
    for rank in ranks:
        threshold = ordered[rank - 1]
        below = distance <= threshold
        a, both = int((below & is_train).sum()), int(below.sum())
        p = min(1.0, len(ranks) * upper_tail(a, both, chance))
        expected = both * float(is_train.mean())
        found.append(
            Tail(
                p=p,
                quantile=rank / len(ordered),
                threshold=float(threshold),
                train=a,
                fresh=both - a,
                expected=expected,
            )
        )
    return min(found, key=lambda one: (one.p, -(one.train - one.expected)))


def tolerant_share(num_train: int, num_fresh: int) -> float:
    """Return the chance that a matched row is of train, when train may be matched `TOLERANCE` more often."""
    weight = (1 + TOLERANCE) * num_train
    return weight / (weight + num_fresh)


def upper_tail(count: int, out_of: int, chance: float) -> float:
    """Return P(X >= count) for X ~ Binomial(out_of, chance)."""
    return float(stats.binom.sf(count - 1, out_of, chance))


def smallest_detectable(
    distance: np.ndarray, is_train: np.ndarray, quantiles: Sequence[float], level: float
) -> int | None:
    """Return how many rows of train, copied so that they are nearest of all, `tail` would flag with power `POWER`.

    For k copies the threshold at each quantile and the natural matches below it follow from `distance`; the natural
    ones of train are binomial. The power is that of the best single threshold, hence a lower bound. None when not even
    a copy of the whole training part would be seen.

    Args:
        distance: as for `tail`.
        is_train: as for `tail`.
        quantiles: as for `tail`.
        level: `tail` flags p below it.

    """
    num_train = int(is_train.sum())
    share = float(is_train.mean())
    chance = tolerant_share(num_train, len(is_train) - num_train)
    ordered = np.sort(distance)
    ranks = ranks_of(len(ordered), quantiles)

    def power(copies: int) -> float:
        best = 0.0
        for rank in ranks:
            threshold = ordered[rank - copies - 1] if rank > copies else 0.0
            natural = int(np.searchsorted(ordered, threshold, side="right"))
            counts = np.arange(natural + 1)
            flagged = len(ranks) * stats.binom.sf(copies + counts - 1, copies + natural, chance) < level
            if flagged.any():
                best = max(best, float(stats.binom.sf(int(flagged.argmax()) - 1, natural, share)))
        return best

    if power(num_train) < POWER:
        return None
    low, high = 0, num_train
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def _tests(
    evidence: Evidence, distance: np.ndarray, strangeness: np.ndarray, real: RealRows, rng: np.random.Generator
) -> list[Measurement]:
    """Return the two tail tests and the leak that the first would have seen."""
    is_train, what = real.is_train, "training rows"
    relative = distance / np.maximum(strangeness, np.finfo(float).tiny)
    if real.entities is not None:  # an entity counts once, with the nearest of its rows
        what = f"values of {evidence.schema.entity_key} in train"
        rows = pd.DataFrame({"distance": distance, "relative": relative, "strangeness": -strangeness})
        nearest_of = rows.groupby([real.entities, is_train], sort=True).min()
        is_train = nearest_of.index.get_level_values(1).to_numpy(dtype=bool)
        distance, relative, strangeness = (nearest_of[name].to_numpy() for name in rows)
        strangeness = -strangeness
    policy = evidence.policy
    overall = tail(distance, is_train, THRESHOLDS)
    detail: dict[str, Any] = {**_plain(overall), "distances": _histogram(distance, is_train)}
    result = [
        judged(
            name="excess_matches",
            subject="all rows",
            value=overall.p,
            low=overall.p,
            high=overall.p,
            n=len(distance),
            reading=_reading(overall, what, "all real rows"),
            policy=policy,
            detail=detail,
        )
    ]
    num_strange = min(len(distance), max(ATYPICAL_LEAST, math.ceil(ATYPICAL_SHARE * len(distance))))
    strange = np.lexsort((rng.random(len(strangeness)), -strangeness))[:num_strange]  # ties favour no part
    if is_train[strange].all() or not is_train[strange].any():
        result.append(
            undecided(
                name="atypical_matches",
                subject="strangest rows",
                n=num_strange,
                reading="The strangest real rows are all in one part: nothing to compare them with.",
                policy=policy,
            )
        )
    else:
        worst = tail(relative[strange], is_train[strange], ATYPICAL_THRESHOLDS)
        result.append(
            judged(
                name="atypical_matches",
                subject="strangest rows",
                value=worst.p,
                low=worst.p,
                high=worst.p,
                n=num_strange,
                reading=_reading(worst, what, f"the {num_strange} strangest real rows"),
                policy=policy,
                detail=_plain(worst),
            )
        )
    result.append(_detectable(evidence, (distance, is_train), (relative[strange], is_train[strange]), what))
    return result


def _detectable(
    evidence: Evidence, every: tuple[np.ndarray, np.ndarray], strangest: tuple[np.ndarray, np.ndarray], what: str
) -> Measurement:
    """Return the leak that would have been seen: of any rows, or where common rows hide it, of the strangest ones."""
    policy, num_train = evidence.policy, int(every[1].sum())
    limits = {name: float(policy.limits[name]) for name in ("excess_matches", "atypical_matches", "detectable_leak")}  # type: ignore[arg-type]
    copies = smallest_detectable(*every, THRESHOLDS, limits["excess_matches"])
    odd = None
    if strangest[1].any() and not strangest[1].all():
        odd = smallest_detectable(*strangest, ATYPICAL_THRESHOLDS, limits["atypical_matches"])
    among = what
    detail: dict[str, Any] = {"any_rows": copies, "strangest_rows": odd}
    if copies is None or copies / num_train > limits["detectable_leak"]:
        smaller = odd is not None and (copies is None or odd < copies)
        copies, among = (odd, f"{what}, the strangest of them") if smaller else (copies, what)
    if copies is None:
        reading = "No leak of any size would have been seen: too few fresh rows, or too many natural duplicates."
        return undecided(name="detectable_leak", subject="all rows", n=num_train, reading=reading, policy=policy)
    return judged(
        name="detectable_leak",
        subject="all rows",
        value=copies / num_train,
        low=0.0,
        high=copies / num_train,
        n=num_train,
        reading=f"Sees a leak of {copies} or more of {num_train} {among}, with a power of {POWER:.0%}.",
        policy=policy,
        detail={"rows": copies, "of": num_train, "power": POWER, **detail},
    )


def _reading(found: Tail, what: str, among: str) -> str:
    excess = found.train - found.expected
    if excess <= 0:
        return f"Among {among}, {what} are matched no closer than fresh rows are."
    return (
        f"Among {among}, {found.train} {what} are matched closely where chance gives {found.expected:.0f} "
        f"(p = {found.p:.2g})."
    )


def _plain(found: Tail) -> dict[str, float | int]:
    return {
        "p": found.p,
        "quantile": found.quantile,
        "threshold": found.threshold,
        "train": found.train,
        "fresh": found.fresh,
        "expected": found.expected,
        "excess": found.train - found.expected,
    }


def _histogram(distance: np.ndarray, is_train: np.ndarray) -> Mapping[str, list[float]]:
    """Return shares of train and fresh rows in 40 bins from 0 to the 99.5 % quantile (the last takes the rest)."""
    top = float(np.quantile(distance, 0.995)) or 1.0
    edges = np.linspace(0, top, 41)
    counts = [np.histogram(np.minimum(distance[rows], top), edges)[0] for rows in (is_train, ~is_train)]
    train, fresh = (count / max(count.sum(), 1) for count in counts)
    return {"edges": edges.tolist(), "train": train.tolist(), "fresh": fresh.tolist()}

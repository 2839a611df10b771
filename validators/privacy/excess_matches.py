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
from validators.privacy.authenticity import authenticity
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
NUM_DRAWS = 16
"""Orders in which rows are drawn to be copied, when it is asked how many copies would be seen."""

MAX_PAIRS = 4e10
"""About two minutes of two cores; beyond it train and fresh rows are thinned alike, as `detectable_leak` then tells."""

SUBJECTS: tuple[tuple[str, str], ...] = (
    ("excess_matches", "all rows"),
    ("atypical_matches", "strangest rows"),
    ("detectable_leak", "all rows"),
    ("dcr_share", "all rows"),
)


Rows = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of N rows the distance (float N), whether they are of train (bool N), and a code, equal for equal rows (int N)."""


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
    strangeness = strangeness_of(base, rng)
    alike, _ = pd.factorize(np.array([row.tobytes() for row in base], dtype=object))
    tests = _tests(evidence, distance, strangeness, alike, real=real, rng=rng)
    told = authenticity(base[real.is_train], base[~real.is_train], candidates, rng)
    return [*tests, dcr_share(_votes(alike, winner), real.is_train, evidence.policy, told)]


def strangeness_of(base: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how far each real row (float32 N F) is from the nearest of some others, drawn without regard to parts."""
    anchors = rng.choice(len(base), size=min(NUM_ANCHORS, len(base)), replace=False)
    own_position = np.full(len(base), -1)
    own_position[anchors] = np.arange(len(anchors))
    return nearest(base, base[anchors], own_position=own_position)[0]


def strangest(strangeness: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the positions of the strangest rows; ties favour no part."""
    num = min(len(strangeness), max(ATYPICAL_LEAST, math.ceil(ATYPICAL_SHARE * len(strangeness))))
    return np.lexsort((rng.random(len(strangeness)), -strangeness))[:num]


def relative_to(distance: np.ndarray, strangeness: np.ndarray) -> np.ndarray:
    """Return distances in units of the rows' strangeness."""
    return np.asarray(distance / np.maximum(strangeness, np.finfo(float).tiny))


def ranks_of(num_rows: int, quantiles: Sequence[float]) -> list[int]:
    """Return how many of the nearest rows each threshold takes: a quantile of all, and the `NEAREST` ones."""
    ranks = [math.ceil(quantile * num_rows) for quantile in quantiles]
    return [min(NEAREST, num_rows), *(max(rank, 1) for rank in ranks)]


def nearest_of_entities(
    numbers: Sequence[np.ndarray], is_train: np.ndarray, entities: np.ndarray | None
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return for each entity the smallest of each of its `numbers` (float N each), and whether it is of train.

    Rows of one entity are alike and count once. Without `entities` every row is its own.
    """
    if entities is None:
        return list(numbers), is_train
    least = pd.DataFrame(dict(enumerate(numbers))).groupby([entities, is_train], sort=True).min()
    parts = least.index.get_level_values(1).to_numpy(dtype=bool)
    return [least[name].to_numpy() for name in least], parts


def _votes(alike: np.ndarray, winner: np.ndarray) -> np.ndarray:
    """Return the votes that each real row gets (float N); identical rows, which are equally near, share theirs."""
    return np.asarray(np.bincount(alike[winner], minlength=len(alike))[alike] / np.bincount(alike)[alike])


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
    distance: np.ndarray,
    is_train: np.ndarray,
    quantiles: Sequence[float],
    level: float,
    *,
    rng: np.random.Generator,
    alike: np.ndarray | None = None,
    power: float = POWER,
) -> int | None:
    """Return how many rows of train, drawn at random and copied, `tail` would flag with that power.

    A copy brings its original to distance 0, and every row that equals it, of train or fresh; it brings nothing where
    the original is there already. How many of both k copies bring is found by drawing them. The threshold at each
    quantile and the natural matches below it then follow from `distance`; the natural ones of train are binomial. The
    power is that of the best single threshold, hence a lower bound. None when no number of copies would be seen.

    Args:
        distance: as for `tail`.
        is_train: as for `tail`.
        quantiles: as for `tail`.
        level: `tail` flags p below it.
        rng: draws the copied rows.
        alike: a code for each row, equal for equal rows (int N); None where no two rows are equal.
        power: the chance with which it flags.

    """
    num_train, ordered = int(is_train.sum()), np.sort(distance)
    chance = tolerant_share(num_train, len(ordered) - num_train)
    ranks = np.array(ranks_of(len(ordered), quantiles))
    brought = _brought(distance, is_train, np.arange(len(distance)) if alike is None else alike, rng)

    def enough(copies: int) -> bool:
        train, fresh = brought[:, copies - 1, 0, None], brought[:, copies - 1, 1, None]
        rest = ranks - train - fresh
        threshold = np.where(rest > 0, ordered[np.maximum(rest, 1) - 1], 0.0)
        natural = np.searchsorted(ordered, threshold, side="right")
        share = (num_train - train) / np.maximum(len(ordered) - train - fresh, 1)
        least = stats.binom.isf(level / len(ranks), train + fresh + natural, chance) + 1  # of train, to be flagged
        return float(stats.binom.sf(least - train - 1, natural, share).max(axis=1).mean()) >= power

    sizes: list[int] = [*(1 << i for i in range(num_train.bit_length())), num_train]
    high = next((size for size in sizes if enough(size)), None)
    if high is None:
        return None
    low = high // 2 if high & (high - 1) == 0 else 2 ** (high.bit_length() - 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _brought(distance: np.ndarray, is_train: np.ndarray, alike: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return how many rows of train and fresh the first copies bring to 0, of `NUM_DRAWS` orders of K rows of train.

    Returns:
        int64 NUM_DRAWS K 2: after 1 to K copies.

    """
    found = []
    apart = distance > 0
    counts = np.stack(
        [np.bincount(alike[rows & apart], minlength=alike.max() + 1) for rows in (is_train, ~is_train)], 1
    )
    for _ in range(NUM_DRAWS):
        order = alike[rng.permutation(np.flatnonzero(is_train))]
        new = ~pd.Series(order).duplicated().to_numpy()
        found.append(np.cumsum(counts[order] * new[:, None], axis=0))
    return np.stack(found)


def _tests(
    evidence: Evidence,
    distance: np.ndarray,
    strangeness: np.ndarray,
    alike: np.ndarray,
    *,
    real: RealRows,
    rng: np.random.Generator,
) -> list[Measurement]:
    """Return the two tail tests and the leak that the first would have seen."""
    is_train, what = real.is_train, "training rows"
    relative = relative_to(distance, strangeness)
    if real.entities is not None:  # an entity counts once, with the nearest of its rows
        what = f"values of {evidence.schema.entity_key} in train"
        (distance, relative, strangeness), is_train = nearest_of_entities(
            [distance, relative, -strangeness], is_train, real.entities
        )
        strangeness, alike = -strangeness, np.arange(len(distance))
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
    strange = strangest(strangeness, rng)
    num_strange = len(strange)
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
    every = distance, is_train, alike
    result.append(_detectable(evidence, every, (relative[strange], is_train[strange], alike[strange]), what, rng))
    return result


def _detectable(evidence: Evidence, every: Rows, strangest: Rows, what: str, rng: np.random.Generator) -> Measurement:
    """Return the leak that would have been seen: of any rows, or where common rows hide it, of the strangest ones."""

    def smallest(rows: Rows, quantiles: Sequence[float], level: float) -> int | None:
        distance, is_train, alike = rows
        return smallest_detectable(distance, is_train, quantiles, level, rng=rng, alike=alike)

    policy, num_train = evidence.policy, int(every[1].sum())
    limits = {name: float(policy.limits[name]) for name in ("excess_matches", "atypical_matches", "detectable_leak")}  # type: ignore[arg-type]
    copies = smallest(every, THRESHOLDS, limits["excess_matches"])
    odd = None
    if strangest[1].any() and not strangest[1].all():
        odd = smallest(strangest, ATYPICAL_THRESHOLDS, limits["atypical_matches"])
    among = f"copied {what.removeprefix('training ').removesuffix(' in train')} of {num_train:,}"
    detail: dict[str, Any] = {"any_rows": copies, "strangest_rows": odd}
    hidden = copies is None or copies / num_train > limits["detectable_leak"]
    if hidden and odd is not None and (copies is None or odd < copies):
        copies, among = odd, f"copies of the strangest of {num_train:,} {what}"
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
        reading=f"{copies:,} {among} would have been seen with probability {POWER:.2f}.",
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

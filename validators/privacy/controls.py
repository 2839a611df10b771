"""Do the instruments of this room work on this very table, and is the split what they rest on? Three live controls.

- *Planted copies*: rows of train are put among the synthetic rows, as many as the tail test must see, and it must see
  them; and each of them that no other real row equals must be found again as an exact copy.
- *Halves of train*, cut at random, are contrasted in the place of train and fresh rows: members against members.
- *Real rows in the place of synthetic ones*, drawn without regard to the parts: rows of train must not be nearer to
  those of train than fresh rows are, or the split was not random.

The last two must raise no alarm. Instruments that fail one of the first two make the verdict INVALID; a split that
fails the third leaves it undecided, for the instruments may be sound. A pass says nothing about the synthetic rows,
but that the other numbers can be believed. What it cannot see: a holdout that the synthesizer saw; a split that is not
random in a way that distances do not show.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from validators.evidence import Evidence
from validators.gate import invalid, judged
from validators.measurement import Measurement
from validators.policy import Policy
from validators.privacy.copies import row_codes
from validators.privacy.excess_matches import (
    ATYPICAL_THRESHOLDS,
    THRESHOLDS,
    nearest_of_entities,
    relative_to,
    smallest_detectable,
    strangeness_of,
    strangest,
    tail,
)
from validators.privacy.neighbours import embed, nearest
from validators.privacy.real_rows import RealRows, all_undecided, real_rows

SURE = 0.99999
"""Power with which the planted copies must be seen: a control that cried wolf would stop releases."""

MARGIN, SPARE = 1.5, 5
"""So many times as many copies are planted, and some more: copies bring fresh rows near as well, which the power does
not know."""

ALARM = 1e-4
"""A p-value of a contrast without any difference below it is no chance."""

MAX_ROWS = 10_000
"""Rows of train and fresh ones, each, and synthetic ones: the controls are as sure on a part of a large table."""

NUM_ANCHORS = 2_000
"""Real rows in the place of synthetic ones: at most, and a quarter of all in small tables."""

SUBJECTS: tuple[tuple[str, str], ...] = (("controls", "all rows"),)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The rows that the controls work with.

    Args:
        real: rows of train and fresh ones.
        base: their vectors, float32 N F.
        distance: of each to its nearest synthetic row, float N.
        synthetic: the synthetic rows.

    """

    real: RealRows
    base: np.ndarray
    distance: np.ndarray
    synthetic: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A leak that a tail test must see.

    Args:
        planted: positions of the rows of train whose copies are put among the synthetic rows.
        strange: positions of the strangest rows, where `atypical_matches` looks; None where `excess_matches` does.
        strangeness: of all rows, where it looks among the strangest.
        level: the p-value below which the leak is seen.

    """

    planted: np.ndarray
    level: float
    strange: np.ndarray | None = None
    strangeness: np.ndarray | None = None


def controls(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement, `controls`: INVALID where the instruments fail, undecided where the split does."""
    real = real_rows(evidence)
    if isinstance(real, str):
        return all_undecided(evidence, SUBJECTS, real)
    sides = [np.flatnonzero(real.is_train), np.flatnonzero(~real.is_train)]
    real = real.take(np.concatenate([side[rng.permutation(len(side))[:MAX_ROWS]] for side in sides]))
    synthetic = evidence.synthetic.frame.iloc[rng.permutation(len(evidence.synthetic))[:MAX_ROWS]]
    base, candidates = embed([real.frame, synthetic], evidence.schema, scale=(0,))
    if base.shape[1] == 0:
        return all_undecided(evidence, SUBJECTS, "No column has distances: all are texts, images or ids.")
    bench = Bench(real=real, base=base, distance=nearest(base, candidates)[0], synthetic=synthetic)
    trial = _trial_of_all(bench, evidence.policy, rng) or _trial_of_strangest(bench, evidence.policy, rng)
    if trial is None:
        reading = (
            "Too few fresh rows, or too many natural duplicates, for a planted leak to be seen for certain: whether "
            "the leak tests work on this table cannot be shown."
        )
        return all_undecided(evidence, SUBJECTS, reading)
    halves, own_part = _halves(bench, rng), own_part_of(bench, rng)
    p, lost = _seen(evidence, bench, trial)
    wrong = []
    if p >= trial.level:
        wrong.append(f"{len(trial.planted)} planted copies of training rows were not seen (p = {p:.2g})")
    if lost:
        wrong.append(f"{lost} of {len(trial.planted)} planted copies were not recognised as equal to their originals")
    if halves < ALARM:
        wrong.append(f"two random halves of train look different (p = {halves:.2g})")
    if wrong:
        reading = f"The privacy checks cannot be relied on for this table: {'; '.join(wrong)}."
        return [invalid(name="controls", family="privacy", subject="all rows", reading=reading, policy=evidence.policy)]
    if own_part < ALARM:
        reading = (
            "Training rows lie nearer to one another than to fresh rows: the split was not random, or rows of one "
            f"person have no common key (p = {own_part:.2g}). Then the privacy checks compare what cannot be compared."
        )
        return all_undecided(evidence, SUBJECTS, reading)
    return [
        judged(
            name="controls",
            subject="all rows",
            value=0.0,
            low=0.0,
            high=0.0,
            n=len(base),
            reference=0.0,
            reading=(
                f"The leak tests work on this table: {len(trial.planted)} copies planted for trial were seen, and no "
                "alarm was raised where there was nothing to see."
            ),
            policy=evidence.policy,
            detail={"planted": len(trial.planted), "planted_p": p, "halves_p": halves, "own_part_p": own_part},
        )
    ]


def _trial_of_all(bench: Bench, policy: Policy, rng: np.random.Generator) -> Trial | None:
    """Return a leak of any rows of train, of different entities, that `excess_matches` must see, or None."""
    real, level = bench.real, float(policy.limits["excess_matches"])  # type: ignore[arg-type]
    (distance,), is_train = nearest_of_entities([bench.distance], real.is_train, real.entities)
    alike = _alike(bench.base) if real.entities is None else None
    least = smallest_detectable(distance, is_train, THRESHOLDS, level, rng=rng, alike=alike, power=SURE)
    free = rng.permutation(np.flatnonzero(real.is_train))
    if real.entities is not None:
        free = free[~pd.Series(real.entities[free]).duplicated().to_numpy()]
    planted = _enough(free, least)
    return None if planted is None else Trial(planted=planted, level=level)


def _trial_of_strangest(bench: Bench, policy: Policy, rng: np.random.Generator) -> Trial | None:
    """Return a leak of the strangest rows that `atypical_matches` must see, where common rows hide any other."""
    if bench.real.entities is not None:
        return None
    level = float(policy.limits["atypical_matches"])  # type: ignore[arg-type]
    strangeness = strangeness_of(bench.base, rng)
    strange = strangest(strangeness, rng)
    is_train = bench.real.is_train[strange]
    if is_train.all() or not is_train.any():
        return None
    least = smallest_detectable(
        relative_to(bench.distance, strangeness)[strange],
        is_train,
        ATYPICAL_THRESHOLDS,
        level,
        rng=rng,
        alike=_alike(bench.base)[strange],
        power=SURE,
    )
    planted = _enough(rng.permutation(strange[is_train]), least)
    return None if planted is None else Trial(planted=planted, level=level, strange=strange, strangeness=strangeness)


def _enough(free: np.ndarray, least: int | None) -> np.ndarray | None:
    """Return the first of the `free` rows, with a margin over `least` as far as there are so many, or None."""
    return None if least is None or len(free) < least else free[: math.ceil(MARGIN * least) + SPARE]


def _alike(base: np.ndarray) -> np.ndarray:
    return pd.factorize(np.array([row.tobytes() for row in base], dtype=object))[0]


def _seen(evidence: Evidence, bench: Bench, trial: Trial) -> tuple[float, int]:
    """Return the p-value of the trial's test with the copies planted, and how many are not known as copies."""
    rows, is_train = bench.real.frame.iloc[trial.planted], bench.real.is_train
    base, copies = embed([bench.real.frame, rows], evidence.schema, scale=(0,))
    distance = np.minimum(bench.distance, nearest(base, copies)[0])
    if trial.strange is not None and trial.strangeness is not None:
        relative = relative_to(distance, trial.strangeness)
        p = tail(relative[trial.strange], is_train[trial.strange], ATYPICAL_THRESHOLDS).p
    else:
        (distance,), is_train = nearest_of_entities([distance], is_train, bench.real.entities)
        p = tail(distance, is_train, THRESHOLDS).p
    names = [column.name for column in evidence.schema.columns if column.kind not in ("id", "image")]
    released = pd.concat([bench.synthetic, rows], ignore_index=True)
    codes, candidates = row_codes([bench.real.frame, released], names)
    return p, int((~np.isin(codes[trial.planted], candidates)).sum())


def _halves(bench: Bench, rng: np.random.Generator) -> float:
    """Return the p-value of one random half of train (of its entities) against the other."""
    train = bench.real.is_train
    entities = None if bench.real.entities is None else bench.real.entities[train]
    (distance,), _ = nearest_of_entities([bench.distance[train]], train[train], entities)
    return tail(distance, rng.permutation(len(distance)) < len(distance) // 2, THRESHOLDS).p


def own_part_of(bench: Bench, rng: np.random.Generator) -> float:
    """Return the p-value that real rows lie near rows of their own part, train or fresh, more often than chance has it.

    Some rows are drawn without regard to the parts; each other row votes for the part of the nearest of them. Given the
    votes, which of the other rows are of train is a random choice, so that the number of train's votes for train is
    hypergeometric (Fisher's exact test; cf. Schilling 1986, nearest-neighbour test).
    """
    order = rng.permutation(len(bench.base))
    num = min(NUM_ANCHORS, len(order) // 4)
    anchors, others = order[:num], order[num:]
    entities = bench.real.entities
    if entities is not None:  # one row of each, and rows of the anchors' own people are near by nature
        others = others[~np.isin(entities[others], entities[anchors]) & ~pd.Series(entities[others]).duplicated()]
    if not len(others):
        return 1.0
    is_train = bench.real.is_train
    votes = is_train[anchors[nearest(bench.base[others], bench.base[anchors])[1]]]
    own = int((votes & is_train[others]).sum())
    return float(stats.hypergeom.sf(own - 1, len(others), int(votes.sum()), int(is_train[others].sum())))

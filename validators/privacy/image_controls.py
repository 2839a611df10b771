"""Do the judges of pictures work on these very pictures, and is the split what they rest on? Three live controls.

- *Planted copies*: pictures of train, plain and mirrored, are put among the synthetic ones, as many as must be seen;
  the test must see them, and each must be matched. Others are planted moved, cropped and noisy, and how many of them
  are matched is told.
- *Halves of train*, cut at random, are contrasted in the place of train and fresh pictures: members against members.
- *Real pictures in the place of synthetic ones*, drawn without regard to the parts: pictures of train must not be
  nearer to those of train than fresh ones are, or the split was not random.

What it cannot see: a holdout that the synthesizer saw.
"""

import math

import numpy as np
import pandas as pd
from scipy import stats

from validators.evidence import Evidence
from validators.gate import invalid, judged
from validators.measurement import Measurement
from validators.privacy.controls import ALARM, NUM_ANCHORS
from validators.privacy.excess_matches import THRESHOLDS, nearest_of_entities, tail
from validators.privacy.image_comparison import Comparison, fewest_seen, is_match, weighed
from validators.privacy.image_search import FINER, WHOLE, grid_of, nearest_still, search
from validators.privacy.image_views import Window, described, sampled
from validators.privacy.neighbours import nearest
from validators.privacy.real_rows import all_undecided

NAME = "image_controls"
MARGIN, SPARE = 1.5, 5
"""So many times as many copies are planted as are seen for certain, and some more: equal pictures count once."""

NUM_DISGUISED = 40
NOISE = 5 / 255
"""Standard deviation of the noise on a disguised copy, of full range 1."""

SEEN_SHARE = 0.9
"""Of the plain and mirrored copies so many must be matched: one of a blank picture is not."""


def image_controls(
    evidence: Evidence, comparison: Comparison, column: str, *, level: float, rng: np.random.Generator
) -> Measurement:
    """Return one measurement: INVALID where the judges of pictures fail, undecided where the split does.

    Args:
        evidence: for the policy.
        comparison: of the column.
        column: its name.
        level: the p-value below which a leak refuses.
        rng: draws the pictures that are planted.

    """
    fewest = fewest_seen(comparison, level)
    originals = _originals(comparison, rng)
    num = 0 if fewest is None else math.ceil(MARGIN * fewest) + SPARE
    if fewest is None or num > len(originals):
        reading = (
            "Too few pictures, or too many natural duplicates, for planted copies to be seen for certain: whether the "
            "judges of pictures work on these cannot be shown."
        )
        return all_undecided(evidence, [(NAME, column)], reading)[0]
    p, seen = _planted(comparison, originals[:num])
    disguised = _disguised(comparison, originals[num : num + NUM_DISGUISED], rng)
    halves, own_part = _halves(comparison, rng), _own_part(comparison, rng)
    wrong = []
    if p >= level or seen < SEEN_SHARE:
        wrong.append(f"of {num} planted copies of training pictures {seen:.0%} were matched (p = {p:.2g})")
    if halves < ALARM:
        wrong.append(f"two random halves of train look different (p = {halves:.2g})")
    if wrong:
        reading = f"The judges of pictures cannot be relied on here: {'; '.join(wrong)}."
        return invalid(name=NAME, family="privacy", subject=column, reading=reading, policy=evidence.policy)
    if own_part < ALARM:
        reading = (
            "Training pictures lie nearer to one another than to fresh ones: the split was not random, or pictures of "
            f"one person have no common key (p = {own_part:.2g}). Then train and fresh cannot be compared."
        )
        return all_undecided(evidence, [(NAME, column)], reading)[0]
    return judged(
        name=NAME,
        subject=column,
        value=0.0,
        low=0.0,
        high=0.0,
        n=len(comparison.pictures),
        reference=0.0,
        reading=(
            f"The judges of pictures work on these: {num} copies planted for trial were seen, {disguised:.0%} of "
            "further ones that were cropped and made noisy were matched, and no alarm was raised without a cause."
        ),
        policy=evidence.policy,
        detail={
            "planted": num,
            "planted_p": p,
            "matched": seen,
            "disguised_matched": disguised,
            "halves_p": halves,
            "own_part_p": own_part,
        },
    )


def _originals(comparison: Comparison, rng: np.random.Generator) -> np.ndarray:
    """Return the positions of training pictures that are not matched, one of each entity, in random order."""
    real, found = comparison.real, comparison.found
    free = real.is_train & ~is_match(comparison.still, found.still) & ~is_match(comparison.moved, found.moved)
    rows = rng.permutation(np.flatnonzero(free))
    return rows if real.entities is None else rows[~pd.Series(real.entities[rows]).duplicated().to_numpy()]


def _planted(comparison: Comparison, originals: np.ndarray) -> tuple[float, float]:
    """Return the p-value with copies of the `originals` planted, every other one mirrored, and the share matched."""
    copies = comparison.pictures[originals].copy()
    copies[1::2] = copies[1::2, :, :, ::-1]
    num = min(2, len(copies))
    gap = nearest_still(comparison.pictures, copies, comparison.spaces, num)[1].min(axis=1)
    still = np.minimum(comparison.found.still, gap / comparison.scale)
    p = weighed(comparison, still, comparison.found.moved).p
    return p, float(is_match(comparison.still, still[originals]).mean())


def _disguised(comparison: Comparison, originals: np.ndarray, rng: np.random.Generator) -> float:
    """Return the share of training pictures that are matched by copies of 85 to 95 % of them with noise."""
    pictures = comparison.pictures[originals]
    if not len(pictures):
        return 0.0
    share = rng.uniform(0.85, 0.95, len(pictures))
    corners = rng.uniform(size=(len(pictures), 2)) * (1 - share[:, None])
    height, width = pictures.shape[2:]
    copies = np.concatenate(
        [
            sampled(pictures[i : i + 1], Window(top=top, left=left, share=share[i]), (height, width))
            for i, (top, left) in enumerate(corners)
        ]
    )
    copies = np.clip(copies + rng.normal(0, NOISE, copies.shape), 0, 1).astype(np.float32)
    found = search(pictures, np.concatenate([comparison.synthetic, copies]), comparison.spaces)
    scale = comparison.scale[originals]
    matched = is_match(comparison.still, found.still / scale) | is_match(comparison.moved, found.moved / scale)
    return float(matched.mean())


def _halves(comparison: Comparison, rng: np.random.Generator) -> float:
    """Return the p-value of one random half of train (of its entities) against the other."""
    real = comparison.real
    train = real.is_train
    entities = None if real.entities is None else real.entities[train]
    (rank,), _ = nearest_of_entities([comparison.rank[train]], train[train], entities)
    return tail(rank, rng.permutation(len(rank)) < len(rank) // 2, THRESHOLDS).p


def _own_part(comparison: Comparison, rng: np.random.Generator) -> float:
    """Return the p-value that real pictures lie near those of their own part more often than chance has it.

    As `controls`: some pictures are drawn without regard to the parts, each other one votes for the part of the nearest
    of them, and the number of train's votes for train is hypergeometric.
    """
    pictures, real = comparison.pictures, comparison.real
    grids = sampled(pictures, WHOLE, grid_of(pictures, FINER))
    base = described(grids, comparison.spaces.whole[FINER])
    order = rng.permutation(len(base))
    num = min(NUM_ANCHORS, len(order) // 4)
    anchors, others = order[:num], order[num:]
    if real.entities is not None:  # one picture of each, and those of the anchors' own people are near by nature
        own = np.isin(real.entities[others], real.entities[anchors])
        others = others[~own & ~pd.Series(real.entities[others]).duplicated().to_numpy()]
    if not len(others):
        return 1.0
    votes = real.is_train[anchors[nearest(base[others], base[anchors])[1]]]
    same = int((votes & real.is_train[others]).sum())
    return float(stats.hypergeom.sf(same - 1, len(others), int(votes.sum()), int(real.is_train[others].sum())))

"""Are pictures of train among the synthetic ones, plain or in disguise? Matches by chance, and the tail test.

Every real picture is compared with every synthetic one: as it stands, mirrored, moved, cropped, and whatever its
brightness and contrast (`image_search`). From the fresh ones follows how near chance comes (`image_law`); training
pictures nearer than that are *matched*. Three things are asked of them (`image_comparison`).

1. Are more of train matched than of the fresh ones? The tail test of `excess_matches`, which needs a dozen.
2. Are there more than the power law of distances has by chance? Three of them are enough to say so.
3. Are there more than real pictures match one another? Collections hold natural duplicates, which no power law knows.

The first alone tells a diffuse leak; a few copies are told by the second with the third as its witness.

Measured with it: `image_leak`, how many copied pictures would have been seen; `image_controls`, whether planted ones
are; `image_group_matches`, whether those of one protected group are matched.

What it cannot see: what `image_views` cannot; a leak of pictures that train and holdout share; a holdout that the
synthesizer saw.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from validators.evidence import Evidence
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.privacy.excess_matches import POWER, THRESHOLDS, nearest_of_entities, smallest_detectable
from validators.privacy.image_comparison import (
    CLASSES,
    Comparison,
    Evidences,
    compared,
    fewest_seen,
    weighed,
)
from validators.privacy.image_controls import image_controls
from validators.privacy.image_groups import image_group_matches
from validators.privacy.image_law import EXPECTED, UNKNOWN
from validators.privacy.real_rows import all_undecided, real_rows

MOST_POSITIONS = 1_000
"""Positions of matched synthetic pictures that are kept for the private report."""

NAMES = ("image_matches", "image_leak", "image_controls", "image_group_matches")


def image_matches(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return the measurements named in `NAMES`, for each image column; nothing where there is none."""
    columns = [column.name for column in evidence.schema.columns if column.kind == "image"]
    found: list[Measurement] = []
    for column in columns:
        names = NAMES if evidence.schema.protected else NAMES[:3]
        real = real_rows(evidence)
        if isinstance(real, str):
            found += all_undecided(evidence, [(one, column) for one in names], real)
            continue
        comparison = compared(evidence, real, column, rng)
        found.append(_matches(evidence, comparison, column, len(columns)))
        level = float(evidence.policy.limits["image_matches"]) / len(columns)  # type: ignore[arg-type]
        found.append(_leak(evidence, comparison, column, level=level, rng=rng))
        found.append(image_controls(evidence, comparison, column, level=level, rng=rng))
        found += image_group_matches(evidence, comparison, column)
    return found


def _matches(evidence: Evidence, comparison: Comparison, column: str, num_columns: int) -> Measurement:
    weights = weighed(comparison, comparison.found.still, comparison.found.moved)
    positions = comparison.matched_synthetic()
    p = min(1.0, num_columns * weights.p)
    detail: dict[str, Any] = {
        "synthetic_pictures": len(positions),
        "positions": positions[:MOST_POSITIONS].tolist(),
        "train": weights.train,
        "fresh": weights.fresh,
        "natural_pairs": weights.natural,
        "by_law": weights.by_law,
        "by_nature": weights.by_nature,
        "tail": asdict(weights.tail),
        "law_known": comparison.still is not UNKNOWN,
    }
    return judged(
        name="image_matches",
        subject=column,
        value=p,
        low=p,
        high=p,
        n=len(comparison.pictures),
        reading=_reading(weights, len(positions), comparison),
        policy=evidence.policy,
        detail=detail,
    )


def _reading(weights: Evidences, num_synthetic: int, comparison: Comparison) -> str:
    told = (
        f"{num_synthetic} of {len(comparison.synthetic)} synthetic pictures match {weights.train} pictures of train, "
        f"plain or in disguise, so near that chance brings {EXPECTED} of all there; of fresh pictures {weights.fresh} "
        f"are matched so, and {weights.natural - weights.fresh} pairs of real ones match each other"
    )
    excess = weights.tail.train - weights.tail.expected
    if excess > 0 and weights.tail.p < weights.by_law:
        told += (
            f". Of the {weights.tail.train + weights.tail.fresh} real pictures that are matched best "
            f"{weights.tail.train} are of train, where chance gives {weights.tail.expected:.0f}"
        )
    return f"{told} (p = {weights.p:.2g})."


def _leak(
    evidence: Evidence, comparison: Comparison, column: str, *, level: float, rng: np.random.Generator
) -> Measurement:
    """Return how many copied pictures would have been seen, by the tail test or by the other two together."""
    real = comparison.real
    (still,), is_train = nearest_of_entities([comparison.found.still], real.is_train, real.entities)
    num_train = int(is_train.sum())
    share = level / (2 * CLASSES)  # that the tail test of still pictures has of it
    sizes = [smallest_detectable(still, is_train, THRESHOLDS, share, rng=rng), fewest_seen(comparison, level)]
    known = [size for size in sizes if size is not None and size <= num_train]
    if not known:
        reading = "No leak of any size would have been seen: too few fresh pictures, or too many natural duplicates."
        return undecided(name="image_leak", subject=column, n=num_train, reading=reading, policy=evidence.policy)
    fewest = min(known)
    return judged(
        name="image_leak",
        subject=column,
        value=fewest / num_train,
        low=0.0,
        high=fewest / num_train,
        n=num_train,
        reading=f"{fewest} plain copies of {num_train:,} pictures in train would have been seen (with power {POWER}).",
        policy=evidence.policy,
        detail={"pictures": fewest, "of": num_train, "power": POWER, "by_tail": sizes[0]},
    )

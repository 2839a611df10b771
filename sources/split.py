"""Train, holdout and reference: a seeded split in which the rows of one entity stay together."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.dataset import Dataset, with_hashes
from sources.errors import SourceInputError
from sources.randomness import stream

FEWEST_ROWS = 10
FRACTIONS = (0.65, 0.20, 0.15)


@dataclass(frozen=True, kw_only=True)
class Split:
    """Three parts of a dataset, disjoint by entity, each in the order of the source.

    Args:
        train: all that a synthesizer sees.
        holdout: real rows that no synthesizer and no tuning sees.
        reference: further real rows, the adversary's own.
        duplicates: rows of the whole that repeat an earlier row exactly; counted, none dropped.

    """

    train: Dataset
    holdout: Dataset
    reference: Dataset
    duplicates: int


def split(dataset: Dataset, *, seed: int, fractions: tuple[float, float, float] = FRACTIONS) -> Split:
    """Return the three parts of `dataset`; the same seed and rows give the same parts.

    Entities (each row its own where the schema names no entity key) are put into a random order and cut where the
    rows so far come nearest to the fractions. Exact duplicates of different entities are assigned independently of
    each other, which is what makes train and holdout exchangeable under the null of the excess-match test.

    Raises:
        SourceInputError: fewer than 10 rows or 3 entities, entities too large for three parts, or fractions that are no
            shares of 1.

    """
    if any(part <= 0 for part in fractions) or abs(sum(fractions) - 1) > 1e-9:  # noqa: PLR2004 - float sum
        raise SourceInputError(
            "split: fractions must be positive and sum to 1", seen=fractions, remedy=f"leave them at {FRACTIONS}"
        )
    if len(dataset) < FEWEST_ROWS:
        raise SourceInputError(
            "split: too few rows for train, holdout and reference",
            seen=f"{len(dataset)} rows (at least {FEWEST_ROWS})",
            remedy="give more rows",
        )
    entities, num_entities = _entities(dataset)
    if num_entities < len(fractions):
        raise SourceInputError(
            "split: too few entities for train, holdout and reference",
            seen=f'{num_entities} in column "{dataset.schema.entity_key}"',
            remedy="choose another schema.entity_key, or leave it out",
        )
    order = stream(seed, "split").permutation(num_entities)
    sizes = np.bincount(entities, minlength=num_entities)[order]
    part_of = np.empty(num_entities, dtype=np.int64)
    part_of[order] = _parts(sizes, fractions)
    parts = [dataset.take(np.flatnonzero(part_of[entities] == part)) for part in range(len(fractions))]
    if any(len(part) == 0 for part in parts):
        raise SourceInputError(
            "split: one entity has so many rows that a part is left empty",
            seen=f"{int(sizes.max()):,} of {len(dataset):,} rows in one entity",
            remedy="choose another schema.entity_key, or leave it out",
        )
    train, holdout, reference = parts
    return Split(train=train, holdout=holdout, reference=reference, duplicates=count_duplicates(dataset))


def count_duplicates(dataset: Dataset) -> int:
    """Return the number of rows that repeat an earlier row exactly, pictures included."""
    return int(with_hashes(dataset).duplicated().sum())


def _entities(dataset: Dataset) -> tuple[np.ndarray, int]:
    """Return each row's entity as a number from 0, and how many there are; a row without key is its own entity."""
    key = dataset.schema.entity_key
    if key is None:
        return np.arange(len(dataset)), len(dataset)
    codes, uniques = pd.factorize(dataset.frame[key])
    unkeyed = np.flatnonzero(codes < 0)
    codes = codes.astype(np.int64)
    codes[unkeyed] = len(uniques) + np.arange(len(unkeyed))
    return codes, len(uniques) + len(unkeyed)


def _parts(sizes: np.ndarray, fractions: tuple[float, ...]) -> np.ndarray:
    """Return the part of each entity in the shuffled order: cut where the rows before come nearest to the shares."""
    before = np.concatenate([[0], np.cumsum(sizes)])
    shares = np.cumsum(fractions)[:-1] * before[-1]
    cuts = [int(np.argmin(np.abs(before - share))) for share in shares]
    floor = 1
    for position in range(len(cuts)):
        cuts[position] = min(max(cuts[position], floor), len(sizes) - (len(cuts) - position))
        floor = cuts[position] + 1
    return np.searchsorted(np.array(cuts), np.arange(len(sizes)), side="right")

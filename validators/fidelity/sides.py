"""The three sides of a fidelity check: what was learnt, what a fresh sample looks like, what is judged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from validators.encoding import EncodedColumn, Part, encode
from validators.evidence import Evidence
from validators.gate import undecided
from validators.measurement import Measurement

HALVED = " No holdout was given: a random half of the training part stands in for it."


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Encoded train, holdout and synthetic rows.

    Args:
        columns: how each column is encoded.
        train, holdout, synthetic: the rows, in random order.
        halved: there was no holdout, so `train` and `holdout` are random halves of the training part.

    """

    columns: tuple[EncodedColumn, ...]
    train: Part
    holdout: Part
    synthetic: Part
    halved: bool

    @property
    def caveat(self) -> str:
        """Return the words that every reading ends with when there was no holdout."""
        return HALVED if self.halved else ""

    @property
    def categorical(self) -> np.ndarray:
        """Return a boolean mask over the columns (bool C)."""
        return np.array([column.categorical for column in self.columns], dtype=bool)


def sides_of(evidence: Evidence, rng: np.random.Generator) -> Sides:
    """Return the sides, each in random order, so that chunks and folds of them are random samples."""
    encoded = encode(evidence)
    train = encoded.train.take(rng.permutation(len(encoded.train)))
    halved = encoded.holdout is None
    if encoded.holdout is None:
        half = len(train) // 2
        holdout, train = train.take(np.arange(half)), train.take(np.arange(half, len(train)))
    else:
        holdout = encoded.holdout.take(rng.permutation(len(encoded.holdout)))
    return Sides(
        columns=encoded.columns,
        train=train,
        holdout=holdout,
        synthetic=encoded.synthetic.take(rng.permutation(len(encoded.synthetic))),
        halved=halved,
    )


def with_holdout(evidence: Evidence, rng: np.random.Generator) -> tuple[Evidence, str]:
    """Return evidence that has a holdout, by halving train where there is none, and the words that readings end with.

    Whole entities go to either half, so that the rows of one stay together.
    """
    if evidence.holdout is not None:
        return evidence, ""
    order = entity_order(evidence.train, evidence.schema.entity_key, rng)
    half = len(order) // 2
    return (
        replace(evidence, holdout=evidence.train.take(order[:half]), train=evidence.train.take(order[half:])),
        HALVED,
    )


def entity_order(dataset: Dataset, entity_key: str | None, rng: np.random.Generator) -> np.ndarray:
    """Return positions of the rows in random order, the rows of one entity side by side (int64 N)."""
    order = rng.permutation(len(dataset))
    if entity_key is None:
        return order
    codes = entity_codes(dataset.frame[entity_key])
    rank = rng.permutation(int(codes.max(initial=-1)) + 1)
    return order[np.argsort(rank[codes[order]], kind="stable")]


def entity_codes(cells: pd.Series) -> np.ndarray:
    """Return a code for the entity of each row (int64 N), in the order of appearance; missing ones stand alone."""
    codes, known = pd.factorize(cells)
    return np.where(codes < 0, len(known) + np.arange(len(codes)), codes)


def rows_per_entity(evidence: Evidence) -> float:
    """Return how many rows an entity has in the mean: rows of one are alike, so counts are worth so much less."""
    if evidence.schema.entity_key is None:
        return 1.0
    known = evidence.train.frame[evidence.schema.entity_key].dropna()
    return max(len(known) / max(known.nunique(), 1), 1.0)


def design_effect(evidence: Evidence) -> float:
    """Return how much larger the variance of a mean is when the rows of an entity are alike (Kish 1965).

    The sum of the squared numbers of rows by the number of rows: large entities weigh more than in `rows_per_entity`.
    """
    if evidence.schema.entity_key is None or len(evidence.train) == 0:
        return 1.0
    sizes = np.bincount(entity_codes(evidence.train.frame[evidence.schema.entity_key]))
    return float(np.square(sizes).sum() / sizes.sum())


def too_few(evidence: Evidence, subjects: Sequence[tuple[str, str]]) -> list[Measurement]:
    """Return an undecided measurement for each (name, subject) when a part is too small to be judged, else nothing."""
    sizes = {"training": len(evidence.train), "synthetic": len(evidence.synthetic)}
    if evidence.holdout is not None:
        sizes["holdout"] = len(evidence.holdout)
    part, n = min(sizes.items(), key=lambda item: item[1])
    if n >= evidence.policy.min_rows:
        return []
    reading = f"The {part} part has {n:,} rows; under {evidence.policy.min_rows} nothing is concluded."
    return [
        undecided(name=name, subject=subject, n=n, reading=reading, policy=evidence.policy)
        for name, subject in subjects
    ]

"""The three sides of a fidelity check: what was learnt, what a fresh sample looks like, what is judged."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from validators.encoding import EncodedColumn, Part, encode
from validators.evidence import Evidence
from validators.gate import undecided
from validators.measurement import Measurement


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
        return " No holdout was given: a random half of the training part stands in for it." if self.halved else ""

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

"""The rows that checks of pictures compare: equally many of each part, in random order, and their features."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sources.dataset import Dataset
from sources.randomness import stream
from validators.evidence import Evidence
from validators.features.column import Features, PictureColumn
from validators.features.own_space import OWN
from validators.fidelity.sides import design_effect, entity_order
from validators.gate import undecided
from validators.measurement import Measurement

MAX_ROWS = 5_000
"""Rows a side: the standard errors are then far under the limits, and a judgement stays under a minute."""

MAX_OWN_ROWS = 2_000
"""Of them by a user's own network, the same in every check: it may be large and see few pictures a second."""


@dataclass(frozen=True, kw_only=True)
class PictureRows:
    """Positions of the compared rows in `Features.train`, `.holdout` and `.synthetic` (int64 N each), random order.

    Args:
        features: the pictures.
        train, synthetic: equally many.
        holdout: as many, or fewer where it has fewer.
        alike: how much larger variances are because rows of one entity are alike (1 without entities).
        own: train, holdout and synthetic positions that a user's own network sees.

    """

    features: Features
    train: np.ndarray
    holdout: np.ndarray
    synthetic: np.ndarray
    alike: float
    own: tuple[np.ndarray, np.ndarray, np.ndarray]

    def parts(self, column: PictureColumn, extractor: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the features of train, holdout and synthetic rows (float32 N F each)."""
        of = self.features
        train, holdout, synthetic = self.own if extractor == OWN else (self.train, self.holdout, self.synthetic)
        return (
            column.features_at(of.train, extractor, train),
            column.features_at(of.holdout, extractor, holdout),
            column.features_at(of.synthetic, extractor, synthetic),
        )

    def spaces(self) -> Iterator[tuple[str, tuple[np.ndarray, np.ndarray, np.ndarray]]]:
        """Yield a name and the parts' features for each network of each image column."""
        for column in self.features.columns:
            for extractor in column.spaces:
                yield space_name(self.features, column, extractor), self.parts(column, extractor)


def picture_rows(evidence: Evidence, rng: np.random.Generator) -> PictureRows:
    """Return the rows to compare; `evidence.features` must be there."""
    of = evidence.features
    assert of is not None
    key = evidence.schema.entity_key
    rows = min(len(of.train), len(of.synthetic), MAX_ROWS)
    return PictureRows(
        features=of,
        train=rng.permutation(entity_order(of.train, key, rng)[:rows]),
        holdout=rng.permutation(entity_order(of.holdout, key, rng)[:MAX_ROWS]),
        synthetic=rng.permutation(entity_order(of.synthetic, key, rng)[:rows]),
        alike=design_effect(evidence),
        own=(
            _fixed(of.train, key, "train", min(rows, MAX_OWN_ROWS)),
            _fixed(of.holdout, key, "holdout", MAX_OWN_ROWS),
            _fixed(of.synthetic, key, "synthetic", min(rows, MAX_OWN_ROWS)),
        ),
    )


def _fixed(dataset: Dataset, key: str | None, part: str, most: int) -> np.ndarray:
    """Return at most so many rows in a random order that is the same in every check, so that each is seen once."""
    rng = stream(0, "judge", "own features", part)
    return rng.permutation(entity_order(dataset, key, rng)[:most])


def space_names(features: Features) -> list[str]:
    """Return the names that `PictureRows.spaces` yields."""
    return [space_name(features, column, one) for column in features.columns for one in column.spaces]


def space_name(features: Features, column: PictureColumn, extractor: str) -> str:
    """Return how measurements call one network of one image column."""
    return f"{extractor} features" if len(features.columns) == 1 else f"{extractor} features of {column.name!r}"


def too_few_pictures(evidence: Evidence, subjects: Sequence[tuple[str, str]]) -> list[Measurement]:
    """Return an undecided measurement for each (name, subject) when a part is too small to be judged, else nothing."""
    of = evidence.features
    assert of is not None
    sizes = {"training": len(of.train), "holdout": len(of.holdout), "synthetic": len(of.synthetic)}
    part, n = min(sizes.items(), key=lambda item: item[1])
    if n >= evidence.policy.min_rows:
        return []
    reading = f"The {part} part has {n:,} pictures to judge; under {evidence.policy.min_rows} nothing is concluded."
    return [
        undecided(name=name, subject=subject, n=n, reading=reading + of.caveat, policy=evidence.policy)
        for name, subject in subjects
    ]

"""The rows of the sides of a comparison together with the protected groups that they belong to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from validators.bias.groups import Grouping, groupings
from validators.encoding import Part, encode
from validators.evidence import Evidence
from validators.fidelity.sides import Sides


@dataclass(frozen=True, kw_only=True)
class Membership:
    """The group of each row under one grouping, in the order of the sides.

    Args:
        grouping: the groups.
        train, holdout, synthetic: codes of the groups (int N each), -1 for labels that no real row has.

    """

    grouping: Grouping
    train: np.ndarray
    holdout: np.ndarray
    synthetic: np.ndarray


def sides_and_groups(evidence: Evidence, rng: np.random.Generator) -> tuple[Sides, Sequence[Membership]]:
    """Return the sides in random order, all fresh real rows as the holdout, and one membership for each grouping.

    Without fresh rows a random half of the training part stands in for them (`Sides.halved`).
    """
    encoded = encode(evidence)
    own = encoded.train
    others = [part for part in (encoded.holdout, encoded.reference) if part is not None]
    real = Part(
        values=np.concatenate([part.values for part in (own, *others)]),
        cells=np.concatenate([part.cells for part in (own, *others)]),
    )
    train = rng.permutation(len(own))
    fresh = len(own) + rng.permutation(len(real) - len(own))
    if not others:
        fresh, train = np.split(train, [len(own) // 2])
    synthetic = rng.permutation(len(encoded.synthetic))
    sides = Sides(
        columns=encoded.columns,
        train=real.take(train),
        holdout=real.take(fresh),
        synthetic=encoded.synthetic.take(synthetic),
        halved=not others,
    )
    found = [
        Membership(
            grouping=grouping,
            train=grouping.real[train],
            holdout=grouping.real[fresh],
            synthetic=grouping.synthetic[synthetic],
        )
        for grouping in groupings(evidence)
    ]
    return sides, found

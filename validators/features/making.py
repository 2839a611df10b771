"""Which real rows train the networks that judge pictures: never those that are judged by them.

The reference part trains them. Where there is none, a random half of the holdout does and the other half is judged;
where there is no holdout either, the training part is cut into thirds: one trains, one is the training part, one stands
in for the holdout. Rows of one entity stay together.
"""

import numpy as np

from sources.dataset import Dataset
from sources.randomness import stream
from validators.evidence import Evidence
from validators.features.column import FEWEST_LEARNT, Features, PictureColumn
from validators.fidelity.sides import entity_codes

HALF_OF_HOLDOUT = (
    " No reference part was given: the networks learnt from a random half of the holdout, the other half is judged."
)
THIRDS_OF_TRAIN = (
    " No holdout was given: the networks learnt from a random third of the training part, another third stands in for "
    "the holdout."
)


def features_of(evidence: Evidence, *, seed: int) -> Features | None:
    """Return the features of the pictures in `evidence`, or None where the schema has no image column.

    Nothing is computed before it is asked for, but the extractor that the policy names is opened. The same rows
    and seed give the same features.

    Raises:
        ValidatorInputError: the file of that extractor is missing, or another one.

    """
    names = [column.name for column in evidence.schema.columns if column.kind == "image"]
    if not names:
        return None
    train, holdout, learnt, caveat = evidence.train, evidence.holdout, evidence.reference, ""
    key = evidence.schema.entity_key
    rng = stream(seed, "judge", "features", "parts")
    if holdout is None:
        learnt, train, holdout = _cut(train, key, 3, rng)
        caveat = THIRDS_OF_TRAIN
    elif learnt is None or len(learnt) < FEWEST_LEARNT:
        learnt, holdout = _cut(holdout, key, 2, rng)
        caveat = HALF_OF_HOLDOUT
    own = None
    if evidence.policy.extractor is not None:
        from validators.features.own import load  # noqa: PLC0415 - torch is loaded when pictures are judged

        own = load(evidence.policy.extractor)
    return Features(
        columns=tuple(PictureColumn(name, learnt, seed=seed, own=own) for name in names),
        train=train,
        holdout=holdout,
        synthetic=evidence.synthetic,
        caveat=caveat,
    )


def _cut(dataset: Dataset, entity_key: str | None, num_parts: int, rng: np.random.Generator) -> list[Dataset]:
    """Return the rows in `num_parts` random parts of about equal size, no entity in two of them."""
    codes = np.arange(len(dataset)) if entity_key is None else entity_codes(dataset.frame[entity_key])
    part = (rng.permutation(int(codes.max(initial=-1)) + 1) % num_parts)[codes]
    return [dataset.take(np.flatnonzero(part == position)) for position in range(num_parts)]

"""Is any kind of picture lost, whatever its label? Kinds are clusters of real ones, and classes that a network reads.

Clusters are found by k-means in the self-supervised space among the rows that trained the networks; each picture
belongs to the nearest centre. A kind is lost when it has surely less than half of its real share, and over-drawn when
surely more than twice (as `lost_values` asks of labels).

What it cannot see: kinds whose loss is within chance; variety within a kind (see `image_coverage`, `image_recall`).
"""

from collections.abc import Iterator, Sequence

import numpy as np
from sklearn.cluster import KMeans

from validators.evidence import Evidence
from validators.features.column import RANDOM, SELF_SUPERVISED, SUPERVISED, Features, PictureColumn
from validators.fidelity.image_rows import too_few_pictures
from validators.fidelity.lost_values import HALF, fewer_p
from validators.fidelity.sides import rows_per_entity
from validators.gate import judged
from validators.measurement import Measurement

MAX_CLUSTERS = 30
ROWS_OF_CLUSTER = 15
"""Learning rows for each cluster: smaller ones would be accidents of these rows."""


def image_modes(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `image_modes`: the smallest p-value over kinds, corrected for their number; nothing without pictures."""
    if evidence.features is None:
        return []
    of = evidence.features
    few = too_few_pictures(evidence, [("image_modes", "all kinds of pictures")])
    if few:
        return few
    per_entity = rows_per_entity(evidence)
    looks = [look for column in of.columns for look in _kinds(of, column, rng)]
    sizes = [max(int((len(of.train) + len(of.holdout)) / per_entity), 1), max(int(len(of.synthetic) / per_entity), 1)]
    best: tuple[float, str, int, int] = (1.0, "", 0, 0)
    for what, num_real, num_synthetic in looks:
        counts = int(num_real / per_entity), int(num_synthetic / per_entity)
        p = min(
            fewer_p(counts[1], sizes[1], counts[0], sizes[0], least=HALF),
            fewer_p(counts[0], sizes[0], counts[1], sizes[1], least=HALF),
        )
        p = min(1.0, 2 * len(looks) * p)
        if p < best[0]:
            best = p, what, num_real, num_synthetic
    p, what, num_real, num_synthetic = best
    reading = f"None of {len(looks)} kinds of pictures is surely halved or doubled."
    if p < 1:
        reading = (
            f"{what[0].upper() + what[1:]} is {num_synthetic / len(of.synthetic):.1%} of the synthetic pictures and "
            f"{num_real / (len(of.train) + len(of.holdout)):.1%} of the real ones (p = {p:.2g})."
        )
    return [
        judged(
            name="image_modes",
            subject="all kinds of pictures",
            value=p,
            low=p,
            high=p,
            n=len(of.synthetic),
            reading=reading + of.caveat,
            policy=evidence.policy,
            detail={"kind": what, "synthetic": num_synthetic, "real": num_real, "num_kinds": len(looks)},
        )
    ]


def _kinds(of: Features, column: PictureColumn, rng: np.random.Generator) -> Iterator[tuple[str, int, int]]:
    """Yield each kind in words, its real and its synthetic pictures."""
    parts = of.train, of.holdout, of.synthetic
    extractor = SELF_SUPERVISED if SELF_SUPERVISED in column.extractors else RANDOM
    learnt = column.features(column.learnt, extractor)
    num = min(MAX_CLUSTERS, len(np.unique(learnt, axis=0)), max(2, len(learnt) // ROWS_OF_CLUSTER))
    if num > 1:
        means = KMeans(num, n_init=3, random_state=int(rng.integers(2**31))).fit(learnt)
        codes = [means.predict(column.features(part, extractor)) for part in parts]
        yield from _counted([f"cluster {code + 1} of {num} by their features" for code in range(num)], codes)
    if SUPERVISED in column.extractors:
        for name, classes in column.classes.items():
            codes = [column.probabilities(part, name).argmax(axis=1) for part in parts]
            yield from _counted([f"what a network reads as {name} = {label}" for label in classes], codes)


def _counted(words: Sequence[str], codes: Sequence[np.ndarray]) -> Iterator[tuple[str, int, int]]:
    train, holdout, synthetic = (np.bincount(part, minlength=len(words)) for part in codes)
    for code, what in enumerate(words):
        yield what, int(train[code] + holdout[code]), int(synthetic[code])

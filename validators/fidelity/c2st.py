"""C2ST, the classifier two-sample test (Lopez-Paz and Oquab 2017): can synthetic rows be told from real ones?

Two-sided: an AUC far above 0.5 means that rows give themselves away; one far below means copies, for the twin of a
held-out row bears the other label. The honest fidelity is the one against the holdout, which nobody has learnt; the
one against train is where copies show.
"""

from collections.abc import Sequence

import numpy as np

from validators.encoding import Part
from validators.evidence import Evidence
from validators.fidelity.sides import Sides, sides_of, too_few
from validators.fidelity.trees import MAX_ROWS, classifier, folds, on_one_thread
from validators.gate import judged
from validators.measurement import Measurement
from validators.statistics.intervals import gate_ends
from validators.statistics.ranking import auc_variance, placements

NUM_FOLDS = 3
# Folds share their training rows, which DeLong's variance does not know: over seeds of fresh rows of four tables the
# AUC's standard deviation was 1.1 to 1.4 times the one it gives.
VARIANCE_FACTOR = 1.5
MAX_RATIO = 2  # rows of the larger side for each of the smaller; more would cost time and hardly narrow the interval


@on_one_thread
def c2st(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `c2st` against the holdout and against train."""
    sides = sides_of(evidence, rng)
    if not sides.columns:
        return []
    few = too_few(evidence, [("c2st", "against holdout"), ("c2st", "against train")])
    if few:
        return few
    return [
        _one(evidence, sides, sides.holdout, "against holdout", rng),
        _one(evidence, sides, sides.train, "against train", rng),
    ]


def cross_validated_auc(
    synthetic: np.ndarray, real: np.ndarray, categorical: np.ndarray, rng: np.random.Generator
) -> tuple[float, float]:
    """Return the AUC with which a classifier tells `synthetic` from `real` rows it has not seen, and its variance.

    The mean of the folds' own AUCs, for scores of different models cannot be ranked together.

    Args:
        synthetic: float M C.
        real: float N C.
        categorical: bool C.
        rng: folds and trees.

    """
    X = np.concatenate([synthetic, real])
    y = np.repeat([1, 0], [len(synthetic), len(real)])
    fold = np.concatenate([folds(len(synthetic), NUM_FOLDS, rng), folds(len(real), NUM_FOLDS, rng)])
    aucs, variances = [], []
    for held in range(NUM_FOLDS):
        inside, outside = fold != held, fold == held
        model = classifier(X[inside], y[inside], categorical, rng)
        scores, labels = model.decision_function(X[outside]), y[outside]
        auc, of_positive, of_negative = placements(scores[labels == 1], scores[labels == 0])
        aucs.append(auc)
        variances.append(auc_variance(of_positive, of_negative))
    return float(np.mean(aucs)), VARIANCE_FACTOR * float(np.sum(variances)) / NUM_FOLDS**2


def _one(evidence: Evidence, sides: Sides, real: Part, subject: str, rng: np.random.Generator) -> Measurement:
    most = min(MAX_ROWS, MAX_RATIO * min(len(real), len(sides.synthetic)))
    synthetic_rows, real_rows = sides.synthetic.values[:most], real.values[:most]
    value, variance = cross_validated_auc(synthetic_rows, real_rows, sides.categorical, rng)
    low, high = gate_ends(value, float(np.sqrt(variance)), policy=evidence.policy, name="c2st", reference=0.5)
    whom = "unseen real rows" if subject == "against holdout" else "the training rows"
    if value < 0.5 and high < 0.5:  # noqa: PLR2004 - chance
        meaning = "below one half, which twins of the same rows on both sides cause"
    else:
        meaning = "one half would be chance, one is perfect"
    return judged(
        name="c2st",
        subject=subject,
        value=value,
        low=max(low, 0.0),
        high=min(high, 1.0),
        n=min(len(synthetic_rows), len(real_rows)),
        reading=f"A classifier ranks a synthetic row above one of {whom} in {value:.1%} of pairs: {meaning}."
        + sides.caveat,
        policy=evidence.policy,
        reference=0.5,
        detail={"se": float(np.sqrt(variance))},
    )

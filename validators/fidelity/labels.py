"""Labels: do the synthetic labels obey the real relation?

A model of the real relation reads the synthetic labels, and what it finds surprising is expressed as the share of
labels that, drawn wrong, would surprise it as much. Flipped labels hardly harm a robust learner, so `tstr` is blind to
what this sees.

Legend: N rows, K classes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats

from validators.evidence import Evidence
from validators.fidelity.sides import Sides
from validators.fidelity.target import Target, Task
from validators.fidelity.trees import MAX_ROWS, folds, reader
from validators.gate import judged
from validators.measurement import Measurement
from validators.policy import Policy
from validators.statistics.intervals import gate_ends
from validators.statistics.permutation import permutation_p_value

NUM_FOLDS = 5
ASSUMED_NOISE = 0.1  # where the score below is most powerful; its estimate is unbiased whatever the noise
TOLERANCE = 0.025  # the share of wrong labels that `wrong_labels` lets pass: good models are at one or two percent
NUM_PERMUTATIONS = 4_999
PERMUTED_ROWS = 10_000  # beyond it means of w are normal
SLOPE_FLOOR = 0.25  # below it (an AUC of about 0.57) labels are nearly free and wrong ones cannot be counted


def label_noise(evidence: Evidence, sides: Sides, target: Target, rng: np.random.Generator) -> list[Measurement]:
    """Return the equivalent share of wrong labels among the synthetic ones, and whether it is surely too large.

    With p the real model's probability of a row's own label and q that of another label (their mean), labels drawn
    wrong with probability e have likelihood (1 - e) p + e q. Its score at e0, w = (q - p) / ((1 - e0) p + e0 q), is
    averaged over synthetic and over real rows, the real ones by cross-fitting; each synthetic row is read by one of
    the models of the folds, so fresh rows are exchangeable with real ones and the difference of means has mean 0.
    Divided by what one wrong label adds to w (`slope`), the difference estimates the share without bias.
    """
    of_real, of_wrong, of_synthetic = disagreements(target, rng)
    value, se, slope = wrong_share(of_real, of_wrong, of_synthetic)
    low, high = gate_ends(value, se, policy=evidence.policy, name="label_noise", reference=0.0)
    detail = {"slope": slope, "se": se, "real_rows": len(of_real), "uncapped": value}
    meaning = f"as if {value:.1%} of them were drawn wrong"
    if value > 1:  # rows unlike real ones, or labels worse than wrong by chance: no share says that
        meaning = "more than if all of them were drawn wrong"
    p = too_many_p(value, se, fresh_p(of_synthetic, of_real, rng), evidence.policy)
    found = {
        "label_noise": (
            (min(value, 1.0), min(low, 1.0), min(high, 1.0)),
            0.0,
            f"The synthetic {target.name!r} disagrees with the real relation {meaning}; for fresh real rows it is 0%.",
        ),
        "wrong_labels": (
            (p, p, p),
            None,
            f"Were {TOLERANCE:.1%} of {target.name!r} drawn wrong, so much disagreement would have p = {p:.2g}.",
        ),
    }
    return [
        judged(
            name=name,
            subject=target.name,
            value=numbers[0],
            low=numbers[1],
            high=numbers[2],
            n=len(of_synthetic),
            reading=reading + sides.caveat,
            policy=evidence.policy,
            reference=reference,
            detail=detail,
        )
        for name, (numbers, reference, reading) in found.items()
    ]


def disagreements(target: Target, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return w of `label_noise` for the own label of each real row, for its other labels, and of each synthetic row."""
    assert target.num_classes is not None
    num_real = min(len(target.train) + len(target.holdout), 2 * MAX_ROWS)
    X = np.concatenate([target.holdout.X, target.train.X])[:num_real]
    y = np.concatenate([target.holdout.y, target.train.y])[:num_real]
    synthetic = target.synthetic.take(np.arange(min(len(target.synthetic), MAX_ROWS)))
    fold, fold_synthetic = folds(len(y), NUM_FOLDS, rng), folds(len(synthetic), NUM_FOLDS, rng)
    of_real, of_wrong, of_synthetic = np.empty(len(y)), np.empty(len(y)), np.empty(len(synthetic))
    for held in range(NUM_FOLDS):
        learnt = Task(X=X[fold != held], y=y[fold != held])
        rows, rows_synthetic = fold == held, fold_synthetic == held
        both = np.concatenate([X[rows], synthetic.X[rows_synthetic]])
        scores = label_scores(class_probabilities(reader, learnt, both, target, rng), ASSUMED_NOISE)
        real, made = scores[: rows.sum()], scores[rows.sum() :]
        of_real[rows] = _own(real, y[rows])
        of_wrong[rows] = (real.sum(axis=1) - of_real[rows]) / (target.num_classes - 1)
        of_synthetic[rows_synthetic] = _own(made, synthetic.y[rows_synthetic])
    return of_real, of_wrong, of_synthetic


def label_scores(probabilities: np.ndarray, assumed_noise: float) -> np.ndarray:
    """Return w of `label_noise` for each possible label of each row (float N K), from probabilities (float N K)."""
    p = probabilities
    q = (1 - p) / (p.shape[1] - 1)
    return np.asarray((q - p) / ((1 - assumed_noise) * p + assumed_noise * q))


def class_probabilities(
    fitted: Callable[..., Any], learnt: Task, X: np.ndarray, target: Target, rng: np.random.Generator
) -> np.ndarray:
    """Return the probability of each class for `X` (float N K) by a classifier that `fitted` returns."""
    assert target.num_classes is not None
    known = np.unique(learnt.y).astype(np.int64)
    probabilities = np.zeros((len(X), target.num_classes))
    if len(known) == 1:  # nothing to learn: the model says the same of every row
        probabilities[:, known[0]] = 1.0
        return probabilities
    model = fitted(learnt.X, learnt.y, target.categorical, rng)
    probabilities[:, known] = model.predict_proba(X)
    return probabilities


def fresh_p(of_synthetic: np.ndarray, of_real: np.ndarray, rng: np.random.Generator) -> float:
    """Return the p-value of labels that disagree no more than fresh ones; few rows permute, for w is skewed."""
    if len(of_synthetic) + len(of_real) <= PERMUTED_ROWS:
        return permutation_p_value(of_synthetic, of_real, num_permutations=NUM_PERMUTATIONS, rng=rng)
    se = float(np.sqrt(of_real.var(ddof=1) * (1 / len(of_synthetic) + 1 / len(of_real))))
    return float(stats.norm.sf((of_synthetic.mean() - of_real.mean()) / se)) if se > 0 else 1.0


def wrong_share(of_real: np.ndarray, of_wrong: np.ndarray, of_synthetic: np.ndarray) -> tuple[float, float, float]:
    """Return the share of wrong labels that the scores of `disagreements` amount to, its standard error, the slope."""
    slope = max(float((of_wrong - of_real).mean()), SLOPE_FLOOR)
    se = float(np.sqrt(of_synthetic.var(ddof=1) / len(of_synthetic) + of_real.var(ddof=1) / len(of_real))) / slope
    return float(of_synthetic.mean() - of_real.mean()) / slope, se, slope


def beyond_tolerance_p(share: float, se: float) -> float:
    """Return the p-value of `no more than TOLERANCE of the labels is wrong`, for a share with an error above 0."""
    return float(stats.norm.sf((share - TOLERANCE) / se))


def too_many_p(share: float, se: float, fresh: float, policy: Policy) -> float:
    """Return the p-value of `the labels are as good as real ones, or no more than TOLERANCE of them is wrong`.

    As at the good end of an interval (`gate_ends`), two errors are kept: against fresh real rows, share 0, that of one
    check; against the tolerance `doubt`, which is scaled to the former so that one number is compared.
    """
    if se <= 0:
        return float(share <= TOLERANCE)
    return float(max(fresh, beyond_tolerance_p(share, se) * policy.alarm_share() / policy.doubt))


def _own(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(np.take_along_axis(scores, y.astype(np.int64)[:, None], axis=1)[:, 0])

"""Utility: do models learnt from synthetic rows serve as well as models learnt from real ones?

`tstr` trains one model on synthetic and one on equally many real rows and tests both on the same holdout rows, with two
families of models: boosted trees, which find any relation but blunt it where rows are few, and a linear model, which
rests on the direction of each column's effect. The worse one counts. `validators.fidelity.labels` turns the test round
and lets a model of the real relation read the synthetic labels.

Legend: N rows, K classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from validators.evidence import Evidence
from validators.fidelity.labels import class_probabilities, label_noise
from validators.fidelity.linear import linear_predictions
from validators.fidelity.sides import Sides, sides_of, too_few
from validators.fidelity.target import Target, Task, target_of
from validators.fidelity.trees import MAX_ROWS, classifier, on_one_thread, regressor
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.statistics.bootstrap import jackknife_variance
from validators.statistics.intervals import gate_ends
from validators.statistics.ranking import auc_influence

NUM_GROUPS = 4  # models per side, each without one quarter of its rows: the spread due to the training sample

Predict = Callable[[Task, np.ndarray, Target, np.random.Generator], np.ndarray]
"""Returns what a model that has learnt the rows says of further features: probabilities (float N K), or numbers."""


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The scores of one family of models after real and after synthetic rows, and the standard error of their gap."""

    family: str
    real: float
    synthetic: float
    se: float

    @property
    def value(self) -> float:
        """Return what is lost by learning from synthetic rows."""
        return self.real - self.synthetic


@on_one_thread
def utility(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `tstr`, `label_noise` and `wrong_labels`; nothing when the schema has no target that can be predicted."""
    column = evidence.schema.target
    if column is None:
        return []
    sides = sides_of(evidence, rng)
    target = target_of(sides, column)
    if target is None:
        return []
    names = [("tstr", column.name), ("label_noise", column.name), ("wrong_labels", column.name)]
    few = too_few(evidence, names)
    if few:
        return few
    smallest = min(len(target.train), len(target.holdout), len(target.synthetic))
    if smallest < evidence.policy.min_rows:
        policy = evidence.policy
        reading = f"The target is known in {smallest:,} rows of a part; under {policy.min_rows} nothing is concluded."
        return [undecided(name=n, subject=s, n=smallest, reading=reading, policy=policy) for n, s in names]
    return [_tstr(evidence, sides, target, rng), *label_noise(evidence, sides, target.as_outcome(), rng)]


def score_and_influence(prediction: np.ndarray, y: np.ndarray, event: int) -> tuple[float, np.ndarray]:
    """Return a model's score on rows and each row's influence on it (float N, mean 0).

    Args:
        prediction: probabilities (float N K), or numbers (float N).
        y: class codes or numbers (float N).
        event: the class that is scored when K is 2.

    Returns:
        For classes the AUC of one against the rest, averaged by frequency over the classes that have both sides (all of
        them, or the event of two); for numbers R squared.

    """
    if prediction.ndim == 1:
        spread = (y - y.mean()) ** 2
        error = (y - prediction) ** 2
        score = 1 - error.mean() / spread.mean()
        return float(score), -(error - (1 - score) * spread) / spread.mean()
    classes = [event] if prediction.shape[1] == 2 else range(prediction.shape[1])  # noqa: PLR2004
    counted = [k for k in classes if 0 < np.count_nonzero(y == k) < len(y)]
    total = sum(np.count_nonzero(y == k) for k in counted)
    score, influence = 0.0, np.zeros(len(y))
    for k in counted:
        weight = np.count_nonzero(y == k) / total
        auc, of_row = auc_influence(prediction[:, k], y == k)
        score += weight * auc
        influence += weight * of_row
    return score, influence


def _tstr(evidence: Evidence, sides: Sides, target: Target, rng: np.random.Generator) -> Measurement:
    rows = min(len(target.train), len(target.synthetic), MAX_ROWS)
    test = target.holdout.take(np.arange(min(len(target.holdout), MAX_ROWS)))
    if len(np.unique(test.y)) == 1:
        return undecided(
            name="tstr",
            subject=target.name,
            n=len(test),
            reading="All holdout rows have one target value, so predictions cannot be compared.",
            policy=evidence.policy,
        )
    contests = [_contest(family, target, test, rows, rng) for family in FAMILIES]
    ends = [
        gate_ends(one.value, one.se, policy=evidence.policy, name="tstr", reference=0.0, subjects=len(contests))
        for one in contests
    ]
    worst = max(contests, key=lambda one: one.value)
    measure = "R²" if target.num_classes is None else "AUC"
    return judged(
        name="tstr",
        subject=target.name,
        value=worst.value,
        low=max(low for low, _ in ends),
        high=max(high for _, high in ends),
        n=len(test),
        reading=(
            f"{worst.family} trained on synthetic rows predict {target.name!r} of unseen real rows with {measure} "
            f"{worst.synthetic:.3f}; trained on as many real rows, with {worst.real:.3f}. The other family of models "
            f"loses no more." + sides.caveat
        ),
        policy=evidence.policy,
        reference=0.0,
        detail={
            "measure": measure,
            "synthetic": worst.synthetic,
            "real": worst.real,
            "rows_trained_on": rows,
            "families": {one.family: {"synthetic": one.synthetic, "real": one.real, "se": one.se} for one in contests},
        },
    )


def _contest(family: str, target: Target, test: Task, rows: int, rng: np.random.Generator) -> Contest:
    """Return how models of one family do on `test` after `rows` rows of train and of the synthetic part."""
    scores, influences, variance = [], [], 0.0
    for task in (target.train, target.synthetic):
        group = np.arange(rows) % NUM_GROUPS
        results = []
        for left_out in range(NUM_GROUPS):
            learnt = task.take(np.flatnonzero(group != left_out))
            prediction = FAMILIES[family](learnt, test.X, target, rng)
            results.append(score_and_influence(prediction, test.y, target.event))
        replicates = np.array([score for score, _ in results])
        scores.append(float(replicates.mean()))
        influences.append(np.mean([influence for _, influence in results], axis=0))
        variance += float(jackknife_variance(replicates))
    # Both models are tested on the same rows: the influence of a row on the difference is the difference of influences.
    variance += float((influences[0] - influences[1]).var(ddof=1)) / len(test)
    return Contest(family=family, real=scores[0], synthetic=scores[1], se=float(np.sqrt(variance)))


def _by_trees(learnt: Task, X: np.ndarray, target: Target, rng: np.random.Generator) -> np.ndarray:
    """Return the predictions for `X` of a model that has learnt `learnt`: probabilities (float N K) or numbers."""
    if target.num_classes is None:
        return np.asarray(regressor(learnt.X, learnt.y, target.categorical, rng).predict(X))
    return class_probabilities(classifier, learnt, X, target, rng)


FAMILIES: dict[str, Predict] = {"Trees": _by_trees, "Linear models": linear_predictions}

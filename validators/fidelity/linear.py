"""The linear model of `tstr`: ridge regression on ranks and one-hot labels.

Classes are regressed as indicators, which ranks rows as Fisher's discriminant does (Hastie, Tibshirani and Friedman
2009, *The Elements of Statistical Learning*, section 4.2) in a tenth of the time of a logistic regression.

Legend: N rows, M rows to predict, F features, D columns of the design, K classes.
"""

import numpy as np
from sklearn.linear_model import Ridge

from validators.fidelity.target import Target, Task

PENALTY = 10.0  # as if ten rows spoke against each effect: a label of two rows hardly counts
LEAST_ROWS = 5  # with fewer, a label has no column of its own


def linear_predictions(learnt: Task, X: np.ndarray, target: Target, _rng: np.random.Generator) -> np.ndarray:
    """Return a score for each class (float M K; larger is likelier), or numbers (float M) for a numeric target."""
    scale, wanted = design(learnt.X, learnt.X, target.categorical), design(X, learnt.X, target.categorical)
    y = learnt.y if target.num_classes is None else np.eye(target.num_classes)[learnt.y.astype(np.int64)]
    predicted = Ridge(alpha=PENALTY, solver="cholesky").fit(scale, y).predict(wanted)
    return np.asarray(predicted, dtype=np.float64)


def design(X: np.ndarray, learnt: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Return the columns that the model is linear in (float N D).

    A number is its mid-rank among the learnt rows, 0 in their middle, and its square, so that effects may bend; missing
    cells are an indicator. A label is an indicator.

    Args:
        X: rows (float N F).
        learnt: the rows that fix ranks and labels (float M F).
        categorical: which features hold codes (bool F).

    """
    blocks = [np.zeros((len(X), 0))]
    for feature, is_code in enumerate(categorical):
        cells, known = X[:, feature], learnt[:, feature]
        missing = np.isnan(cells)
        known = known[~np.isnan(known)]
        if is_code:
            codes, counts = np.unique(known, return_counts=True)
            blocks.append((cells[:, None] == codes[counts >= LEAST_ROWS]).astype(np.float64))
        elif len(known):
            ordered = np.sort(known)
            both = (np.searchsorted(ordered, cells, side=side) for side in ("left", "right"))
            rank = np.where(missing, 0.0, sum(both) / len(ordered) - 1)
            blocks.append(np.column_stack([rank, rank**2]))
        blocks.append(missing[:, None].astype(np.float64))
    return np.concatenate(blocks, axis=1)

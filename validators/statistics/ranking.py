"""The area under the ROC curve with the structural components from which its variance follows."""

import numpy as np
from scipy import stats


def placements(positive: np.ndarray, negative: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the AUC and the placements of either side; ties count half.

    Args:
        positive: scores, at least one (float M).
        negative: scores, at least one (float N).

    Returns:
        auc: the share of pairs in which the positive scores higher.
        of_positive: for each positive, the share of negatives below it (float M).
        of_negative: for each negative, the share of positives above it (float N).

    Source:
        DeLong, DeLong and Clarke-Pearson 1988, *Biometrics* 44, 837, equations 2 to 5.

    """
    m, n = len(positive), len(negative)
    assert m > 0
    assert n > 0
    ranks = stats.rankdata(np.concatenate([positive, negative]))
    of_positive = (ranks[:m] - stats.rankdata(positive)) / n
    of_negative = 1 - (ranks[m:] - stats.rankdata(negative)) / m
    return float(of_positive.mean()), of_positive, of_negative


def auc_variance(of_positive: np.ndarray, of_negative: np.ndarray) -> float:
    """Return DeLong's variance of the AUC, never under that of one row at odds with all others (for perfect ranks)."""
    m, n = len(of_positive), len(of_negative)
    variance = of_positive.var(ddof=1) / m + of_negative.var(ddof=1) / n if min(m, n) > 1 else 1.0
    return float(max(variance, (0.5 / m) ** 2 + (0.5 / n) ** 2))


def auc_influence(scores: np.ndarray, positive: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the AUC and each row's influence on it (float N, mean 0): Var(AUC) = mean(influence ** 2) / N.

    Args:
        scores: float N.
        positive: bool N, with both values among them.

    """
    auc, of_positive, of_negative = placements(scores[positive], scores[~positive])
    share = positive.mean()
    influence = np.empty(len(scores))
    influence[positive] = (of_positive - auc) / share
    influence[~positive] = (of_negative - auc) / (1 - share)
    return auc, influence

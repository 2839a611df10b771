"""The AUC and its variance against naive pair counting and simulation."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from sources.randomness import stream
from validators.statistics.ranking import auc_influence, auc_variance, placements


def test_the_auc_counts_pairs_and_ties_half() -> None:
    rng = stream(1, "auc")
    positive, negative = rng.integers(0, 6, 17).astype(float), rng.integers(0, 5, 23).astype(float)
    wins = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    auc, of_positive, of_negative = placements(positive, negative)
    assert auc == pytest.approx(wins.mean())
    assert of_positive == pytest.approx(wins.mean(axis=1))
    assert of_negative == pytest.approx(wins.mean(axis=0))
    labels = np.repeat([1, 0], [17, 23])
    assert auc == pytest.approx(roc_auc_score(labels, np.concatenate([positive, negative])))


def test_the_variance_is_that_of_repeated_samples() -> None:
    rng = stream(2, "auc")
    aucs, variances = [], []
    for _ in range(800):
        auc, a, b = placements(rng.normal(0.7, 1, 60), rng.normal(0, 1, 90))
        aucs.append(auc)
        variances.append(auc_variance(a, b))
    assert np.mean(variances) == pytest.approx(np.var(aucs), rel=0.2)  # sd of a variance over 800 is 5 %


def test_perfect_ranks_do_not_claim_certainty() -> None:
    _, a, b = placements(np.arange(10.0) + 100, np.arange(20.0))
    assert auc_variance(a, b) > 0
    assert auc_variance(*placements(np.ones(1), np.zeros(1))[1:]) == 1.0


def test_the_influence_has_mean_zero_and_gives_the_same_variance() -> None:
    rng = stream(3, "auc")
    scores, positive = rng.normal(size=400), rng.random(400) < 0.3
    scores[positive] += 1
    auc, influence = auc_influence(scores, positive)
    assert influence.mean() == pytest.approx(0, abs=1e-12)
    _, a, b = placements(scores[positive], scores[~positive])
    assert (influence**2).mean() / 400 == pytest.approx(auc_variance(a, b), rel=0.02)
    assert auc == pytest.approx(roc_auc_score(positive, scores))

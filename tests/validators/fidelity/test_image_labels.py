"""The interval of TSTR is as wide as it strays, and no wider."""

import numpy as np
import pytest

from sources.randomness import stream
from validators.fidelity.image_labels import learning_variance, learnt_hits
from validators.statistics.bootstrap import jackknife_variance

CLASSES, FEATURES, ROWS, TESTED, DRAWS = 4, 30, 160, 150, 120


def rows(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return `n` rows of some overlapping classes (float32 n F, int n)."""
    y = rng.integers(0, CLASSES, n)
    centres = np.eye(CLASSES, FEATURES) * 2.0
    return (centres[y] + rng.normal(size=(n, FEATURES))).astype(np.float32), y


def test_two_classifiers_that_learnt_of_one_law_differ_by_as_much_as_the_interval_says() -> None:
    scores, too_wide = [], []
    for seed in range(DRAWS):
        rng = stream(seed, "tstr")
        X, y = rows(TESTED, rng)
        sides = [learnt_hits(*rows(ROWS, rng), X, y, CLASSES) for _ in range(2)]
        first, second = (hits.mean(axis=0) for hits in sides)
        difference, paired = first.mean() - second.mean(), (first - second).var(ddof=1) / TESTED
        learning = max(sum(learning_variance(hits) for hits in sides), 0.0)
        scores.append(difference / np.sqrt(paired + learning))
        plain = sum(float(jackknife_variance(hits.mean(axis=1))) for hits in sides)
        too_wide.append(difference / np.sqrt(paired + plain))
    assert 0.88 <= np.mean(np.abs(scores) < 1.96) <= 0.99  # .95 but for three standard errors of 120 draws
    assert np.std(too_wide) < 0.8 * np.std(scores)  # the paired difference is counted twice there


def test_rows_that_are_right_by_chance_are_no_learning_and_better_groups_are() -> None:
    rng = stream(0, "hits")
    chance = [learning_variance(rng.random((8, 200)) < 0.8) for _ in range(400)]
    plain = 49 / 8 * 0.8 * 0.2 / 200
    assert abs(np.mean(chance)) < 0.15 * plain  # 400 draws know it to 3 %
    shift = rng.normal(0, 0.05, (200, 8, 1))
    learning = [learning_variance(rng.random((8, 2000)) < 0.8 + own) for own in shift]
    assert np.mean(learning) == pytest.approx(49 / 8 * 0.05**2, rel=0.2)

import numpy as np

from generators.tabular.boosting import fit_trees
from sources.randomness import stream


def rows(num: int, name: str, *, tied: bool) -> np.ndarray:
    """Return uint8 3 N: even values; where `tied`, the second column is the first one in every row."""
    rng = stream(0, name)
    drawn = rng.integers(0, 8, (3, num)).astype(np.uint8)
    if tied:
        drawn[1] = drawn[0]
    return drawn


def test_an_interaction_that_no_column_shows_by_itself_is_found() -> None:
    first, second = rows(2000, "a", tied=True), rows(2000, "b", tied=False)
    trees, gain_se = fit_trees(
        first, second, (rows(500, "c", tied=True), rows(500, "d", tied=False)), stream(0, "trees")
    )
    assert gain_se > 20
    assert trees(rows(500, "e", tied=True)).mean() > 1
    assert trees(second[:, second[0] != second[1]]).mean() < -1


def test_two_sets_of_one_law_are_not_told_apart() -> None:
    parts = [rows(1500, name, tied=True) for name in "abcd"]
    trees, gain_se = fit_trees(parts[0], parts[1], (parts[2], parts[3]), stream(0, "trees"))
    assert gain_se < 3
    assert np.abs(trees(rows(500, "e", tied=True))).mean() < 0.1


def test_one_seed_gives_the_same_trees() -> None:
    first, second = rows(800, "a", tied=True), rows(800, "b", tied=False)
    checks = (rows(50, "c", tied=True), rows(50, "d", tied=True))
    twice = [fit_trees(first, second, checks, stream(1, "trees"))[0] for _ in range(2)]
    assert np.array_equal(twice[0].values, twice[1].values)

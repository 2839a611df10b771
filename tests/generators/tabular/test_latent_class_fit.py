"""Fitting latent classes: known laws are found, none is found where there is none, no class is a few persons."""

import numpy as np
import pytest

from generators.tabular.latent_class_fit import LAPLACE, MIN_CLASS_ROWS, Shape, choose_shape, fit_latent_classes
from generators.tabular.latent_classes import LatentClasses
from generators.tabular.row_tokens import Token

SIZE, WIDTH = 4, 6
LABELS = tuple(
    Token(column=f"c{place}", level="coarse", size=SIZE, parent=None, emit=np.ones(SIZE, bool), valid=None, ranks=None)
    for place in range(WIDTH)
)


def law() -> LatentClasses:
    """Three classes, each with a favourite label in every column."""
    rng = np.random.default_rng(0)
    laws = []
    for _ in range(WIDTH):
        favourites = rng.permutation(SIZE)[:3]
        laws.append(np.where(np.arange(SIZE) == favourites[:, None], 0.7, 0.1))
    return LatentClasses(shares=np.array([0.5, 0.3, 0.2]), laws=tuple(laws), tokens=LABELS)


def rows_of(model: LatentClasses, n: int, seed: int) -> np.ndarray:
    return model.draw(np.full((n, len(model.tokens)), -1), {}, seed=seed)


def test_a_known_mixture_is_found_to_what_the_rows_can_tell() -> None:
    """A fit of p free numbers to n rows costs p / 2n nats a row on average (Wilks); thrice that is allowed."""
    n, free = 2_000, 2 + 3 * WIDTH * (SIZE - 1)
    truth = law()
    train, unseen = rows_of(truth, n, 1), rows_of(truth, 20_000, 2)
    shape = choose_shape(train, LABELS, seed=3)
    assert shape.num_classes in (2, 4)
    fitted = fit_latent_classes(train, LABELS, Shape(num_classes=4), seed=3)
    excess = (fitted.row_nats(unseen) - truth.row_nats(unseen)).mean()
    assert excess < 3 * free / (2 * n)
    one = fit_latent_classes(train, LABELS, Shape(), seed=3)
    assert (one.row_nats(unseen) - truth.row_nats(unseen)).mean() > 0.3


def test_columns_that_are_independent_are_one_class() -> None:
    rows = rows_of(law(), 600, 1)
    rng = np.random.default_rng(2)
    permuted = np.column_stack([rng.permutation(column) for column in rows.T])
    assert choose_shape(permuted, LABELS, seed=3) == Shape()
    assert choose_shape(rows, LABELS, seed=3) != Shape()


def test_rows_of_an_entity_are_held_out_together() -> None:
    """Each of 30 entities repeats its row twenty times: row by row that looks like classes."""
    rng = np.random.default_rng(4)
    rows = rng.integers(SIZE, size=(30, WIDTH)).repeat(20, axis=0)
    owners = np.array([f"who-{number}" for number in range(30)], dtype=object).repeat(20)
    assert choose_shape(rows, LABELS, seed=3).num_classes > 1
    assert choose_shape(rows, LABELS, seed=3, groups=owners).num_classes == 1


def test_one_class_is_the_independent_marginals() -> None:
    rows = rows_of(law(), 300, 1)
    shares = [(np.bincount(column, minlength=SIZE) + LAPLACE) / (len(rows) + LAPLACE * SIZE) for column in rows.T]
    expected = -sum(np.log(share[column]) for share, column in zip(shares, rows.T, strict=True))
    one = fit_latent_classes(rows, LABELS, Shape(), seed=1)
    assert one.row_nats(rows) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("n", [30, 200, 700])
def test_no_class_is_expected_to_have_fewer_rows_than_its_minimum(n: int) -> None:
    rows = np.random.default_rng(n).integers(SIZE, size=(n, WIDTH))
    fitted = fit_latent_classes(rows, LABELS, Shape(num_classes=32), seed=1)
    assert len(fitted.shares) <= n / MIN_CLASS_ROWS
    expected_rows = fitted.shares * (n + len(fitted.shares)) - 1  # before the share's own smoothing
    assert expected_rows.min() >= MIN_CLASS_ROWS - 1e-9


def test_same_seed_fits_the_same_bytes() -> None:
    rows = rows_of(law(), 300, 1)
    first, again, other = (fit_latent_classes(rows, LABELS, Shape(num_classes=8), seed=seed) for seed in (1, 1, 2))
    assert all((tensor == again.tensors()[name]).all() for name, tensor in first.tensors().items())
    assert first.shares.tobytes() != other.shares.tobytes()


def test_smoothing_lets_neighbouring_numbers_learn_from_each_other_but_not_missing_ones() -> None:
    """Two columns of 30 numbers that rise together: rows are few for single numbers and enough for smooth laws."""
    rng = np.random.default_rng(5)
    ranks = np.append((np.arange(30) + 0.5) / 30, np.nan)
    numbers = tuple(
        Token(column=name, level="coarse", size=31, parent=None, emit=np.ones(31, bool), valid=None, ranks=ranks)
        for name in ("x", "y")
    )
    level = rng.uniform(size=4_600)
    rows = np.column_stack([np.clip((level + rng.normal(0, 0.1, 4_600)) * 30, 0, 29).astype(int) for _ in numbers])
    rows[rng.uniform(size=rows.shape) < 0.1] = 30
    train, unseen = rows[:600], rows[600:]
    assert choose_shape(train, numbers, seed=1).width > 0
    plain, smooth = (fit_latent_classes(train, numbers, Shape(num_classes=8, width=w), seed=1) for w in (0.0, 0.04))
    assert smooth.row_nats(unseen).mean() < plain.row_nats(unseen).mean() - 0.05
    for model in (plain, smooth):
        assert all(one.sum(axis=1) == pytest.approx(1, abs=1e-12) for one in model.laws)
    missing = (train == 30).mean(axis=0)
    for place, one in enumerate(smooth.laws):  # what is missing stays as frequent as it is
        assert float(smooth.shares @ one[:, 30]) == pytest.approx(missing[place], abs=0.02)

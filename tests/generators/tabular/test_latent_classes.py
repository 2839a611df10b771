"""A mixture of latent classes: its likelihood, and draws from its exact conditional laws."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from generators.tabular import latent_classes
from generators.tabular.latent_classes import LatentClasses
from generators.tabular.row_tokens import Token

N = 40_000
FALSE_ALARM = 1e-6


def mixture() -> LatentClasses:
    """Two classes; three labels of which the last is never emitted, two labels, a number of five leaves."""
    anything = np.ones(3, dtype=bool)
    valid = np.array([[True, True], [True, False], [True, True]])
    tokens = (
        Token(column="a", level="coarse", size=3, parent=None, emit=np.arange(3) < 2, valid=None, ranks=None),
        Token(column="b", level="coarse", size=2, parent=None, emit=np.ones(2, dtype=bool), valid=None, ranks=None),
        Token(column="x", level="coarse", size=3, parent=None, emit=anything, valid=None, ranks=np.arange(3.0)),
        Token(column="x", level="fine", size=2, parent=2, emit=np.ones(2, dtype=bool), valid=valid, ranks=np.arange(2)),
    )
    laws = (
        np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]),
        np.array([[0.9, 0.1], [0.25, 0.75]]),
        np.array([[0.6, 0.3, 0.1], [0.05, 0.15, 0.8]]),
        np.array([[0.5, 0.5], [1.0, 0.0], [0.2, 0.8]]),
    )
    return LatentClasses(shares=np.array([0.65, 0.35]), laws=laws, tokens=tokens)


def possible_rows() -> np.ndarray:
    rows = itertools.product(range(3), range(2), range(3), range(2))
    return np.array([row for row in rows if row[2:] != (1, 1)])


def assert_law(drawn: np.ndarray, rows: np.ndarray, shares: np.ndarray) -> None:
    """That each of `rows` is drawn as often as its share says; stratified draws are nearer than independent ones."""
    counts = np.array([(drawn == row).all(axis=1).sum() for row in rows])
    assert counts.sum() == len(drawn)
    assert (counts[shares == 0] == 0).all()
    some = shares > 0
    assert stats.chisquare(counts[some], shares[some] / shares[some].sum() * len(drawn)).pvalue > FALSE_ALARM


def test_likelihoods_of_all_rows_sum_to_one() -> None:
    assert np.exp(-mixture().row_nats(possible_rows())).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("known", [(0, -1, -1, -1), (-1, -1, 2, -1), (1, 1, -1, -1), (-1, 0, 2, 1)])
def test_unknown_tokens_follow_the_conditional_law(known: tuple[int, ...]) -> None:
    """Against the likelihoods of all rows that hold what is known; none of them holds the label never emitted."""
    model, rows = mixture(), possible_rows()
    fits = np.all([(rows[:, place] == token) | (token < 0) for place, token in enumerate(known)], axis=0)
    given = np.tile(np.array(known, dtype=np.int16), (N, 1))
    drawn = model.draw(given, {0: np.tile([True, True, False], (N, 1))}, seed=3)
    assert drawn.dtype == np.int16
    assert_law(drawn, rows, np.exp(-model.row_nats(rows)) * fits * (rows[:, 0] < 2))


def test_what_is_allowed_may_differ_by_row_and_moves_the_posterior() -> None:
    model, rows = mixture(), possible_rows()
    allowed = np.where((np.arange(N) % 2 == 0)[:, None], [False, False, True], [True, True, False])
    drawn = model.draw(np.full((N, 4), -1), {2: allowed}, seed=5)
    emitted = rows[:, 0] < 2
    for odd, numbers in ((0, rows[:, 2] == 2), (1, rows[:, 2] < 2)):
        shares = np.exp(-model.row_nats(rows)) * numbers
        by_class = np.array([shares[rows[:, 1] == label].sum() for label in (0, 1)])
        counts = np.bincount(drawn[odd::2, 1], minlength=2)
        assert stats.chisquare(counts, by_class / by_class.sum() * counts.sum()).pvalue > FALSE_ALARM
        assert set(map(tuple, drawn[odd::2])) <= set(map(tuple, rows[numbers & emitted]))


def test_tokens_that_may_not_be_emitted_are_not_drawn_and_columns_keep_their_marginals() -> None:
    model = mixture()
    drawn = model.draw(np.full((N, 4), -1), {}, seed=6)
    assert (drawn[:, 0] < 2).all()
    for place in (1, 2):  # stratified within each class: rounding alone remains
        expected = model.shares @ model.laws[place] * N
        assert np.abs(np.bincount(drawn[:, place]) - expected).max() < 5


def test_only_wanted_places_are_drawn_and_a_row_that_allows_none_stays_unknown() -> None:
    model = mixture()
    known = np.tile([-1, 1, -1, -1], (50, 1))
    wanted = np.zeros(known.shape, dtype=bool)
    wanted[:30, 2:] = True
    allowed = np.ones((50, 3), dtype=bool)
    allowed[:10] = False
    drawn = model.draw(known, {2: allowed}, seed=7, wanted=wanted)
    assert (drawn[:, :2] == known[:, :2]).all()
    assert (drawn[10:30, 2:] >= 0).all()
    assert (drawn[:10, 2:] == -1).all()
    assert (drawn[30:, 2:] == -1).all()


def test_same_seed_draws_the_same_whatever_the_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = np.full((1_000, 4), -1)
    whole = mixture().draw(unknown, {}, seed=8)
    assert not (whole == mixture().draw(unknown, {}, seed=9)).all()
    monkeypatch.setattr(latent_classes, "PIECE_ROWS", 64)
    assert (whole == mixture().draw(unknown, {}, seed=8)).all()
    assert mixture().draw(unknown[:0], {}, seed=8).shape == (0, 4)


def test_tensors_give_the_same_mixture_back() -> None:
    model = mixture()
    tensors = {name: torch.clone(tensor) for name, tensor in model.tensors().items()}
    again = LatentClasses.load(tensors, model.tokens)
    assert (again.row_nats(possible_rows()) == model.row_nats(possible_rows())).all()
    assert again.parameters == model.parameters == 2 + 6 + 4 + 6 + 6

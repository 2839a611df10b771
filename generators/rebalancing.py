"""Rows of a fitted synthesizer under a stated law of some columns: shares of labels, equal rates over groups.

What is not stated is the model's own. A family that conditions draws the asked columns first, in exact counts, and the
rest given them. Any other draws a pool, from which rows are taken until the counts are met: among rows of one cell the
choice is blind, so p(rest | asked columns) stays the model's here too. Both are exact to within one row a share.
"""

import numpy as np
import pandas as pd

from generators.base import GeneratorInputError, Synthesizer
from sources.dataset import Dataset, concatenated
from sources.errors import SourceInputError
from sources.randomness import derive, stream
from sources.target_law import TargetLaw, law_of
from sources.targets import EqualRates, Targets, group_codes, labels_in

LAW_ROWS = 10_000
"""Rows, at least, from which the model's own law of the asked columns is read."""

MOST_POOLS = 40
"""Times as many rows as are wanted (`LAW_ROWS` at least) are drawn before a pool is given up."""


def sample_rebalanced(synthesizer: Synthesizer, n: int, *, seed: int, targets: Targets, conditions: bool) -> Dataset:
    """Return `n` rows under the law that `targets` state; same seed, same rows.

    Args:
        synthesizer: fitted.
        n: number of rows, 0 or more.
        seed: of everything drawn here.
        targets: at least one share or equal rate, of columns of labels.
        conditions: `Family.conditions`.

    Raises:
        GeneratorInputError: the model does not draw what is asked for, or too rarely for a pool.

    """
    pool = synthesizer.sample(max(n, LAW_ROWS), seed=derive(seed, "rebalance", "law"))
    asked = pool.frame[list(targets.columns)]
    if conditions and targets.equal_rates is not None:
        asked = pd.concat([asked, _unseen_outcomes(asked, targets.equal_rates)], ignore_index=True)
    law = _law(asked, targets)
    if n == 0:
        return synthesizer.sample(0, seed=seed)
    if conditions:
        return _conditioned(synthesizer, asked, law, n, seed=seed)
    return _chosen(synthesizer, pool, law, targets, n, seed=seed)


def _law(asked: pd.DataFrame, targets: Targets) -> TargetLaw:
    for column, shares in targets.shares.items():
        never = sorted(set(shares) - set(labels_in(asked[column])))
        if never:
            raise GeneratorInputError(
                f"rebalance: the model does not draw {column} = {never[0]}",
                seen=f"none in {len(asked):,} rows",
                remedy="ask for a label of more training rows, or train for longer",
            )
    try:
        return law_of(asked, targets)
    except SourceInputError as error:
        raise GeneratorInputError(error.what, seen=error.seen, remedy=error.remedy) from error


def _unseen_outcomes(asked: pd.DataFrame, equal: EqualRates) -> pd.DataFrame:
    """Return a row for each group and outcome that no row of `asked` has together: a model that conditions can."""
    outcomes = labels_in(asked[equal.outcome])
    groups = group_codes(asked, equal.over)
    first = np.unique(groups, return_index=True)[1]
    found = []
    for inside in [*(outcomes == label for label in equal.labels), ~np.isin(outcomes.astype(str), equal.labels)]:
        rows = np.flatnonzero(inside)
        lacking = np.setdiff1d(groups, groups[rows])
        if len(rows) and len(lacking):
            members = asked.iloc[first[lacking]].reset_index(drop=True)
            outcome = asked[equal.outcome].iloc[np.repeat(rows[0], len(members))].reset_index(drop=True)
            found.append(members.assign(**{equal.outcome: outcome}))
    return pd.concat(found, ignore_index=True) if found else asked.iloc[:0]


def _conditioned(synthesizer: Synthesizer, asked: pd.DataFrame, law: TargetLaw, n: int, *, seed: int) -> Dataset:
    """Return rows whose asked columns are those of the pool, cell by cell as often as wanted."""
    rng = stream(seed, "rebalance", "cells")
    order = rng.permutation(len(asked))
    taken = []
    for cell, count in enumerate(law.counts(n)):
        rows = order[law.cell[order] == cell]
        taken.append(np.resize(rows, count))  # over again where the pool has fewer: labels keep their shares in a cell
    given = asked.iloc[rng.permutation(np.concatenate(taken))].reset_index(drop=True)
    return synthesizer.sample(n, seed=derive(seed, "rebalance", "rest"), given=given)


def _chosen(synthesizer: Synthesizer, pool: Dataset, law: TargetLaw, targets: Targets, n: int, *, seed: int) -> Dataset:
    """Return rows taken from `pool` and from further pieces as large, until each cell has its count."""
    wanted = law.counts(n)
    names = list(targets.columns)
    cells_of = _CellFinder(pool.frame[names], law)
    left, kept, drawn = wanted.copy(), [], 0
    most = MOST_POOLS * max(n, LAW_ROWS)
    piece = pool
    while True:
        cell = cells_of(piece.frame[names])
        drawn += len(piece)
        rows = np.flatnonzero(cell >= 0)
        rank = pd.Series(cell[rows]).groupby(cell[rows]).cumcount().to_numpy()
        rows = rows[rank < left[cell[rows]]]
        left -= np.bincount(cell[rows], minlength=len(left))
        kept.append(piece.take(rows))
        if not left.any():
            break
        if drawn >= most:
            raise GeneratorInputError(
                "rebalance: the model draws too few rows of what is asked for",
                seen=f"{int(left.sum()):,} of {n:,} rows are lacking after {drawn:,} were drawn",
                remedy="ask for less or for fewer rows, or use tabular.autoregressive, which draws the rest given them",
            )
        piece = synthesizer.sample(len(pool), seed=derive(seed, "rebalance", "pool", len(kept)))
    order = stream(seed, "rebalance", "order").permutation(n)
    chosen = concatenated(kept).take(order)
    ids = [column.name for column in pool.schema.columns if column.kind == "id"]
    if ids:  # pieces know nothing of each other's, and a choice breaks up the rows of one; they relate to nothing else
        chosen.frame[ids] = synthesizer.sample(n, seed=derive(seed, "rebalance", "ids")).frame[ids]
    return chosen


class _CellFinder:
    """Finds the cells of a law for further rows: those of rows with the same labels in the asked columns."""

    def __init__(self, asked: pd.DataFrame, law: TargetLaw) -> None:
        self.cells = dict(zip(_keys(asked), law.cell.tolist(), strict=True))

    def __call__(self, asked: pd.DataFrame) -> np.ndarray:
        """Return the cell of each row, int64 N, -1 where no row of the first pool had its labels."""
        return np.array([self.cells.get(key, -1) for key in _keys(asked)], dtype=np.int64)


def _keys(asked: pd.DataFrame) -> list[tuple[object, ...]]:
    return list(zip(*(labels_in(asked[name]) for name in asked.columns), strict=True))

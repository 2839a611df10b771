"""The law that `sources.targets` states, on the cells that rows have: which share each cell should have, and counts.

Among all laws with the stated margins it is the one nearest to that of the rows (the I-projection of Csiszár 1975,
found by iterative proportional fitting, Deming and Stephan 1940). So whatever is not stated stays: the shares of other
labels among each other, and p(everything else | the asked columns).

# N rows, K cells, C classes of one constraint
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from sources.errors import SourceInputError
from sources.targets import Targets, group_codes, labels_in

MOST_ROUNDS = 2_000
NEAR = 1e-10  # of a margin to its target


@dataclass(frozen=True, kw_only=True)
class TargetLaw:
    """A law over the K cells that the classes of the asked columns make.

    Args:
        cell: the cell of each row (int64 N).
        own: the share of each cell among the rows (float K).
        wanted: its share under the stated law (float K).
        classes: for each constraint the class of each cell (int64 K each).
        class_shares: for each constraint the stated share of each class (float C each).
        num_rates: classes of the outcome where the first constraint is equal rates (class = group x them + outcome),
            else 0.

    """

    cell: np.ndarray
    own: np.ndarray
    wanted: np.ndarray
    classes: tuple[np.ndarray, ...]
    class_shares: tuple[np.ndarray, ...]
    num_rates: int

    def weights(self) -> np.ndarray:
        """Return by how much the law of each row exceeds its own, float N."""
        found: np.ndarray = (self.wanted / self.own)[self.cell]
        return found

    def counts(self, n: int) -> np.ndarray:
        """Return rows of each cell, int64 K, `n` in all; every stated share is exact to within one row."""
        aims = [_apportioned(shares, n) for shares in self.class_shares]
        if self.num_rates:
            aims[0] = _equal_rows(self.class_shares[0].reshape(-1, self.num_rates), n).ravel()
        counts = np.zeros(len(self.wanted), dtype=np.int64)
        for label, rows in enumerate(aims[0]):
            inside = np.flatnonzero(self.classes[0] == label)
            counts[inside] = _apportioned(self.wanted[inside], int(rows))
        for number in range(1, len(aims)):
            _repair(counts, self.classes, number, aims[number])
        return counts


def law_of(frame: pd.DataFrame, targets: Targets) -> TargetLaw:
    """Return the law that `targets` state for rows like those of `frame`.

    Args:
        frame: canonical rows; the asked columns are looked at.
        targets: at least one share or equal rate.

    Raises:
        SourceInputError: no row has what is asked for, or the shares contradict each other.

    """
    codes, class_shares, num_rates = _constraints(frame, targets)
    cells, cell = np.unique(np.column_stack(codes), axis=0, return_inverse=True)
    cell = cell.ravel()
    own = np.bincount(cell, minlength=len(cells)) / len(frame)
    classes = tuple(cells.T)
    wanted = _raked(own, classes, class_shares)
    return TargetLaw(
        cell=cell, own=own, wanted=wanted, classes=classes, class_shares=tuple(class_shares), num_rates=num_rates
    )


def _constraints(frame: pd.DataFrame, targets: Targets) -> tuple[list[np.ndarray], list[np.ndarray], int]:
    """Return codes of rows (int64 N) and stated shares of classes (float C) a constraint, and `num_rates`."""
    coded = {name: _coded(frame, name, shares) for name, shares in targets.shares.items()}
    equal = targets.equal_rates
    if equal is None:
        return [code for code, _ in coded.values()], [shares for _, shares in coded.values()], 0
    groups = group_codes(frame, equal.over)
    group_shares = np.bincount(groups) / len(frame)
    stated = [coded.pop(name) for name in equal.over if name in coded]
    if stated:
        first = np.unique(groups, return_index=True)[1]
        group_shares = _raked(group_shares, [code[first] for code, _ in stated], [shares for _, shares in stated])
    if equal.outcome in coded:
        outcome, rates = coded.pop(equal.outcome)
    else:
        outcome, rates = _coded(frame, equal.outcome, dict.fromkeys(equal.labels, 0.0))
        rates = np.bincount(outcome, minlength=len(rates)) / len(frame)
    joint = (group_shares[:, None] * rates[None, :]).ravel()
    rest = list(coded.values())
    codes = [groups * len(rates) + outcome, *(code for code, _ in rest)]
    return codes, [joint, *(shares for _, shares in rest)], len(rates)


def _coded(frame: pd.DataFrame, name: str, shares: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the class of each row, int64 N: a named label, or the last for all others; and the classes' shares."""
    labels = labels_in(frame[name])
    codes = np.full(len(labels), len(shares), dtype=np.int64)
    for number, label in enumerate(shares):
        codes[labels == label] = number
    return codes, np.array([*shares.values(), max(1 - sum(shares.values()), 0.0)])


def _raked(own: np.ndarray, classes: Sequence[np.ndarray], class_shares: Sequence[np.ndarray]) -> np.ndarray:
    """Return the law nearest to `own` (float K) in which each class has its share."""
    wanted = own.copy()
    for _ in range(MOST_ROUNDS):
        worst = 0.0
        for inside, shares in zip(classes, class_shares, strict=True):
            margin = np.bincount(inside, weights=wanted, minlength=len(shares))
            if ((margin <= 0) & (shares > NEAR)).any():
                raise SourceInputError(
                    "rebalance: no row has what is asked for",
                    seen=f"{int(((margin <= 0) & (shares > NEAR)).sum())} combinations without a row",
                    remedy="ask for labels and groups that the rows have together",
                )
            factors = np.divide(shares, margin, out=np.zeros_like(shares), where=margin > 0)
            worst = max(worst, float(np.abs(margin - shares).max()))
            wanted = wanted * factors[inside]
        if worst < NEAR:
            return wanted
    raise SourceInputError(
        "rebalance: the shares contradict each other in these rows",
        seen=f"a share is off by {worst:.2g}",
        remedy="ask for less at once: labels that go together cannot have shares that do not",
    )


def _apportioned(shares: np.ndarray, n: int) -> np.ndarray:
    """Return whole numbers, int64 C, summing to `n`, each within one of its part (largest remainders)."""
    total = shares.sum()
    exact = shares / total * n if total > 0 else np.zeros_like(shares)
    counts = np.floor(exact + NEAR).astype(np.int64)
    order = np.argsort(-(exact - counts), kind="stable")
    counts[order[: n - int(counts.sum())]] += 1
    return counts


def _equal_rows(joint: np.ndarray, n: int) -> np.ndarray:
    """Return whole numbers, int64 G R, of the product law `joint` (float G R): groups, rates and cells within one row.

    Label after label is split off from what is left of the groups; rounding runs on from group to group, so that it
    does not add up.
    """
    groups, rates = _apportioned(joint.sum(axis=1), n), _apportioned(joint.sum(axis=0), n)
    counts = np.zeros(joint.shape, dtype=np.int64)
    left = groups.astype(np.float64)
    for label in range(len(rates) - 1):
        reached = np.cumsum(left) * (rates[label] / max(left.sum(), 1))
        counts[:, label] = np.diff(np.floor(reached + 0.5 - NEAR), prepend=0)
        left -= counts[:, label]
    counts[:, -1] = left
    return counts


def _repair(counts: np.ndarray, classes: Sequence[np.ndarray], number: int, aims: np.ndarray) -> None:
    """Move single rows, in place, between cells that differ in constraint `number` alone until its classes fit."""
    others = np.column_stack([inside for place, inside in enumerate(classes) if place != number])
    own = classes[number]
    _, alike = np.unique(others, axis=0, return_inverse=True)
    alike = alike.ravel()
    surplus = np.bincount(own, weights=counts, minlength=len(aims)).astype(np.int64) - aims
    for full, short in product(np.flatnonzero(surplus > 0), np.flatnonzero(surplus < 0)):
        for giver in np.flatnonzero((own == full) & (counts > 0)):
            takers = np.flatnonzero((own == short) & (alike == alike[giver]))
            if len(takers):
                moved = min(surplus[full], -surplus[short], counts[giver])
                counts[giver] -= moved
                counts[takers[0]] += moved
                surplus[full] -= moved
                surplus[short] += moved

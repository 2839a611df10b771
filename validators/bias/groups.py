"""Who is counted with whom: the groups of each protected column, and of two and three of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pandas as pd

from sources.schema import Column
from validators.evidence import Evidence
from validators.policy import Policy
from validators.privacy.neighbours import as_labels, as_numbers

MISSING = "missing"
RARE = "rare groups"
LEAST_EXPECTED = 5.0
"""Groups of which fewer synthetic rows are expected are counted together: no test could tell anything of them alone."""

QUARTERS: tuple[str, ...] = ("1st quarter", "2nd quarter", "3rd quarter", "4th quarter")


@dataclass(frozen=True, kw_only=True)
class Grouping:
    """The groups that one protected column, or several, cut the rows into.

    Args:
        name: the column, or `age × sex`.
        labels: of the G groups; every real row is in one of them.
        real: code of the group of each real row (int N); all real parts pooled, for what they have in common.
        synthetic: code of the group of each synthetic row (int M), -1 for labels that no real row has.
        detail: inner edges where a number was cut; of the source, hence private.

    """

    name: str
    labels: tuple[str, ...]
    real: np.ndarray
    synthetic: np.ndarray
    detail: dict[str, list[float]]

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows of each group, real and synthetic (int G each)."""
        num = len(self.labels)
        return np.bincount(self.real, minlength=num), np.bincount(self.synthetic[self.synthetic >= 0], minlength=num)

    def subject(self, group: int) -> str:
        """Return `religious=strongly`, as measurements name a group."""
        return f"{self.name}={self.labels[group]}"


def groupings(evidence: Evidence) -> list[Grouping]:
    """Return one grouping for each protected column that has groups, in the order of the schema.

    Labels and truth values are groups, numbers and moments are cut at `Column.bins` or at the quartiles of the real
    rows, missing cells are a group. Groups of which fewer than `LEAST_EXPECTED` synthetic rows are expected become one.
    """
    real, synthetic = real_frame(evidence), evidence.synthetic.frame
    found = []
    for column in evidence.schema.protected:
        cells = real[column.name], synthetic[column.name]
        if column.kind in ("numeric", "datetime"):
            grouping = _of_numbers(column, *cells)
        elif column.kind in ("categorical", "boolean"):
            grouping = _of_labels(column, *cells)
        else:  # every text, id and image is a group of its own
            continue
        found.append(_pooled(grouping))
    return found


def crossings(
    single: Sequence[Grouping], num_columns: int = 2, *, least_expected: float = LEAST_EXPECTED
) -> list[Grouping]:
    """Return one grouping for each `num_columns` columns; its groups are the combinations that real rows have.

    Args:
        single: the groupings of single columns.
        num_columns: that are taken together, 2 or more.
        least_expected: combinations of which fewer synthetic rows are expected become one group.

    """
    found = []
    for columns in combinations(single, num_columns):
        crossed = columns[0]
        for column in columns[1:]:
            crossed = _crossed(crossed, column)
        found.append(_pooled(crossed, least_expected))
    return found


def together(
    single: Sequence[Grouping], *, single_weight: float, least_expected: float
) -> list[tuple[list[Grouping], float]]:
    """Return the groupings of pairs and of three columns, each kind with its part of what single groups leave.

    Args:
        single: the groupings of single columns.
        single_weight: the part of the error that these have, where there are others.
        least_expected: synthetic rows that a combination of three needs to be looked at alone: there are many.

    """
    kinds = [crossings(single), crossings(single, 3, least_expected=least_expected)]
    kinds = [kind for kind in kinds if kind]
    return [(kind, (1 - single_weight) / len(kinds)) for kind in kinds]


def real_frame(evidence: Evidence) -> pd.DataFrame:
    """Return all real rows: what a group's share is estimated from varies less the more rows there are."""
    parts = (evidence.train, evidence.holdout, evidence.reference)
    return pd.concat([part.frame for part in parts if part is not None], ignore_index=True)


def ends_errors(value: float, centre: float, policy: Policy, *, subjects: int) -> tuple[float, float]:
    """Return the one-sided errors of the low and the high end where both sides are bad.

    The end towards `centre` is the good one (`alarm_share`), the end away from it the bad one (`doubt`).
    """
    good, bad = policy.alarm_share(subjects), policy.doubt
    return (bad, good) if value < centre else (good, bad)


def _of_numbers(column: Column, real: pd.Series, synthetic: pd.Series) -> Grouping:
    values, candidates = as_numbers(real), as_numbers(synthetic)
    known = values[~np.isnan(values)]
    if column.bins is not None:
        edges = np.asarray(column.bins, dtype=np.float64)
        names = [f"up to {edges[0]:g}", *(f"{a:g} to {b:g}" for a, b in pairwise(edges))]
        names.append(f"above {edges[-1]:g}")
        detail: dict[str, list[float]] = {}
    else:
        edges = np.unique(np.quantile(known, (0.25, 0.5, 0.75), method="inverted_cdf")) if len(known) else np.empty(0)
        edges = edges[edges < known.max()] if len(known) else edges
        names = list(QUARTERS) if len(edges) == len(QUARTERS) - 1 else [f"part {i + 1}" for i in range(len(edges) + 1)]
        detail = {"edges": edges.tolist()}
    cut = [
        np.where(np.isnan(part), len(names), np.searchsorted(edges, part, side="left")) for part in (values, candidates)
    ]
    return _present(Grouping(name=column.name, labels=(*names, MISSING), real=cut[0], synthetic=cut[1], detail=detail))


def _of_labels(column: Column, real: pd.Series, synthetic: pd.Series) -> Grouping:
    cells = [as_labels(part) for part in (real, synthetic)]
    counts = cells[0].value_counts()
    order = sorted(counts.index, key=lambda label: (-counts[label], label))
    code = {label: i for i, label in enumerate(order)}
    codes = []
    for part in cells:
        known = part.map(code).fillna(-1).to_numpy(dtype=np.int64)
        known[part.isna().to_numpy()] = len(order)
        codes.append(known)
    return _present(Grouping(name=column.name, labels=(*order, MISSING), real=codes[0], synthetic=codes[1], detail={}))


def _crossed(left: Grouping, right: Grouping) -> Grouping:
    width = len(right.labels)
    present, real = np.unique(left.real * width + right.real, return_inverse=True)
    both = np.where((left.synthetic < 0) | (right.synthetic < 0), -1, left.synthetic * width + right.synthetic)
    place = np.searchsorted(present, both).clip(max=len(present) - 1)
    synthetic = np.where(present[place] == both, place, -1)
    labels = tuple(f"{left.labels[pair // width]} × {right.labels[pair % width]}" for pair in present)
    return Grouping(name=f"{left.name} × {right.name}", labels=labels, real=real, synthetic=synthetic, detail={})


def _present(grouping: Grouping) -> Grouping:
    """Return the grouping without the groups that no real row is in."""
    kept = np.flatnonzero(np.bincount(grouping.real, minlength=len(grouping.labels)))
    place = np.full(len(grouping.labels), -1)
    place[kept] = np.arange(len(kept))
    return _recoded(grouping, tuple(grouping.labels[i] for i in kept), place)


def _pooled(grouping: Grouping, least_expected: float = LEAST_EXPECTED) -> Grouping:
    """Return the grouping with the small groups as one, the last."""
    real, _ = grouping.counts()
    expected = real / max(len(grouping.real), 1) * len(grouping.synthetic)
    small = expected < least_expected
    if small.sum() < 2:  # noqa: PLR2004 - one alone stays what it is
        return grouping
    kept = np.flatnonzero(~small)
    place = np.full(len(real), len(kept))
    place[kept] = np.arange(len(kept))
    return _recoded(grouping, (*(grouping.labels[i] for i in kept), RARE), place)


def _recoded(grouping: Grouping, labels: tuple[str, ...], place: np.ndarray) -> Grouping:
    synthetic = np.where(grouping.synthetic < 0, -1, place[grouping.synthetic])
    return Grouping(
        name=grouping.name, labels=labels, real=place[grouping.real], synthetic=synthetic, detail=grouping.detail
    )

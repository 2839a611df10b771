"""What holds between columns, found on real rows: inequalities, sums, labels that decide others.

A relation is found only where it holds in every row that knows its columns, where many rows do, and where chance or
plain ranges would not make it so: among shuffled rows, in which each column keeps its own law, at least
`BROKEN_BY_CHANCE` of the rows would break it. What is found names columns and counts rows; it holds no cell.

# N rows, C columns of numbers, G rows of a first glance
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, TableRuleKind

FEWEST_ROWS = 200  # that must know all the columns of a relation
FEWEST_PAIRS = 20  # different pairs of cells that an inequality must hold for
BROKEN_BY_CHANCE = 0.01
MOST_TIMES_WIDER = (
    20  # the span of one number of an inequality than that of the other, without half a per cent each side
)
TOUCHING_ROWS = 20  # that are one step apart, where none is equal, before "above" is said instead of "never below"
SHARE_OF_A_PART = 0.01  # of the rows in which a part of a sum must not be 0
GLANCE_ROWS = 2_000  # looked at first: most pairs fail there
PROJECTED_ROWS = 64  # by whose random combination sums are looked up
MOST_LOOKED_UP = 2_000  # sums that the combination proposes, which are then added up
LABEL_SUPPORT = 5  # rows that each deciding label must have
MOST_LABELS = 512
ALIKE = 1e-12  # of the largest projection: what adding up loses
ROUNDING = 1e-9  # of the largest number in a sum: many times what binary fractions lose, far below any money


@dataclass(frozen=True, kw_only=True)
class Relation:
    """What a spec may declare between columns.

    Args:
        kind, columns: as in `sources.schema.TableRule`.
        reason: why it is believed, in words and counts.

    """

    kind: TableRuleKind
    columns: tuple[str, ...]
    reason: str


def sum_tolerance(total: Column) -> float | None:
    """Return how far a sum may be from its total: half a step of the total's lattice, or None where it has none.

    Without a lattice `ROUNDING` of the largest number is allowed, for the rounding of binary fractions.
    """
    decimals = 0 if total.integer else total.decimals
    return None if decimals is None else 0.5 * 10.0**-decimals


def sum_residual(columns: Sequence[np.ndarray], tolerance: float | None) -> np.ndarray:
    """Return the first column less the sum of the others in units of what is allowed, float64 N, NaN where unknown.

    Args:
        columns: float64 N each.
        tolerance: what is allowed (see `sum_tolerance`).

    """
    total, *parts = columns
    allowed = (tolerance or 0.0) + ROUNDING * np.abs(np.stack(columns)).max(axis=0)
    residual = total - np.sum(parts, axis=0)
    return np.asarray(np.where(allowed > 0, residual / np.where(allowed > 0, allowed, 1.0), residual))


def find_relations(dataset: Dataset) -> tuple[Relation, ...]:
    """Return sums and inequalities that hold in all rows of `dataset`, none of which follows from the others.

    A sum has one to three parts; with one it says that two columns are equal. An inequality is between two times, or
    two numbers of one unit where units are given and of spans that are not far apart. The work is quadratic in the
    columns, on a glance of `GLANCE_ROWS` rows; only what holds there is looked at in full.
    """
    sums = _sums(dataset)
    equal = {rule.columns[0] for rule in sums if len(rule.columns) == 2}  # noqa: PLR2004 - a total and its one part
    parts_of = {rule.columns[0]: rule.columns[1:] for rule in sums}
    implied = {(total, part) for total in parts_of for part in _ancestry(total, parts_of)}
    found: list[Relation] = list(sums)
    for kind in ("numeric", "datetime"):
        columns = [column for column in dataset.schema.columns if column.kind == kind and column.name not in equal]
        found += _inequalities(dataset.frame, columns, implied)
    return tuple(found)


def find_deciding_labels(dataset: Dataset) -> tuple[tuple[str, str], ...]:
    """Return (column, column that it decides): a label of the first always comes with the same label of the second.

    Looks at columns of 2 to `MOST_LABELS` labels, each held by `LABEL_SUPPORT` rows; the decider has the fewest labels
    that do, and is decided by none itself.
    """
    codes: dict[str, np.ndarray] = {}
    for column in dataset.schema.columns:
        if column.kind in ("categorical", "boolean"):
            code = pd.factorize(dataset.frame[column.name], use_na_sentinel=False)[0]
            counts = np.bincount(code)
            if 1 < len(counts) <= MOST_LABELS and counts.min() >= LABEL_SUPPORT:
                codes[column.name] = code
    order = sorted(codes, key=lambda name: int(codes[name].max()))
    deciders: dict[str, str] = {}
    for decided in order:
        for decider in order:
            free = decider not in (decided, *deciders) and codes[decider].max() >= codes[decided].max()
            if free and decided not in deciders.values() and _decides(codes[decider], codes[decided]):
                deciders[decided] = decider
                break
    return tuple((decider, decided) for decided, decider in deciders.items())


def _decides(decider: np.ndarray, decided: np.ndarray) -> bool:
    for rows in (slice(GLANCE_ROWS), slice(None)):
        table = np.zeros(int(decider.max()) + 1, dtype=np.int64)
        table[decider[rows]] = decided[rows]
        if not np.array_equal(table[decider[rows]], decided[rows]):
            return False
    return True


def _numbers(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Return numbers as they are and times as microseconds, float64 N, NaN where missing."""
    cells = frame[name]
    if not pd.api.types.is_datetime64_any_dtype(cells.dtype):
        return cells.to_numpy(dtype=np.float64)
    numbers = cells.to_numpy().astype("datetime64[us]").astype(np.int64).astype(np.float64)
    return np.where(cells.isna().to_numpy(), np.nan, numbers)


def _glance(num_rows: int) -> np.ndarray:
    """Return rows spread evenly over the table, int G."""
    return np.unique(np.linspace(0, max(num_rows - 1, 0), min(num_rows, GLANCE_ROWS)).astype(np.int64))


# ---------------------------------------------------------------------- inequalities


def _inequalities(frame: pd.DataFrame, columns: Sequence[Column], implied: set[tuple[str, str]]) -> list[Relation]:
    """Return the inequalities among columns of one kind, without those that follow from a chain or from `implied`."""
    rows = _glance(len(frame))
    if len(frame) < FEWEST_ROWS or len(columns) < 2:  # noqa: PLR2004 - nothing to compare
        return []
    numbers = [_numbers(frame, column.name) for column in columns]
    seen = np.stack([cells[rows] for cells in numbers], axis=1)  # G C
    usable = (~np.isnan(seen)).sum(0) > 0
    low, high = np.full(len(columns), np.inf), np.full(len(columns), -np.inf)
    tails = np.nanquantile(seen[:, usable], [BROKEN_BY_CHANCE / 2, 1 - BROKEN_BY_CHANCE / 2], axis=0)
    low[usable], high[usable] = tails
    found: dict[tuple[int, int], tuple[str, TableRuleKind]] = {}
    for upper in range(len(columns)):
        apart = (seen > seen[:, [upper]]).any(axis=0) | (high <= low[upper])  # apart: no chance that rows break it
        for lower in np.flatnonzero(~apart & usable).tolist():
            if lower == upper or (columns[upper].name, columns[lower].name) in implied:
                continue
            if not _alike(columns[upper], columns[lower], high[upper] - low[upper], high[lower] - low[lower]):
                continue
            said = _inequality(numbers[upper], numbers[lower], rows)
            if said is not None:
                found[upper, lower] = said
    return [
        Relation(kind=kind, columns=(columns[upper].name, columns[lower].name), reason=reason)
        for (upper, lower), (reason, kind) in found.items()
        if not any((upper, middle) in found and (middle, lower) in found for middle in range(len(columns)))
    ]


def _alike(first: Column, second: Column, span: float, other_span: float) -> bool:
    """Return whether two columns could be of one unit: a count is no amount, though it is smaller than all of them."""
    if first.kind == "datetime":
        return True
    same_unit = first.unit == second.unit or not (first.unit and second.unit)
    return same_unit and max(span, other_span) <= MOST_TIMES_WIDER * min(span, other_span)


def _inequality(upper: np.ndarray, lower: np.ndarray, rows: np.ndarray) -> tuple[str, TableRuleKind] | None:
    """Return (the reason, how strict) where `upper` >= `lower` (float64 N each) in all rows and not by chance."""
    known = ~np.isnan(upper) & ~np.isnan(lower)
    if known.sum() < FEWEST_ROWS or (upper < lower).any():
        return None
    above, below = upper[rows][known[rows]], lower[rows][known[rows]]
    if len(np.unique(np.column_stack([above, below]), axis=0)) < FEWEST_PAIRS:
        return None
    broken = float(np.searchsorted(np.sort(above), below).mean() / len(above)) if len(above) else 0.0
    if broken < BROKEN_BY_CHANCE:
        return None
    gaps = (upper - lower)[known]
    smallest = gaps.min()
    strict = smallest > 0 and np.isclose(gaps, smallest, rtol=1e-6, atol=0).sum() >= TOUCHING_ROWS
    reason = f"holds in all {int(known.sum()):,} rows that know both; {broken:.0%} of shuffled rows would break it"
    return reason, "greater" if strict else "greater_or_equal"


# ---------------------------------------------------------------------- sums


def _sums(dataset: Dataset) -> list[Relation]:
    """Return the sums of one, two and three parts; a total has one sum, and no total is its own part's part."""
    columns = [column for column in dataset.schema.columns if column.kind == "numeric"]
    if len(dataset) < FEWEST_ROWS or len(columns) < 2:  # noqa: PLR2004 - nothing to add
        return []
    numbers = {column.name: _numbers(dataset.frame, column.name) for column in columns}
    few = [name for name, cells in numbers.items() if _is_part(cells)]
    known = [~np.isnan(numbers[name]) for name in few]
    complete = np.flatnonzero(np.all(known, axis=0)) if few else np.empty(0, dtype=np.int64)
    if len(complete) < PROJECTED_ROWS:  # columns that are often missing are left aside
        few = [name for name, there in zip(few, known, strict=True) if there.all()]
        complete = np.arange(len(dataset))
    rng = stream(0, "relations", "projection")
    rows = rng.choice(complete, size=min(PROJECTED_ROWS, len(complete)), replace=False)
    projection = rng.uniform(0.5, 1.5, size=len(rows)) @ np.stack([numbers[name][rows] for name in few], axis=1)
    tolerances = {column.name: sum_tolerance(column) for column in columns}
    parts_of: dict[str, tuple[str, ...]] = {}
    found = []
    for total, *parts in _candidates(np.asarray(projection)):
        names = tuple(few[part] for part in parts)
        if few[total] in parts_of or any(few[total] in _ancestry(name, parts_of) for name in names):
            continue
        if len(parts) > 1 and any(len(parts_of.get(name, ())) == 1 for name in (few[total], *names)):
            continue  # the column that this one equals says it
        cells = [numbers[name] for name in (few[total], *names)]
        summed = _num_summed(cells, tolerances[few[total]], rows)
        if summed >= FEWEST_ROWS:
            parts_of[few[total]] = names
            reason = f"holds in all {summed:,} rows that know them all"
            found.append(Relation(kind="sum", columns=(few[total], *names), reason=reason))
    return found


def _num_summed(cells: Sequence[np.ndarray], tolerance: float | None, glance: np.ndarray) -> int:
    """Return how many rows know all `cells` (float64 N each), the first the sum of the others; 0 where one breaks it.

    Most candidates fail in the rows of the `glance`.
    """
    summed = np.empty(0)
    for rows in (glance, slice(None)):
        residual = sum_residual([column[rows] for column in cells], tolerance)
        summed = residual[~np.isnan(residual)]
        if (np.abs(summed) > 1).any():
            return 0
    return len(summed)


def _is_part(cells: np.ndarray) -> bool:
    """Return whether a column is no constant, and not 0 in nearly all rows."""
    present = cells[~np.isnan(cells)]
    if len(present) < FEWEST_ROWS or present.min() == present.max():
        return False
    return bool(np.count_nonzero(present) >= SHARE_OF_A_PART * len(present))


def _ancestry(name: str, parts_of: dict[str, tuple[str, ...]]) -> set[str]:
    """Return the column and all columns that it is the sum of, however indirectly."""
    return {name}.union(*(_ancestry(part, parts_of) for part in parts_of.get(name, ())))


def _candidates(projection: np.ndarray) -> list[tuple[int, ...]]:
    """Return (total, parts) whose projections (float64 C) add up: equal columns, then two parts, then three."""
    size = float(np.abs(projection).max(initial=0.0)) or 1.0
    order = np.argsort(projection, kind="stable")
    equal = [
        (int(max(pair)), int(min(pair)))
        for pair in pairwise(order)
        if abs(projection[pair[1]] - projection[pair[0]]) <= ALIKE * size
    ]
    kept = np.setdiff1d(np.arange(len(projection)), [total for total, _ in equal])
    first, second = (kept[index] for index in np.triu_indices(len(kept), k=1))
    pairs = projection[first] + projection[second]
    two = [
        (int(total), int(first[pair]), int(second[pair]))
        for total, pair in _matches(kept, projection[kept], pairs, ALIKE * size)
        if total not in (first[pair], second[pair])
    ]
    totals, thirds = (index.ravel() for index in np.meshgrid(kept, kept, indexing="ij"))
    three = [
        (int(totals[number]), int(thirds[number]), int(first[pair]), int(second[pair]))
        for number, pair in _matches(
            np.arange(len(totals)), projection[totals] - projection[thirds], pairs, ALIKE * size
        )
        if thirds[number] < first[pair] and totals[number] not in (thirds[number], first[pair], second[pair])
    ]
    return [*equal, *two[:MOST_LOOKED_UP], *three[:MOST_LOOKED_UP]]


def _matches(labels: np.ndarray, wanted: np.ndarray, pairs: np.ndarray, tolerance: float) -> list[tuple[int, int]]:
    """Return (label, pair) wherever `wanted` of the label lies within `tolerance` of the pair's sum."""
    order = np.argsort(pairs, kind="stable")
    start = np.searchsorted(pairs[order], wanted - tolerance)
    stop = np.searchsorted(pairs[order], wanted + tolerance, side="right")
    hits = np.flatnonzero(stop > start)
    return [(int(labels[hit]), int(order[place])) for hit in hits for place in range(start[hit], stop[hit])]

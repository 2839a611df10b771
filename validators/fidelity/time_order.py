"""Does one row follow from the one before it as in real rows?

Where the schema names a column that orders rows in time, each column's cell in a row is related to its cell in the next
row: within an entity where there are entities, else along the whole table. Without entities the parts are thinned to
one number of rows first, for a relation between neighbours fades with the distance between them. Cells are scored as
the training part's own steps say (correspondence analysis, as in `association`), so the relation is a correlation; a
test says whether that of any column has surely changed.

What it cannot see: structure beyond one step, drift of the whole table in time (`association` sees it as a relation
with the order column), steps of one column that follow from another column.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from sources.schema import Column
from validators.encoding import encode
from validators.evidence import Evidence
from validators.fidelity.association import canonical_scores, scored_correlation
from validators.fidelity.sides import entity_codes, too_few, with_holdout
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.privacy.neighbours import as_numbers
from validators.statistics.bootstrap import jackknife_variance

NUM_GROUPS = 20  # of the jackknife: stretches of time, or groups of entities
MAX_ROWS = 20_000
TOLERANCE = 0.1
"""Of the correlation: whatever learns a series loses a little of it, and a long one would show it."""


def time_order(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `time_order`: the smallest p-value of all columns times their number; nothing without an order."""
    key = evidence.schema.order_key
    if key is None:
        return []
    evidence, caveat = with_holdout(evidence, rng)
    encoded = encode(evidence)
    measured = [i for i, column in enumerate(encoded.columns) if column.name != key]
    few = too_few(evidence, [("time_order", "worst column")])
    if few or not measured:
        return few if measured else []
    assert evidence.holdout is not None
    assert encoded.holdout is not None
    parts = (evidence.train, evidence.holdout, evidence.synthetic)
    rows = min(MAX_ROWS, *(int(part.frame[key].notna().sum()) for part in parts))
    found = [steps(part.frame, evidence.schema[key], evidence.schema.entity_key, rows, rng) for part in parts]
    num_steps = min(len(before) for before, _, _ in found)
    if num_steps < evidence.policy.min_rows:
        reading = f"A part has {num_steps:,} rows that follow another one in the order of {key!r}: too few to judge."
        return [
            undecided(name="time_order", subject="worst column", n=num_steps, reading=reading, policy=evidence.policy)
        ]
    cells = (encoded.train.cells, encoded.holdout.cells, encoded.synthetic.cells)
    looks = []
    for i in measured:
        tables = [
            step_tables(part[:, i], step, encoded.columns[i].num_cells) for part, step in zip(cells, found, strict=True)
        ]
        scores = canonical_scores(tables[0].sum(axis=0))
        (real, variance_real), (made, variance_made) = (step_correlation(table, *scores) for table in tables[1:])
        p = moved_p(real - made, variance_real + variance_made)
        looks.append((p, encoded.columns[i].name, real, made))
    smallest, name, real, made = min(looks)
    p = min(1.0, len(looks) * smallest)
    within = f" of one {evidence.schema.entity_key!r}" if evidence.schema.entity_key else ""
    reading = f"From one row{within} to the next in the order of {key!r} no column surely hangs together otherwise."
    if p < 1:
        reading = (
            f"From one row{within} to the next in the order of {key!r}, {name!r} correlates with itself by {made:.2f} "
            f"in synthetic rows and by {real:.2f} in fresh real ones (p = {p:.2g})."
        )
    return [
        judged(
            name="time_order",
            subject="worst column",
            value=p,
            low=p,
            high=p,
            n=num_steps,
            reading=reading + caveat,
            policy=evidence.policy,
            detail={"column": name, "synthetic": made, "real": real, "num_columns": len(looks)},
        )
    ]


def moved_p(difference: float, variance: float, tolerance: float = TOLERANCE) -> float:
    """Return Student's two-sided p-value, up to 2, of a difference of correlations beyond the tolerance."""
    beyond = (abs(difference) - tolerance) / float(np.sqrt(variance))
    return 2 * float(stats.t.sf(beyond, NUM_GROUPS - 1))


def steps(
    frame: pd.DataFrame, key: Column, entity_key: str | None, rows: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the positions of a row and of the next one, for each step, and the jackknife group of the step (int64 N).

    Args:
        frame: canonical rows.
        key: the column that orders them; where it is missing the row is left out. Equal moments are in random order.
        entity_key: a step stays within one of its values.
        rows: to which a table without entities is thinned.
        rng: draws the rows, and the order of equal moments.

    """
    known = np.flatnonzero(frame[key.name].notna().to_numpy())
    known = rng.permutation(known)
    cells = frame[key.name].iloc[known]
    if key.kind in ("numeric", "datetime"):
        moment = as_numbers(cells)
    else:
        moment = pd.factorize(cells.astype(str), sort=True)[0].astype(np.float64)
    if entity_key is None:
        order = known[:rows][np.argsort(moment[:rows], kind="stable")]
        before, after = order[:-1], order[1:]
        return before, after, np.arange(len(before)) * NUM_GROUPS // max(len(before), 1)
    entity = entity_codes(frame[entity_key].iloc[known])  # in the order of appearance, which is random
    sequence = np.lexsort((moment, entity))
    same = entity[sequence][:-1] == entity[sequence][1:]
    order = known[sequence]
    return order[:-1][same], order[1:][same], entity[sequence][:-1][same] % NUM_GROUPS


def step_tables(cells: np.ndarray, step: tuple[np.ndarray, np.ndarray, np.ndarray], num_cells: int) -> np.ndarray:
    """Return how often each cell follows each, by jackknife group (float G K K)."""
    before, after, group = step
    code = (group * num_cells + cells[before]) * num_cells + cells[after]
    counts = np.bincount(code, minlength=NUM_GROUPS * num_cells**2)
    return counts.reshape(NUM_GROUPS, num_cells, num_cells).astype(np.float64)


def step_correlation(tables: np.ndarray, scores: np.ndarray, next_scores: np.ndarray) -> tuple[float, float]:
    """Return the correlation of scored cells with the next ones, and its variance.

    Steps overlap and neighbours in time are alike, so the variance is the jackknife's over groups, or that of
    independent steps where it is larger.

    Args:
        tables: float G K K.
        scores: of the cell in a row (float K).
        next_scores: of the cell in the next row (float K).

    """
    whole = tables.sum(axis=0)
    value, variance = scored_correlation(whole, scores, next_scores)
    without = [
        scored_correlation(whole - table, scores, next_scores)[0] for table in tables if table.sum() < whole.sum()
    ]
    if len(without) < NUM_GROUPS:  # fewer entities than groups
        return value, 1.0
    return value, max(variance, float(jackknife_variance(np.array(without))))

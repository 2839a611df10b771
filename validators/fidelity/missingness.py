"""Are cells missing in the same company as in real rows, and in the same kind of rows?

`lost_values` counts the missing cells of each column. Here two further things are compared. Patterns: which cells are
missing together, in one row; each frequent pattern must be there at least half as often as in real rows, and at most
twice as often. Dependence: from the training part each other cell of a row says how likely its cell of this column is
to be missing; how well that tells apart the rows where it is missing is compared between holdout and synthetic rows.
Cells that are missing completely at random have the right rate and neither of the two.

What it cannot see: columns with fewer than thirty missing cells in a part, where only patterns are compared.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from validators.encoding import EncodedColumn, Part, encode
from validators.evidence import Evidence
from validators.fidelity.dependence import pair_information, row_scores
from validators.fidelity.lost_values import HALF, fewer_p
from validators.fidelity.sides import design_effect, too_few, with_holdout
from validators.gate import judged
from validators.measurement import Measurement
from validators.statistics.ranking import auc_variance, placements

NUM_PATTERNS = 20  # the most frequent ones; all others count as one
NUM_COLUMNS = 30  # with the most missing cells; their dependence is looked at
NUM_WITNESSES = 200  # columns that it may depend on
LEAST_GAPS = 30  # missing cells in a part below which an AUC has no standard error to speak of
TOLERANCE = 0.05
"""Of the AUC: whatever learns loses a little of every dependence, and a large table would show it."""


class Look(NamedTuple):
    """One comparison: what was compared, in words, and the p-value of no difference beyond what is tolerated."""

    what: str
    p: float


def missingness(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `missingness`: the smallest p-value over patterns and columns, times their number."""
    few = too_few(evidence, [("missingness", "all columns")])
    encoded = encode(evidence)
    if few or not encoded.columns:
        return few if encoded.columns else []
    parts = [encoded.train, encoded.holdout, encoded.reference]
    real = np.isnan(np.concatenate([part.values for part in parts if part is not None]))
    synthetic = np.isnan(encoded.synthetic.values)
    p, reading, num_looks = 1.0, "No cell is missing, neither in real rows nor in synthetic ones.", 0
    if real.any() or synthetic.any():
        names = [column.name for column in encoded.columns]
        looks = pattern_looks(real, synthetic, names, design_effect(evidence))
        looks += _dependence_looks(evidence, rng)
        worst, num_looks = min(looks, key=lambda look: look.p), len(looks)
        p = min(1.0, num_looks * worst.p)
        reading = "Cells are missing together, and in such rows, as they are in real rows."
        if p < 1:
            reading = f"{worst.what} (p = {p:.2g})."
    return [
        judged(
            name="missingness",
            subject="all columns",
            value=p,
            low=p,
            high=p,
            n=len(synthetic),
            reading=reading,
            policy=evidence.policy,
            detail={"num_looks": num_looks},
        )
    ]


def pattern_looks(real: np.ndarray, synthetic: np.ndarray, names: Sequence[str], per_entity: float) -> list[Look]:
    """Return one look for each frequent pattern of missing cells, two-sided, and one for all the others.

    Args:
        real: which cells are missing (bool N C).
        synthetic: likewise (bool M C).
        names: of the columns.
        per_entity: rows that count as one.

    """
    both = np.concatenate([real, synthetic])
    patterns, first, code = np.unique(np.packbits(both, axis=1), axis=0, return_index=True, return_inverse=True)
    code = code.ravel()
    counts = np.stack([np.bincount(part, minlength=len(patterns)) for part in (code[: len(real)], code[len(real) :])]).T
    frequency = (counts / [len(real), len(synthetic)]).sum(axis=1)
    order = np.argsort(-frequency, kind="stable")
    top, rest = order[:NUM_PATTERNS], order[NUM_PATTERNS:]
    entries = [(_pattern(names, both[first[i]]), counts[i]) for i in top]
    if len(rest):
        entries.append(("some rarer pattern of missing cells", counts[rest].sum(axis=0)))
    sizes = [max(int(len(part) / per_entity), 1) for part in (real, synthetic)]
    looks = []
    for what, (in_real, in_synthetic) in entries:
        a, b = int(in_real / per_entity), int(in_synthetic / per_entity)
        p = min(fewer_p(b, sizes[1], a, sizes[0], least=HALF), fewer_p(a, sizes[0], b, sizes[1], least=HALF))
        shares = f"{in_synthetic / len(synthetic):.2%} of the synthetic rows and {in_real / len(real):.2%} of the real"
        looks.append(Look(f"There is {what} in {shares} ones", min(1.0, 2 * p)))
    return looks


def _pattern(names: Sequence[str], missing: np.ndarray) -> str:
    """Return a pattern in words."""
    columns = [repr(name) for name, gone in zip(names, missing, strict=True) if gone]
    if not columns:
        return "no missing cell"
    shown = ", ".join(columns[:4]) + (f" and {len(columns) - 4} more" if len(columns) > 4 else "")  # noqa: PLR2004
    return f"nothing but {shown} missing" if len(columns) > 1 else f"only {shown} missing"


def _dependence_looks(evidence: Evidence, rng: np.random.Generator) -> list[Look]:
    """Return one look for each column with enough missing cells in all parts."""
    evidence, caveat = with_holdout(evidence, rng)
    encoded = encode(evidence)
    assert encoded.holdout is not None
    per_entity = design_effect(evidence)
    sides = (encoded.train, encoded.holdout, encoded.synthetic)
    gaps = np.stack([np.isnan(part.values).sum(axis=0) for part in sides])
    known = np.array([len(part) for part in sides])[:, None] - gaps
    enough = np.flatnonzero(np.minimum(gaps, known).min(axis=0) / per_entity >= LEAST_GAPS)
    looks = []
    for at in enough[np.argsort(-gaps[0, enough], kind="stable")][:NUM_COLUMNS]:
        others = np.flatnonzero(np.arange(len(encoded.columns)) != at)
        if len(others) == 0:
            continue
        others = np.sort(rng.permutation(others)[:NUM_WITNESSES])
        columns = [encoded.columns[i] for i in others]
        aucs, variances = gap_aucs(columns, [(np.isnan(part.values[:, at]), part.cells[:, others]) for part in sides])
        se = float(np.sqrt(per_entity * sum(variances)))
        p = moved_p(aucs[0] - aucs[1], se, float(gaps[1:, at].min() / per_entity - 1))
        what = (
            f"Rows in which {encoded.columns[at].name!r} is missing are told from others by their other cells in "
            f"{aucs[1]:.1%} of cases among synthetic rows, in {aucs[0]:.1%} among real ones{caveat and ', halves'}"
        )
        looks.append(Look(what, p))
    return looks


def moved_p(difference: float, se: float, freedom: float, tolerance: float = TOLERANCE) -> float:
    """Return Student's two-sided p-value of a difference of AUCs, of standard error `se`, beyond the tolerance."""
    return min(1.0, 2 * float(stats.t.sf((abs(difference) - tolerance) / se, freedom)))


def gap_aucs(
    columns: Sequence[EncodedColumn], sides: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[list[float], list[float]]:
    """Return the AUC with which other cells tell rows with a missing cell from others, and its variance, by side.

    Args:
        columns: the C other columns.
        sides: for train, holdout and synthetic rows: missing or not (bool N), the other cells (int64 N C).

    """
    indicator = EncodedColumn(name="missing", kind="boolean", categorical=True, labels=("no", "yes"), num_cells=2)
    gap, cells = sides[0]
    learnt = np.column_stack([gap, cells]).astype(np.int64)
    pairs = np.column_stack([np.zeros(len(columns), np.int64), np.arange(1, len(columns) + 1)])
    information = pair_information(Part(values=learnt.astype(np.float64), cells=learnt), [indicator, *columns], pairs)
    aucs, variances = [], []
    for gap, cells in sides[1:]:
        as_if = [row_scores(np.column_stack([np.full(len(gap), i), cells]), information) for i in (0, 1)]
        score = as_if[1] - as_if[0]
        auc, of_gap, of_known = placements(score[gap], score[~gap])
        aucs.append(auc)
        variances.append(auc_variance(of_gap, of_known))
    return aucs, variances

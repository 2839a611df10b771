"""Association: the pair of columns whose relation was lost, or invented, the most.

Any two columns, of whatever kind, are related through their cells. Correspondence analysis finds the scores of cells
that make the relation a correlation as strong as can be; with the scores fixed, the correlation is an ordinary one and
has an ordinary standard error. Scores learnt from train and measured on holdout and synthetic rows show what was lost;
scores learnt from one half of the synthetic rows and measured on the other half and on real rows show what was
invented. No part is measured with scores of its own, so fresh rows have differences of mean 0.

Legend: Q pairs, K cells.
"""

from collections.abc import Sequence

import numpy as np

from validators.encoding import EncodedColumn, Part
from validators.evidence import Evidence
from validators.fidelity.kway import column_sets
from validators.fidelity.sides import sides_of, too_few
from validators.gate import judged
from validators.measurement import Measurement
from validators.statistics.intervals import end_errors, normal_ends

PRIOR_ROWS = 20  # the table that gives the scores is shrunk towards independence by so many rows, for empty cells


def association(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `association` for the worst pair; nothing when there is no pair."""
    sides = sides_of(evidence, rng)
    if len(sides.columns) < 2:  # noqa: PLR2004 - a pair
        return []
    few = too_few(evidence, [("association", "worst pair")])
    if few:
        return few
    pairs = column_sets(len(sides.columns), 2, rng)
    half = len(sides.synthetic) // 2
    first, second = sides.synthetic.take(np.arange(half)), sides.synthetic.take(np.arange(half, len(sides.synthetic)))
    real = Part(
        values=np.concatenate([sides.train.values, sides.holdout.values]),
        cells=np.concatenate([sides.train.cells, sides.holdout.cells]),
    )
    lost = differences(sides.columns, pairs, learnt=sides.train, minuend=sides.holdout, subtrahend=sides.synthetic)
    invented = differences(sides.columns, pairs, learnt=first, minuend=second, subtrahend=real)
    values, ses = np.concatenate([lost[:, 0], invented[:, 0]]), np.concatenate([lost[:, 1], invented[:, 1]])
    low_error, high_error = end_errors(evidence.policy, "lower_is_better", subjects=len(values))
    ends = [
        normal_ends(float(value), float(se), low_error=low_error, high_error=high_error)
        for value, se in zip(values, ses, strict=True)
    ]
    low, high = max(low for low, _ in ends), max(high for _, high in ends)
    worst = int(np.argmax(values))
    names = [sides.columns[i].name for i in pairs[worst % len(pairs)]]
    value = float(values[worst])
    how = "weaker" if worst < len(pairs) else "stronger"
    return [
        judged(
            name="association",
            subject="worst pair",
            value=value,
            low=low,
            high=high,
            n=min(len(sides.holdout), len(sides.synthetic)),
            reading=(
                f"The relation between {names[0]!r} and {names[1]!r} is {how} than in real rows by {value:.2f} "
                f"(a correlation, 0 to 1); no other pair is farther off." + sides.caveat
            ),
            policy=evidence.policy,
            reference=0.0,
            detail={"pair": names, "kind": "lost" if worst < len(pairs) else "invented", "num_pairs": len(pairs)},
        )
    ]


def differences(
    columns: Sequence[EncodedColumn], pairs: np.ndarray, *, learnt: Part, minuend: Part, subtrahend: Part
) -> np.ndarray:
    """Return the correlation in `minuend` less that in `subtrahend`, and its standard error, by pair (float Q 2).

    Args:
        columns: how the columns are encoded.
        pairs: positions of two columns (int64 Q 2).
        learnt: the part that the scores of the cells come from.
        minuend, subtrahend: the parts that are compared.

    """
    found = np.empty((len(pairs), 2))
    for at, (i, j) in enumerate(pairs.tolist()):
        num_i, num_j = columns[i].num_cells, columns[j].num_cells
        scores_i, scores_j = canonical_scores(_joint(learnt, i, j, num_i, num_j))
        r1, variance1 = scored_correlation(_joint(minuend, i, j, num_i, num_j), scores_i, scores_j)
        r2, variance2 = scored_correlation(_joint(subtrahend, i, j, num_i, num_j), scores_i, scores_j)
        found[at] = r1 - r2, np.sqrt(variance1 + variance2)
    return found


def canonical_scores(joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of rows and columns of a table of counts that correlate most (float K_i; float K_j).

    The first pair of singular vectors of the standardised residuals, each in units of its standard deviation (Benzécri;
    see Greenacre 1984, *Correspondence Analysis*, chapter 4). Cells that never occur score 0.
    """
    n = joint.sum()
    row, column = joint.sum(axis=1) / n, joint.sum(axis=0) / n
    independent = np.outer(row, column)
    shrunk = (joint + PRIOR_ROWS * independent) / (n + PRIOR_ROWS)
    root_row, root_column = np.sqrt(row), np.sqrt(column)
    scale = np.outer(root_row, root_column)
    residuals = np.divide(shrunk - independent, scale, out=np.zeros_like(scale), where=scale > 0)
    left, _, right = np.linalg.svd(residuals)
    scores = [
        np.divide(vector, root, out=np.zeros_like(root), where=root > 0)
        for vector, root in ((left[:, 0], root_row), (right[0], root_column))
    ]
    return scores[0], scores[1]


def scored_correlation(joint: np.ndarray, scores_i: np.ndarray, scores_j: np.ndarray) -> tuple[float, float]:
    """Return the correlation of two columns whose cells have scores, and its variance (delta method).

    0 with the variance of independent columns where one of them does not vary.
    """
    n = joint.sum()
    p = joint / n
    x = scores_i - p.sum(axis=1) @ scores_i
    y = scores_j - p.sum(axis=0) @ scores_j
    deviation_x, deviation_y = np.sqrt(p.sum(axis=1) @ x**2), np.sqrt(p.sum(axis=0) @ y**2)
    if min(deviation_x, deviation_y) < 1e-9:  # noqa: PLR2004 - one value only, up to rounding
        return 0.0, 1.0 / n
    x, y = x / deviation_x, y / deviation_y
    product = np.outer(x, y)
    r = float((p * product).sum())
    influence = product - r * (x[:, None] ** 2 + y[None, :] ** 2) / 2
    return r, float((p * influence**2).sum() / n)


def _joint(part: Part, i: int, j: int, num_i: int, num_j: int) -> np.ndarray:
    code = part.cells[:, i] * num_j + part.cells[:, j]
    return np.bincount(code, minlength=num_i * num_j).reshape(num_i, num_j).astype(np.float64)

"""Association: the pair of columns whose relation was lost, or invented, the most.

Any two columns, of whatever kind, are related through their cells. Correspondence analysis finds the scores of cells
that make the relation a correlation as strong as can be; with the scores fixed, the correlation is an ordinary one and
has an ordinary standard error. Scores learnt from train and measured on holdout and synthetic rows show what was lost;
scores learnt from one half of the synthetic rows and measured on the other half and on real rows (and the other way
round) show what was invented. No part is measured with scores of its own, so fresh rows have differences of mean 0.

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
from validators.statistics.intervals import gate_ends

PRIOR_ROWS = 20  # the table that gives the scores is shrunk towards independence by so many rows, for empty cells
RARE_SHARE = 0.05  # cells of a column that hold less are scored as one: the correlation of a few rows is noise


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
    lost, *variances = differences(
        sides.columns, pairs, learnt=sides.train, minuend=sides.holdout, subtrahend=sides.synthetic
    )
    variance_lost = variances[0] + variances[1]
    there = differences(sides.columns, pairs, learnt=first, minuend=second, subtrahend=real)
    back = differences(sides.columns, pairs, learnt=second, minuend=first, subtrahend=real)
    invented = (there[0] + back[0]) / 2
    # The halves are independent of each other; the real rows serve both ways, so their part is not halved.
    variance_invented = (there[1] + back[1]) / 4 + (there[2] + back[2]) / 2
    values = np.concatenate([lost, invented])
    ses = np.sqrt(np.concatenate([variance_lost, variance_invented]))
    ends = [
        gate_ends(
            float(difference),
            float(se),
            policy=evidence.policy,
            name="association",
            reference=0.0,
            subjects=len(values),
        )
        for difference, se in zip(values, ses, strict=True)
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
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the correlation in `minuend` less that in `subtrahend`, and the variance of either (float Q each).

    Args:
        columns: how the columns are encoded.
        pairs: positions of two columns (int64 Q 2).
        learnt: the part that the scores of the cells come from.
        minuend: the part whose correlation counts positive.
        subtrahend: the part whose correlation is taken off.

    """
    found = np.empty((3, len(pairs)))
    for at, (i, j) in enumerate(pairs.tolist()):
        num_i, num_j = columns[i].num_cells, columns[j].num_cells
        scores_i, scores_j = canonical_scores(_joint(learnt, i, j, num_i, num_j))
        r1, variance1 = scored_correlation(_joint(minuend, i, j, num_i, num_j), scores_i, scores_j)
        r2, variance2 = scored_correlation(_joint(subtrahend, i, j, num_i, num_j), scores_i, scores_j)
        found[:, at] = r1 - r2, variance1, variance2
    return found[0], found[1], found[2]


def canonical_scores(joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores of rows and columns of a table of counts that correlate most (float K_i; float K_j).

    The first pair of singular vectors of the standardised residuals, each in units of its standard deviation (Benzécri;
    see Greenacre 1984, *Correspondence Analysis*, chapter 4). Rare cells share a score.
    """
    pool_i, pool_j = _pooling(joint.sum(axis=1)), _pooling(joint.sum(axis=0))
    scores_i, scores_j = _canonical_scores(pool_i.T @ joint @ pool_j)
    return pool_i @ scores_i, pool_j @ scores_j


def _pooling(counts: np.ndarray) -> np.ndarray:
    """Return which pooled cell each cell belongs to (float K K'): the rare ones share the last."""
    rare = counts < RARE_SHARE * counts.sum()
    pool = np.zeros((len(counts), int((~rare).sum()) + 1))
    pool[~rare, :-1] = np.eye(pool.shape[1] - 1)
    pool[rare, -1] = 1.0
    return pool


def _canonical_scores(joint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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

"""Dependence: do the cells of a synthetic row belong together as those of a fresh real row do?

From the training part each pair of cells gets its pointwise mutual information; a row's score is the sum over its
pairs (a composite log-likelihood ratio against independent columns). The AUC with which the score tells whole rows
from rows with shuffled cells measures how much dependence there is: independent columns give one half whatever the
table, a fresh sample gives what the table holds. Since all pairs add up in one number, a few hundred rows suffice.

Legend: N rows, C columns, K cells.
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
from validators.statistics.ranking import auc_variance, placements

PRIOR_ROWS = 200  # each pair's table is shrunk towards independence by so many rows; 100 to 500 score alike
NUM_SHUFFLES = 4  # shuffled rows for each real one


def dependence(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `dependence`: how much better real rows are told from shuffled ones than synthetic rows are."""
    sides = sides_of(evidence, rng)
    if len(sides.columns) < 2:  # noqa: PLR2004 - a pair
        return []
    few = too_few(evidence, [("dependence", "all rows")])
    if few:
        return few
    information = pair_information(sides.train, sides.columns, column_sets(len(sides.columns), 2, rng))
    aucs, variances = {}, {}
    for name, part in (("synthetic", sides.synthetic), ("holdout", sides.holdout)):
        aucs[name], variances[name] = whole_row_auc(part.cells, information, rng)
    value = aucs["holdout"] - aucs["synthetic"]
    low, high = gate_ends(
        value, float(np.sqrt(sum(variances.values()))), policy=evidence.policy, name="dependence", reference=0.0
    )
    return [
        judged(
            name="dependence",
            subject="all rows",
            value=value,
            low=low,
            high=high,
            n=min(len(sides.holdout), len(sides.synthetic)),
            reading=(
                f"A synthetic row is told from one with shuffled cells in {aucs['synthetic']:.1%} of cases, a fresh "
                f"real row in {aucs['holdout']:.1%}; independent columns would give 50%." + sides.caveat
            ),
            policy=evidence.policy,
            reference=0.0,
            detail={"auc_synthetic": aucs["synthetic"], "auc_holdout": aucs["holdout"]},
        )
    ]


def whole_row_auc(
    cells: np.ndarray, information: Sequence[tuple[int, int, np.ndarray]], rng: np.random.Generator
) -> tuple[float, float]:
    """Return the AUC with which scores tell rows (int64 N C) from rows with shuffled cells, and its variance."""
    shuffled = np.concatenate([rng.permuted(cells, axis=0) for _ in range(NUM_SHUFFLES)])
    auc, of_whole, of_shuffled = placements(row_scores(cells, information), row_scores(shuffled, information))
    # The shuffles share their marginals, so they count as one sample of the part's size.
    return auc, auc_variance(of_whole, of_shuffled.reshape(NUM_SHUFFLES, -1).mean(axis=0))


def pair_information(
    train: Part, columns: Sequence[EncodedColumn], pairs: np.ndarray
) -> list[tuple[int, int, np.ndarray]]:
    """Return (i, j, table) for each pair (int64 Q 2): shrunk pointwise mutual information in nats (float K_i K_j).

    Each table is scaled by the share of its likelihood-ratio statistic G that exceeds what chance alone gives (its
    degrees of freedom), so pairs without relation add no noise.
    """
    n = len(train)
    margins = [np.bincount(train.cells[:, i], minlength=column.num_cells) for i, column in enumerate(columns)]
    smooth = [(margin + 0.5) / (n + 0.5 * len(margin)) for margin in margins]
    information = []
    for i, j in pairs.tolist():
        joint = _joint(train.cells, i, j, columns[i].num_cells, columns[j].num_cells)
        expected = np.outer(margins[i], margins[j]) / n
        seen = joint > 0
        g = 2 * float((joint[seen] * np.log(joint[seen] / expected[seen])).sum())
        freedom = (np.count_nonzero(margins[i]) - 1) * (np.count_nonzero(margins[j]) - 1)
        weight = 1 - freedom / g if g > freedom else 0.0
        independent = np.outer(smooth[i], smooth[j])
        table = np.log((joint + PRIOR_ROWS * independent) / ((n + PRIOR_ROWS) * independent))
        if weight > 0:
            information.append((i, j, weight * table))
    return information


def row_scores(cells: np.ndarray, information: Sequence[tuple[int, int, np.ndarray]]) -> np.ndarray:
    """Return the summed information of each row (float N) of `cells` (int64 N C)."""
    scores = np.zeros(len(cells))
    for i, j, table in information:
        scores += table[cells[:, i], cells[:, j]]
    return scores


def _joint(cells: np.ndarray, i: int, j: int, num_i: int, num_j: int) -> np.ndarray:
    return np.bincount(cells[:, i] * num_j + cells[:, j], minlength=num_i * num_j).reshape(num_i, num_j)

"""k-way accuracy: how well the tables of one, two and three columns agree with train, against the holdout's ceiling.

The accuracy of a part is the mean over column sets of 1 - TV between its binned table and that of train (total
variation, half the summed absolute difference). It falls with the size of the part, so synthetic rows and holdout are
cut into chunks of one size. What is judged is the shortfall: the holdout's accuracy less the synthetic one.

Legend: Q column sets, R chunks, G jackknife groups, K cells.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from validators.encoding import Part
from validators.evidence import Evidence
from validators.fidelity.sides import Sides, sides_of, too_few
from validators.gate import judged
from validators.measurement import Measurement
from validators.statistics.bootstrap import jackknife_variance
from validators.statistics.intervals import gate_ends

NUM_GROUPS = 20  # of the jackknife: its standard error is itself known to about a sixth
MAX_CHUNKS = 4  # more of them would add little: the other side is not cut
MAX_SETS = {1: 2_000, 2: 600, 3: 300}  # seeded draws of column sets beyond; time grows with them, precision hardly


@dataclass(frozen=True, kw_only=True)
class Shortfall:
    """Total variation by column set, and what the jackknife makes of it.

    Args:
        synthetic, holdout: TV to train (float Q).
        without_synthetic, without_holdout: the same without group g of chunk r (float Q R G).
        without_train: the difference synthetic - holdout without group g of train (float Q G).

    """

    synthetic: np.ndarray
    holdout: np.ndarray
    without_synthetic: np.ndarray
    without_holdout: np.ndarray
    without_train: np.ndarray

    @property
    def excess(self) -> np.ndarray:
        """Return how much farther than the holdout the synthetic rows are from train (float Q)."""
        return np.asarray(self.synthetic - self.holdout)

    def variance(self, *, of_mean: bool) -> np.ndarray:
        """Return the variance of each excess (float Q), or of their mean over the column sets (float)."""
        total: np.ndarray = np.zeros(())
        for replicates in (self.without_synthetic, self.without_holdout, self.without_train[:, None, :]):
            chosen = replicates.mean(axis=0) if of_mean else replicates
            total = total + jackknife_variance(chosen).mean(axis=-1) / chosen.shape[-2]
        return np.asarray(total)


def kway(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `kway_1`, `kway_2`, `kway_3` and `column_shape`, as far as there are columns."""
    sides = sides_of(evidence, rng)
    num_columns = len(sides.columns)
    orders = [k for k in (1, 2, 3) if k <= num_columns]
    # The one attribute of a picture has no others to be averaged with: `column_shape` judges it.
    averaged = [k for k in orders if num_columns > 1 or not any(c.kind == "image" for c in evidence.schema.columns)]
    names = [(f"kway_{k}", "all rows") for k in averaged] + [("column_shape", "worst column")] * (num_columns > 0)
    few = too_few(evidence, names)
    if few or not orders:
        return few
    found = []
    for k in orders:
        sets = column_sets(num_columns, k, rng)
        shortfall = shortfall_of(sides, sets)
        if k in averaged:
            found.append(_mean_accuracy(evidence, sides, k, sets, shortfall))
        if k == 1:
            found.append(_worst_column(evidence, sides, sets, shortfall))
    return found


def column_sets(num_columns: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return all sets of `k` columns, or `MAX_SETS[k]` of them drawn without replacement (int64 Q k)."""
    if num_columns**k <= 50 * MAX_SETS[k]:
        sets = np.array(list(combinations(range(num_columns), k)), dtype=np.int64)
        if len(sets) > MAX_SETS[k]:
            sets = sets[np.sort(rng.choice(len(sets), MAX_SETS[k], replace=False))]
        return sets
    drawn: set[tuple[int, ...]] = set()
    while len(drawn) < MAX_SETS[k]:
        drawn.add(tuple(sorted(rng.choice(num_columns, k, replace=False).tolist())))
    return np.array(sorted(drawn), dtype=np.int64)


def shortfall_of(sides: Sides, sets: np.ndarray) -> Shortfall:
    """Return total variations to train for each of the column sets (int64 Q k), with their jackknife replicates."""
    rows = min(len(sides.holdout), len(sides.synthetic))
    num_cells = np.array([column.num_cells for column in sides.columns])
    collected: list[tuple[np.ndarray, ...]] = []
    for columns in sets:
        train = _tables(sides.train, columns, num_cells, len(sides.train))[0]  # G K
        chunked = [_tables(part, columns, num_cells, rows) for part in (sides.synthetic, sides.holdout)]  # R G K
        whole = train.sum(axis=0)
        p_train = whole / whole.sum()
        p_train_without = _shares(whole - train)
        row: list[np.ndarray] = []
        from_train = []
        for tables in chunked:
            total = tables.sum(axis=1)  # R K
            shares = _shares(total)
            row.append(_tv(shares, p_train).mean())
            row.append(_tv(_shares(total[:, None, :] - tables), p_train))
            from_train.append(_tv(shares[:, None, :], p_train_without).mean(axis=0))
        collected.append((*row, from_train[0] - from_train[1]))
    synthetic, without_synthetic, holdout, without_holdout, without_train = (
        np.stack(column) for column in zip(*collected, strict=True)
    )
    return Shortfall(
        synthetic=synthetic,
        holdout=holdout,
        without_synthetic=without_synthetic,
        without_holdout=without_holdout,
        without_train=without_train,
    )


def _tables(part: Part, columns: np.ndarray, num_cells: np.ndarray, rows: int) -> np.ndarray:
    """Return the counts of the joint cells in chunks of `rows` rows and groups (float R G K)."""
    num_chunks = min(MAX_CHUNKS, len(part) // rows)
    position = np.arange(num_chunks * rows)
    code = (position // rows) * NUM_GROUPS + position % NUM_GROUPS
    size = 1
    for column in columns:
        code = code * num_cells[column] + part.cells[: len(position), column]
        size *= int(num_cells[column])
    counts = np.bincount(code, minlength=num_chunks * NUM_GROUPS * size)
    return counts.reshape(num_chunks, NUM_GROUPS, size).astype(np.float64)


def _shares(counts: np.ndarray) -> np.ndarray:
    return np.asarray(counts / counts.sum(axis=-1, keepdims=True))


def _tv(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * np.abs(p - q).sum(axis=-1))


def _mean_accuracy(evidence: Evidence, sides: Sides, k: int, sets: np.ndarray, shortfall: Shortfall) -> Measurement:
    name = f"kway_{k}"
    value = float(shortfall.excess.mean())
    se = float(np.sqrt(shortfall.variance(of_mean=True)))
    low, high = gate_ends(value, se, policy=evidence.policy, name=name, reference=0.0)
    synthetic, ceiling = 1 - float(shortfall.synthetic.mean()), 1 - float(shortfall.holdout.mean())
    what = {1: "Single columns", 2: "Pairs of columns", 3: "Triples of columns"}[k]
    reading = (
        f"{what} agree with the training part to {synthetic:.1%}; fresh real rows reach {ceiling:.1%}."
        + (" Above that ceiling: the rows follow the training part too closely." if high < 0 else "")
        + sides.caveat
    )
    worst = np.argsort(-shortfall.excess, kind="stable")[:10]
    return judged(
        name=name,
        subject="all rows",
        value=value,
        low=low,
        high=high,
        n=min(len(sides.holdout), len(sides.synthetic)),
        reading=reading,
        policy=evidence.policy,
        reference=0.0,
        detail={
            "accuracy": synthetic,
            "ceiling": ceiling,
            "num_sets": len(sets),
            "worst": [
                {"columns": [sides.columns[i].name for i in sets[at]], "excess": float(shortfall.excess[at])}
                for at in worst
            ],
        },
    )


def _worst_column(evidence: Evidence, sides: Sides, sets: np.ndarray, shortfall: Shortfall) -> Measurement:
    """Return the column with the largest excess; its ends are the largest of the simultaneous ends of all columns."""
    ses = np.sqrt(shortfall.variance(of_mean=False))
    ends = [
        gate_ends(
            float(excess), float(se), policy=evidence.policy, name="column_shape", reference=0.0, subjects=len(sets)
        )
        for excess, se in zip(shortfall.excess, ses, strict=True)
    ]
    worst = int(np.argmax(shortfall.excess))
    column = sides.columns[int(sets[worst, 0])].name
    value = float(shortfall.excess[worst])
    return judged(
        name="column_shape",
        subject="worst column",
        value=value,
        low=max(low for low, _ in ends),
        high=max(high for _, high in ends),
        n=min(len(sides.holdout), len(sides.synthetic)),
        reading=(
            f"In column {column!r} {float(shortfall.synthetic[worst]):.1%} of the mass lies elsewhere than in the "
            f"training part; for fresh real rows it is {float(shortfall.holdout[worst]):.1%}." + sides.caveat
        ),
        policy=evidence.policy,
        reference=0.0,
        detail={
            "columns": {
                sides.columns[int(i)].name: {"excess": float(e), "se": float(s)}
                for i, e, s in zip(sets[:, 0], shortfall.excess, ses, strict=True)
            }
        },
    )

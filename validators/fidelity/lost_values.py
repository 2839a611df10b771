"""Is any value of a column there less than half as often as in real rows, or more than twice as often?

The limits of averages and of `column_shape` are wide enough for a label of a few percent, all missing cells or both
tails of a number to vanish. Here each label, the missing cells, the outermost hundredth of each end of a number, and
each whole row that the synthetic rows hold many times are counted on their own, and a test says which of them has
surely lost half of its rows, or more than doubled.

What it cannot see: values whose loss is within chance (fewer than about twenty expected rows); the shape within a tail.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy import stats

from validators.encoding import EncodedColumn, encode
from validators.evidence import Evidence
from validators.fidelity.sides import rows_per_entity, too_few
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.copies import row_codes
from validators.privacy.real_rows import real_parts

HALF = 0.5
"""How much of a value may be lost before it counts; twice as often is the same, seen from the other side."""

TAIL = 0.01
FREQUENT = 20
"""Synthetic rows that are the same from which on their number is compared with the real one."""


def lost_values(evidence: Evidence, _rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `lost_values`: the smallest p-value over values, corrected for their number; nothing without columns."""
    encoded = encode(evidence)
    if not encoded.columns:
        return []
    few = too_few(evidence, [("lost_values", "all values")])
    if few:
        return few
    real = np.concatenate(
        [part.values for part in (encoded.train, encoded.holdout, encoded.reference) if part is not None]
    )
    synthetic = encoded.synthetic.values
    per_entity = rows_per_entity(evidence)
    looks = [
        (f"{what} of {column.name!r}", int(is_real.sum()), int(is_synthetic.sum()))
        for i, column in enumerate(encoded.columns)
        for what, is_real, is_synthetic in _marks(column, real[:, i], synthetic[:, i])
    ]
    looks += _frequent_rows(evidence)
    sizes = max(int(len(real) / per_entity), 1), max(int(len(synthetic) / per_entity), 1)
    best: tuple[float, str, int, int] = (1.0, "", 0, 0)
    for what, num_real, num_synthetic in looks:
        counts = int(num_real / per_entity), int(num_synthetic / per_entity)
        p = min(
            fewer_p(counts[1], sizes[1], counts[0], sizes[0], least=HALF if counts[1] else 1.0),
            fewer_p(counts[0], sizes[0], counts[1], sizes[1], least=HALF),
        )
        p = min(1.0, 2 * len(looks) * p)
        if p < best[0]:
            best = (p, what, num_real, num_synthetic)
    p, what, num_real, num_synthetic = best
    reading = "No label, no end of a number and no missing cells are surely halved or doubled."
    if p < 1:
        reading = (
            f"{what} is in {num_synthetic / len(synthetic):.2%} of the synthetic rows and in "
            f"{num_real / len(real):.2%} of the real ones (p = {p:.2g})."
        )
        reading = reading[0].upper() + reading[1:]
    return [
        judged(
            name="lost_values",
            subject="all values",
            value=p,
            low=p,
            high=p,
            n=len(synthetic),
            reading=reading,
            policy=evidence.policy,
            detail={"value": what, "synthetic_rows": num_synthetic, "real_rows": num_real, "num_looks": len(looks)},
        )
    ]


def _frequent_rows(evidence: Evidence) -> list[tuple[str, int, int]]:
    """Return a name, the real and the synthetic count for each whole row that the synthetic rows often hold."""
    columns = [column.name for column in evidence.schema.columns if column.kind not in ("id", "image")]
    real, synthetic = row_codes([real_parts(evidence), evidence.synthetic.frame], columns)
    width = max(int(real.max()), int(synthetic.max())) + 1
    counts = np.bincount(real, minlength=width), np.bincount(synthetic, minlength=width)
    often = np.flatnonzero(counts[1] >= FREQUENT)
    return [("one and the same row", int(counts[0][code]), int(counts[1][code])) for code in often]


def fewer_p(count: int, num: int, other: int, num_other: int, *, least: float) -> float:
    """Return the p-value of `it is in the first table at least the part `least` as often as in the other`.

    Given how many there are in both, those in the first are binomial.

    Args:
        count: of `num` rows of the first table.
        num: its rows.
        other: of `num_other` rows of the other.
        num_other: its rows.
        least: the part that is tolerated.

    """
    weight = least * num
    return float(stats.binom.cdf(count, count + other, weight / (weight + num_other)))


def _marks(
    column: EncodedColumn, real: np.ndarray, synthetic: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield what is counted in a column: its name in words, and which real and synthetic rows have it (bool N, M)."""
    yield "missing cells", np.isnan(real), np.isnan(synthetic)
    known = real[~np.isnan(real)]
    if column.categorical:
        for code in np.unique(known):
            yield f"the label {column.labels[int(code)]!r}", real == code, synthetic == code
    elif len(known):
        low, high = np.quantile(known, (TAIL, 1 - TAIL), method="inverted_cdf")
        yield "the lowest hundredth", real < low, synthetic < low
        yield "the highest hundredth", real > high, synthetic > high

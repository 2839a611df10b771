"""Do synthetic rows repeat each other more often than real rows do?

A sampler that has collapsed, or a table that was padded, gives the same row again and again. Real tables repeat rows
too, so the share of rows that have a twin is compared with that of as many real rows.

What it cannot see: twins that differ in one cell (`kway_3` sees them where a few rows make a whole table).
"""

from collections.abc import Sequence

import numpy as np

from validators.evidence import Evidence
from validators.fidelity.sides import too_few
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.copies import row_codes
from validators.privacy.real_rows import real_parts
from validators.statistics.intervals import gate_ends

SMALL_CLUSTER = 9.0
"""Square of three: up to there a cluster's variance is its squared size, beyond it grows as a Poisson count's does."""


def repeats(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `repeats`: the share of synthetic rows with an identical twin, less that of as many real rows."""
    few = too_few(evidence, [("repeats", "all rows")])
    if few:
        return few
    columns = [column.name for column in evidence.schema.columns if column.kind not in ("id", "image")]
    if not columns:
        return []
    real, synthetic = row_codes([real_parts(evidence), evidence.synthetic.frame], columns)
    rows = min(len(real), len(synthetic))
    shares, errors = zip(
        *(twins(part[rng.permutation(len(part))[:rows]]) for part in (synthetic, real)),
        strict=True,
    )
    value = shares[0] - shares[1]
    low, high = gate_ends(value, float(np.hypot(*errors)), policy=evidence.policy, name="repeats", reference=0.0)
    return [
        judged(
            name="repeats",
            subject="all rows",
            value=value,
            low=low,
            high=high,
            n=rows,
            reading=(
                f"{shares[0]:.1%} of {rows:,} synthetic rows have an identical twin among them; of as many real rows "
                f"it is {shares[1]:.1%}."
            ),
            policy=evidence.policy,
            reference=0.0,
            detail={"synthetic": shares[0], "real": shares[1]},
        )
    ]


def twins(codes: np.ndarray) -> tuple[float, float]:
    """Return the share of rows whose code (int N) another row has as well, and its standard error, rather too large.

    Were each value's count Poisson, the share would have at most the variance of the sum over values of count squared,
    for values that occur at least twice; of large counts the variance is the count.
    """
    counts = np.unique(codes, return_counts=True)[1]
    counts = counts[counts > 1]
    variance = float(np.minimum(np.square(counts), SMALL_CLUSTER + counts).sum())
    return float(counts.sum() / len(codes)), max(float(np.sqrt(variance)), 1.0) / len(codes)

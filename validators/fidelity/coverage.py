"""Precision and recall: do synthetic rows lie where real rows lie, and everywhere that real rows lie?

The holdout fixes the space, for the synthesizer has not seen it: around each of its rows a ball that reaches to its
k-th nearest neighbour among the other rows of the holdout. `precision` looks from the synthetic rows: how far are they
from the holdout? `recall` looks from the holdout: how many of its balls hold a synthetic row? As many training rows,
which are as fresh to the holdout as any, say what the answers are for real rows. Given the holdout either side is a
sample of independent rows, so the differences have mean 0 for fresh rows, and ordinary standard errors: that neighbours
are shared among balls is in the jackknife over rows.

What it cannot see: copies (see the privacy checks), relations among a few of many columns, texts, images and ids.
"""

from collections.abc import Sequence

import numpy as np

from validators.evidence import Evidence
from validators.fidelity.sides import design_effect, entity_order, rows_per_entity, too_few, with_holdout
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.policy import MEASURED_KINDS
from validators.privacy.neighbours import embed, nearest, several_nearest
from validators.statistics.bootstrap import jackknife_variance
from validators.statistics.intervals import gate_ends

K = 5
"""Neighbours: a ball holds one of as many fresh rows with probability 1 - 2**-5 (Naeem et al. 2020)."""

MAX_ROWS = 5_000
"""Rows a side: the standard error is then under 0.01, a tenth of the limit."""

STRANGEST = 0.2
"""The share of the holdout that is farthest from its own: clipped tails and rare modes are missed there first."""

SUBJECTS: tuple[tuple[str, str], ...] = (
    ("precision", "all rows"),
    ("recall", "all rows"),
    ("recall", "strangest rows"),
)


def coverage(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `precision` and `recall`; nothing where no column is measured."""
    if not any(column.kind in MEASURED_KINDS for column in evidence.schema.columns):
        return []
    few = too_few(evidence, SUBJECTS)
    if few:
        return few
    evidence, caveat = with_holdout(evidence, rng)
    assert evidence.holdout is not None
    rows = min(len(evidence.train), len(evidence.synthetic), MAX_ROWS)
    # Rows of one entity share their surroundings, so all sides hold them together or not at all.
    frames = [
        part.frame.iloc[entity_order(part, evidence.schema.entity_key, rng)[:most]]
        for part, most in ((evidence.holdout, MAX_ROWS), (evidence.train, rows), (evidence.synthetic, rows))
    ]
    space, real, synthetic = embed(frames, evidence.schema, scale=(0,))
    if space.shape[1] == 0:
        reading = "No column has distances: all are texts, images or ids."
        return [
            undecided(name=name, subject=subject, n=rows, reading=reading, policy=evidence.policy)
            for name, subject in SUBJECTS
        ]
    strange, strange_variance = strangeness(*(several_nearest(part, space, K)[:, -1] for part in (synthetic, real)))
    radius = several_nearest(space, space, K + 1)[:, -1]  # the nearest of all is the row itself, or one just like it
    everywhere = np.ones(len(space), dtype=bool)
    outskirts = radius >= np.quantile(radius, 1 - STRANGEST)
    balls = [occupied(space, radius, part) for part in (synthetic, real)]
    reading = (
        f"Synthetic rows lie off the real ones as if {max(strange, 0.0):.1%} of them were unlike any real row; for "
        "fresh real rows it is 0%."
    )
    figures = [("precision", "all rows", strange, strange_variance, reading)]
    for subject, which, whom in (
        ("all rows", everywhere, "unseen real rows"),
        ("strangest rows", outskirts, f"the strangest {STRANGEST:.0%} of the unseen real rows"),
    ):
        shares, variances = zip(*(covered(inside[which], sole[which], rows) for inside, sole in balls), strict=True)
        reading = (
            f"Near {shares[0]:.1%} of {whom} there is a synthetic row; of as many fresh real rows, there is one near "
            f"{shares[1]:.1%}."
        )
        figures.append(("recall", subject, shares[1] - shares[0], sum(variances), reading))
    found = []
    # The jackknife of `recall` is wide already, 1.6 times what fresh rows show, so the milder of two effects will do.
    for name, subject, value, variance, reading in figures:
        alike = design_effect(evidence) if name == "precision" else rows_per_entity(evidence)
        se = float(np.sqrt(variance * alike))
        subjects = sum(name == other for other, _ in SUBJECTS)
        low, high = gate_ends(value, se, policy=evidence.policy, name=name, reference=0.0, subjects=subjects)
        found.append(
            judged(
                name=name,
                subject=subject,
                value=value,
                low=low,
                high=high,
                n=rows,
                reading=reading + caveat,
                policy=evidence.policy,
                reference=0.0,
                detail={"se": se, "k": K},
            )
        )
    return found


def strangeness(synthetic: np.ndarray, real: np.ndarray) -> tuple[float, float]:
    """Return which share of rows farther off than any real one would shift the distances as much, and its variance.

    With alpha the share of real rows within a distance and P(alpha) that of the synthetic rows, the value is
    the integral of alpha - P(alpha) from 1/2 to 1, divided by what it is when all synthetic rows are beyond. It is the
    alpha-precision of Alaa et al. 2022, integrated with its sign over the half where rows can be odd.
    The integral is a mean over rows of max(u, 1/2), u the row's rank among the real ones; the variance is DeLong's.

    Args:
        synthetic: distances (float M).
        real: distances of fresh rows (float N).

    """
    ordered = np.sort(real)

    def rank(distances: np.ndarray) -> np.ndarray:
        both = (np.searchsorted(ordered, distances, side=side) for side in ("left", "right"))
        return np.asarray(sum(both) / (2 * len(ordered)))

    of_synthetic, of_real = rank(synthetic), rank(real)
    whole = 3 / 8  # 1 less the mean of max(u, 1/2) over uniform u
    high = np.sort(synthetic[of_synthetic > 0.5])  # noqa: PLR2004 - the upper half
    # A real row moves the mean by the synthetic rows of the upper half that lie beyond it, ties as halves.
    beyond = len(high) - (np.searchsorted(high, real, side="left") + np.searchsorted(high, real, side="right")) / 2
    scores = [np.maximum(ranks, 0.5) / whole for ranks in (of_synthetic, of_real)]
    variance = scores[0].var(ddof=1) / len(synthetic) + (beyond / len(synthetic) / whole).var(ddof=1) / len(real)
    return float(scores[0].mean() - scores[1].mean()), float(variance)


def occupied(space: np.ndarray, radius: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which balls hold one of `rows` (bool N), and that row's position where it is alone, else -1 (int64 N).

    Args:
        space: the centres of the balls (float32 N F).
        radius: theirs (float N).
        rows: float32 M F, at least two.

    """
    _, winner = nearest(space, rows)
    inside = several_nearest(space, rows, 2) <= radius[:, None]
    return inside[:, 0], np.where(inside[:, 0] & ~inside[:, 1], winner, -1)


def covered(inside: np.ndarray, sole: np.ndarray, num_rows: int) -> tuple[float, float]:
    """Return the share of occupied balls, and its variance over the rows that may occupy them.

    The variance is the jackknife's: without a row, the balls go empty in which it was alone.

    Args:
        inside: bool N.
        sole: int64 N, as `occupied` returns them.
        num_rows: M of `occupied`.

    """
    share = float(inside.mean())
    without = share - np.bincount(sole[sole >= 0], minlength=num_rows) / len(inside)
    return share, float(jackknife_variance(without))

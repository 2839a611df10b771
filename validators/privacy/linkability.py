"""Can two records of one person be linked through the synthetic rows? An attack of opinion 05/2014, with a control.

The attacker holds two tables of the same people that share no column, one set of columns each, and seeks for both
halves of a person the nearest synthetic row. Where these coincide the halves are linked (Giomi, Boenisch, Wehmeyer and
Tasnadi 2023, *PoPETs* 2, the linkability attack). What the law of the data itself gives away links fresh people as
often as training people. So the value is the success on train minus the success on fresh rows, over several random
cuts of the columns.

Ties are no luck: the nearest rows of both halves have one in common exactly where the squared distance of the whole row
to its nearest synthetic row is the sum of those of its halves.

What it cannot see: links through few columns where all columns together do not link; a few copied rows.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sources.schema import Column
from validators.evidence import Evidence
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.neighbours import embed, nearest
from validators.privacy.real_rows import RealRows, all_undecided, real_rows
from validators.statistics.intervals import gate_ends

NUM_CUTS = 4
MAX_ROWS = 3_000
"""Rows attacked in train and among the fresh ones, drawn at random: the interval is then shorter than the limit."""

SAME = 1e-5
"""Squared distances that differ by less are equal: the search multiplies in single precision."""

SUBJECTS: tuple[tuple[str, str], ...] = (("linkability", "all rows"),)


def linkability(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement, `linkability`: success on train minus success on fresh rows."""
    real = real_rows(evidence)
    if isinstance(real, str):
        return all_undecided(evidence, SUBJECTS, real)
    columns = [c for c in evidence.schema.columns if c.kind in ("numeric", "datetime", "categorical", "boolean")]
    if len(columns) < 2:  # noqa: PLR2004 - one for each half
        return all_undecided(evidence, SUBJECTS, "Fewer than two columns have distances: there is nothing to link.")
    sides = [np.flatnonzero(real.is_train), np.flatnonzero(~real.is_train)]
    attacked = real.take(np.concatenate([side[rng.permutation(len(side))[:MAX_ROWS]] for side in sides]))
    linked = _linked(attacked, evidence, columns, rng)
    (success, variance), (control, control_variance) = (
        mean_of_entities(linked[side], None if attacked.entities is None else attacked.entities[side])
        for side in (attacked.is_train, ~attacked.is_train)
    )
    value = success - control
    error = float(np.sqrt(variance + control_variance))
    low, high = gate_ends(value, error, policy=evidence.policy, name="linkability", reference=0.0)
    return [
        judged(
            name="linkability",
            subject="all rows",
            value=value,
            low=low,
            high=high,
            n=len(attacked.frame),
            reference=0.0,
            reading=(
                f"Two records of one person with different columns are linked for {success:.1%} of the training "
                f"people and for {control:.1%} of fresh ones, whom the synthesizer never saw."
            ),
            policy=evidence.policy,
            detail={"train": success, "fresh": control, "standard_error": error, "cuts": NUM_CUTS},
        )
    ]


def mean_of_entities(numbers: np.ndarray, entities: np.ndarray | None) -> tuple[float, float]:
    """Return the mean of `numbers` (float N) and its variance, rows of one entity together (int N, or None).

    The variance is at least that of one row at 1 among zeros: no success in N rows does not mean none in any.
    """
    n, mean = len(numbers), float(numbers.mean())
    deviations: np.ndarray = numbers - mean
    if entities is not None:
        deviations = np.bincount(np.unique(entities, return_inverse=True)[1], weights=deviations)
    return mean, float((deviations**2).sum() + 1) / n**2


def _linked(attacked: RealRows, evidence: Evidence, columns: Sequence[Column], rng: np.random.Generator) -> np.ndarray:
    """Return for each attacked row the share of the cuts in which its halves are linked (float N)."""
    blocks = []
    for column in columns:
        schema = replace(evidence.schema, columns=(column,), entity_key=None, order_key=None, rules=())
        parts = [frame[[column.name]] for frame in (attacked.frame, evidence.synthetic.frame)]
        blocks.append(embed(parts, schema, scale=(0,)))

    def squared(chosen: np.ndarray) -> np.ndarray:
        queries, candidates = (np.concatenate([blocks[i][part] for i in chosen], axis=1) for part in (0, 1))
        return np.asarray(np.square(nearest(queries, candidates)[0]))

    whole = squared(np.arange(len(columns)))
    linked = np.zeros(len(whole))
    for _ in range(NUM_CUTS):
        order = rng.permutation(len(columns))
        first, second = np.split(order, [len(order) // 2])
        linked += whole <= squared(first) + squared(second) + SAME
    return linked / NUM_CUTS

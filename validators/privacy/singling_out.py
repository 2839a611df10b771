"""Do the synthetic rows name anybody? The singling-out attack of opinion 05/2014, against a control.

The attacker guesses a description that fits one person alone. It is taken from the synthetic rows: what only one of
them has, be it the extreme of a column, a value, or a combination of values (numbers in bins of several widths) of some
columns drawn at random (Giomi, Boenisch, Wehmeyer and Tasnadi 2023, *PoPETs* 2, the singling-out attack). The guess
succeeds where exactly one row fits. By luck it does so among any rows, so the value is the share of the guesses that
succeed in train minus the share that succeeds among as many fresh rows.

A guess may need rows and exclude others, so its success is no sum over rows; the variance is that of the jackknife,
which leaves out each row in turn: guesses that the row alone fits are lost, guesses that it and one other fit are won.

What it cannot see: a few copied rows; guesses about texts, ids and images.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.schema import Column
from validators.encoding import quantile_edges
from validators.evidence import Evidence
from validators.gate import judged
from validators.measurement import Measurement
from validators.privacy.neighbours import as_labels, as_numbers
from validators.privacy.real_rows import all_undecided, real_rows
from validators.statistics.intervals import gate_ends

MAX_ROWS = 20_000
NUM_SETS = 60
"""Sets of columns drawn for combinations; with half of them the interval is a tenth longer."""

MAX_COLUMNS = 5
BINS: tuple[int, ...] = (5, 20, 100)
"""Widths of the bins of a number, one drawn for each set: a copy with noise stays in a wide one."""

MAX_GUESSES = 1_000
"""Guesses from one set of columns; else the columns in which every row is its own would be the only ones that count."""

LEAST_GUESSES = 5_000
"""Fewer guesses count as so many: where few synthetic rows are alone, luck with these singles hardly anybody out."""

SUBJECTS: tuple[tuple[str, str], ...] = (("singling_out", "all rows"),)


@dataclass(kw_only=True)
class Tally:
    """Guesses so far, those that succeeded, and what leaving out each real row would change.

    Args:
        guesses: number of guesses.
        train, fresh: number of guesses that exactly one row of the part fits.
        influence: int N, over the real rows of both parts; guesses lost less guesses won without the row.

    """

    influence: np.ndarray
    guesses: int = 0
    train: int = 0
    fresh: int = 0


def singling_out(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement, `singling_out`: success in train minus success among as many fresh rows."""
    real = real_rows(evidence)
    if isinstance(real, str):
        return all_undecided(evidence, SUBJECTS, real)
    columns = [c for c in evidence.schema.columns if c.kind in ("numeric", "datetime", "categorical", "boolean")]
    if not columns:
        return all_undecided(evidence, SUBJECTS, "No column can be guessed about: all are texts, images or ids.")
    num_train = int(real.is_train.sum())
    sides = [np.flatnonzero(real.is_train), np.flatnonzero(~real.is_train)]
    num = min(MAX_ROWS, *map(len, sides))
    drawn = real.take(np.concatenate([side[rng.permutation(len(side))[:num]] for side in sides]))
    order = rng.permutation(len(evidence.synthetic))[:MAX_ROWS]
    synthetic = evidence.synthetic.frame.iloc[order]
    tally = Tally(influence=np.zeros(2 * num, dtype=np.int64))
    codes = {}
    for column in columns:
        numbers = column.kind in ("numeric", "datetime")
        cells = [as_numbers(f[column.name]) if numbers else None for f in (drawn.frame, synthetic)]
        codes[column.name] = _codes(column, drawn.frame[column.name], synthetic[column.name], rng)
        _guess(tally, codes[column.name][0], num, rng)
        if cells[0] is not None and cells[1] is not None:
            _guess_extremes(tally, cells[0], cells[1], num)
    for _ in range(NUM_SETS if len(columns) > 1 else 0):
        size = int(rng.integers(2, min(len(columns), MAX_COLUMNS) + 1))
        width = int(rng.integers(1, len(BINS) + 1))
        chosen = rng.choice(len(columns), size=size, replace=False)
        keys = [codes[columns[i].name] for i in chosen]
        key = np.stack([key[min(width, len(key) - 1)] for key in keys]).sum(axis=0, dtype=np.uint64)
        _guess(tally, np.asarray(key), num, rng)
    return [_measurement(evidence, tally, num, max(1.0, num_train / num), drawn.entities)]


def _codes(column: Column, real: pd.Series, synthetic: pd.Series, rng: np.random.Generator) -> list[np.ndarray]:
    """Return random 64-bit keys of the cells (uint64 N + M): of the values, and of numbers also of each of `BINS`.

    Keys add up to keys of combinations; that two of these coincide has a chance of about 1e-9 in 60,000 rows.
    """
    if column.kind in ("categorical", "boolean"):
        levels = [pd.factorize(pd.concat([as_labels(real), as_labels(synthetic)], ignore_index=True))[0]]
    else:
        cells = as_numbers(real), as_numbers(synthetic)
        both = np.concatenate(cells)
        levels = [pd.factorize(both)[0]]
        for bins in BINS:
            edges = quantile_edges(cells[0], bins)
            levels.append(np.where(np.isnan(both), -1, np.searchsorted(edges, both, side="left")))
    return [rng.integers(2**64, size=level.max(initial=0) + 2, dtype=np.uint64)[level + 1] for level in levels]


def _guess(tally: Tally, key: np.ndarray, num: int, rng: np.random.Generator) -> None:
    """Count the guesses `key = k` for each k of one synthetic row; rows: `num` train, `num` fresh, the synthetic."""
    known, code = np.unique(key, return_inverse=True)
    train, fresh, synthetic = (
        np.bincount(part, minlength=len(known)) for part in (code[:num], code[num : 2 * num], code[2 * num :])
    )
    guessed = np.flatnonzero(synthetic == 1)
    if len(guessed) > MAX_GUESSES:
        guessed = rng.choice(guessed, size=MAX_GUESSES, replace=False)
    is_guess = np.zeros(len(known), dtype=bool)
    is_guess[guessed] = True
    tally.guesses += len(guessed)
    tally.train += int((train[guessed] == 1).sum())
    tally.fresh += int((fresh[guessed] == 1).sum())
    for part, count in ((slice(0, num), train), (slice(num, 2 * num), fresh)):
        changes = is_guess * ((count == 1).astype(np.int64) - (count == 2))  # noqa: PLR2004 - one left of two
        tally.influence[part] += changes[code[part]]


def _guess_extremes(tally: Tally, real: np.ndarray, synthetic: np.ndarray, num: int) -> None:
    """Count the two guesses that a number is at least as extreme as the most extreme synthetic one."""
    known = synthetic[~np.isnan(synthetic)]
    if not len(known) or known.min() == known.max():
        return
    for fits in (real <= known.min(), real >= known.max()):
        count = int(fits[:num].sum()), int(fits[num:].sum())
        tally.guesses += 1
        tally.train += count[0] == 1
        tally.fresh += count[1] == 1
        for part, rows in ((slice(0, num), count[0]), (slice(num, 2 * num), count[1])):
            tally.influence[part] += fits[part] * (int(rows == 1) - int(rows == 2))  # noqa: PLR2004 - as above


def _measurement(evidence: Evidence, tally: Tally, num: int, times: float, entities: np.ndarray | None) -> Measurement:
    """Return the measurement; `times` is how many times as many rows train has as were looked at.

    A row copied from train is among the looked-at ones in one case of `times`, hence the factor.
    """
    guesses = max(tally.guesses, LEAST_GUESSES)
    success, control = tally.train / guesses, tally.fresh / guesses
    variance = 0.0
    for part in (slice(0, num), slice(num, 2 * num)):
        deviations = tally.influence[part] - tally.influence[part].mean()
        if entities is not None:
            deviations = np.bincount(np.unique(entities[part], return_inverse=True)[1], weights=deviations)
        variance += float((deviations**2).sum() + 1) / guesses**2
    value, error = times * (success - control), times * float(np.sqrt(variance))
    low, high = gate_ends(value, error, policy=evidence.policy, name="singling_out", reference=0.0)
    reading = (
        f"Of {tally.guesses:,} descriptions taken from the synthetic rows {success:.1%} fit exactly one of {num:,} "
        f"training rows, {control:.1%} exactly one of as many fresh rows, whom the synthesizer never saw."
    )
    return judged(
        name="singling_out",
        subject="all rows",
        value=value,
        low=low,
        high=high,
        n=2 * num,
        reference=0.0,
        reading=reading,
        policy=evidence.policy,
        detail={"train": success, "fresh": control, "standard_error": error, "guesses": tally.guesses},
    )

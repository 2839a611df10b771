"""Do the synthetic rows betray a secret of the people in train, beyond what they teach about everybody?

The attacker knows all columns of a person but one, and guesses that one from the synthetic rows: he takes the value of
the nearest row (`nearest`), or that of a forest grown on them to single rows (`forest`). Both are used on training rows
and on fresh ones. What the synthetic rows teach about the population helps with either, and is what they are made for;
only what they know of single training rows helps with those more. The advantage is the success on train less that on
fresh rows: this control is the idea of Giomi et al. 2023 (*A unified framework for quantifying privacy risk in
synthetic data*, PoPETs 2023). Different here: the difference of the two rates is judged and not its ratio to what was
left to gain, every secret has its own interval and the largest counts, a forest guesses as well, and a number is
guessed right by rank and not by its relative error, which means nothing for negative numbers and those near zero.

What it cannot see: copies of a few percent of the rows; secrets in texts, images and ids; a secret of which the
attacker knows other columns than all; a holdout that the synthesizer saw.
"""

# N targets, M synthetic rows, F features

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.gate import judged
from validators.measurement import Measurement
from validators.policy import MEASURED_KINDS
from validators.privacy.neighbours import as_labels, as_numbers, embed, nearest
from validators.privacy.real_rows import RealRows, all_undecided, real_rows
from validators.statistics.intervals import gate_ends

MAX_SECRETS = 8
"""Columns that are taken for secrets where the schema names none."""

NEAR = 0.025
"""A number is guessed right when at most this share of the real rows lies between the guess and the truth. A blind
guess is then right in one of twenty rows, whatever the unit, the sign and the tail."""

MAX_TARGETS, MAX_SYNTHETIC = 4_000, 12_000
"""Rows a side, drawn: the advantage is then known to a point or two."""

NUM_TREES = 10
MAX_LABELS = 64
"""Labels that the forest tells apart: a leaf holds a count of each."""

SUBJECT = ("attribute_inference", "worst secret")


@dataclass(frozen=True, kw_only=True)
class Secret:
    """One column as something to be guessed.

    Args:
        column: which.
        number: guessed by rank; else by label.
        targets: label codes, or shares of the real rows below (float N); NaN where unknown.
        synthetic: the same for the synthetic rows (float M).

    """

    column: Column
    number: bool
    targets: np.ndarray
    synthetic: np.ndarray

    def right(self, guess: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Return which guesses count as right (bool N)."""
        return np.asarray(np.abs(guess - truth) <= (NEAR if self.number else 0.0) + 1e-9)


@dataclass(frozen=True, kw_only=True)
class Advantage:
    """How much more often one attack on one secret is right on train than on fresh rows, with the ends of the gate."""

    secret: str
    attack: str
    value: float
    low: float
    high: float
    train: float
    fresh: float
    n: int


def attribute_inference(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return one measurement, `attribute_inference`: the largest advantage; nothing where there is one column."""
    schema = evidence.schema
    if sum(column.kind in MEASURED_KINDS for column in schema.columns) < 2:  # noqa: PLR2004 - a secret and one known
        return []
    real = real_rows(evidence)
    if isinstance(real, str):
        return all_undecided(evidence, [SUBJECT], real)
    columns = [c for c in schema.columns if c.kind in ("numeric", "datetime", "categorical", "boolean")]
    if len(columns) < 2:  # noqa: PLR2004 - likewise
        return all_undecided(evidence, [SUBJECT], "Too few columns to guess one from others: texts are not looked at.")
    targets = _targets(real, rng)
    synthetic = evidence.synthetic.frame
    if len(synthetic) > MAX_SYNTHETIC:
        synthetic = synthetic.iloc[rng.choice(len(synthetic), MAX_SYNTHETIC, replace=False)]
    synthetic = synthetic.iloc[rng.permutation(len(synthetic))]  # of equally near rows the first is taken
    parts = [targets.frame, synthetic]
    named, secrets = _secrets(columns, parts)
    embedded = {c.name: embed(parts, Schema(columns=(c,)), scale=(0,)) for c in columns}
    features = {c.name: _features(c, parts) for c in columns}
    outcomes = []
    for secret in secrets:
        known = [c.name for c in columns if c.name != secret.column.name]
        vectors = [np.concatenate([embedded[name][part] for name in known], axis=1) for part in (0, 1)]
        table = [np.column_stack([features[name][part] for name in known]) for part in (0, 1)]
        outcomes += _attacked(secret, vectors, table, targets.is_train, min_rows=evidence.policy.min_rows, rng=rng)
    if not outcomes:
        return all_undecided(evidence, [SUBJECT], "Too few rows in which a secret is known.")
    found = [_advantage(evidence, *outcome, subjects=len(outcomes)) for outcome in outcomes]
    return [_judged(evidence, found, named=named)]


def _targets(real: RealRows, rng: np.random.Generator) -> RealRows:
    """Return at most `MAX_TARGETS` real rows a side in random order, of each entity one."""
    order = rng.permutation(len(real.frame))
    if real.entities is not None:
        order = order[np.unique(real.entities[order], return_index=True)[1]]
        order = rng.permutation(order)
    kept = np.concatenate([order[real.is_train[order] == side][:MAX_TARGETS] for side in (True, False)])
    return real.take(kept)


def _secrets(columns: Sequence[Column], parts: Sequence[pd.DataFrame]) -> tuple[bool, list[Secret]]:
    """Return whether the schema names secrets, and them; else target, protected columns, and the least guessable.

    Guessed blind, that is: with the guess that is right most often, the commonest label or the fullest window.
    """
    named = [column for column in columns if column.role == "secret"]
    secrets = [_secret(column, *(part[column.name] for part in parts)) for column in named or columns]
    if named or len(columns) <= MAX_SECRETS:
        return bool(named), secrets
    first = {"target": 0, "protected": 1}
    return False, sorted(secrets, key=lambda one: (first.get(one.column.role, 2), _blind(one)))[:MAX_SECRETS]


def _secret(column: Column, real: pd.Series, synthetic: pd.Series) -> Secret:
    if column.kind in ("numeric", "datetime"):
        numbers, guesses = as_numbers(real), as_numbers(synthetic)
        ordered = np.sort(numbers[~np.isnan(numbers)])
        ranks = [_rank(part, ordered) for part in (numbers, guesses)]
        return Secret(column=column, number=True, targets=ranks[0], synthetic=ranks[1])
    codes = _codes([real, synthetic])
    return Secret(column=column, number=False, targets=codes[0], synthetic=codes[1])


def _codes(parts: Sequence[pd.Series]) -> list[np.ndarray]:
    """Return codes of labels in the order of their names (float N), NaN where missing."""
    labels = [as_labels(part) for part in parts]
    codes, _ = pd.factorize(pd.concat(labels, ignore_index=True), sort=True)
    return np.split(np.where(codes < 0, np.nan, codes), [len(labels[0])])


def _rank(numbers: np.ndarray, ordered: np.ndarray) -> np.ndarray:
    """Return the share of `ordered` below each number, ties counting half (float N, NaN where missing)."""
    below = np.searchsorted(ordered, numbers, side="left") + np.searchsorted(ordered, numbers, side="right")
    return np.where(np.isnan(numbers), np.nan, below / max(2 * len(ordered), 1))


def _blind(secret: Secret) -> float:
    """Return the success of the best guess that knows nothing."""
    known = np.sort(secret.targets[~np.isnan(secret.targets)])
    if not len(known):
        return 1.0
    reach = 2 * NEAR if secret.number else 0.0
    inside = np.searchsorted(known, known + reach + 1e-9, side="right") - np.arange(len(known))
    return float(inside.max() / len(known))


def _features(column: Column, parts: Sequence[pd.DataFrame]) -> list[np.ndarray]:
    """Return what the forest sees of a column (float N): numbers, or codes by name; missing cells are below all."""
    cells = [part[column.name] for part in parts]
    values = [as_numbers(cell) for cell in cells] if column.kind in ("numeric", "datetime") else _codes(cells)
    known = np.concatenate(values)
    ordered = np.unique(known[~np.isnan(known)])
    return [np.where(np.isnan(part), -1.0, np.searchsorted(ordered, part)) for part in values]


def _attacked(
    secret: Secret,
    vectors: Sequence[np.ndarray],
    table: Sequence[np.ndarray],
    is_train: np.ndarray,
    *,
    min_rows: int,
    rng: np.random.Generator,
) -> list[tuple[str, str, np.ndarray, np.ndarray]]:
    """Return secret, attack, and which guesses are right on train and on fresh rows; nothing where too few are known.

    Args:
        secret: the column to be guessed.
        vectors: the known columns of targets and synthetic rows, with distances.
        table: the same for the forest.
        is_train: of the targets (bool N).
        min_rows: targets a side, and synthetic rows, that are needed.
        rng: seeds the forest.

    """
    asked, answers = ~np.isnan(secret.targets), ~np.isnan(secret.synthetic)
    if min(answers.sum(), (asked & is_train).sum(), (asked & ~is_train).sum()) < min_rows:
        return []
    truth, values = secret.targets[asked], secret.synthetic[answers]
    _, winner = nearest(vectors[0][asked], vectors[1][answers])
    kind = ExtraTreesRegressor if secret.number else ExtraTreesClassifier
    forest = kind(NUM_TREES, random_state=int(rng.integers(2**31)))
    forest.fit(table[1][answers], values if secret.number else _commonest(values))
    guesses = {"nearest": values[winner], "forest": forest.predict(table[0][asked])}
    rows = is_train[asked]
    right = {attack: secret.right(guess, truth) for attack, guess in guesses.items()}
    return [(secret.column.name, attack, hits[rows], hits[~rows]) for attack, hits in right.items()]


def _commonest(codes: np.ndarray) -> np.ndarray:
    """Return codes with all but the `MAX_LABELS` commonest as -1, which is never right (float N)."""
    labels, code, counts = np.unique(codes, return_inverse=True, return_counts=True)
    kept = np.argsort(-counts, kind="stable")[:MAX_LABELS]
    labels[np.setdiff1d(np.arange(len(labels)), kept)] = -1.0
    return np.asarray(labels[code])


def _advantage(
    evidence: Evidence, secret: str, attack: str, train: np.ndarray, fresh: np.ndarray, *, subjects: int
) -> Advantage:
    """Return the difference of two rates; its variance takes a success and a failure more (Agresti and Caffo 2000)."""
    value = float(train.mean() - fresh.mean())
    variance = 0.0
    for hits in (train, fresh):
        rate = (hits.sum() + 1) / (len(hits) + 2)
        variance += rate * (1 - rate) / (len(hits) + 2)
    low, high = gate_ends(
        value, math.sqrt(variance), policy=evidence.policy, name="attribute_inference", reference=0.0, subjects=subjects
    )
    return Advantage(
        secret=secret,
        attack=attack,
        value=value,
        low=low,
        high=high,
        train=float(train.mean()),
        fresh=float(fresh.mean()),
        n=len(train) + len(fresh),
    )


def _judged(evidence: Evidence, found: Sequence[Advantage], *, named: bool) -> Measurement:
    """Return the largest advantage; its ends are the largest of the simultaneous ends."""
    worst = max(found, key=lambda one: one.value)
    secrets = list(dict.fromkeys(one.secret for one in found))
    why = "the schema names" if named else "stand in for secrets, as the schema names none"
    reading = (
        f"Who knows all else of a person guesses {worst.secret!r} from the synthetic rows in {worst.train:.1%} of the "
        f"training rows and in {worst.fresh:.1%} of rows that were not in train; {worst.secret!r} is the worst of "
        f"{len(secrets)} that {why}."
    )
    return judged(
        name=SUBJECT[0],
        subject=SUBJECT[1],
        value=worst.value,
        low=max(one.low for one in found),
        high=max(one.high for one in found),
        n=worst.n,
        reference=0.0,
        reading=reading,
        policy=evidence.policy,
        detail={
            "secret": worst.secret,
            "attack": worst.attack,
            "named": named,
            "advantages": [
                {
                    "secret": one.secret,
                    "attack": one.attack,
                    "value": one.value,
                    "train": one.train,
                    "fresh": one.fresh,
                    "low": one.low,
                    "high": one.high,
                }
                for one in sorted(found, key=lambda one: -one.value)
            ],
        },
    )

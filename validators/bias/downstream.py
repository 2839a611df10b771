"""Would a model that a recipient trains on the synthetic rows treat protected groups as one trained on real rows does?

The same model is trained on synthetic and on equally many real rows, and both are tested on the same unseen real rows.
`parity_shift` compares their demographic parity differences, the largest difference between groups in the chance of the
outcome that the model gives them; `odds_shift` their equalized odds differences, the same among rows that have the
outcome and among rows that have not (Hardt, Price and Srebro 2016). Rates are means of the model's probabilities, as of
decisions drawn with them (the generalized rates of Pleiss et al. 2017): no threshold has to be chosen, and a rare
outcome is measured as well as a common one.

What it cannot see: groups too small to be decided; an unfairness that only turned round; thresholds of the recipient.

Legend: N rows, Q models of a side, B bootstrap draws, G groups.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from validators.bias.parts import Membership, sides_and_groups
from validators.evidence import Evidence
from validators.fidelity.sides import Sides, too_few
from validators.fidelity.target import Target, Task, target_of
from validators.fidelity.trees import MAX_ROWS, classifier, on_one_thread
from validators.gate import judged, undecided
from validators.measurement import Measurement
from validators.statistics.bootstrap import jackknife_variance
from validators.statistics.intervals import gate_ends

NUM_MODELS = 4
"""Models a side, each without one quarter of its rows: the spread due to the training sample."""

TRAINED_ROWS = 10_000
"""Rows that a side's models learn from at most: the rates of groups hardly move beyond."""

NUM_DRAWS = 200
LEAST_ROWS, LEAST_OUTCOMES = 400, 50
"""Rows that a group needs in either real part for its rate, and unseen rows with and without the outcome for its odds:
of fewer a model learns, or a test shows, so little that fresh rows would not pass. Smaller groups are one together."""

NAMES = ("parity_shift", "odds_shift")


@dataclass(frozen=True, kw_only=True)
class _Trial:
    """What the models say of the tested rows.

    Args:
        rows: the tested rows' positions in the holdout side (int N).
        y: whether they have the outcome (bool N).
        chances: by the real side's models and by the synthetic side's (float Q N each).
        weights: how often each draw of the bootstrap holds each row (float B N).
        outcome: in words.

    """

    rows: np.ndarray
    y: np.ndarray
    chances: tuple[np.ndarray, np.ndarray]
    weights: np.ndarray
    outcome: str


@dataclass(frozen=True, kw_only=True)
class _Comparison:
    """What the models make of the groups of one protected column.

    Args:
        column: whose groups.
        value: the difference of the synthetic and the real side's differences between groups.
        error: its standard error.
        real, synthetic: each side's largest difference between groups.

    """

    column: str
    value: float
    error: float
    real: float
    synthetic: float


@on_one_thread
def downstream(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `parity_shift` and `odds_shift`; nothing without a target or without protected columns."""
    column = evidence.schema.target
    if column is None or not evidence.schema.protected:
        return []
    few = too_few(evidence, [(name, "worst column") for name in NAMES])
    if few:
        return few
    sides, memberships = sides_and_groups(evidence, rng)
    target = None if column.kind in ("text", "id", "image") else target_of(sides, column)
    reading = ""
    if target is None:
        reading = f"There is nothing to predict {column.name} from, or it has no outcomes."
    elif not memberships:
        reading = "Every protected column holds texts, ids or images: they make no groups."
    elif min(map(len, (target.train, target.holdout, target.synthetic))) < evidence.policy.min_rows:
        reading = f"Too few rows with a known {column.name} to train a model on or to test it."
    if target is None or reading:
        n = len(evidence.synthetic)
        return [
            undecided(name=name, subject="worst column", n=n, reading=reading, policy=evidence.policy) for name in NAMES
        ]
    at = next(i for i, encoded in enumerate(sides.columns) if encoded.name == column.name)
    tested = np.flatnonzero(~np.isnan(sides.holdout.values[:, at]))[:MAX_ROWS]
    event, words = _event(target)
    trial = _Trial(
        rows=tested,
        y=event.holdout.y[: len(tested)] == 1,
        chances=_chances(event, len(tested), rng),
        weights=rng.poisson(1.0, size=(NUM_DRAWS, len(tested))).astype(np.float32),
        outcome=words,
    )
    return [_worst(evidence, sides, name, memberships, trial) for name in NAMES]


def parity_difference(rates: np.ndarray) -> np.ndarray:
    """Return the largest less the smallest rate of the groups (float ... from float ... G)."""
    return np.asarray(rates.max(axis=-1) - rates.min(axis=-1))


def _event(target: Target) -> tuple[Target, str]:
    """Return the task with two classes, of which 1 is the outcome, and the outcome in words.

    A number without threshold is cut at train's median; of several labels the commonest is the outcome.
    """
    if target.num_classes is None:
        return target.as_outcome(), f"{target.name} above its median"
    if target.num_classes == 2:  # noqa: PLR2004 - two classes are an event as they are
        return target, f"the positive outcome of {target.name}"
    tasks = [
        Task(X=task.X, y=(task.y == 0).astype(np.float64)) for task in (target.train, target.holdout, target.synthetic)
    ]
    cut = replace(target, num_classes=2, event=1, train=tasks[0], holdout=tasks[1], synthetic=tasks[2])
    return cut, f"the commonest {target.name}"


def _chances(event: Target, tested: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the chance of the outcome for each tested row by the models of the real and of the synthetic side."""
    rows = min(len(event.train), len(event.synthetic), TRAINED_ROWS)
    X = event.holdout.X[:tested]
    found = []
    for task in (event.train, event.synthetic):
        quarter = np.arange(rows) % NUM_MODELS
        models = [_chance(task.take(np.flatnonzero(quarter != out)), X, event, rng) for out in range(NUM_MODELS)]
        found.append(np.stack(models))
    return found[0], found[1]


def _chance(learnt: Task, X: np.ndarray, event: Target, rng: np.random.Generator) -> np.ndarray:
    if len(np.unique(learnt.y)) == 1:  # nothing to learn: the model says the same of every row
        return np.full(len(X), float(learnt.y[0] == 1))
    model = classifier(learnt.X, learnt.y, event.categorical, rng)
    return np.asarray(model.predict_proba(X)[:, 1])


def _worst(
    evidence: Evidence, sides: Sides, name: str, memberships: Sequence[Membership], trial: _Trial
) -> Measurement:
    """Return the comparison with the largest lower end over the protected columns; ends hold for all of them."""
    policy = evidence.policy
    layers = [np.ones(len(trial.y), dtype=bool)] if name == "parity_shift" else [trial.y, ~trial.y]
    small: list[str] = []
    found: list[_Comparison] = []
    for least in (LEAST_ROWS if name == "parity_shift" else LEAST_OUTCOMES, policy.min_group_rows):
        small = []
        for membership in memberships:
            column = membership.grouping.name
            sets, alone = _large_enough(membership.train, membership.holdout[trial.rows], layers, least)
            if len(sets) < 2:  # noqa: PLR2004 - two groups differ
                small.append(f"all of {column}")
                continue
            small += [membership.grouping.subject(group) for group in np.flatnonzero(~alone).tolist()]
            found.append(_compare(column, [[rows[layer[rows]] for rows in sets] for layer in layers], trial))
        if found:  # else groups that are hardly enough, with intervals as wide as they are
            break
    left = f" Too small to be decided alone: {', '.join(small)}." if small else ""
    if not found:
        reading = f"No protected column has two groups with rows enough to compare what models make of them.{left}"
        return undecided(name=name, subject="worst column", n=len(trial.y), reading=reading, policy=policy)
    ends = [
        gate_ends(one.value, one.error, policy=policy, name=name, reference=0.0, subjects=len(found)) for one in found
    ]
    at = max(range(len(found)), key=lambda i: ends[i][0])
    worst = found[at]
    among = "" if name == "parity_shift" else " among rows that are alike in having it or not"
    return judged(
        name=name,
        subject="worst column",
        value=worst.value,
        low=ends[at][0],
        high=max(high for _, high in ends),
        n=len(trial.y),
        reading=(
            f"A model trained on synthetic rows gives {trial.outcome} to groups of {worst.column} with chances that "
            f"differ by up to {worst.synthetic:.1%}{among}; trained on as many real rows, by {worst.real:.1%}.{left}"
            + sides.caveat
        ),
        policy=policy,
        reference=0.0,
        detail={
            "columns": {
                one.column: {"value": one.value, "se": one.error, "real": one.real, "synthetic": one.synthetic}
                for one in found
            },
            "small_groups": small,
        },
    )


def _large_enough(
    train: np.ndarray, tested: np.ndarray, layers: Sequence[np.ndarray], least: int
) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the tested rows of each group with `least` rows in train and in every layer, and which groups these are.

    The others together are one group more, if they are large enough so.

    Args:
        train: group of each row of train (int M).
        tested: group of each tested row (int N).
        layers: the tested rows that are counted (bool N each).
        least: rows.

    """
    num = int(max(train.max(initial=-1), tested.max(initial=-1))) + 1
    counts = np.stack([np.bincount(of, minlength=num) for of in (train, *(tested[layer] for layer in layers))])
    alone = counts.min(axis=0) >= least
    sets = [np.flatnonzero(tested == group) for group in np.flatnonzero(alone)]
    if counts[:, ~alone].sum(axis=1).min() >= least:
        sets.append(np.flatnonzero(~alone[tested]))
    return sets, alone


def _compare(column: str, members: Sequence[Sequence[np.ndarray]], trial: _Trial) -> _Comparison:
    """Return the comparison of two sides, with the jackknife over training quarters and the bootstrap over rows.

    Args:
        column: whose groups they are.
        members: positions of the tested rows of each group, all of them or by outcome.
        trial: what the models say of them.

    """
    variance = 0.0
    by_side, draws = [], []
    for chances in trial.chances:
        rates = [[chances[:, rows].mean(axis=1) for rows in layer] for layer in members]
        differences = _largest(rates)
        by_side.append(float(differences.mean()))
        variance += float(jackknife_variance(differences))
        single = chances.astype(np.float32)
        drawn = [[_drawn_means(trial.weights[:, rows], single[:, rows]) for rows in layer] for layer in members]
        draws.append(_largest(drawn).mean(axis=1))
    variance += float((draws[1] - draws[0]).var(ddof=1))
    return _Comparison(
        column=column,
        value=by_side[1] - by_side[0],
        error=float(np.sqrt(variance)),
        real=by_side[0],
        synthetic=by_side[1],
    )


def _largest(rates: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Return the largest difference between groups, over the layers (float ... from float ... by layer and group)."""
    return np.asarray(np.max([parity_difference(np.stack(layer, axis=-1)) for layer in rates], axis=0))


def _drawn_means(weights: np.ndarray, chances: np.ndarray) -> np.ndarray:
    """Return each draw's mean chance by each model (float B Q) from weights (float B N) and chances (float Q N)."""
    return np.asarray(weights @ chances.T / np.maximum(weights.sum(axis=1, keepdims=True), 1))

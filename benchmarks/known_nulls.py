"""Laws under which the p-values of the gate must be uniform: for each test, at the edge of what it tolerates.

Every null calls the validators' own functions. A p-value of counts is made continuous with a uniform U: it lies between
P(more) and P(as many or more) of the count that was seen (a randomised test; Lehmann and Romano 2005, *Testing
Statistical Hypotheses*, section 3.2; Dunn and Smyth 1996). What remains is whether the law is right. `rounded` nulls
are larger than uniform by construction (corrections, counts that stay whole, the larger of two variances) and are only
asked not to be smaller.

Legend: N rows, M synthetic rows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pandas as pd
from scipy import stats

from validators.bias.amplification import WIDER, widening
from validators.bias.group_shape import SHARE_TOLERANCE, moved_p
from validators.bias.outcome import MEAN_TOLERANCE, RARER_WEIGHT, RATE_TOLERANCE, mean_shift_p, shift_p
from validators.bias.representation import FOUR_FIFTHS, HALF, loss_p
from validators.encoding import EncodedColumn
from validators.fidelity import image_repeats, labels, lost_values, missingness, near_twins, time_order
from validators.fidelity.association import canonical_scores
from validators.fidelity.target import Target, Task
from validators.privacy import canaries, controls, copies, excess_matches, image_comparison, image_law, membership
from validators.privacy.neighbours import nearest
from validators.privacy.real_rows import RealRows
from validators.statistics.multiple import holm
from validators.statistics.permutation import permutation_p_value

Rng = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Null:
    """One law under which one test is tried.

    Args:
        measurements: names that rest on the test.
        test: in words.
        law: in words.
        draw: one p-value; None where the draw says nothing (a two-sided test at the edge that looks the other way).
        rounded: larger than uniform by construction, in words why; None where it must be uniform.

    """

    measurements: str
    test: str
    law: str
    draw: Callable[[Rng], float | None]
    rounded: str | None = None


def between(more: float, as_many: float, rng: Rng) -> float:
    """Return a p-value between P(more than was seen) and P(as many or more)."""
    return float(more + rng.random() * (as_many - more))


def upper(count: int, out_of: int, chance: float, rng: Rng) -> float:
    """Return the randomised upper tail by the validators' own `upper_tail`."""
    tails = (excess_matches.upper_tail(n, out_of, chance) for n in (count + 1, count))
    return between(*tails, rng)


# ---------------------------------------------------------------------- privacy


def _distances(rng: Rng, train: int, fresh: int, times: float) -> tuple[np.ndarray, np.ndarray]:
    """Return distances whose density near 0 is `times` as high for train as for fresh rows, and who is of train."""
    is_train = np.arange(train + fresh) < train
    return rng.exponential(np.where(is_train, 1 / times, 1.0)), is_train


def tail(train: int, fresh: int, *, times: float = 1 + excess_matches.TOLERANCE) -> Callable[[Rng], float]:
    """Return the test of the 32 nearest rows, of so many of train and of fresh ones."""

    def draw(rng: Rng) -> float:
        distance, is_train = _distances(rng, train, fresh, times)
        found = excess_matches.tail(distance, is_train, ())
        return upper(found.train, found.train + found.fresh, excess_matches.tolerant_share(train, fresh), rng)

    return draw


def tail_as_judged(rng: Rng) -> float:
    """Return p of all four thresholds, as `excess_matches` has it, at the edge of the tolerance."""
    distance, is_train = _distances(rng, 2_000, 1_000, 1 + excess_matches.TOLERANCE)
    return excess_matches.tail(distance, is_train, excess_matches.THRESHOLDS).p


def groups_by_holm(rng: Rng) -> float | None:
    """Return the smallest of five groups' p-values after Holm's correction, uniform where it is below 1."""
    ps = np.array([tail(20_000, 10_000)(rng) for _ in range(5)])
    smallest = float(holm(ps).min())
    reached = 1 - (1 - 1 / len(ps)) ** len(ps)  # how often it is below 1
    return None if smallest >= 1 else (1 - (1 - smallest / len(ps)) ** len(ps)) / reached


def _real(train: int, fresh: int) -> RealRows:
    names = [f"r{i}" for i in range(train + fresh)]
    return RealRows(
        frame=pd.DataFrame({"id": pd.Series(names, dtype=object)}),
        is_train=np.arange(train + fresh) < train,
        entities=None,
    )


def copied(rng: Rng) -> float:
    """Return p of copied single rows: each row of train stands in S 1.1 times as often as a fresh one, by chance."""
    real = _real(10_000, 5_000)
    held = rng.random(len(real.frame)) < 0.01 * np.where(real.is_train, 1 + excess_matches.TOLERANCE, 1.0)
    look = copies.copied(real, real.frame[held].reset_index(drop=True), ["id"])
    chance = excess_matches.tolerant_share(10_000, 5_000)
    return upper(int(look["train"]), int(look["train"] + look["fresh"]), chance, rng)


def copied_against_fresh(rng: Rng) -> float:
    """Return p of synthetic rows that equal one of train, against fresh rows that do: both by the same chance."""
    train, parts = [f"r{i}" for i in range(500)], []
    for prefix, num in (("f", 1_000), ("s", 3_000)):
        own = np.array([f"{prefix}{i}" for i in range(num)], dtype=object)
        taken = rng.random(num) < 0.02
        own[taken] = rng.choice(np.array(train, dtype=object), int(taken.sum()))
        parts.append(own)
    frame = pd.DataFrame({"id": np.concatenate([np.array(train, dtype=object), parts[0]])})
    synthetic = pd.DataFrame({"id": parts[1]})
    return upper(*copies.against_fresh(frame, np.arange(500, 1_500), synthetic, ["id"]), rng)


def copied_against_real(rng: Rng) -> float:
    """Return p of values that S shares with train, twice as often as pairs of real rows are equal."""
    equal = 4e-7  # the chance of any two rows
    names = np.array([f"r{i}" for i in range(6_000)], dtype=object)
    order = rng.permutation(6_000)
    pairs = rng.poisson(6_000**2 / 2 * equal)
    names[order[:pairs]] = names[order[pairs : 2 * pairs]]
    real = RealRows(frame=pd.DataFrame({"id": names}), is_train=np.arange(6_000) < 4_000, entities=None)
    shared = rng.poisson(copies.SEEN_FACTOR * 3_000 * 4_000 * equal)
    taken = rng.choice(np.unique(names[:4_000].astype(str)).astype(object), shared, replace=False)
    own = np.array([f"s{i}" for i in range(3_000 - shared)], dtype=object)
    return upper(*copies.against_real(real, pd.DataFrame({"id": np.concatenate([taken, own])}), ["id"]), rng)


def holdout_seen(rng: Rng) -> float:
    """Return p of fresh rows that stand in S and not in train, twice as often as the other way round."""
    fresh = np.array([f"f{i}" for i in range(3_000)], dtype=object)
    parts = []
    for prefix, factor in (("t", 1.0), ("s", copies.SEEN_FACTOR)):
        own = np.array([f"{prefix}{i}" for i in range(3_000)], dtype=object)
        hit = np.flatnonzero(rng.random(3_000) < 0.008 * factor)
        own[hit] = fresh[hit]
        parts.append(own)
    real = RealRows(
        frame=pd.DataFrame({"id": np.concatenate([parts[0], fresh])}),
        is_train=np.arange(6_000) < 3_000,
        entities=None,
    )
    look = copies.holdout_seen(real, pd.DataFrame({"id": parts[1]}), ["id"])
    return upper(int(look["only_synthetic"]), int(look["only_synthetic"] + look["only_train"]), look["chance"], rng)


def planted_ahead(rng: Rng) -> float:
    """Return the chance of so many planted canaries ahead of all control ones."""
    nearest_first = rng.permutation(np.arange(50) < 25)
    ahead = int(np.argmin(nearest_first))
    return between(canaries.ahead_p(25, ahead + 1), canaries.ahead_p(25, ahead), rng)


def planted_by_rank(rng: Rng) -> float:
    """Return the permutation test of the ranks of planted canaries."""
    return permutation_p_value(rng.random(25), rng.random(25), num_permutations=999, rng=rng)


def canaries_as_judged(rng: Rng) -> float:
    """Return p of both tests on canaries together."""
    return canaries.remembered_p(rng.random(25), rng.random(25), rng=rng)[0]


def members_above(rng: Rng) -> float:
    """Return the chance of so many members above the stranger at 1 % of 1,000."""
    above = membership.counts_above(rng.random(3_000), np.arange(3_000) < 2_000, rng)
    more = above.copy()
    more[10] += 1  # the rank of 1 % of 1,000 strangers
    return between(*(membership.chance_of(counts, 2_000, 0.01) for counts in (more, above)), rng)


def own_part(rng: Rng) -> float:
    """Return p of the control that real rows lie near rows of their own part."""
    real = _real(2_000, 1_000)
    bench = SimpleNamespace(base=rng.normal(size=(3_000, 3)).astype(np.float32), real=real)
    return controls.own_part_of(cast("Any", bench), rng)


def matched_by_law(rng: Rng) -> float:
    """Return p of training pictures nearer than the law of distances has it: distances of both classes are powers."""
    is_train = np.arange(3_000) < 2_000
    still, moved = rng.random(3_000) ** (1 / 8), rng.random(3_000) ** (1 / 12)
    laws = SimpleNamespace(still=image_law.law_of(still, is_train), moved=image_law.law_of(moved, is_train))
    matched = image_comparison.expected_of(cast("Any", laws), still, moved) <= image_law.EXPECTED
    count = int((matched & is_train).sum())
    tails = (float(stats.poisson.sf(n - 1, image_law.EXPECTED)) for n in (count + 1, count))
    return between(*tails, rng)


def pictures_repeated(rng: Rng) -> float:
    """Return p of twice as many redundant pictures as among real ones: pairs that are as near as their law has it."""
    parts = []
    for pairs in (rng.poisson(15), rng.poisson(30)):
        gap = 1 + rng.random((2_000, 1))
        gap[: 2 * pairs, 0] = np.repeat(rng.random(pairs), 2)
        parts.append(((np.arange(2_000) ^ 1)[:, None], gap))
    _, (real, made) = image_repeats.redundancy(parts[0], parts[1], (0.005,))
    return upper(made, made + real, image_repeats.TOLERATED / (1 + image_repeats.TOLERATED), rng)


# ---------------------------------------------------------------------- fidelity


def value_halved(share: float) -> Callable[[Rng], float]:
    """Return the test of a value of that share of 2,000 synthetic rows that has twice the share of 4,000 real ones."""

    def draw(rng: Rng) -> float:
        made, real = rng.binomial(2_000, share), rng.binomial(4_000, share / lost_values.HALF)
        fewer = lost_values.fewer_p(made, 2_000, real, 4_000, least=lost_values.HALF)
        least = lost_values.fewer_p(made - 1, 2_000, real + 1, 4_000, least=lost_values.HALF) if made else 0.0
        return between(least, fewer, rng)

    return draw


def twins(rng: Rng) -> float:
    """Return p of twice as many clusters as among real rows, of rows in a plane with near pairs."""
    companies = []
    for pairs in (rng.poisson(80), rng.poisson(40)):
        rows = 1e3 * rng.random((1_500, 2))
        rows[1 : 2 * pairs : 2] = rows[0 : 2 * pairs : 2] + 1e-3 * rng.random((pairs, 2))
        points = rows.astype(np.float64)
        companies.append(near_twins.Company(*nearest(points, points, own_position=np.arange(len(points)))))
    _, _, (made, real) = near_twins.crowding(*companies, quantiles=())
    tails = (
        lost_values.fewer_p(real - fewer, 1_500, made + fewer, 1_500, least=near_twins.HALF) if real >= fewer else 0.0
        for fewer in (1, 0)
    )
    return between(*tails, rng)


def gaps_moved(gaps: float) -> Callable[[Rng], float]:
    """Return the test of the AUC of missing cells, without tolerance, where such a share of 1,500 cells is missing."""

    def draw(rng: Rng) -> float:
        columns = [
            EncodedColumn(name=str(i), kind="categorical", categorical=True, labels=tuple("abc"), num_cells=4)
            for i in range(3)
        ]
        sides = []
        for _ in range(3):
            cells = rng.integers(0, 3, (1_500, 3))
            sides.append((rng.random(1_500) < gaps * (0.5 + 0.5 * cells[:, 0]), cells))
        aucs, variances = missingness.gap_aucs(columns, sides)
        freedom = min(int(gap.sum()) for gap, _ in sides[1:]) - 1
        return missingness.moved_p(aucs[0] - aucs[1], float(np.sqrt(sum(variances))), freedom, tolerance=0.0)

    return draw


def steps_moved(memory: float) -> Callable[[Rng], float]:
    """Return the test of step correlations, without tolerance, of series that remember so much of a step."""

    def draw(rng: Rng) -> float:
        tables = []
        for _ in range(3):
            noise = rng.normal(size=1_500)
            series = np.empty(1_500)
            series[0] = noise[0]
            for t in range(1, 1_500):
                series[t] = memory * series[t - 1] + np.sqrt(1 - memory**2) * noise[t]
            cells = np.searchsorted(stats.norm.ppf(np.arange(1, 8) / 8), series)
            before = np.arange(1_499)
            step = before, before + 1, before * time_order.NUM_GROUPS // 1_499
            tables.append(time_order.step_tables(cells, step, 8))
        scores = canonical_scores(tables[0].sum(axis=0))
        (real, of_real), (made, of_made) = (time_order.step_correlation(table, *scores) for table in tables[1:])
        return time_order.moved_p(real - made, of_real + of_made, tolerance=0.0)

    return draw


def _labelled(rng: Rng, rows: int, wrong: float) -> Task:
    X = rng.normal(size=(rows, 3))
    y = (rng.random(rows) < 1 / (1 + np.exp(-2 * X[:, 0] - X[:, 1]))).astype(np.float64)
    flipped = rng.random(rows) < wrong
    return Task(X=X, y=np.where(flipped, 1 - y, y))


def _target(rng: Rng, wrong: float) -> Target:
    train, holdout, synthetic = (_labelled(rng, rows, part) for rows, part in ((500, 0), (250, 0), (300, wrong)))
    categorical = np.zeros(3, dtype=bool)
    return Target(
        name="y", num_classes=2, event=1, categorical=categorical, train=train, holdout=holdout, synthetic=synthetic
    )


def fresh_labels(rng: Rng) -> float:
    """Return the permutation test of fresh labels, which a cross-fitted model reads."""
    of_real, _, of_synthetic = labels.disagreements(_target(rng, 0.0), rng)
    return labels.fresh_p(of_synthetic, of_real, rng)


def few_wrong_labels(rng: Rng) -> float:
    """Return p against the tolerance, of labels of which that part is wrong."""
    share, se, _ = labels.wrong_share(*labels.disagreements(_target(rng, labels.TOLERANCE), rng))
    return labels.beyond_tolerance_p(share, se)


# ---------------------------------------------------------------------- bias


def group_lost(least: float, share: float) -> Callable[[Rng], float]:
    """Return the test of a group that is there the part `least` as often as its real share."""

    def draw(rng: Rng) -> float:
        real, made = rng.binomial(6_000, share), rng.binomial(3_000, share * least)
        fewer = loss_p(real + 1, 6_000, made - 1, 3_000, least) if made else 0.0
        return between(fewer, loss_p(real, 6_000, made, 3_000, least), rng)

    return draw


def rate_moved(rows: int, rate: float, *, tolerance: float) -> Callable[[Rng], float | None]:
    """Return Fisher's test of a rate, of synthetic rows whose rate is off by the tolerance; twice as many are real.

    With a tolerance half of the draws look the other way and say nothing: then what is below 1 is uniform.
    """

    def draw(rng: Rng) -> float | None:
        made, real = rng.binomial(rows, rate * (1 - tolerance)), rng.binomial(2 * rows, rate)
        p = shift_p((made, real), (rows, 2 * rows), tolerance)
        if not tolerance:
            return p
        return None if p >= 1 else p

    return draw


def mean_moved(tolerance: float) -> Callable[[Rng], float | None]:
    """Return the normal test of a mean that is off by the tolerance, of skewed numbers."""

    def draw(rng: Rng) -> float | None:
        made, real = rng.gamma(2, size=4_000), rng.gamma(2, size=8_000)
        spread = real.std()
        made, real = made / spread - tolerance, real / spread
        error = float(np.sqrt(made.var() / len(made) + real.var() / len(real)))
        p = mean_shift_p(float(made.mean() - real.mean()), error, tolerance)
        return None if tolerance and p >= 1 else p

    return draw


def share_moved(tolerance: float) -> Callable[[Rng], float | None]:
    """Return Fisher's test of a cell's share in a group that is off by the tolerance."""

    def draw(rng: Rng) -> float | None:
        rows = np.array([4_000]), np.array([8_000])
        made, real = rng.binomial(rows[0], 0.4 - tolerance), rng.binomial(rows[1], 0.4)
        p = float(moved_p(made, rows[0], real, rows[1], tolerance)[0])
        return None if tolerance and p >= 1 else p

    return draw


def gaps_widened(real_rows: int) -> Callable[[Rng], float]:
    """Return the test of differences between six groups that are a fifth wider than the real ones."""

    def draw(rng: Rng) -> float:
        rates = np.linspace(0.2, 0.5, 6)
        wider = rates.mean() + (1 + WIDER) * (rates - rates.mean())
        real = np.stack([rng.binomial(real_rows, rates), np.full(6, real_rows)], axis=1).astype(np.float64)
        made = np.stack([rng.binomial(800, wider), np.full(6, 800)], axis=1).astype(np.float64)
        return widening(real, made)[1]

    return draw


EXACT = "counts under 100 rows stay whole"
BONFERRONI = "the smallest of several that hang together, times their number"
NULLS: tuple[Null, ...] = (
    Null(
        measurements="excess_matches, image_matches",
        test="32 nearest of 30,000 real rows",
        law="train 1.1 times as near",
        draw=tail(20_000, 10_000),
    ),
    Null(
        measurements="excess_matches, image_matches",
        test="as judged, four thresholds of 3,000 rows",
        law="train 1.1 times as near",
        draw=tail_as_judged,
        rounded=BONFERRONI,
    ),
    Null(
        measurements="atypical_matches",
        test="32 nearest of the 200 strangest rows",
        law="train 1.1 times as near",
        draw=tail(100, 100),
        rounded="drawn without replacement, and tested as with it",
    ),
    Null(
        measurements="group_matches, image_group_matches",
        test="five groups, Holm",
        law="train 1.1 times as near",
        draw=groups_by_holm,
    ),
    Null(
        measurements="group_matches, image_group_matches",
        test="32 nearest of a group of 60 + 30",
        law="train 1.1 times as near",
        draw=tail(60, 30),
        rounded="drawn without replacement, and tested as with it",
    ),
    Null(measurements="exact_copies, image_copies", test="single rows", law="train 1.1 times as often", draw=copied),
    Null(
        measurements="exact_copies, image_copies",
        test="against fresh rows",
        law="the same chance",
        draw=copied_against_fresh,
    ),
    Null(
        measurements="exact_copies, image_copies",
        test="against real rows",
        law="twice as often",
        draw=copied_against_real,
    ),
    Null(measurements="exact_copies", test="a holdout that was seen", law="twice as often", draw=holdout_seen),
    Null(measurements="canaries", test="ahead of all control rows", law="exchangeable", draw=planted_ahead),
    Null(measurements="canaries", test="mean rank, permuted", law="exchangeable", draw=planted_by_rank),
    Null(measurements="canaries", test="as judged", law="exchangeable", draw=canaries_as_judged, rounded=BONFERRONI),
    Null(measurements="membership", test="members above a rank of strangers", law="exchangeable", draw=members_above),
    Null(measurements="controls", test="rows near their own part", law="one law", draw=own_part),
    Null(
        measurements="image_matches",
        test="nearer than the law of distances",
        law="powers 8 and 12 of the distance",
        draw=matched_by_law,
        rounded="the exponent is taken a standard error smaller",
    ),
    Null(measurements="image_repeats", test="redundant pictures", law="twice as many", draw=pictures_repeated),
    Null(
        measurements="lost_values, missingness, image_modes",
        test="a value of 1 % of the rows",
        law="half as often",
        draw=value_halved(0.01),
    ),
    Null(
        measurements="lost_values, missingness, image_modes",
        test="a value of 30 % of the rows",
        law="half as often",
        draw=value_halved(0.3),
        rounded="Poisson counts, where shares are large, vary less",
    ),
    Null(measurements="near_twins", test="clusters at one threshold", law="twice as many", draw=twins),
    Null(
        measurements="missingness",
        test="AUC of missing cells, 10 % missing",
        law="no difference, no tolerance",
        draw=gaps_moved(0.1),
    ),
    Null(
        measurements="missingness",
        test="AUC of missing cells, 3 % missing",
        law="no difference, no tolerance",
        draw=gaps_moved(0.03),
    ),
    Null(
        measurements="time_order",
        test="step correlation .7",
        law="no difference, no tolerance",
        draw=steps_moved(0.7),
    ),
    Null(
        measurements="time_order",
        test="step correlation .3",
        law="no difference, no tolerance",
        draw=steps_moved(0.3),
        rounded="the larger of two variances",
    ),
    Null(measurements="wrong_labels", test="permuted", law="fresh labels", draw=fresh_labels),
    Null(
        measurements="wrong_labels", test="against the tolerance", law="one label in forty wrong", draw=few_wrong_labels
    ),
    Null(
        measurements="group_loss",
        test="a group of 3 %",
        law="four fifths as often",
        draw=group_lost(FOUR_FIFTHS, 0.03),
    ),
    Null(measurements="group_loss", test="a pair or triple of 1 %", law="half as often", draw=group_lost(HALF, 0.01)),
    Null(
        measurements="group_loss",
        test="a group of 40 %",
        law="four fifths as often",
        draw=group_lost(FOUR_FIFTHS, 0.4),
        rounded="Poisson counts, where shares are large, vary less",
    ),
    Null(
        measurements="outcome_shift",
        test="rate .3 of 1,000 rows",
        law="no shift, no tolerance",
        draw=rate_moved(1_000, 0.3, tolerance=0.0),
    ),
    Null(
        measurements="outcome_shift",
        test="rate .05 of 400 rows",
        law="no shift, no tolerance",
        draw=rate_moved(400, 0.05, tolerance=0.0),
        rounded="mid-p of few counts",
    ),
    Null(
        measurements="outcome_shift",
        test="rate .2 of 60 rows",
        law="no shift, no tolerance",
        draw=rate_moved(60, 0.2, tolerance=0.0),
        rounded=EXACT,
    ),
    Null(
        measurements="outcome_shift",
        test="rate .3 of 50,000 rows",
        law="a twentieth fewer",
        draw=rate_moved(50_000, 0.3, tolerance=RATE_TOLERANCE),
    ),
    Null(measurements="outcome_shift", test="mean of a number", law="no shift, no tolerance", draw=mean_moved(0.0)),
    Null(
        measurements="outcome_shift",
        test="mean of a number",
        law="a twentieth of a standard deviation",
        draw=mean_moved(MEAN_TOLERANCE),
    ),
    Null(
        measurements="group_column", test="share .4 of 4,000 rows", law="no shift, no tolerance", draw=share_moved(0.0)
    ),
    Null(
        measurements="group_column",
        test="share .4 of 4,000 rows",
        law="a twentieth of the rows",
        draw=share_moved(SHARE_TOLERANCE),
    ),
    Null(
        measurements="widened_gaps",
        test="six groups, 100,000 real rows each",
        law="a fifth wider",
        draw=gaps_widened(100_000),
    ),
    Null(
        measurements="widened_gaps",
        test="six groups, 1,600 real rows each",
        law="a fifth wider",
        draw=gaps_widened(1_600),
        rounded="noise in the real rates lowers the slope",
    ),
)
# `RARER_WEIGHT` of the error on one side makes p uniform without a tolerance: the two sides exclude each other.
assert 0 < RARER_WEIGHT < 1

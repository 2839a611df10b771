"""Do the single columns of each protected group look as they do among that group's real rows?

A group of a few percent hardly moves a column's shares over all rows: its wages may be those of another group, or its
rows one average person, and the shares of all rows stay right. So the shares within each group are looked at.
`group_shape` is the accuracy of `kway_1` among the rows of a group, relative to fresh rows of it, and sees what is a
little wrong in many columns. `group_column` tests every column in every group, label by label or (numbers) edge by
edge, whether a share is off by more than is tolerated, and sees a single wrong column: a proxy, for example, that says
more about the group than it does among real rows.

What it cannot see: groups too small for chance to be told apart; relations between columns (`group_dependence`).

Legend: G groups, K cells, Q columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from validators.bias.parts import Membership, sides_and_groups
from validators.encoding import EncodedColumn, Part
from validators.evidence import Evidence
from validators.fidelity.kway import Shortfall, shortfall_of
from validators.fidelity.sides import Sides, too_few
from validators.gate import judged
from validators.measurement import Measurement
from validators.statistics.bootstrap import jackknife_variance
from validators.statistics.intervals import gate_ends

SHARE_TOLERANCE = 0.05
"""How much of a group may have another label, or lie on the wrong side of an edge, before `group_column` looks."""

PASS_POWER = 0.9995
"""Chance with which a fresh sample must pass for a group to be measured on its own; there may be dozens of groups."""

WITH_TRAIN = 1.6
"""The variance that the interval has over that of the fresh and the synthetic rows alone: train's own comes on top
(1.6 to 1.8 at 400 to 1,000 rows of a group)."""

LEAST_ROWS = 60
"""Rows of a group on every side of `group_shape`: three in each of the jackknife's groups."""

EVERYONE = "all rows"
NAMES = ("group_shape", "group_column")


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """How far the columns of one group are off.

    Args:
        subject: the group.
        shortfall: total variations to train.
        n: rows that were compared on either side.

    """

    subject: str
    shortfall: Shortfall
    n: int


def group_shape(evidence: Evidence, rng: np.random.Generator) -> Sequence[Measurement]:
    """Return `group_shape` and `group_column`; nothing without protected columns or without a second column."""
    sides, memberships = sides_and_groups(evidence, rng)
    if not evidence.schema.protected or len(sides.columns) < 2:  # noqa: PLR2004 - the group's own, and one to compare
        return []
    few = too_few(evidence, [("group_shape", "worst group"), ("group_column", "all groups")])
    if few:
        return few
    return [_shape(evidence, sides, memberships), _column(evidence, sides, memberships)]


def moved_p(
    hits: np.ndarray,
    rows: np.ndarray,
    real_hits: np.ndarray,
    real_rows: np.ndarray,
    tolerance: float = SHARE_TOLERANCE,
) -> np.ndarray:
    """Return two-sided p-values of `the share is the real one but for the tolerance` by Fisher's test (float N).

    The tolerance is given to the synthetic count before it is tested, so the test keeps its level in small groups.

    Args:
        hits: synthetic rows of a group in a cell (int N).
        rows: synthetic rows of the group (int N).
        real_hits: real rows of the group in the cell (int N).
        real_rows: real rows of the group (int N).
        tolerance: of the share.

    """
    slack = tolerance * rows
    expected = rows * real_hits / np.maximum(real_rows, 1)
    fewer = hits < expected
    # Moved towards the real share, at most onto it.
    moved = np.where(
        fewer,
        np.minimum(np.floor(hits + slack), np.ceil(expected)),
        np.maximum(np.ceil(hits - slack), np.floor(expected)),
    )
    low = stats.hypergeom.cdf(moved, rows + real_rows, moved + real_hits, rows)
    high = stats.hypergeom.sf(moved - 1, rows + real_rows, moved + real_hits, rows)
    return np.asarray(np.minimum(1.0, 2 * np.where(fewer, low, high)))


def _shape(evidence: Evidence, sides: Sides, memberships: Sequence[Membership]) -> Measurement:
    """Return the group whose lower end is largest; the ends are simultaneous over the groups."""
    policy = evidence.policy
    limit = float(policy.limits["group_shape"])  # type: ignore[arg-type]
    most = limit / float(stats.norm.isf(policy.doubt) + stats.norm.isf(1 - PASS_POWER))
    large = [one for membership in memberships for one in _groups(sides, membership, most)]
    if not large:  # no group is large enough: all rows are the one group there is
        large = [
            _compare(sides, (sides.train, sides.holdout, sides.synthetic), np.arange(len(sides.columns)), EVERYONE)
        ]
    values = [float(one.shortfall.excess.mean()) for one in large]
    ends = [
        gate_ends(
            value,
            float(np.sqrt(one.shortfall.variance(of_mean=True))),
            policy=policy,
            name="group_shape",
            reference=0.0,
            subjects=len(large),
        )
        for value, one in zip(values, large, strict=True)
    ]
    worst = max(range(len(large)), key=lambda i: ends[i][0])
    shortfall = large[worst].shortfall
    return judged(
        name="group_shape",
        subject="worst group",
        value=values[worst],
        low=ends[worst][0],
        high=max(high for _, high in ends),
        n=large[worst].n,
        reading=(
            f"Among the rows of {large[worst].subject} single columns agree with the training part to "
            f"{1 - shortfall.synthetic.mean():.1%}; fresh real rows of the group reach "
            f"{1 - shortfall.holdout.mean():.1%}." + sides.caveat
        ),
        policy=policy,
        reference=0.0,
        detail={
            "groups": {one.subject: value for one, value in zip(large, values, strict=True)},
            "num_small_groups": sum(len(membership.grouping.labels) for membership in memberships) - len(large),
        },
    )


def _groups(sides: Sides, membership: Membership, most: float) -> list[_Compared]:
    """Return the comparison of each group of which fresh rows would have a standard error of at most `most`."""
    columns = _others(sides, membership)
    found = []
    for group in range(len(membership.grouping.labels)):
        rows = [
            np.flatnonzero(codes == group) for codes in (membership.train, membership.holdout, membership.synthetic)
        ]
        if min(map(len, rows)) < LEAST_ROWS:  # an absent group is `group_loss`'s
            continue
        train, holdout, synthetic = (
            part.take(chosen) for part, chosen in zip((sides.train, sides.holdout, sides.synthetic), rows, strict=True)
        )
        expected = len(holdout) / len(sides.holdout) * len(sides.synthetic)
        if _expected_error(sides, train, holdout, columns, expected) <= most:
            found.append(_compare(sides, (train, holdout, synthetic), columns, membership.grouping.subject(group)))
    return found


def _expected_error(sides: Sides, train: Part, holdout: Part, columns: np.ndarray, expected: float) -> float:
    """Return the standard error that `expected` fresh rows of a group would have; the synthetic rows have no say."""
    itself = _compare(sides, (train, holdout, holdout), columns, "").shortfall
    variance = float(jackknife_variance(itself.without_holdout.mean(axis=0)).mean())
    return float(np.sqrt(WITH_TRAIN * variance * (1 + len(holdout) / expected)))


def _others(sides: Sides, membership: Membership) -> np.ndarray:
    """Return the positions of the columns that do not make the groups themselves (int Q)."""
    return np.array([i for i, column in enumerate(sides.columns) if column.name != membership.grouping.name])


def _compare(sides: Sides, parts: Sequence[Part], columns: np.ndarray, subject: str) -> _Compared:
    train, holdout, synthetic = parts
    own = Sides(columns=sides.columns, train=train, holdout=holdout, synthetic=synthetic, halved=sides.halved)
    return _Compared(
        subject=subject, shortfall=shortfall_of(own, columns[:, None]), n=min(len(holdout), len(synthetic))
    )


def _column(evidence: Evidence, sides: Sides, memberships: Sequence[Membership]) -> Measurement:
    """Return the smallest p-value over groups, columns and their parts, times their number."""
    best: tuple[float, str, str, float, float] = (1.0, "", "", 0.0, 0.0)
    tests = 0
    for membership in memberships:
        grouping, num = membership.grouping, len(membership.grouping.labels)
        codes = np.concatenate([membership.train, membership.holdout])
        real_rows, rows = (np.bincount(of[of >= 0], minlength=num) for of in (codes, membership.synthetic))
        expected = real_rows * min(1.0, len(membership.synthetic) / len(codes))
        large = expected >= evidence.policy.min_group_rows
        for column in _others(sides, membership):
            cells = np.concatenate([sides.train.cells[:, column], sides.holdout.cells[:, column]])
            real, made = (
                _shares_of(groups, of, num, sides.columns[column])
                for groups, of in ((codes, cells), (membership.synthetic, sides.synthetic.cells[:, column]))
            )
            tests += int(large.sum()) * real.shape[1]
            off = np.abs(made / np.maximum(rows, 1)[:, None] - real / np.maximum(real_rows, 1)[:, None])
            group, cell = np.nonzero((off > SHARE_TOLERANCE) & (large & (rows > 0))[:, None])
            if not len(group):
                continue
            ps = moved_p(made[group, cell], rows[group], real[group, cell], real_rows[group])
            at = int(np.argmin(ps))
            if ps[at] < best[0]:
                place = int(group[at]), int(cell[at])
                share, real_share = made[place] / rows[place[0]], real[place] / real_rows[place[0]]
                best = (float(ps[at]), grouping.subject(place[0]), sides.columns[column].name, share, real_share)
    p, subject, name, share, real_share = best
    p = min(1.0, p * max(tests, 1))
    reading = "No column's shares within a group are off by more than is tolerated, as far as chance lets one say."
    if p < 1:
        reading = (
            f"One part of column {name!r} holds {share:.1%} of the synthetic and {real_share:.1%} of the real rows of "
            f"{subject} (p = {p:.2g})."
        )
    return judged(
        name="group_column",
        subject="all groups",
        value=p,
        low=p,
        high=p,
        n=len(sides.synthetic),
        reading=reading,
        policy=evidence.policy,
        detail={"group": subject, "column": name, "synthetic": float(share), "real": float(real_share), "tests": tests},
    )


def _shares_of(groups: np.ndarray, cells: np.ndarray, num_groups: int, column: EncodedColumn) -> np.ndarray:
    """Return the rows of each group with each label, or at or below each edge (int G K), without rows of no group."""
    kept, num_cells = groups >= 0, column.num_cells
    counts = np.bincount(groups[kept] * num_cells + cells[kept], minlength=num_groups * num_cells)
    table = counts.reshape(num_groups, num_cells)
    # The last cell is the missing one, the other side of the last edge.
    return np.asarray(table if column.categorical else table.cumsum(axis=1)[:, :-1])

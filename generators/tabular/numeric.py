"""Numbers as tokens: exact values that many rows share, equal-mass leaves for the rest, and one state for missing.

A *leaf* is either one exact value held by at least `LEAF_ROWS` rows, or a range of the remaining values with at
least as many rows. A value held by more than one row in 256 is a coarse token of its own; the other leaves are strung
together into coarse tokens of about equal mass, and a fine token says which leaf of the coarse one. Inside a range leaf
numbers come from a piecewise linear quantile function through the means of four blocks of its rows, snapped to the
lattice.

Privacy: an exact value that is kept is held by >= 20 rows. Everything else that is kept is a mean over >= 5 rows or a
randomly placed point between two neighbouring rows, at a rank that is a multiple of >= 20 rows. The single most extreme
row at either end has no influence on what is kept, so tails are clipped: the outermost number that can be drawn is the
mean of the second to sixth most extreme rows.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

LEAF_ROWS = 20  # smallest support of a leaf: fewer rows would let the quantile function name single persons
MASS_SHARE = 1 / 256  # a value with more of the rows than this is a coarse token of its own
MAX_FINE = 16  # leaves in a coarse token
TAIL_ROWS = 5  # of whose mean a tail ends; as many as must hold a label, lest equal ones show a value of fewer
BLOCKS = 4  # of rows in a range leaf, whose means carry the quantile function
SINGLE_TOKEN_LEAVES = 64  # up to so many leaves one token is enough
KNOT_PROBABILITIES = np.array([0.0, 0.125, 0.375, 0.625, 0.875, 1.0])  # ends, and the middles of four blocks
REDRAWS = 4  # of a range leaf's draw that hit an exact value, which has a leaf of its own


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """The grid on which numbers lie.

    Args:
        step: distance of neighbours, or None for real numbers without a grid.
        decimals: digits to round to after snapping, so that 0.1 + 0.2 is 0.3; None does not round.

    """

    step: float | None = None
    decimals: int | None = None

    def snap(self, values: np.ndarray) -> np.ndarray:
        """Return `values` (float64 N) moved to the nearest grid points."""
        if self.step is None:
            return values
        snapped = np.round(values / self.step) * self.step
        return np.round(snapped, self.decimals) if self.decimals is not None else snapped


@dataclass(frozen=True, kw_only=True)
class NumericCodec:
    """Tokens of one numeric column.

    Legend: L leaves in order of value, C coarse tokens (without missing), R range leaves.

    Args:
        lattice: the grid.
        knots: float64 L 6, quantile function of each leaf at `KNOT_PROBABILITIES`; six times the value where exact.
        exact: bool L.
        coarse, fine: int L, the tokens of each leaf.
        edges: float64 R - 1, between neighbouring range leaves.
        ranks: float64 L, middle rank of each leaf, 0 to 1.
        missing: whether the column has missing cells; their coarse token is the last.
        echoes: columns that this one repeats in some rows; their coarse tokens are C, C + 1, ... (see `echoes`).

    """

    lattice: Lattice
    knots: np.ndarray
    exact: np.ndarray
    coarse: np.ndarray
    fine: np.ndarray
    edges: np.ndarray
    ranks: np.ndarray
    missing: bool
    echoes: tuple[str, ...] = ()

    @property
    def num_values(self) -> int:
        """C, the coarse tokens of numbers."""
        return int(self.coarse.max()) + 1 if len(self.coarse) else 0

    @property
    def num_coarse(self) -> int:
        """Coarse tokens: of numbers, of echoes, of missing."""
        return self.num_values + len(self.echoes) + int(self.missing)

    @property
    def num_fine(self) -> int:
        """Fine tokens; 1 means that the column needs no second token."""
        return int(self.fine.max()) + 1 if len(self.fine) else 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        """Return the tokens, int64 N 2 (coarse, fine), of `values` (float64 N, NaN where missing).

        A column fitted without missing cells has no token for them: -1. One fitted with too few numbers calls all of
        them missing.
        """
        present = ~np.isnan(values) & (len(self.knots) > 0)
        tokens = np.full((len(values), 2), -1, dtype=np.int64)
        tokens[~present] = (self.num_coarse - 1, 0) if self.missing else (-1, -1)
        leaf = self._leaf_of(values[present])
        tokens[present] = np.column_stack([self.coarse[leaf], self.fine[leaf]])
        return tokens

    def decode(self, coarse: np.ndarray, fine: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return numbers, float64 N, for the tokens; a fine token that its coarse one lacks is read as the last."""
        values = np.full(len(coarse), np.nan)
        num_present = self.num_values
        present = np.flatnonzero(coarse < num_present)
        if len(present):
            counts = np.bincount(self.coarse, minlength=num_present)
            table = np.zeros((num_present, self.num_fine), dtype=np.int64)
            table[self.coarse, self.fine] = np.arange(len(self.coarse))
            last = np.minimum(fine[present], counts[coarse[present]] - 1)
            values[present] = self._draw(table[coarse[present], last], rng)
        return values

    def valid(self) -> np.ndarray:
        """Return which fine tokens each coarse one has, bool num_coarse num_fine; missing has the first alone."""
        valid = np.zeros((self.num_coarse, self.num_fine), dtype=bool)
        valid[self.coarse, self.fine] = True
        valid[self.num_values :, 0] = True  # echoes and missing
        return valid

    @property
    def ends(self) -> tuple[float, float]:
        """The outermost numbers that can be drawn."""
        ends = self.lattice.snap(np.array([self.knots.min(), self.knots.max()]))
        return float(ends[0]), float(ends[1])

    def draw_any(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Return `n` numbers, float64, each leaf as likely as any other."""
        return self._draw(rng.integers(len(self.knots), size=n), rng)

    def is_mass(self, values: np.ndarray) -> np.ndarray:
        """Return which of `values` (float64 N) are missing or have a coarse token for themselves, bool N."""
        counts = np.bincount(self.coarse, minlength=self.num_values)
        masses = self.knots[self.exact & (counts[self.coarse] == 1), 0]
        return np.asarray(np.isnan(values) | np.isin(values, masses))

    def coarse_ranks(self) -> np.ndarray:
        """Return the mean rank of each coarse token, float64 num_coarse, NaN for missing."""
        counts = np.bincount(self.coarse, minlength=self.num_coarse)
        with np.errstate(invalid="ignore"):
            ranks: np.ndarray = np.bincount(self.coarse, weights=self.ranks, minlength=self.num_coarse) / counts
        return ranks

    def leaf_ranks(self) -> np.ndarray:
        """Return the middle rank of each leaf by its tokens, float64 num_coarse num_fine, NaN where there is none."""
        ranks = np.full((self.num_coarse, self.num_fine), np.nan)
        ranks[self.coarse, self.fine] = self.ranks
        return ranks

    def to_json(self) -> dict[str, Any]:
        """Return the codec as JSON values."""
        return {
            "lattice": {"step": self.lattice.step, "decimals": self.lattice.decimals},
            "knots": self.knots.tolist(),
            "exact": self.exact.tolist(),
            "coarse": self.coarse.tolist(),
            "fine": self.fine.tolist(),
            "edges": self.edges.tolist(),
            "ranks": self.ranks.tolist(),
            "missing": self.missing,
            "echoes": list(self.echoes),
        }

    @staticmethod
    def from_json(state: dict[str, Any]) -> "NumericCodec":
        """Return the codec that `to_json` described."""
        return NumericCodec(
            lattice=Lattice(**state["lattice"]),
            knots=np.array(state["knots"], dtype=np.float64).reshape(-1, len(KNOT_PROBABILITIES)),
            exact=np.array(state["exact"], dtype=bool),
            coarse=np.array(state["coarse"], dtype=np.int64),
            fine=np.array(state["fine"], dtype=np.int64),
            edges=np.array(state["edges"], dtype=np.float64),
            ranks=np.array(state["ranks"], dtype=np.float64),
            missing=state["missing"],
            echoes=tuple(state["echoes"]),
        )

    def _leaf_of(self, values: np.ndarray) -> np.ndarray:
        """Return the leaf of each value, int64 N: its exact one, else the range it falls into, else the nearest."""
        exact_leaves = np.flatnonzero(self.exact)
        range_leaves = np.flatnonzero(~self.exact)
        centres = self.knots[exact_leaves, 0]
        order = np.argsort(centres)
        centres, exact_leaves = centres[order], exact_leaves[order]
        if not len(values):
            return np.empty(0, dtype=np.int64)
        if not len(range_leaves):
            return np.asarray(exact_leaves[_nearest(centres, values)])
        leaf = range_leaves[np.searchsorted(self.edges, values)]
        if len(centres):
            near = _nearest(centres, values)
            leaf = np.where(centres[near] == values, exact_leaves[near], leaf)
        return np.asarray(leaf)

    def _draw(self, leaf: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        centres = np.sort(self.knots[self.exact, 0])
        values = self._quantile(leaf, rng.random(len(leaf)))
        for _ in range(REDRAWS):
            again = np.flatnonzero(~self.exact[leaf] & np.isin(values, centres))
            if not len(again):
                break
            values[again] = self._quantile(leaf[again], rng.random(len(again)))
        return values

    def _quantile(self, leaf: np.ndarray, probability: np.ndarray) -> np.ndarray:
        """Return the quantile function of `leaf` (int N) at `probability` (float N), on the lattice."""
        segment = np.clip(np.searchsorted(KNOT_PROBABILITIES, probability, side="right") - 1, 0, BLOCKS)
        low, high = self.knots[leaf, segment], self.knots[leaf, segment + 1]
        start, end = KNOT_PROBABILITIES[segment], KNOT_PROBABILITIES[segment + 1]
        values = np.minimum(low + (high - low) * (probability - start) / (end - start), high)  # the sum may round up
        numbers: np.ndarray = np.where(self.exact[leaf], low, self.lattice.snap(values))
        return numbers


def fit_numeric(
    values: np.ndarray, lattice: Lattice, rng: np.random.Generator, *, support: np.ndarray | None = None
) -> NumericCodec:
    """Learn the tokens of a column.

    Args:
        values: float64 N, finite or NaN, at least `LEAF_ROWS` of them.
        lattice: the grid on which they lie.
        rng: places the edges between neighbouring rows.
        support: float64, the `values` by which leaves are supported: without those that an entity repeats, so that
            its many rows do not make its number a common one. None is all of them.

    """
    missing = bool(np.isnan(values).any())
    support = values if support is None else support
    present = np.sort(support[~np.isnan(support)])
    n = len(present)
    if n < LEAF_ROWS:  # too few numbers to show any: the column becomes missing throughout
        return _assemble(lattice, [], [], missing=True, n=n, num_rows=len(values))
    distinct, counts = np.unique(present, return_counts=True)
    num_coarse = int(np.clip(np.sqrt(len(values)) / 3, 32, 256))
    leaf_rows = max(LEAF_ROWS, -(-n // (num_coarse * MAX_FINE)))
    is_exact = counts >= leaf_rows
    leaves = [
        _Leaf(np.full(len(KNOT_PROBABILITIES), value), exact=True, rows=int(count))
        for value, count in zip(distinct[is_exact], counts[is_exact], strict=True)
    ]
    rest = np.repeat(distinct[~is_exact], counts[~is_exact])
    edges: list[float] = []
    if len(rest) >= LEAF_ROWS:
        bounds = _cuts(rest, leaf_rows)
        edges = [_between(rest[cut - 1], rest[cut], lattice, rng) for cut in bounds[1:-1]]
        leaves += [
            _Leaf(knots, exact=False, rows=stop - start)
            for knots, (start, stop) in zip(_range_knots(rest, bounds, edges, lattice), pairwise(bounds), strict=True)
        ]
    return _assemble(lattice, leaves, edges, missing=missing, n=n, num_rows=len(values))


@dataclass(frozen=True)
class _Leaf:
    knots: np.ndarray
    exact: bool
    rows: int


def _assemble(
    lattice: Lattice, leaves: list[_Leaf], edges: list[float], *, missing: bool, n: int, num_rows: int
) -> NumericCodec:
    """Order the leaves by value and string them together into coarse tokens."""
    means = np.array([leaf.knots for leaf in leaves]).reshape(-1, len(KNOT_PROBABILITIES)).mean(1)
    leaves = [leaves[number] for number in np.lexsort(([leaf.exact for leaf in leaves], means))]
    rows = np.array([leaf.rows for leaf in leaves], dtype=np.float64)
    is_mass = np.array([leaf.exact and leaf.rows > num_rows * MASS_SHARE for leaf in leaves], dtype=bool)
    coarse = np.zeros(len(leaves), dtype=np.int64)
    fine = np.zeros(len(leaves), dtype=np.int64)
    if len(leaves) <= SINGLE_TOKEN_LEAVES:
        coarse = np.arange(len(leaves))
    else:
        target = rows[~is_mass].sum() / np.clip(np.sqrt(num_rows) / 3, 32, 256)
        chain, chain_rows, chain_length, token = -1, 0.0, 0, 0  # the chain that is open for leaves that are no mass
        for number in range(len(leaves)):
            if is_mass[number]:
                coarse[number], token = token, token + 1
                continue
            if chain < 0 or chain_rows + rows[number] / 2 > target or chain_length == MAX_FINE:
                chain, chain_rows, chain_length, token = token, 0.0, 0, token + 1
            coarse[number], fine[number] = chain, chain_length
            chain_rows, chain_length = chain_rows + rows[number], chain_length + 1
    ranks = (np.cumsum(rows) - rows / 2) / max(n, 1)
    knots = np.array([leaf.knots for leaf in leaves]).reshape(-1, len(KNOT_PROBABILITIES))
    return NumericCodec(
        lattice=lattice,
        knots=knots,
        exact=np.array([leaf.exact for leaf in leaves], dtype=bool),
        coarse=coarse,
        fine=fine,
        edges=np.array(edges, dtype=np.float64),
        ranks=ranks,
        missing=missing,
    )


def _cuts(rest: np.ndarray, leaf_rows: int) -> list[int]:
    """Return where to cut sorted values (float N) into runs of >= `leaf_rows` rows, ties never cut: 0, ..., N."""
    changes = np.flatnonzero(rest[1:] > rest[:-1]) + 1
    num_leaves = max(len(rest) // leaf_rows, 1)
    cuts = [0]
    for number in range(1, num_leaves):
        aim = max(round(number * len(rest) / num_leaves), cuts[-1] + leaf_rows)
        place = int(np.searchsorted(changes, aim))
        if place == len(changes) or len(rest) - int(changes[place]) < leaf_rows:
            break
        if int(changes[place]) > cuts[-1]:
            cuts.append(int(changes[place]))
    return [*cuts, len(rest)]


def _between(low: float, high: float, lattice: Lattice, rng: np.random.Generator) -> float:
    """Return a random point between two neighbouring values; on a lattice half-way between two grid points."""
    if lattice.step is None:
        return float(low + (high - low) * rng.uniform(0.25, 0.75))
    steps = max(round((high - low) / lattice.step), 1)
    return float(low + (rng.integers(steps) + 0.5) * lattice.step)


def _block_means(rest: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return the means of `BLOCKS` blocks, as `np.array_split` cuts them, of each run of `rest`; float64 L BLOCKS."""
    starts, lengths = bounds[:-1], np.diff(bounds)
    means = np.empty((len(starts), BLOCKS))
    for length in np.unique(lengths):  # few of them, so that no leaf costs a call of its own
        own = np.flatnonzero(lengths == length)
        begin = 0
        for block, part in enumerate(np.array_split(np.arange(length), BLOCKS)):
            means[own, block] = rest[starts[own, None] + begin + np.arange(len(part))].mean(1)
            begin += len(part)
    return means


def _range_knots(rest: np.ndarray, bounds: list[int], edges: list[float], lattice: Lattice) -> np.ndarray:
    """Return the quantile function of each range leaf, float64 L 6.

    Args:
        rest: float N, sorted.
        bounds: where each leaf begins among them, and N; a leaf has at least `LEAF_ROWS`.
        edges: float L - 1, between neighbouring leaves.
        lattice: the grid.

    """
    means = _block_means(rest, np.array(bounds))
    half = 0.0 if lattice.step is None else lattice.step * 0.49  # draws up to here still snap to the outermost number
    lower, upper = rest[: bounds[1]], rest[bounds[-2] :]  # the tails
    means[0, 0] = lower[1 : max(-(-len(lower) // BLOCKS), TAIL_ROWS + 1)].mean()
    means[-1, -1] = upper[-max(len(upper) // BLOCKS, TAIL_ROWS + 1) : -1].mean()
    first, last = lower[1 : TAIL_ROWS + 1].mean() - half, upper[-TAIL_ROWS - 1 : -1].mean() + half
    knots = np.column_stack([[first, *edges], means, [*edges, last]])
    low, high = np.array([rest[0] - half, *edges]), np.array([*edges, rest[-1] + half])
    kept = np.maximum.accumulate(knots, axis=1)
    return np.asarray(np.clip(kept, low[:, None], high[:, None]))  # a mean of equal numbers may round to their side


def _nearest(centres: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the number of the sorted centre nearest to each value, int64 N."""
    right = np.clip(np.searchsorted(centres, values), 0, len(centres) - 1)
    left = np.maximum(right - 1, 0)
    return np.where(np.abs(centres[left] - values) <= np.abs(centres[right] - values), left, right)

"""Which columns are derived from which, decided on the training rows.

Where columns can be made upwards and downwards (`orderings`) the way is taken that leaves fewer cells without anything
to derive them from, and then the one whose modelled columns have less entropy in all. The change from columns to gaps
is one to one on the grid, so their joint entropy is the same either way, and what the single ones have beyond it is
what a network must learn of how they hang together (total correlation: Watanabe 1960, doi 10.1147/rd.41.0066).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from generators.base import GeneratorInputError
from generators.tabular.cells import lattice_of, numbers_of
from generators.tabular.derivations import EVERYWHERE, Bounds, Derivation, bounds_of, named
from generators.tabular.entities import entities_of, one_each
from generators.tabular.numeric import Lattice, fit_numeric
from generators.tabular.orderings import (
    Edges,
    Equals,
    Impossible,
    Rule,
    Step,
    added_to,
    components,
    edges_of,
    made_before,
    made_in_order,
    sorted_by,
    steps_in,
    sums_of,
)
from generators.tabular.relations import Relations
from sources.dataset import Dataset
from sources.randomness import stream
from sources.relations import find_relations

ENTROPY_ROWS = 20_000
WORTH = 0.1  # nats that must be gained before columns that no rule asks for become gaps, and before downwards is taken
DAY_US = 86_400_000_000  # the unit in which the contract bounds times
CELLS_ACROSS = 32  # of the narrowest column, from its 5 to its 95 % quantile


def fit_relations(train: Dataset, *, find: bool, seed: int) -> Relations:
    """Return the derivations that keep the declared rules of `train.schema`, and those found on its rows.

    Args:
        train: canonical rows, numbers finite.
        find: look for further rules on the rows.
        seed: of the bounds of derived columns.

    Raises:
        GeneratorInputError: declared rules that cannot be kept together.

    """
    rules = [rule for rule in train.schema.rules if rule.kind != "unique"]
    declared = [(rule.kind, rule.columns) for rule in rules]
    needed = [(rule.kind, rule.columns) for rule in rules if rule.severity == "error"]
    found = [(rule.kind, rule.columns) for rule in find_relations(train)] if find else []
    for kept, more in ((declared, [rule for rule in found if rule not in declared]), (declared, [])):
        try:
            return _Learner(train, seed).relations(kept, more)
        except Impossible:
            continue
    try:
        return _Learner(train, seed).relations(needed)
    except Impossible as error:
        raise GeneratorInputError(
            f"schema.rules: {error}",
            remedy="leave one of these rules out, or give it severity: warning; it is then kept by chance alone",
        ) from None


class _Learner:
    """The rows and what is read from them."""

    def __init__(self, train: Dataset, seed: int) -> None:
        self.train, self.seed = train, seed
        self.entities = entities_of(train)
        self.columns = {column.name: column for column in train.schema.columns}
        self.rests: dict[str, str] = {}
        self.numbers = {
            column.name: numbers_of(column, train.frame[column.name])
            for column in train.schema.columns
            if column.kind in ("numeric", "datetime")
        }

    def relations(self, declared: Sequence[Rule], found: Sequence[Rule] = ()) -> Relations:
        """Return the derivations that keep the `declared` rules, and the `found` ones where that helps the network."""
        rules = [*declared, *found]
        same = Equals(rules)
        sums = sums_of(rules, same)
        steps = [Step(column=total, how="sum", anchors=parts, strict=()) for total, parts in sums.items()]
        steps += [Step(column=copy, how="sum", anchors=(one,), strict=()) for copy, one in same.pairs()]
        for step in steps:
            self._set_rest_aside(step)
        edges, floors = self._without_implied(edges_of(rules, same), sums)
        edges |= self._shortcuts(edges)
        wanted = {name for pair in edges_of(declared, same) for name in pair}
        for nodes in components(edges):
            inner = {pair: strict for pair, strict in edges.items() if pair[0] in nodes}
            tied = self._ordered(nodes, inner, sums, needed=bool(wanted & set(nodes)))
            for step in tied:
                self._set_rest_aside(step)
            steps += tied
        bounds: dict[str, Bounds] = {}
        rules_made = [self._fitted(step, floors, bounds) for step in made_in_order(steps, self.rests)]
        return Relations(schema=self.train.schema, derivations=tuple(rules_made))

    def _set_rest_aside(self, step: Step) -> None:
        """Make a column of the cells that are known where what they would be derived from is not.

        Where the derived column is never missing it may not become so, so its rest is all of its cells: other columns
        may be missing together in a drawn row though they are in no real one.
        """
        if not step.anchors:
            return
        cells = self.numbers[step.column]
        absent = np.isnan(np.stack([self.numbers[name] for name in step.anchors]))
        alone = absent.any(axis=0) if step.how == "sum" else absent.all(axis=0)
        whole = not np.isnan(cells).any()
        lacking = [bool(rows.any()) for rows in absent]
        needed = any(lacking) if step.how == "sum" else all(lacking)
        if needed if whole else (alone & ~np.isnan(cells)).any():
            fresh = f"{step.column} without {' and '.join(step.anchors)}"
            while fresh in self.columns:
                fresh += "'"
            self.rests[step.column] = fresh
            self.columns[fresh] = replace(self.columns[step.column], name=fresh)
            self.numbers[fresh] = cells if whole else np.where(alone, cells, np.nan)

    def _fitted(self, step: Step, floors: Mapping[str, float], bounds: dict[str, Bounds]) -> Derivation:
        """Return the derivation of a step with its grid and bounds; those of columns that were asked are kept."""
        column = self.columns[step.column]
        unit = DAY_US if column.kind == "datetime" else 1
        kept = column.rules.severity == "error"  # rows may leave bounds that only warn
        declared = bounds_of(column.rules.minimum, column.rules.maximum) if kept else EVERYWHERE
        low, high = (unit * bound for bound in declared)
        lattice, own = self._grid(step.column)
        limits = (max(low, floors.get(step.column, -np.inf)), high)
        bounds[step.column] = (max(own[0], limits[0]), min(own[1], limits[1]))
        if step.how == "sum":
            for name in step.anchors:
                bounds[name] = bounds.get(name) or self._grid(name)[1]
            reach = [sum(bounds[name][side] for name in step.anchors) for side in (0, 1)]
            bounds[step.column] = (min(reach[0], own[0]), max(reach[1], own[1]))  # `rest` cells are no sums
            if step.anchors[1:] and (reach[0] < limits[0] - 1e-9 or reach[1] > limits[1] + 1e-9):
                raise Impossible(f"the sum of {named(step.anchors)} can leave the declared bounds of {step.column!r}")
        return Derivation(
            column=step.column,
            how=step.how,
            anchors=step.anchors,
            strict=step.strict,
            lattice=lattice,
            bounds=EVERYWHERE if step.how == "sum" else own,
            limits=limits,
            rest=self.rests.get(step.column),
            whole=not np.isnan(self.numbers[step.column]).any(),
        )

    def _grid(self, name: str) -> tuple[Lattice, Bounds]:
        """Return a column's grid and the outermost numbers that its own codec would draw."""
        support = one_each(pd.Series(self.numbers[name]), self.entities).to_numpy()
        lattice = lattice_of(self.columns[name], support)
        rng = stream(self.seed, "bounds", name)
        knots = lattice.snap(fit_numeric(self.numbers[name], lattice, rng, support=support).knots)
        return lattice, (float(knots.min()), float(knots.max())) if knots.size else EVERYWHERE

    def _without_implied(self, edges: Edges, sums: Mapping[str, tuple[str, ...]]) -> tuple[Edges, dict[str, float]]:
        """Return the edges but those from a part to its total that hold because no other part is negative.

        Those go over to the cells of the total that are no sum. Also the columns that must stay at 0 or above.
        """
        kept: Edges = {}
        floors: dict[str, float] = {}
        for (lower, upper), strict in edges.items():
            others, totals = added_to(lower, upper, sums)
            least = {part: float(np.fmin.reduce(self.numbers[part], initial=np.inf)) for part in others}
            positive = min(least.values(), default=-1.0) >= 0 and (not strict or max(least.values()) > 0)
            if not positive or any(self._broken(lower, total, strict=strict) for total in totals):
                kept[lower, upper] = strict
                continue
            for part in others:
                step = self._grid(part)[0].step or np.nextafter(0.0, 1.0)
                floors[part] = max(floors.get(part, 0.0), step if strict and least[part] > 0 else 0.0)
            for total in totals:
                if total in self.rests:  # where a part is missing there is no sum
                    kept[lower, self.rests[total]] = kept.get((lower, self.rests[total]), False) or strict
        return kept, floors

    def _broken(self, lower: str, upper: str, *, strict: bool) -> bool:
        below, above = self.numbers[lower], self.numbers[upper]
        return bool((below >= above if strict else below > above).any())

    def _shortcuts(self, edges: Edges) -> Edges:
        """Return what follows from chains and holds in all rows, also where a link of the chain is missing."""
        nodes = sorted({name for pair in edges for name in pair})
        place = {name: number for number, name in enumerate(nodes)}
        reach, strict = (np.zeros((len(nodes), len(nodes)), dtype=bool) for _ in range(2))
        for (low, high), never_equal in edges.items():
            reach[place[low], place[high]], strict[place[low], place[high]] = True, never_equal
        for middle in range(len(nodes)):
            through = np.outer(reach[:, middle], reach[middle])
            strict |= through & (strict[:, [middle]] | strict[[middle]])
            reach |= through
        circle = [name for name in nodes if reach[place[name], place[name]]]
        if circle:
            raise Impossible(f"inequalities between {named(circle)} go in a circle; for equal columns write a sum")
        found: Edges = {}
        for low, high in ((nodes[low], nodes[high]) for low, high in np.argwhere(reach)):
            never_equal = bool(strict[place[low], place[high]])
            if (low, high) not in edges and not self._broken(low, high, strict=never_equal):
                found[low, high] = never_equal
        return found

    def _ordered(
        self, nodes: Sequence[str], edges: Edges, sums: Mapping[str, tuple[str, ...]], *, needed: bool
    ) -> list[Step]:
        """Return how the columns that inequalities tie together are made, the better of upwards and downwards.

        Where it is not `needed` they are left alone unless gaps have so much less entropy than the columns.
        """
        ways = []
        for upwards in (True, False):
            order = sorted_by(nodes, made_before(edges, sums, upwards=upwards))
            steps = None if order is None else steps_in(order, edges, sums)
            if steps is not None:
                ways.append(steps)
        if not ways:
            raise Impossible(f"inequalities and sums tie {named(nodes)} together in a way that none can be derived")
        plain = [Step(column=name, how="above", anchors=(), strict=()) for name in nodes]
        modelled = [self._modelled(way) for way in (plain, *ways)]
        width = min((width for _, cells in modelled for width in map(_width, cells) if width > 0), default=1.0)
        (_, untouched), *costs = ((alone, sum(_entropy(one, width) for one in cells)) for alone, cells in modelled)
        useful = [number for number, (_, entropy) in enumerate(costs) if needed or entropy < untouched - WORTH]
        useful.sort(key=lambda number: (costs[number][0], costs[number][1] + WORTH * number))  # upwards when in doubt
        return ways[useful[0]] if useful else []

    def _modelled(self, steps: Sequence[Step]) -> tuple[int, list[np.ndarray]]:
        """Return how many cells are known where their anchors are not, and each modelled column of some rows."""
        rows = slice(None, None, -(-len(self.train) // ENTROPY_ROWS))
        alone, modelled = 0, []
        for step in steps:
            cells = self.numbers[step.column]
            if step.anchors:
                nearest = np.stack([self.numbers[name] for name in step.anchors])
                base = (np.fmax if step.how == "above" else np.fmin).reduce(nearest)
                alone += int((np.isnan(base) & ~np.isnan(cells)).sum())
                cells = np.where(np.isnan(base), cells, np.abs(cells - base))
            modelled.append(cells[rows])
        return alone, modelled


def _width(cells: np.ndarray) -> float:
    """Return a 32nd of the span of the inner nine tenths, or of all where most are equal."""
    present = cells[~np.isnan(cells)]
    if not len(present):
        return 0.0
    low, high = np.quantile(present, [0.05, 0.95])
    return float((high - low) or (present.max() - present.min())) / CELLS_ACROSS


def _entropy(cells: np.ndarray, width: float) -> float:
    """Return the entropy in nats of cells of `width`, with the correction of Miller and Madow (1955)."""
    counts = np.unique(np.round(cells / width), return_counts=True)[1]  # NaN is one value
    shares = counts / counts.sum()
    return float(-(shares * np.log(shares)).sum() + (len(counts) - 1) / (2 * counts.sum()))

"""Rules between columns put into an order in which each column can be made from those before it.

Columns that inequalities tie together are made one after the other, upwards (each above those that it is never below)
or downwards. A total is made once all its parts are.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from generators.tabular.derivations import How, named

Rule = tuple[str, tuple[str, ...]]
"""Kind and columns, as in `sources.schema.TableRule`."""
Edges = dict[tuple[str, str], bool]
"""(lower, upper) -> whether they may never be equal."""


@dataclass(frozen=True, kw_only=True)
class Step:
    """How a column is made.

    Args:
        column: which.
        how: see `derivations.Derivation`.
        anchors: the columns that it is made from; none where it is drawn as it is.
        strict: for each anchor of an inequality, whether the two are never equal.

    """

    column: str
    how: How
    anchors: tuple[str, ...]
    strict: tuple[bool, ...]


class Impossible(Exception):
    """The rules cannot all be kept by deriving columns; the message says why."""


class Equals:
    """Columns that are equal by a sum of one part, each represented by one of them."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Read the sums of one part among `rules`."""
        self.parent: dict[str, str] = {}
        for kind, columns in rules:
            if kind == "sum" and len(columns) == 2:  # noqa: PLR2004 - a total and its one part
                copy, one = (self.of(name) for name in columns)
                if copy != one:
                    self.parent[copy] = one

    def of(self, name: str) -> str:
        """Return the column that stands for `name`."""
        while name in self.parent:
            name = self.parent[name]
        return name

    def pairs(self) -> list[tuple[str, str]]:
        """Return (copy, the column that it equals)."""
        return [(name, self.of(name)) for name in self.parent]


def sums_of(rules: Iterable[Rule], same: Equals) -> dict[str, tuple[str, ...]]:
    """Return total -> parts."""
    sums: dict[str, tuple[str, ...]] = {}
    for kind, columns in rules:
        if kind != "sum" or len(columns) == 2:  # noqa: PLR2004 - see `Equals`
            continue
        total, *parts = (same.of(name) for name in columns)
        if sorted(sums.get(total, parts)) != sorted(parts):
            raise Impossible(f"two sums have the total {total!r}")
        if total in parts:
            raise Impossible(f"{total!r} is a part of its own sum")
        sums[total] = tuple(parts)
    return sums


def added_to(part: str, total: str, sums: Mapping[str, tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """Return what is added to `part` to make `total`, over sums of sums, and the totals on the way, that one included.

    Both are empty where it is no part of it.
    """
    for one in sums.get(total, ()):
        beside = [other for other in sums[total] if other != one]
        if one == part:
            return beside, [total]
        others, totals = added_to(part, one, sums)
        if totals:
            return [*beside, *others], [total, *totals]
    return [], []


def edges_of(rules: Iterable[Rule], same: Equals) -> Edges:
    """Return the inequalities between columns, equal ones taken for one."""
    edges: Edges = {}
    for kind, columns in rules:
        if kind in ("greater", "greater_or_equal"):
            upper, lower = (same.of(name) for name in columns)
            strict = kind == "greater"
            if upper == lower and strict:
                raise Impossible(f"{named(columns)} are equal and never equal")
            if upper != lower:
                edges[lower, upper] = edges.get((lower, upper), False) or strict
    return edges


def components(edges: Edges) -> list[list[str]]:
    """Return the columns that inequalities tie together, each group in a fixed order."""
    groups: list[set[str]] = []
    for pair in edges:
        touched = [group for group in groups if group & set(pair)]
        groups = [group for group in groups if group not in touched] + [set(pair).union(*touched)]
    return sorted(sorted(group) for group in groups)


def made_before(edges: Edges, sums: Mapping[str, tuple[str, ...]], *, upwards: bool) -> Callable[[str], set[str]]:
    """Return the function that says which columns are made before one."""

    def before(name: str) -> set[str]:
        near = {low if upwards else high for low, high in edges if name == (high if upwards else low)}
        return near | set(sums.get(name, ()))

    return before


def steps_in(order: Sequence[str], edges: Edges, sums: Mapping[str, tuple[str, ...]]) -> list[Step] | None:
    """Return how each column of `order` is made from earlier ones, or None where one is hemmed in."""
    steps: list[Step] = []
    made: list[str] = []
    for name in order:
        lows = [low for low in made if (low, name) in edges]
        highs = [high for high in made if (name, high) in edges]
        if (lows and highs) or (name in sums and (lows or highs)):
            return None
        if name not in sums:
            anchors = tuple(lows or highs)
            strict = tuple(edges[(low, name) if lows else (name, low)] for low in anchors)
            steps.append(Step(column=name, how="above" if lows else "below", anchors=anchors, strict=strict))
        made.append(name)
    return steps


def made_in_order(steps: Sequence[Step], rests: Mapping[str, str]) -> list[Step]:
    """Return the steps that derive a column, each after those that make its anchors and its rest."""
    of = {step.column: step for step in steps if step.anchors}
    if len(of) < sum(bool(step.anchors) for step in steps):
        raise Impossible("a column is both a total and tied by an inequality")
    order = sorted_by(sorted(of), lambda name: of.keys() & {*of[name].anchors, rests.get(name, "")})
    if order is None:
        raise Impossible(f"rules tie {named(sorted(of))} together in a circle")
    return [of[name] for name in order]


def sorted_by(names: Sequence[str], before: Callable[[str], set[str]]) -> list[str] | None:
    """Return `names` with each after those `before` it, or None where that is impossible."""
    left, order = list(names), []
    while left:
        ready = next((name for name in left if not before(name) & set(left)), None)
        if ready is None:
            return None
        left.remove(ready)
        order.append(ready)
    return order

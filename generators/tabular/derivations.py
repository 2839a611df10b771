"""How one column is made from others: above or below them by a gap that is never negative, or as their sum.

Legend: N rows. Numbers are float64, NaN where missing; moments are microseconds since 1970.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from generators.tabular.numeric import Lattice
from sources.relations import sum_residual, sum_tolerance
from sources.schema import Column

How = Literal["above", "below", "sum"]
Bounds = tuple[float, float]
SLACK = 1e-9  # of a step: what division by it loses
EVERYWHERE: Bounds = (-np.inf, np.inf)


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """How one column is made from others.

    Args:
        column: which.
        how: `above` its anchors by a gap, `below` them by one, or their `sum`.
        anchors: the columns that it is made from.
        strict: for each anchor, whether the column may never equal it.
        lattice: the column's grid; gaps count its steps, or are real numbers where it has none.
        bounds: the outermost numbers that its own codec would draw.
        limits: the declared ones, which no cell may leave.
        rest: name of the modelled column of cells that are known where their anchors are not; None where none is.
        whole: the column is never missing; then `rest` holds all of its cells.

    """

    column: str
    how: How
    anchors: tuple[str, ...]
    strict: tuple[bool, ...]
    lattice: Lattice
    bounds: Bounds = EVERYWHERE
    limits: Bounds = EVERYWHERE
    rest: str | None = None
    whole: bool = False

    @property
    def sign(self) -> int:
        """The direction of the gap: 1 or -1."""
        return -1 if self.how == "below" else 1

    def base(self, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return what gaps are measured from, float64 N: the nearest allowed grid point; NaN where there is none.

        An inequality needs one known anchor, a sum all of them.
        """
        anchors = [numbers[name] for name in self.anchors]
        if self.how == "sum":
            return self.lattice.snap(np.sum(anchors, axis=0))
        nearest = [
            _reach(anchor, self.lattice, self.sign, strict=strict)
            for anchor, strict in zip(anchors, self.strict, strict=True)
        ]
        return np.asarray((np.fmax if self.sign > 0 else np.fmin).reduce(nearest))

    def gap(self, column: np.ndarray, base: np.ndarray) -> np.ndarray:
        """Return the gaps, float64 N, 0 or more (0 for a sum); NaN where `column` or `base` (float64 N) is missing.

        Where the column is never missing, gaps are not either: a missing base leaves 0. A row that breaks the rule has
        the gap 0: a rule may only warn, and planted canaries know none.
        """
        if self.whole:  # a gap from nowhere counts for nothing, but is not missing either
            base = np.where(np.isnan(base), column, base)
        distance = self.sign * (column - base)
        if self.how == "sum":
            return np.asarray(distance * 0)
        steps = distance if self.lattice.step is None else np.round(distance / self.lattice.step)
        return np.asarray(np.maximum(steps, 0))

    def made(self, base: np.ndarray, gap: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the column, float64 N, NaN where it is missing; gaps that leave the bounds are drawn anew."""
        if self.how == "sum":
            return np.where((base < self.limits[0]) | (base > self.limits[1]), np.nan, base + gap)
        bounds = max(self.bounds[0], self.limits[0]), min(self.bounds[1], self.limits[1])
        (low, high), (least, most) = self._room(base, bounds), self._room(base, self.limits)
        beyond = low > high  # an anchor lies where the column is never drawn
        low, high = np.where(beyond, least, low), np.where(beyond, least, high)
        span = np.where(np.isfinite(high), np.maximum(high - low, 0), 0)
        share = rng.random(len(gap))  # one for each row, needed or not, so that no row depends on another
        again = low + (share * span if self.lattice.step is None else np.floor(share * (span + 1)))
        gap = np.where((gap < low) | (gap > high), again, gap)
        column = self.lattice.snap(base + self.sign * gap * (self.lattice.step or 1.0))
        return np.where(least > most, np.nan, np.clip(column, *self.limits))  # the sum may round across a limit

    def _room(self, base: np.ndarray, bounds: Bounds) -> tuple[np.ndarray, np.ndarray]:
        """Return the least and the largest gap that keep the column within `bounds`, float64 N each."""
        near, far = bounds if self.sign > 0 else (bounds[1], bounds[0])
        least, most = self.sign * (near - base), self.sign * (far - base)
        if self.lattice.step is not None:
            least, most = np.ceil(least / self.lattice.step - SLACK), np.floor(most / self.lattice.step + SLACK)
        return np.maximum(least, 0), most

    def broken(self, numbers: Mapping[str, np.ndarray], total: Column) -> np.ndarray:
        """Return which rows break the rule, bool N, as far as `numbers` go; `total` is the derived column's entry."""
        column = numbers[self.column]
        if self.how == "sum":
            residual = sum_residual([column, *(numbers[name] for name in self.anchors)], sum_tolerance(total))
            return np.asarray(np.abs(residual) > 1)
        broken = np.zeros(len(column), dtype=bool)
        for name, strict in zip(self.anchors, self.strict, strict=True):
            if name in numbers:
                apart = self.sign * (column - numbers[name])
                broken |= apart <= 0 if strict else apart < 0
        return broken

    def to_json(self) -> dict[str, Any]:
        """Return the derivation as JSON values."""
        return {
            "column": self.column,
            "how": self.how,
            "anchors": list(self.anchors),
            "strict": list(self.strict),
            "step": self.lattice.step,
            "decimals": self.lattice.decimals,
            "bounds": _finite(self.bounds),
            "limits": _finite(self.limits),
            "rest": self.rest,
            "whole": self.whole,
        }

    @staticmethod
    def from_json(state: Mapping[str, Any]) -> "Derivation":
        """Return the derivation that `to_json` described."""
        return Derivation(
            column=state["column"],
            how=state["how"],
            anchors=tuple(state["anchors"]),
            strict=tuple(state["strict"]),
            lattice=Lattice(step=state["step"], decimals=state["decimals"]),
            bounds=bounds_of(*state["bounds"]),
            limits=bounds_of(*state["limits"]),
            rest=state["rest"],
            whole=state["whole"],
        )


def words(rule: Derivation) -> str:
    """Return the rule in words, such as `"end" is never below "start"`."""
    if rule.how == "sum":
        return f"{named([rule.column])} is {'the sum of ' if rule.anchors[1:] else ''}{named(rule.anchors)}"
    sides = {"above": ("below", "above"), "below": ("above", "below")}[rule.how]
    said = [
        f"always {sides[1]} {named([name])}" if strict else f"never {sides[0]} {named([name])}"
        for name, strict in zip(rule.anchors, rule.strict, strict=True)
    ]
    return f"{named([rule.column])} is {' and '.join(said)}"


def named(names: Iterable[str]) -> str:
    """Return column names for a sentence."""
    return " and ".join(f'"{name}"' for name in names)


def bounds_of(low: float | None, high: float | None) -> Bounds:
    """Return bounds of which None is no bound."""
    return (-np.inf if low is None else low, np.inf if high is None else high)


def _finite(bounds: Bounds) -> list[float | None]:
    return [float(bound) if np.isfinite(bound) else None for bound in bounds]


def _reach(values: np.ndarray, lattice: Lattice, sign: int, *, strict: bool) -> np.ndarray:
    """Return the grid points nearest to `values` (float64 N) that are not on their wrong side; strict: nor equal."""
    if lattice.step is None:
        return np.nextafter(values, sign * np.inf) if strict else values
    nearest = lattice.snap(values)
    apart = sign * (nearest - values)
    right = apart > 0 if strict else apart >= 0
    return np.where(right, nearest, lattice.snap(nearest + sign * lattice.step))

"""Inequalities and sums between columns, held in every row by construction: one column is derived from others.

A network that knows `end >= start` only by example breaks it now and then. So it never sees `end`, but the gap between
the two, which is never negative: `end` is made by adding a drawn gap to a drawn `start`. A total is the sum of its
drawn parts. Around the codec this is a change of columns and back:

    modelled = relations.separate(frame)                 # end -> gap; total -> nothing but whether it is missing
    frame = relations.join(modelled, seed=8)             # gap -> end; parts -> total

Missing stays a state of its own: a gap is missing where its column is. Where a column is known and nothing that it is
derived from is, there is no gap; such cells have a column of their own (`Derivation.rest`), which rules may tie to
others in turn.

A derived column keeps to the bounds that its own codec would keep to (the outermost numbers that it could draw), and
to its declared ones. A gap that would leave them is drawn anew, evenly over the room that there is: never cut, which
would heap cells up at a bound. Where the declared bounds leave no room the cell is missing, as it is in every real row
that keeps the rules. Which columns are derived, and from which, is decided in `relation_fit`.
"""

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from generators.base import GeneratorInputError
from generators.tabular.cells import cells_of, numbers_of
from generators.tabular.derivations import Derivation, named, words
from generators.tabular.numeric import LEAF_ROWS
from sources.randomness import stream
from sources.schema import Column, Schema


@dataclass(frozen=True, kw_only=True)
class Relations:
    """All derivations of a table.

    Args:
        schema: of the table.
        derivations: each after those that make its anchors and its `rest`.

    """

    schema: Schema
    derivations: tuple[Derivation, ...] = ()

    @property
    def modelled(self) -> Schema:
        """The schema of what `separate` returns: gaps stand in place of their columns, then come the `rest` columns."""
        if not self.derivations:
            return self.schema
        columns = self._columns()
        for rule in self.derivations:
            counted = rule.how == "sum" or rule.lattice.step is not None
            columns[rule.column] = Column(
                name=rule.column, kind="numeric", integer=counted, decimals=0 if counted else None
            )
        return Schema(columns=tuple(columns.values()), entity_key=self.schema.entity_key)

    def separate(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return canonical `frame` with gaps in place of derived columns, and with their `rest` columns.

        Columns may be absent; a derived one without all of its anchors beside it is left out (see `check_given`).
        """
        if not self.derivations:
            return frame
        columns, numbers = self._columns(), self._numbers(frame)
        parts = {str(name): frame[name] for name in frame.columns}
        left = list(self.derivations)
        while ready := [rule for rule in left if {rule.column, *rule.anchors} <= numbers.keys()]:
            left = [rule for rule in left if rule not in ready]
            for rule in ready:
                base = rule.base(numbers)
                if rule.rest is not None:  # others may be anchored there
                    aside = pd.Series(np.isnan(base) | rule.whole, index=frame.index)
                    parts[rule.rest] = parts[rule.column].where(aside)
                    numbers[rule.rest] = numbers_of(columns[rule.rest], parts[rule.rest])
                parts[rule.column] = pd.Series(rule.gap(numbers[rule.column], base), index=frame.index)
        for rule in left:
            parts.pop(rule.column, None)
        return pd.DataFrame(parts, index=frame.index)

    def join(self, modelled: pd.DataFrame, *, seed: int, given: pd.DataFrame | None = None) -> pd.DataFrame:
        """Return all columns of the table for all columns of `modelled`, canonical; same seed, same frame.

        Args:
            modelled: a frame with the columns of the schema `modelled`.
            seed: of gaps that are drawn anew.
            given: canonical cells, N rows, of columns that stand as they are and keep the rules, or None.

        """
        frame = pd.DataFrame({name: modelled[name] for name in self.schema.names}, index=modelled.index)
        known = set()
        if given is not None:
            known = set(given.columns)
            frame[list(given.columns)] = given.set_axis(frame.index)
        columns = self._columns()
        derived = {rule.column for rule in self.derivations} - known
        used = {name for rule in self.derivations for name in (*rule.anchors, rule.rest or rule.column)} - derived
        numbers = {name: numbers_of(columns[name], (frame if name in frame else modelled)[name]) for name in used}
        for rule in self.derivations:
            if rule.column in known:
                continue
            base = rule.base(numbers)
            gap = modelled[rule.column].to_numpy(dtype=np.float64)
            made = rule.made(base, gap, stream(seed, "relations", rule.column))
            numbers[rule.column] = made if rule.rest is None else np.where(np.isnan(base), numbers[rule.rest], made)
            if rule.column in frame:
                cells = cells_of(columns[rule.column], numbers[rule.column])
                frame[rule.column] = cells.set_axis(frame.index)
        return frame

    def check_given(self, given: pd.DataFrame) -> None:
        """Refuse canonical columns to condition on that cannot be given to the network.

        Raises:
            GeneratorInputError: a derived column stands without the columns that it is made from, or rows break a rule.

        """
        numbers = self._numbers(given)
        for rule in self.derivations:
            if rule.column not in given.columns:
                continue
            absent = sorted(self._needed(rule) - set(given.columns))
            if absent:
                raise GeneratorInputError(
                    f"given: column {rule.column!r} is derived from others, which must be given with it",
                    seen=f"{rule.column} without {named(absent)}",
                    remedy=f"give {named(absent)} too, or leave {rule.column} out",
                )
            broken = int(rule.broken(numbers, self.schema[rule.column]).sum())
            if broken:
                raise GeneratorInputError(
                    f"given: rows break a rule: {words(rule)}", seen=f"{broken} rows", remedy="give rows that keep it"
                )

    def notes(self, train: pd.DataFrame) -> tuple[str, ...]:
        """Return sentences about what is derived and which rows of `train` break a rule; names and counts."""
        notes = []
        numbers = self._numbers(train)
        for rule in self.derivations:
            if rule.column not in self.schema.names:
                continue
            broken = int(rule.broken(numbers, self.schema[rule.column]).sum())
            notes.append(f"{words(rule)} in every sampled row: {rule.column} is derived")
            if broken:
                notes[-1] += f"; {f'{broken:,}' if broken >= LEAF_ROWS else 'a few'} training rows break it"
        return tuple(notes)

    def _columns(self) -> dict[str, Column]:
        """Return the columns of the table and those of `rest` cells, before any of them becomes a gap."""
        columns = {column.name: column for column in self.schema.columns}
        for rule in reversed(self.derivations):
            if rule.rest is not None:
                columns[rule.rest] = replace(columns[rule.column], name=rule.rest)
        return columns

    def _needed(self, rule: Derivation) -> set[str]:
        """Return the columns of the table from which the column of `rule` is made."""
        owners = {other.rest: other for other in self.derivations if other.rest is not None}
        found = set()
        for name in rule.anchors:
            if name in owners:
                found |= {owners[name].column, *self._needed(owners[name])}
            else:
                found.add(name)
        return found - {rule.column}

    def _numbers(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        used = {name for rule in self.derivations for name in (rule.column, *rule.anchors)}
        return {name: numbers_of(self.schema[name], frame[name]) for name in frame.columns if name in used}

"""What rows are asked to be in place of a likeness of their source: stated shares of labels, equal rates over groups.

A release that was altered like this is judged against the stated law: p(asked columns) is the stated one,
p(the rest | asked columns) stays that of the source. How the law follows from rows is in `sources.target_law`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sources.cells import numeric_label
from sources.dataset import Dataset
from sources.errors import SourceInputError, did_you_mean
from sources.schema import Column, Schema

FEWEST_ROWS = 20
"""Real rows (entities, where the schema has their key) that must hold a label before it may be asked for: synthesizers
emit no label of fewer than five training rows, and training has two thirds of the rows."""

FEWEST_IN_GROUP = 5
"""Real rows of each group with, and as many without, an outcome whose rates shall be equal: rows are weighted, not
invented, so a group needs some of either to be judged against."""

ROUNDING = 1e-9
SLACK_ROWS, SLACK_SHARE = 2, 0.01
"""A file keeps a stated share to within two rows, which rounding takes, or a hundredth, whichever is more."""


@dataclass(frozen=True, kw_only=True)
class EqualRates:
    """Each of `labels` of the column `outcome` is equally frequent in every combination of the columns `over`."""

    outcome: str
    labels: tuple[str, ...]
    over: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The stated law of some columns.

    Args:
        shares: column -> label -> share of all rows, each above 0 and below 1, together at most 1. Labels that are not
            named (missing cells are one) keep their shares among each other.
        equal_rates: the rates that shall not differ, or None.

    """

    shares: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    equal_rates: EqualRates | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The asked columns: the outcome and its groups first."""
        equal = () if self.equal_rates is None else (self.equal_rates.outcome, *self.equal_rates.over)
        return tuple(dict.fromkeys([*equal, *self.shares]))

    def sentences(self) -> tuple[str, ...]:
        """Return the stated law in words, one sentence a column; it names columns and asked labels alone."""
        found = []
        for column, shares in self.shares.items():
            parts = ", ".join(f"{label} to {100 * share:.4g} %" for label, share in shares.items())
            rest = "; its other labels share the rest as before" if sum(shares.values()) < 1 - ROUNDING else ""
            found.append(f"Shares of {column} are set, {parts} of all rows{rest}.")
        if self.equal_rates is not None:
            labels = ", ".join(self.equal_rates.labels)
            over = " × ".join(self.equal_rates.over)
            found.append(f"The rate of {self.equal_rates.outcome} = {labels} is made equal in all groups of {over}.")
        return tuple(found)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        equal = self.equal_rates
        return {
            "shares": {column: dict(shares) for column, shares in self.shares.items()},
            "equal_rates": None
            if equal is None
            else {"outcome": equal.outcome, "labels": list(equal.labels), "over": list(equal.over)},
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Targets":
        """Return the targets that `to_json` wrote; KeyError, TypeError or AttributeError when it is none."""
        equal = plain["equal_rates"]
        return cls(
            shares={column: dict(shares) for column, shares in plain["shares"].items()},
            equal_rates=None
            if equal is None
            else EqualRates(outcome=equal["outcome"], labels=tuple(equal["labels"]), over=tuple(equal["over"])),
        )


def read_targets(
    shares: Mapping[str, Mapping[str, float]],
    outcome: str | None,
    over: Sequence[str],
    *,
    real: Sequence[Dataset],
    place: str,
) -> Targets:
    """Return the targets that a spec states, checked against the schema and the real rows.

    Args:
        shares: column -> label as written -> share.
        outcome: the column whose rates shall be equal, or None.
        over: the columns of its groups.
        real: all real parts, of one schema.
        place: how messages begin, such as `spec.yaml: rebalance`.

    Raises:
        SourceInputError: an unknown column or label, a column without labels, shares that are no law, a label or a
            group of too few rows.

    """
    schema = real[0].schema
    names = [*shares, *([] if outcome is None else [outcome]), *over]
    columns = {name: _column(schema, name, place) for name in names}
    rows = pd.concat([part.frame for part in real], ignore_index=True)
    read = {
        name: _read_shares(columns[name], asked, rows, schema.entity_key, f"{place}.shares.{name}")
        for name, asked in shares.items()
    }
    if outcome is None:
        return Targets(shares=read)
    if outcome in over or len(set(over)) < len(over):
        raise SourceInputError(
            f"{place}.equal_rates: a column stands twice",
            seen=", ".join([outcome, *over]),
            remedy="over names the columns of the groups, each once; outcome is another one",
        )
    labels = tuple(read[outcome]) if outcome in read else (_positive(columns[outcome], rows, place),)
    equal = EqualRates(outcome=outcome, labels=labels, over=tuple(over))
    _check_groups(rows, equal, f"{place}.equal_rates")
    return Targets(shares=read, equal_rates=equal)


def labels_in(cells: pd.Series) -> np.ndarray:
    """Return labels, object N of str or None, of a categorical or boolean column; booleans as `True` and `False`."""
    absent = cells.isna().to_numpy()
    labels = cells.astype(object).map(str).to_numpy(dtype=object, copy=True)
    labels[absent] = None
    return labels


def broken_targets(frame: pd.DataFrame, targets: Targets) -> list[tuple[str, bool]]:
    """Return each statement as a sentence and whether the rows of `frame` keep it, to within `SLACK_ROWS`."""
    n = max(len(frame), 1)
    found = []
    for column, shares in targets.shares.items():
        labels = labels_in(frame[column])
        for label, share in shares.items():
            seen = int((labels == label).sum())
            kept = abs(seen - share * n) <= max(SLACK_ROWS, SLACK_SHARE * n)
            words = f"{column} = {label} is stated to be {share:.4g} of all rows, it is {seen / n:.4g}"
            found.append((words, kept))
    equal = targets.equal_rates
    if equal is not None:
        outcomes = labels_in(frame[equal.outcome])
        groups = group_codes(frame, equal.over)
        sizes = np.bincount(groups)
        for label in equal.labels:
            hits = np.bincount(groups, weights=outcomes == label, minlength=len(sizes))
            excess = np.abs(hits - sizes * hits.sum() / n) - np.maximum(SLACK_ROWS, SLACK_SHARE * sizes)
            over = " × ".join(equal.over)
            words = f"{equal.outcome} = {label} is stated to be equally frequent in all groups of {over}, in "
            words += f"{int((excess > 0).sum())} of {len(sizes)} it is not"
            found.append((words, not (excess > 0).any()))
    return found


def group_codes(frame: pd.DataFrame, over: Sequence[str]) -> np.ndarray:
    """Return the combination of the columns `over` that each row has, as a code from 0 (int64 N), missing a label."""
    codes = np.zeros(len(frame), dtype=np.int64)
    for name in over:
        own = pd.factorize(labels_in(frame[name]), use_na_sentinel=False)[0]
        codes = np.unique(codes * (own.max(initial=0) + 1) + own, return_inverse=True)[1]
    return codes


def _column(schema: Schema, name: str, place: str) -> Column:
    if name not in schema.names:
        raise SourceInputError(
            f"{place}: no such column{did_you_mean(name, schema.names)}",
            seen=name,
            remedy="name a column of the source",
        )
    column = schema[name]
    if column.kind not in ("categorical", "boolean"):
        raise SourceInputError(
            f"{place}: the column {name} has no labels, it is {column.kind}",
            seen=column.kind,
            remedy="ask for columns of labels or truth values; for a number, cut it into labelled bands in the source",
        )
    return column


def _read_shares(
    column: Column, asked: Mapping[str, float], rows: pd.DataFrame, entity_key: str | None, place: str
) -> dict[str, float]:
    labels = labels_in(rows[column.name])
    holders = _holders(labels, rows, entity_key)
    read: dict[str, float] = {}
    for text, share in asked.items():
        label = _label(column, text, holders)
        if label not in holders:
            common = [name for name, count in holders.items() if count >= FEWEST_ROWS]
            raise SourceInputError(
                f"{place}: no such label{did_you_mean(text, common)}",
                seen=text,
                remedy="write the label as the table's files do",
            )
        if holders[label] < FEWEST_ROWS:
            raise SourceInputError(
                f"{place}.{text}: too rare to be asked for; labels of few rows are not emitted",
                seen=f"fewer than {FEWEST_ROWS} {'rows' if entity_key is None else 'entities'}",
                remedy="ask for a label of more rows, or pool labels in the source",
            )
        if label in read or not 0 < share < 1:
            raise SourceInputError(
                f"{place}.{text}: {'stands twice' if label in read else 'no share of the rows'}",
                seen=share,
                remedy="give each label a share above 0 and below 1; to leave rows out, leave them out of the source",
            )
        read[label] = float(share)
    total, others = sum(read.values()), bool(~np.isin(labels.astype(str), list(read)).all())
    if total > 1 + ROUNDING or (others and total > 1 - ROUNDING) or (not others and total < 1 - ROUNDING):
        remedy = "leave room for the other labels and missing cells" if others else "the labels named are all there are"
        raise SourceInputError(f"{place}: the shares do not make a whole", seen=f"{total:g} in all", remedy=remedy)
    return read


def _holders(labels: np.ndarray, rows: pd.DataFrame, entity_key: str | None) -> dict[str, int]:
    table = pd.DataFrame({"label": labels})
    if entity_key is not None:
        table["entity"] = rows[entity_key].to_numpy()
        table = table.drop_duplicates()
    return {str(label): int(count) for label, count in table["label"].value_counts().items()}


def _label(column: Column, text: str, known: Mapping[str, int]) -> str:
    """Return the canonical label of a label as a spec writes it: `true`, the texts of `truth`, `1.0` for `1`."""
    if text in known:
        return text
    if column.kind == "boolean":
        words = {"false": "False", "true": "True", "0": "False", "1": "True"}
        if column.truth is not None:
            words |= {column.truth[0].lower(): "False", column.truth[1].lower(): "True"}
        return words.get(text.lower(), text)
    return numeric_label(text)


def _positive(column: Column, rows: pd.DataFrame, place: str) -> str:
    """Return the label whose rate is meant: the schema's positive one, `True`, else the rarer of two."""
    if column.positive is not None:
        return column.positive
    if column.kind == "boolean":
        return "True"
    counts = pd.Series(labels_in(rows[column.name])).value_counts()
    if len(counts) != 2:  # noqa: PLR2004 - two labels have one rate
        raise SourceInputError(
            f"{place}.equal_rates.outcome: the column {column.name} has {len(counts)} labels: the rate of which?",
            seen=column.name,
            remedy=f"say schema.columns.{column.name}.positive, or give its labels shares",
        )
    return str(min(counts.index, key=lambda label: (counts[label], label)))


def _check_groups(rows: pd.DataFrame, equal: EqualRates, place: str) -> None:
    groups = group_codes(rows, equal.over)
    outcomes = labels_in(rows[equal.outcome])
    classes = [outcomes == label for label in equal.labels]
    rest = ~np.isin(outcomes.astype(str), equal.labels)
    table = np.array([np.bincount(groups, weights=one, minlength=groups.max() + 1) for one in [*classes, rest]])
    needed = table[table.sum(axis=1) > 0]
    thin = (needed < FEWEST_IN_GROUP).any(axis=0)
    if len(needed) < 2 or thin.any():  # noqa: PLR2004 - an outcome and its absence
        what = "no rate" if len(needed) < 2 else "too few real rows with and without the outcome"  # noqa: PLR2004
        raise SourceInputError(
            f"{place}: {what} in {int(thin.sum())} of {len(thin)} groups of {' × '.join(equal.over)}",
            seen=f"fewer than {FEWEST_IN_GROUP} rows of either",
            remedy="name fewer columns in over, or pool small groups in the source",
        )

"""What a run keeps of its source to compare the next one with: counts in coarse bins, and nothing of single rows.

A summary is private (it lies in the root of runs, readable by its owner), and coarse all the same: a bin or a label
with its name holds `HELD_BY` rows or more; of rarer labels there is a keyed hash that tells a label seen before from
a new one.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from sources.contract import ContractResult, numbers_of
from sources.dataset import Dataset
from sources.images import words_of
from sources.schema import Column, Kind

HELD_BY = 20
MOST_BINS = 20
MOST_KNOWN = 5_000
"""Labels of one column that are remembered; a column with more of them has no list of known ones."""
HASH_CHARS = 16


@dataclass(frozen=True, kw_only=True)
class ColumnSummary:
    """One column in counts.

    Args:
        kind: of the schema.
        missing: rows without a value.
        edges: upper ends of all bins but the last, of numbers, times (days since 1970), and the mean levels of
            pictures; each cell is at most its edge.
        counts: rows in each bin, one more than edges; empty where the column has none.
        labels: label -> rows, for labels and truth values of `HELD_BY` rows or more.
        rest: rows of all other labels.
        known: keyed hashes of all labels; None where there are too many, or none to remember.
        form: size, channels and depth of pictures, in words.

    """

    kind: Kind
    missing: int
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    labels: Mapping[str, int] | None = None
    rest: int = 0
    known: tuple[str, ...] | None = None
    form: str = ""


@dataclass(frozen=True, kw_only=True)
class SourceSummary:
    """A source in counts.

    Args:
        rows: of the source.
        entities: distinct keys of its entities, or as many as rows.
        columns: by name, in the order of the schema.
        apart: columns that move on by themselves: times, and the key of the order.
        broken: ids of declared rules that did not hold, of severity warning.

    """

    rows: int
    entities: int
    columns: Mapping[str, ColumnSummary]
    apart: tuple[str, ...]
    broken: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {**asdict(self), "columns": {name: asdict(column) for name, column in self.columns.items()}}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "SourceSummary":
        """Return what `to_json` made.

        Raises:
            KeyError, TypeError, ValueError: it did not.

        """
        columns = {name: _column_from(column) for name, column in plain["columns"].items()}
        rows, entities = int(plain["rows"]), int(plain["entities"])
        return cls(
            rows=rows, entities=entities, columns=columns, apart=tuple(plain["apart"]), broken=tuple(plain["broken"])
        )


def summary_of(dataset: Dataset, contract: ContractResult, *, key: bytes) -> SourceSummary:
    """Return the counts of `dataset`.

    Args:
        dataset: a source.
        contract: what its declared rules made of it.
        key: of the keyed hashes; the same for summaries that are compared.

    """
    schema = dataset.schema
    entity = schema.entity_key
    entities = (
        len(dataset)
        if entity is None
        else int(dataset.frame[entity].nunique()) + int(dataset.frame[entity].isna().sum())
    )
    return SourceSummary(
        rows=len(dataset),
        entities=entities,
        columns={column.name: _summary(column, values_of(dataset, column.name), key) for column in schema.columns},
        apart=tuple(one.name for one in schema.columns if one.kind == "datetime" or one.name == schema.order_key),
        broken=tuple(rule.rule for rule in contract.broken),
    )


def values_of(dataset: Dataset, name: str) -> pd.Series:
    """Return the cells of a column; of pictures their mean level, 0 (black) to 1, which is what is compared of them."""
    cells = dataset.frame[name]
    if name not in dataset.media:
        return cells
    pixels = dataset.media[name][cells.to_numpy()]
    most = float(np.iinfo(pixels.dtype).max)
    return pd.Series(pixels.mean(axis=(1, 2, 3), dtype=np.float64) / most, name=name)


def form_of(column: Column) -> str:
    """Return what pictures of the column look like, in words; nothing for other columns."""
    return "" if column.shape is None else words_of(np.zeros(column.shape, dtype=column.storage))


def hashed(label: str, key: bytes) -> str:
    """Return the keyed hash (RFC 2104, SHA-256, cut) under which a label is remembered."""
    return hmac.new(key, b"label:" + label.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:HASH_CHARS]


def counts_within(numbers: np.ndarray, edges: Sequence[float]) -> tuple[int, ...]:
    """Return how many of `numbers` (float N, none missing) fall at or below each edge and above the one before."""
    places = np.searchsorted(np.asarray(edges, dtype=float), numbers, side="left")
    return tuple(np.bincount(places, minlength=len(edges) + 1).tolist())


def labels_in(values: pd.Series) -> pd.Series:
    """Return label -> rows of a column of labels or truth values, missing cells left out, the most frequent first."""
    counts = values.dropna().value_counts()
    return pd.Series(counts.to_numpy(), index=[str(label) for label in counts.index])


def _summary(column: Column, values: pd.Series, key: bytes) -> ColumnSummary:
    missing = int(values.isna().sum())
    if column.kind in ("numeric", "datetime", "image"):
        numbers = numbers_of(values.dropna())
        edges = _edges(numbers)
        return ColumnSummary(
            kind=column.kind,
            missing=missing,
            edges=edges,
            counts=counts_within(numbers, edges),
            form=form_of(column),
        )
    if column.kind in ("categorical", "boolean"):
        counts = labels_in(values)
        held = counts[counts >= HELD_BY]
        known = tuple(sorted(hashed(label, key) for label in counts.index)) if len(counts) <= MOST_KNOWN else None
        return ColumnSummary(
            kind=column.kind,
            missing=missing,
            labels={str(label): int(count) for label, count in held.items()},
            rest=int(counts.sum() - held.sum()),
            known=known,
        )
    return ColumnSummary(kind=column.kind, missing=missing)


def _edges(numbers: np.ndarray) -> tuple[float, ...]:
    """Return edges between bins of about equally many numbers, each of `HELD_BY` or more."""
    num_bins = min(MOST_BINS, len(numbers) // HELD_BY)
    if num_bins < 2:  # noqa: PLR2004 - one bin has no edge
        return ()
    cuts = np.unique(np.quantile(numbers, np.arange(1, num_bins) / num_bins, method="inverted_cdf"))
    kept: list[float] = []
    below = 0
    for cut in cuts.tolist():
        here = int((numbers <= cut).sum())
        if here - below >= HELD_BY and len(numbers) - here >= HELD_BY:
            kept.append(cut)
            below = here
    return tuple(kept)


def _column_from(plain: Mapping[str, Any]) -> ColumnSummary:
    sequences = {name: tuple(plain[name]) for name in ("edges", "counts")}
    known = None if plain["known"] is None else tuple(plain["known"])
    return ColumnSummary(**{**plain, **sequences, "known": known})

"""Canonical datasets as arrays that the judges compute with, encoded alike for all parts.

Each measured column becomes a float column (`values`: numbers as they are, categories as codes by falling frequency in
train, text as its length, missing as NaN) and a small integer column (`cells`: quantile bins or top categories of
train, missing its own cell). Bins and ranks come from train alone; codes exist for the labels of every part.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.schema import Column
from validators.evidence import Evidence
from validators.policy import MEASURED_KINDS

NUM_BINS = 10  # deciles: coarse enough for 3-way tables of a thousand cells, fine enough for a shape
NUM_TOP = 10  # labels with a cell of their own; the rest share one
NUM_CODES = 254  # scikit-learn's histogram trees take categories below 255; rarer labels share the last code


@dataclass(frozen=True, kw_only=True)
class EncodedColumn:
    """How one column was encoded.

    Args:
        name, kind: as in the schema.
        categorical: `values` are codes without order.
        labels: for categorical columns, the label of each code (the last one may stand for many); else empty.
        num_cells: `cells` runs from 0 to num_cells - 1; the last cell is the missing one.

    """

    name: str
    kind: str
    categorical: bool
    labels: tuple[str, ...]
    num_cells: int


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of the evidence: N rows, C columns.

    Args:
        values: float64 N C, NaN where missing.
        cells: int64 N C.

    """

    values: np.ndarray
    cells: np.ndarray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.values)

    def take(self, rows: np.ndarray) -> "Part":
        """Return the rows at the positions `rows`, in that order."""
        return Part(values=self.values[rows], cells=self.cells[rows])


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """The evidence as arrays. `holdout` and `reference` are None where the evidence has none."""

    columns: tuple[EncodedColumn, ...]
    train: Part
    synthetic: Part
    holdout: Part | None
    reference: Part | None

    @property
    def categorical(self) -> np.ndarray:
        """Return a boolean mask over the columns (bool C)."""
        return np.array([column.categorical for column in self.columns], dtype=bool)

    @property
    def num_cells(self) -> np.ndarray:
        """Return the number of cells of each column (int64 C)."""
        return np.array([column.num_cells for column in self.columns], dtype=np.int64)

    def index(self, name: str) -> int | None:
        """Return the position of the column called `name`, or None when it is not measured."""
        return next((i for i, column in enumerate(self.columns) if column.name == name), None)


def encode(evidence: Evidence) -> Encoded:
    """Return the parts of `evidence` as arrays; columns that carry no law (see `MEASURED_KINDS`) are left out."""
    parts: dict[str, Dataset] = {"train": evidence.train, "synthetic": evidence.synthetic}
    if evidence.holdout is not None:
        parts["holdout"] = evidence.holdout
    if evidence.reference is not None:
        parts["reference"] = evidence.reference
    columns = [column for column in evidence.schema.columns if column.kind in MEASURED_KINDS]
    encoded: list[EncodedColumn] = []
    values = {part: np.empty((len(data), len(columns))) for part, data in parts.items()}
    cells = {part: np.empty((len(data), len(columns)), dtype=np.int64) for part, data in parts.items()}
    for position, column in enumerate(columns):
        series = {part: data.frame[column.name] for part, data in parts.items()}
        note, column_values, column_cells = encode_column(column, series)
        encoded.append(note)
        for part in parts:
            values[part][:, position] = column_values[part]
            cells[part][:, position] = column_cells[part]
    made = {part: Part(values=values[part], cells=cells[part]) for part in parts}
    return Encoded(
        columns=tuple(encoded),
        train=made["train"],
        synthetic=made["synthetic"],
        holdout=made.get("holdout"),
        reference=made.get("reference"),
    )


def encode_column(
    column: Column, series: Mapping[str, pd.Series]
) -> tuple[EncodedColumn, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return the note, the values (float64 N) and the cells (int64 N) of one column for each part.

    Args:
        column: what the column is.
        series: part -> canonical cells; `train` must be among them.

    """
    if column.kind in ("categorical", "boolean"):
        labels, values = _codes(series)
        num_own = min(NUM_TOP, len(labels))
        num_cells = num_own + (len(labels) > num_own) + 1
        cells = {part: _cells_of_codes(code, num_own, num_cells) for part, code in values.items()}
        note = EncodedColumn(name=column.name, kind=column.kind, categorical=True, labels=labels, num_cells=num_cells)
        return note, values, cells
    values = {part: as_numbers(column, cells_of_part) for part, cells_of_part in series.items()}
    edges = quantile_edges(values["train"], NUM_BINS)
    num_cells = len(edges) + 2
    cells = {part: _cells_of_numbers(numbers, edges) for part, numbers in values.items()}
    note = EncodedColumn(name=column.name, kind=column.kind, categorical=False, labels=(), num_cells=num_cells)
    return note, values, cells


def as_numbers(column: Column, series: pd.Series) -> np.ndarray:
    """Return a numeric column as it is, a datetime in seconds, a text as its length (float64 N, NaN where missing)."""
    if column.kind == "datetime":
        numbers = np.full(len(series), np.nan)
        known = series.notna().to_numpy()
        naive = series.dt.tz_convert(None) if series.dt.tz is not None else series
        numbers[known] = naive.to_numpy(dtype="datetime64[us]")[known].astype(np.int64) / 1e6
        return numbers
    if column.kind == "text":
        return series.str.len().to_numpy(dtype=np.float64, na_value=np.nan)
    return series.to_numpy(dtype=np.float64, na_value=np.nan)


def quantile_edges(numbers: np.ndarray, num_bins: int) -> np.ndarray:
    """Return increasing inner edges that cut `numbers` into at most `num_bins` bins of like mass (right-closed).

    Edges are values that occur, so a point mass falls into one bin with its own upper edge.
    """
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return np.empty(0)
    quantiles = np.quantile(known, np.arange(1, num_bins) / num_bins, method="inverted_cdf")
    edges = np.unique(quantiles)
    return np.asarray(edges[edges < known.max()])


def _codes(series: Mapping[str, pd.Series]) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Return labels by falling frequency in train (ties by name; unseen ones last) and the codes by part."""
    counts: dict[str, int] = {}
    factors = {}
    for part, cells in series.items():
        codes, uniques = pd.factorize(cells.to_numpy(dtype=object), use_na_sentinel=True)
        names = [str(unique) for unique in uniques]
        factors[part] = codes, names
        tally = np.bincount(codes[codes >= 0], minlength=len(names)) if part == "train" else np.zeros(len(names), int)
        for label, count in zip(names, tally, strict=True):
            counts[label] = counts.get(label, 0) + int(count)
    labels = tuple(sorted(counts, key=lambda label: (-counts[label], label)))
    rank = {label: min(position, NUM_CODES - 1) for position, label in enumerate(labels)}
    values = {}
    for part, (codes, names) in factors.items():
        table = np.array([*(rank[label] for label in names), np.nan], dtype=np.float64)  # -1, missing, is the last
        values[part] = table[codes]
    return labels[:NUM_CODES], values


def _cells_of_codes(codes: np.ndarray, num_own: int, num_cells: int) -> np.ndarray:
    missing = np.isnan(codes)
    cells = np.where(missing, 0, codes).astype(np.int64)
    np.minimum(cells, num_own, out=cells)
    cells[missing] = num_cells - 1
    return cells


def _cells_of_numbers(numbers: np.ndarray, edges: np.ndarray) -> np.ndarray:
    missing = np.isnan(numbers)
    cells = np.searchsorted(edges, np.where(missing, 0.0, numbers), side="left").astype(np.int64)
    cells[missing] = len(edges) + 1
    return cells

"""Columns as numbers in the unit interval, or as that and numbered labels, and back: how a peer gets a table.

A code keeps no row: labels need `min_support` holders, and the bounds of a number are means of many rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from generators.base import GeneratorInputError
from generators.tabular.entities import entities_of, one_each
from generators.tabular.identifiers import IdCodec, fit_declared_id
from generators.tabular.numeric import LEAF_ROWS, Lattice, fit_numeric
from generators.tabular.personal import person_of
from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema

DAY_US = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Code:
    """How a column becomes one or two numbers in [0, 1], and comes back.

    A state is a label, `True`, `False`, being missing, or (for numbers and dates) being there. States lie on [0, 1]
    as intervals as long as their shares, the most frequent first, and a cell is a uniform draw from its state's
    interval (the distributional transform: Rüschendorf 2009, doi 10.1016/j.jspi.2009.05.030). A number that is there
    is its place between `low` and `high`.

    For a peer that knows labels (`encode(..., discrete=True)`) a cell's state is its number as text, and a number is
    the place of another one from the same leaf of `generators.tabular.numeric`, which at least 20 rows share: no number
    that the peer sees, and hence none that it keeps, belongs to a row.

    Args:
        states: the states' labels; None is missing; for numbers and dates "" is being there. Empty for an id.
        shares: their shares, adding up to 1.
        low, high: bounds of a number or date (in microseconds since 1970); None where there is none.
        state_column, value_column: names of what SDV models, None where there is nothing to model.
        id_format: the format of an id column, which SDV does not see; None for others.

    """

    states: tuple[str | None, ...] = ()
    shares: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    state_column: str | None = None
    value_column: str | None = None
    id_format: Mapping[str, Any] | None = None

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> "Code":
        """Return the code whose `dataclasses.asdict` went through JSON."""
        return Code(**{**saved, "states": tuple(saved["states"]), "shares": tuple(saved["shares"])})


def encode(
    train: Dataset, min_support: int, *, seed: int, discrete: bool = False
) -> tuple[pd.DataFrame, tuple[Code, ...], tuple[str, ...]]:
    """Return (numbers in [0, 1] for SDV, a code a column, notes); with `discrete` states are numbered labels.

    Raises:
        GeneratorInputError: a column's kind or content is out of reach, or rows are too few.

    """
    if len(train) < LEAF_ROWS:
        raise GeneratorInputError(
            "too few rows to learn anything but themselves",
            seen=f"{len(train)} rows",
            remedy=f"give at least {LEAF_ROWS} training rows",
        )
    encoded: dict[str, np.ndarray] = {}
    entities = entities_of(train)
    codes, notes = [], []
    for number, column in enumerate(train.schema.columns):
        cells = train.frame[column.name]
        if column.kind in ("text", "image"):
            raise GeneratorInputError(
                f"column {column.name!r} has a kind that this family cannot learn",
                seen=column.kind,
                remedy="leave the column out, or give it another kind in the spec",
            )
        if column.kind == "id":
            codes.append(Code(id_format=fit_declared_id(column, cells.to_numpy(dtype=object)).to_json()))
            continue
        rng = stream(seed, "unit interval", column.name)
        missing = cells.isna().to_numpy()
        support = one_each(cells, entities).dropna()
        if missing.all() or (column.kind in ("numeric", "datetime") and len(support) < LEAF_ROWS):
            if not missing.all():
                notes.append(f"{column.name}: fewer than {LEAF_ROWS} cells are known; missing throughout the sample")
            codes.append(Code(states=(None,), shares=(1.0,)))
            continue
        if column.kind in ("numeric", "datetime"):
            values = _as_numbers(cells)
            if np.isinf(values).any():
                raise GeneratorInputError(
                    f"column {column.name!r}: infinite numbers",
                    seen=f"{int(np.isinf(values).sum())} cells",
                    remedy="mark them as missing, or drop the rows",
                )
            code, parts = _encode_numbers(values, _as_numbers(support), missing, number, rng, discrete=discrete)
        else:
            least = 1 if column.kind == "boolean" else min_support  # neither answer names a person
            learnt = _encode_labels(cells, support, number, least, rng, discrete=discrete)
            if learnt is None:
                raise GeneratorInputError(
                    f"column {column.name!r} has no label that is held by at least {min_support} rows",
                    seen=f"{cells.nunique()} labels in {int((~missing).sum())} rows",
                    remedy="give it the kind id or text, or leave it out",
                )
            code, parts, rare = learnt
            if rare:
                notes.append(f"{column.name}: labels held by fewer than {min_support} rows are never sampled")
        codes.append(code)
        encoded |= parts
    return pd.DataFrame(encoded, index=pd.RangeIndex(len(train))), tuple(codes), tuple(notes)


def _encode_numbers(
    values: np.ndarray,
    support: np.ndarray,
    missing: np.ndarray,
    number: int,
    rng: np.random.Generator,
    *,
    discrete: bool,
) -> tuple[Code, dict[str, np.ndarray]]:
    low, high = _bounds(np.sort(support))
    parts: dict[str, np.ndarray] = {}
    states, shares, states_in = _states(np.where(missing, 1, 0), ["", None])
    state_column = value_column = None
    if len(states) > 1:
        state_column = f"s{number}"
        parts[state_column] = _numbered(states_in) if discrete else _spread(states_in, shares, rng)
    if high > low:
        value_column = f"v{number}"
        place = np.empty(len(missing))
        there = _of_the_same_leaf(values[~missing], support, rng) if discrete else values[~missing]
        place[~missing] = (np.clip(there, low, high) - low) / (high - low)
        place[missing] = rng.choice(place[~missing], size=int(missing.sum()))  # says nothing about the other columns
        parts[value_column] = place
    code = Code(
        states=states,
        shares=shares,
        low=low,
        high=high,
        state_column=state_column,
        value_column=value_column,
    )
    return code, parts


def _of_the_same_leaf(values: np.ndarray, support: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return for each number (float64 N) a draw from its leaf."""
    codec = fit_numeric(values, Lattice(), rng, support=support)
    tokens = codec.encode(values)
    return codec.decode(tokens[:, 0], tokens[:, 1], rng)


def _bounds(ordered: np.ndarray) -> tuple[float, float]:
    """Return the means of `LEAF_ROWS` outer sorted values (of one fewer at worst); where all are equal exactly that.

    The outermost one is left out: among nineteen zeros it could be read off the mean.
    """
    ends = (ordered[1 : LEAF_ROWS + 1], ordered[-LEAF_ROWS - 1 : -1])
    low, high = (float(np.clip(end.mean(), end[0], end[-1])) for end in ends)
    return low, high


def _encode_labels(
    cells: pd.Series,
    support: pd.Series,
    number: int,
    min_support: int,
    rng: np.random.Generator,
    *,
    discrete: bool,
) -> tuple[Code, dict[str, np.ndarray], bool] | None:
    missing = cells.isna().to_numpy()
    labels = cells[~missing].astype(str)
    counts = labels.value_counts()
    holders = support.astype(str).value_counts()
    kept = sorted(holders.index[holders >= min_support])
    if not kept:
        return None
    places = np.full(len(cells), len(kept))
    places[~missing] = pd.Categorical(labels, categories=kept).codes
    rare = places < 0
    if rare.any():
        usual = counts[kept].to_numpy(dtype=float)
        places[rare] = rng.choice(len(kept), size=int(rare.sum()), p=usual / usual.sum())
    states, shares, states_in = _states(places, [*kept, None])
    state_column = f"s{number}" if len(states) > 1 else None
    parts = {}
    if state_column is not None:
        parts[state_column] = _numbered(states_in) if discrete else _spread(states_in, shares, rng)
    code = Code(states=states, shares=shares, state_column=state_column)
    return code, parts, bool(rare.any())


def _states(
    places: np.ndarray, labels: list[str | None]
) -> tuple[tuple[str | None, ...], tuple[float, ...], np.ndarray]:
    """Return (labels that occur, most frequent first; their shares; each row's place among them)."""
    counts = np.bincount(places, minlength=len(labels))
    order = [place for place in np.argsort(-counts, kind="stable") if counts[place]]
    rank = np.empty(len(labels), dtype=np.int64)
    rank[order] = np.arange(len(order))
    shares = counts[order] / counts.sum()
    return tuple(labels[place] for place in order), tuple(shares.tolist()), rank[places]


def _numbered(states: np.ndarray) -> np.ndarray:
    """Return the numbers of states as text, object N."""
    return states.astype(str).astype(object)


def _spread(states: np.ndarray, shares: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a uniform draw from each state's interval."""
    widths = np.array(shares)
    starts = np.cumsum(widths) - widths
    return np.asarray(starts[states] + widths[states] * rng.uniform(size=len(states)))


def decode(schema: Schema, codes: tuple[Code, ...], encoded: pd.DataFrame, n: int, *, seed: int) -> Dataset:
    """Return the dataset of `n` rows that `encode` would make `encoded` of, but for what it leaves out."""
    columns = {
        number: decode_column(column, code, encoded, n, seed=seed, person=person_of(schema, column))
        for number, (column, code) in enumerate(zip(schema.columns, codes, strict=True))
    }
    frame = pd.DataFrame(columns, index=pd.RangeIndex(n))
    frame.columns = pd.Index(schema.names, dtype=object)
    return Dataset(frame=frame, schema=schema)


def decode_column(
    column: Column, code: Code, encoded: pd.DataFrame, n: int, *, seed: int, person: tuple[str, ...] = ()
) -> pd.Series:
    """Return a canonical column of `n` cells; personal details are those of `person`, by default of nobody else."""
    if code.id_format is not None:
        ids = IdCodec.from_json(dict(code.id_format)).draw(
            n, stream(seed, "unit interval", *(person or (column.name,)))
        )
        return pd.Series(ids, dtype=object)
    states = np.zeros(n, dtype=np.int64)
    if code.state_column is not None:
        cells = encoded[code.state_column].to_numpy()
        inner = np.cumsum(code.shares)[:-1]
        states = cells.astype(np.int64) if cells.dtype == object else np.searchsorted(inner, cells, side="right")
    if column.kind in ("numeric", "datetime"):
        values = np.zeros(n) if code.low is None else np.full(n, code.low)
        if code.value_column is not None and code.low is not None and code.high is not None:
            place = np.clip(encoded[code.value_column].to_numpy(), 0.0, 1.0)
            values = code.low + (code.high - code.low) * place
        there = np.array([state is not None for state in code.states])[states]
        return _as_cells(column, np.where(there, values, np.nan))
    labels = np.array(code.states, dtype=object)[states]
    if column.kind == "boolean":
        return pd.Series([None if label is None else label == "True" for label in labels], dtype="boolean")
    return pd.Series(labels, dtype=object)


def _as_numbers(cells: pd.Series) -> np.ndarray:
    """Return a float64 array; dates as microseconds since 1970, missing as NaN."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return cells.to_numpy(dtype=np.float64)
    whole = cells.to_numpy(dtype="datetime64[us]").astype(np.int64)
    return np.where(cells.isna(), np.nan, whole.astype(np.float64))


def _as_cells(column: Column, values: np.ndarray) -> pd.Series:
    """Return numbers on the column's lattice, or dates."""
    if column.kind == "numeric":
        decimals = 0 if column.integer else column.decimals
        return pd.Series(values if decimals is None else np.round(values, decimals) + 0.0, dtype=np.float64)
    step = DAY_US if column.storage == "date" else 1
    whole = np.where(np.isnan(values), 0, np.round(values / step) * step).astype(np.int64)
    return pd.Series(whole.astype("datetime64[us]")).mask(np.isnan(values))

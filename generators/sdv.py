"""Synthesizers of the Synthetic Data Vault, adapted: SDV learns, its learnt parameters are all that is kept.

What SDV gets is a table of numbers between 0 and 1 that `_Code` makes of each column and turns back after sampling,
for three reasons. SDV 2 saves only pickles, which hold rows or extremes of the source; here a model is SDV's marginal
distributions and correlation matrix as plain numbers. SDV emits labels that a single person holds and clips at the
very smallest and largest values; here a label needs `min_support` holders and a bound is the mean of `LEAF_ROWS` rows.
And SDV sets missing cells at random; here being missing is a variable of the copula like any other.

SDV is imported inside the functions that call it (two seconds, a BUSL-1.1 licence, and a log in the user's home, which
`_sdv` prevents); what it would do to global random states, warnings and logs stays in `_alone`.
"""

import dataclasses
import json
import logging
import os
import random
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save

from generators.base import Budget, FitReport, GeneratorError, GeneratorInputError, NotFitted, OnStep
from generators.tabular.identifiers import IdCodec, fit_id
from generators.tabular.numeric import LEAF_ROWS
from sources.dataset import Dataset
from sources.errors import did_you_mean
from sources.files import write_bytes, write_json
from sources.randomness import derive, stream
from sources.schema import Column, Rules, Schema

FAMILY = "sdv.gaussian_copula"
SUMMARY = "SDV's Gaussian copula: parametric marginals and one correlation matrix; seconds, a baseline"
FORMAT = "understudy-sdv-gaussian-copula-1"
DAY_US = 86_400_000_000

Distribution = Literal["beta", "norm", "truncnorm", "gamma", "uniform"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What a spec may set of `sdv.gaussian_copula`.

    >>> import json
    >>> spec = json.loads('{"kind": "sdv.gaussian_copula", "default_distribution": "norm"}')
    >>> Config(default_distribution=spec["default_distribution"]).min_support
    5

    Args:
        default_distribution: the family of every number's marginal, as SDV names it: `beta`, `norm`, `truncnorm`,
            `gamma` or `uniform`.
        min_support: rows that must hold a label before it can be sampled.

    """

    default_distribution: Distribution = "beta"
    min_support: int = 5

    def __post_init__(self) -> None:
        """Refuse words and numbers that mean nothing."""
        known = get_args(Distribution)
        if self.default_distribution not in known:
            raise GeneratorInputError(
                f"{FAMILY}: default_distribution: unknown{did_you_mean(str(self.default_distribution), known)}",
                seen=self.default_distribution,
                remedy="choose one of " + ", ".join(known),
            )
        if self.min_support < 1:
            raise GeneratorInputError(
                f"{FAMILY}: min_support must be positive", seen=self.min_support, remedy="leave it out for 5"
            )


def build(config: Config) -> "GaussianCopula":
    """Return a synthesizer that is not fitted."""
    return GaussianCopula(config)


def load(path: Path) -> "GaussianCopula":
    """Return the fitted synthesizer that `GaussianCopula.save` wrote into the folder `path`.

    Raises:
        GeneratorInputError: there is no such model.

    """
    try:
        saved = json.loads((path / "model.json").read_text(encoding="utf-8"))
        correlation = load_file(path / "model.safetensors")["correlation"]
    except FileNotFoundError as error:
        raise GeneratorInputError(f"{path}: no saved model", remedy="give the folder that `save` wrote") from error
    if saved.get("format") != FORMAT:
        raise GeneratorInputError(f"{path}: not a model of {FAMILY}", seen=saved.get("format"))
    synthesizer = GaussianCopula(Config(**saved["config"]))
    synthesizer._model = _Model(  # noqa: SLF001 - the other half of this class
        schema=_schema_from(saved["schema"]),
        codes=tuple(_Code(**code) for code in saved["codes"]),
        marginals=tuple(saved["marginals"]),
        correlation=correlation,
    )
    return synthesizer


class GaussianCopula:
    """SDV's Gaussian copula behind the project's contract.

    Args:
        config: see `Config`.

    """

    def __init__(self, config: Config) -> None:
        """Remember the configuration."""
        self.config = config
        self._model: _Model | None = None

    def fit(self, train: Dataset, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep) -> FitReport:
        """Learn `train`; see `generators.base.Synthesizer`. SDV's fit cannot be stopped, so `budget` only makes a note.

        Raises:
            GeneratorInputError: a column's kind or content is out of reach (text, images, too few rows).

        """
        began_s = time.monotonic()
        run_dir.mkdir(parents=True, exist_ok=True)
        _tell(on_step, 0, began_s, "encode")
        encoded, codes, notes = _encode(train, self.config.min_support, seed=seed)
        _tell(on_step, 0, began_s, "fit")
        marginals, correlation = _learn(encoded, codes, self.config.default_distribution, seed=seed)
        self._model = _Model(schema=train.schema, codes=codes, marginals=marginals, correlation=correlation)
        _tell(on_step, 1, began_s, "fit")
        seconds = time.monotonic() - began_s
        if budget.seconds is not None and seconds > budget.seconds:
            notes = (*notes, "SDV's fit has no time limit of its own; it took longer than the budget")
        return FitReport(
            family=FAMILY,
            steps=0,
            stopped_by="closed_form",
            seconds=seconds,
            parameters=len(codes) + sum(len(m["parameters"]) for m in marginals) + correlation.size,
            notes=notes,
        )

    def sample(self, n: int, *, seed: int, given: pd.DataFrame | None = None) -> Dataset:
        """Return `n` rows; see `generators.base.Synthesizer`.

        Raises:
            NotFitted: before `fit`.
            GeneratorInputError: `given` is not None; this family cannot condition on several columns exactly.

        """
        if self._model is None:
            raise NotFitted(f"{FAMILY}: fit or load a model before sampling")
        if given is not None:
            raise GeneratorInputError(
                f"{FAMILY}: cannot sample given columns",
                seen=", ".join(map(str, given.columns)),
                remedy="use tabular.autoregressive, which samples any columns given any others",
            )
        return self._model.sample(n, seed=seed)

    def save(self, path: Path) -> None:
        """Write `model.safetensors` and then `model.json` into the folder `path`.

        Raises:
            NotFitted: before `fit`.

        """
        if self._model is None:
            raise NotFitted(f"{FAMILY}: fit a model before saving it")
        write_bytes(path / "model.safetensors", save({"correlation": self._model.correlation}))
        saved = {
            "format": FORMAT,
            "config": dataclasses.asdict(self.config),
            "schema": dataclasses.asdict(self._model.schema),
            "codes": [dataclasses.asdict(code) for code in self._model.codes],
            "marginals": list(self._model.marginals),
        }
        write_json(path / "model.json", saved)


@dataclass(frozen=True, kw_only=True)
class _Code:
    """How a column becomes one or two numbers in [0, 1], and comes back.

    A state is a label, `True`, `False`, being missing, or (for numbers and dates) being there. States lie on [0, 1]
    as intervals as long as their shares, the most frequent first, and a cell is a uniform draw from its state's
    interval (the distributional transform: Rüschendorf 2009, doi 10.1016/j.jspi.2009.05.030). A number that is there
    is its place between `low` and `high`.

    Args:
        states: the states' labels; None is missing; for numbers and dates "" is being there. Empty for an id.
        shares: their shares, adding up to 1.
        low, high: bounds of a number or date (in microseconds since 1970); None where there is none.
        state_column, value_column: names of what SDV models, None where there is nothing to model.
        dtype: the pandas dtype of the column.
        id_format: the format of an id column, which SDV does not see; None for others.

    """

    states: tuple[str | None, ...] = ()
    shares: tuple[float, ...] = ()
    low: float | None = None
    high: float | None = None
    state_column: str | None = None
    value_column: str | None = None
    dtype: str = "object"
    id_format: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class _Model:
    """What was learnt.

    Args:
        schema: of the training data.
        codes: one a column.
        marginals: `column`, `distribution` and `parameters` of each number that SDV modelled.
        correlation: float64 D D between them, after each became normal.

    """

    schema: Schema
    codes: tuple[_Code, ...]
    marginals: tuple[Mapping[str, Any], ...] = field(default_factory=tuple)
    correlation: np.ndarray

    def sample(self, n: int, *, seed: int) -> Dataset:
        encoded = _draw(self.marginals, self.correlation, n, seed=seed)
        columns = {}
        for number, (column, code) in enumerate(zip(self.schema.columns, self.codes, strict=True)):
            columns[number] = _decode(column, code, encoded, n, seed=seed)
        frame = pd.DataFrame(columns, index=pd.RangeIndex(n))
        frame.columns = pd.Index(self.schema.names, dtype=object)
        return Dataset(frame=frame, schema=self.schema)


# ---------------------------------------------------------------------- SDV


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """Let a peer library run: global random states are seeded inside and restored after, warnings go to the log.

    This is the only place in the project that seeds global generators: SDV's `fit` takes no seed.
    """
    import torch  # noqa: PLC0415 - SDV brings it

    from generators.training.streams import isolated_rng  # noqa: PLC0415 - likewise

    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - saved to be restored
    with isolated_rng(seed, torch.device("cpu")), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            random.seed(seed)
            np.random.seed(seed % 2**32)  # noqa: NPY002, TID251 - the library knows no other source; restored below
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
    for category in sorted({warning.category.__name__ for warning in caught}):
        log.info("SDV warned: %s", category)  # the texts may quote cells


_IMPORTING = threading.Lock()


def _sdv() -> Any:
    """Return the module `sdv.single_table` with `sdv.metadata` imported beside it, and no log file opened.

    On import SDV makes a folder for user data and logs into it. It asks platformdirs where, which asks XDG_DATA_HOME;
    a path under a device cannot be made, and SDV then goes without.
    """
    with _IMPORTING, _environment("XDG_DATA_HOME", str(Path(os.devnull) / "none")):
        import sdv.metadata  # noqa: PLC0415 - slow, and optional on bare GPU machines
        import sdv.single_table  # noqa: PLC0415
    for name in ("SingleTableSynthesizer", "MultiTableSynthesizer", "PARSynthesizer"):
        logging.getLogger(name).setLevel(logging.WARNING)  # their INFO records are dicts
    return sdv


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    old = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if old is None:
            del os.environ[name]
        else:
            os.environ[name] = old


def _learn(
    encoded: pd.DataFrame, codes: tuple[_Code, ...], distribution: str, *, seed: int
) -> tuple[tuple[Mapping[str, Any], ...], np.ndarray]:
    """Return (marginals, correlation) that SDV learns from numbers in [0, 1]."""
    if encoded.shape[1] == 0:
        return (), np.zeros((0, 0))
    states = {code.state_column for code in codes}
    with _alone(derive(seed, FAMILY, "fit")):
        sdv = _sdv()
        columns = {name: {"sdtype": "numerical"} for name in encoded.columns}
        synthesizer = sdv.single_table.GaussianCopulaSynthesizer(
            sdv.metadata.Metadata.load_from_dict({"tables": {"t": {"columns": columns}}}),
            default_distribution=distribution,
            numerical_distributions={name: "uniform" for name in encoded.columns if name in states},
        )
        synthesizer.fit({"t": encoded})
        learnt = synthesizer.get_learned_distributions()
        copula = synthesizer._model.to_dict()  # noqa: SLF001 - SDV 2 shows its correlation nowhere else
    assert list(copula["columns"]) == list(learnt), "SDV's columns and ours differ"
    marginals = tuple(
        {
            "column": name,
            "distribution": values["distribution"],
            "parameters": {key: float(value) for key, value in values["learned_parameters"].items()},
        }
        for name, values in learnt.items()
    )
    correlation = np.array(copula["correlation"], dtype=np.float64)
    if not all(np.isfinite(list(m["parameters"].values())).all() for m in marginals):
        raise GeneratorError(f"{FAMILY}: SDV learnt a parameter that is no number")
    return marginals, correlation


def _draw(marginals: tuple[Mapping[str, Any], ...], correlation: np.ndarray, n: int, *, seed: int) -> pd.DataFrame:
    """Return `n` rows of the copula with SDV's sampler, which makes exactly as many as asked for."""
    names = [marginal["column"] for marginal in marginals]
    if not marginals or n == 0:
        return pd.DataFrame({name: np.zeros(n) for name in names}, index=pd.RangeIndex(n))
    with _alone(derive(seed, FAMILY, "sample")):
        synthesizer = _sdv().single_table.GaussianCopulaSynthesizer
        from copulas.multivariate import (  # type: ignore[import-untyped]  # noqa: PLC0415 - SDV's own library
            GaussianMultivariate,
        )

        univariates = []
        for marginal in marginals:
            assert marginal["distribution"] in get_args(Distribution), "a saved model names an unknown distribution"
            kind = synthesizer.get_distribution_class(marginal["distribution"])
            univariates.append({**marginal["parameters"], "type": f"{kind.__module__}.{kind.__name__}"})
        copula = GaussianMultivariate.from_dict(
            {"columns": names, "univariates": univariates, "correlation": correlation}
        )
        drawn: pd.DataFrame = copula.sample(n)
    return drawn


# ---------------------------------------------------------------------- columns <-> numbers


def _encode(train: Dataset, min_support: int, *, seed: int) -> tuple[pd.DataFrame, tuple[_Code, ...], tuple[str, ...]]:
    """Return (numbers in [0, 1] for SDV, a code a column, notes)."""
    if len(train) < LEAF_ROWS:
        raise GeneratorInputError(
            f"{FAMILY}: too few rows to learn anything but themselves",
            seen=f"{len(train)} rows",
            remedy=f"give at least {LEAF_ROWS} training rows",
        )
    encoded: dict[str, np.ndarray] = {}
    codes, notes = [], []
    for number, column in enumerate(train.schema.columns):
        cells = train.frame[column.name]
        if column.kind in ("text", "image"):
            raise GeneratorInputError(
                f"{FAMILY}: column {column.name!r} has a kind that this family cannot learn",
                seen=column.kind,
                remedy="leave the column out, or give it another kind in the spec",
            )
        if column.kind == "id":
            codes.append(_Code(id_format=fit_id(cells.to_numpy(dtype=object)).to_json(), dtype="object"))
            continue
        rng = stream(seed, FAMILY, "encode", number)
        missing = cells.isna().to_numpy()
        if missing.all() or (column.kind in ("numeric", "datetime") and (~missing).sum() < LEAF_ROWS):
            if not missing.all():
                notes.append(f"{column.name}: fewer than {LEAF_ROWS} cells are present; missing throughout the sample")
            codes.append(_Code(states=(None,), shares=(1.0,), dtype=str(cells.dtype)))
            continue
        if column.kind in ("numeric", "datetime"):
            code, parts = _encode_numbers(cells, missing, number, rng)
        else:
            least = 1 if column.kind == "boolean" else min_support  # neither answer names a person
            learnt = _encode_labels(cells, missing, number, least, rng)
            if learnt is None:
                raise GeneratorInputError(
                    f"{FAMILY}: column {column.name!r} has no label that is held by at least {min_support} rows",
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
    cells: pd.Series, missing: np.ndarray, number: int, rng: np.random.Generator
) -> tuple[_Code, dict[str, np.ndarray]]:
    values = _as_numbers(cells)[~missing]
    ordered = np.sort(values)
    low, high = float(ordered[:LEAF_ROWS].mean()), float(ordered[-LEAF_ROWS:].mean())
    parts: dict[str, np.ndarray] = {}
    states, shares, states_in = _states(np.where(missing, 1, 0), ["", None])
    state_column = value_column = None
    if len(states) > 1:
        state_column = f"s{number}"
        parts[state_column] = _spread(states_in, shares, rng)
    if high > low:
        value_column = f"v{number}"
        place = np.empty(len(missing))
        place[~missing] = (np.clip(values, low, high) - low) / (high - low)
        place[missing] = rng.choice(place[~missing], size=int(missing.sum()))  # says nothing about the other columns
        parts[value_column] = place
    code = _Code(
        states=states,
        shares=shares,
        low=low,
        high=high,
        state_column=state_column,
        value_column=value_column,
        dtype=str(cells.dtype),
    )
    return code, parts


def _encode_labels(
    cells: pd.Series, missing: np.ndarray, number: int, min_support: int, rng: np.random.Generator
) -> tuple[_Code, dict[str, np.ndarray], bool] | None:
    labels = cells[~missing].astype(str)
    counts = labels.value_counts()
    kept = sorted(counts.index[counts >= min_support])
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
    parts = {} if state_column is None else {state_column: _spread(states_in, shares, rng)}
    code = _Code(states=states, shares=shares, state_column=state_column, dtype=str(cells.dtype))
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


def _spread(states: np.ndarray, shares: tuple[float, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a uniform draw from each state's interval."""
    widths = np.array(shares)
    starts = np.cumsum(widths) - widths
    return np.asarray(starts[states] + widths[states] * rng.uniform(size=len(states)))


def _decode(column: Column, code: _Code, encoded: pd.DataFrame, n: int, *, seed: int) -> pd.Series:
    """Return a canonical column of `n` cells."""
    if code.id_format is not None:
        ids = IdCodec.from_json(dict(code.id_format)).draw(n, stream(seed, FAMILY, "id", column.name))
        return pd.Series(ids, dtype=object)
    states = np.zeros(n, dtype=np.int64)
    if code.state_column is not None:
        inner = np.cumsum(code.shares)[:-1]
        states = np.searchsorted(inner, encoded[code.state_column].to_numpy(), side="right")
    if column.kind in ("numeric", "datetime"):
        values = np.zeros(n) if code.low is None else np.full(n, code.low)
        if code.value_column is not None and code.low is not None and code.high is not None:
            place = np.clip(encoded[code.value_column].to_numpy(), 0.0, 1.0)
            values = code.low + (code.high - code.low) * place
        there = np.array([state is not None for state in code.states])[states]
        return _as_cells(column, np.where(there, values, np.nan), code.dtype)
    labels = np.array(code.states, dtype=object)[states]
    if column.kind == "boolean":
        return pd.Series([None if label is None else label == "True" for label in labels], dtype="boolean")
    return pd.Series(labels, dtype=object)


def _as_numbers(cells: pd.Series) -> np.ndarray:
    """Return a float64 array; dates as microseconds since 1970, missing as NaN."""
    if pd.api.types.is_numeric_dtype(cells.dtype):
        return cells.to_numpy(dtype=np.float64)
    naive = cells.dt.tz_convert("UTC").dt.tz_localize(None) if getattr(cells.dtype, "tz", None) else cells
    whole = naive.to_numpy(dtype="datetime64[us]").astype(np.int64)
    return np.where(cells.isna(), np.nan, whole.astype(np.float64))


def _as_cells(column: Column, values: np.ndarray, dtype: str) -> pd.Series:
    """Return numbers on the column's lattice, or dates."""
    if column.kind == "numeric":
        decimals = 0 if column.integer else column.decimals
        return pd.Series(values if decimals is None else np.round(values, decimals) + 0.0, dtype=np.float64)
    step = DAY_US if column.storage == "date" else 1
    whole = np.where(np.isnan(values), 0, np.round(values / step) * step).astype(np.int64)
    stamps = pd.Series(whole.astype("datetime64[us]")).mask(np.isnan(values))
    return stamps.dt.tz_localize("UTC") if "UTC" in dtype else stamps


def _tell(on_step: OnStep, step: int, began_s: float, phase: str) -> None:
    elapsed_s = time.monotonic() - began_s
    on_step({"step": step, "loss": None, "best": None, "elapsed_s": elapsed_s, "left_s": None, "phase": phase})


def _schema_from(saved: Mapping[str, Any]) -> Schema:
    """Return the schema whose `dataclasses.asdict` went through JSON."""
    columns = []
    for values in saved["columns"]:
        rules = Rules(**{key: _tuple(value) for key, value in values["rules"].items()})
        columns.append(Column(**{**{key: _tuple(value) for key, value in values.items()}, "rules": rules}))
    return Schema(columns=tuple(columns), entity_key=saved["entity_key"], order_key=saved["order_key"])


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value

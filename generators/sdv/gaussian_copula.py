"""SDV's Gaussian copula, adapted: SDV learns, its learnt parameters are all that is kept.

What SDV gets is a table of numbers between 0 and 1, which `unit_interval` makes of the columns and turns back after
sampling, for three reasons. SDV 2 saves only pickles, which hold rows or extremes of the source; here a model is SDV's
marginal distributions and correlation matrix as plain numbers. SDV emits labels that a single person holds and clips
at the very smallest and largest values; here a label needs `min_support` holders and a bound is a mean of many rows.
And SDV sets missing cells at random; here being missing is a variable of the copula like any other.
"""

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from generators.base import Budget, FitReport, GeneratorError, GeneratorInputError, NotFitted, OnStep
from generators.sdv.library import alone, library
from generators.sdv.unit_interval import Code, decode, encode
from sources import schema_json
from sources.dataset import Dataset
from sources.errors import did_you_mean
from sources.files import write_bytes, write_json
from sources.randomness import derive
from sources.schema import Schema

FAMILY = "sdv.gaussian_copula"
SUMMARY = "SDV's Gaussian copula: parametric marginals and one correlation matrix; seconds, a baseline"
FORMAT = "understudy-sdv-gaussian-copula-1"

Distribution = Literal["beta", "norm", "truncnorm", "gamma", "uniform"]


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
        check_distribution(self.default_distribution, FAMILY)
        if self.min_support < 1:
            raise GeneratorInputError(
                f"{FAMILY}: min_support must be positive", seen=self.min_support, remedy="leave it out for 5"
            )


def check_distribution(word: str, family: str) -> None:
    """Refuse a distribution that is none of SDV's.

    Raises:
        GeneratorInputError: it is unknown; names the nearest known one.

    """
    known = get_args(Distribution)
    if word not in known:
        raise GeneratorInputError(
            f"{family}: default_distribution: unknown{did_you_mean(str(word), known)}",
            seen=word,
            remedy="choose one of " + ", ".join(known),
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
    except (json.JSONDecodeError, UnicodeDecodeError, SafetensorError) as error:
        raise GeneratorInputError(f"{path}: the saved model is not readable", remedy="fit and save it again") from error
    if saved.get("format") != FORMAT:
        raise GeneratorInputError(f"{path}: not a model of {FAMILY}", seen=saved.get("format"))
    synthesizer = GaussianCopula(Config(**saved["config"]))
    synthesizer._model = _Model(  # noqa: SLF001 - the other half of this class
        schema=schema_json.from_json(saved["schema"]),
        codes=tuple(Code.from_json(code) for code in saved["codes"]),
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
        encoded, codes, notes = encode(train, self.config.min_support, seed=seed)
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
            "schema": schema_json.to_json(self._model.schema),
            "codes": [dataclasses.asdict(code) for code in self._model.codes],
            "marginals": list(self._model.marginals),
        }
        write_json(path / "model.json", saved)


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
    codes: tuple[Code, ...]
    marginals: tuple[Mapping[str, Any], ...] = field(default_factory=tuple)
    correlation: np.ndarray

    def sample(self, n: int, *, seed: int) -> Dataset:
        encoded = _draw(self.marginals, self.correlation, n, seed=seed)
        return decode(self.schema, self.codes, encoded, n, seed=seed)


def _learn(
    encoded: pd.DataFrame, codes: tuple[Code, ...], distribution: str, *, seed: int
) -> tuple[tuple[Mapping[str, Any], ...], np.ndarray]:
    """Return (marginals, correlation) that SDV learns from numbers in [0, 1]."""
    if encoded.shape[1] == 0:
        return (), np.zeros((0, 0))
    states = {code.state_column for code in codes}
    with alone(derive(seed, FAMILY, "fit")):
        sdv = library(FAMILY)
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
    with alone(derive(seed, FAMILY, "sample")):
        synthesizer = library(FAMILY).single_table.GaussianCopulaSynthesizer
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
    if not np.isfinite(drawn.to_numpy()).all():
        raise GeneratorError(f"{FAMILY}: SDV drew a cell that is no number")
    return drawn


def _tell(on_step: OnStep, step: int, began_s: float, phase: str) -> None:
    elapsed_s = time.monotonic() - began_s
    on_step({"step": step, "loss": None, "best": None, "elapsed_s": elapsed_s, "left_s": None, "phase": phase})

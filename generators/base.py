"""What a synthesizer is: the contract that every family keeps, native or adapted.

Whoever calls `fit` hands over the training part alone; a synthesizer that wants a validation part takes it out of
`train`. Nothing here imports torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.errors import UserError

StoppedBy = Literal["steps", "early_stopping", "time", "closed_form"]
OnStep = Callable[[Mapping[str, Any]], None]
"""Called with plain numbers while a fit runs: `step`, `loss`, `best`, `elapsed_s`, `left_s` (None when unknown),
`phase` (what is being done, in a word). Progress bars and Prefect live on the other side of it."""

RowNats = Callable[[pd.DataFrame], np.ndarray]
"""Canonical rows -> the negative log likelihood of each in nats, float64 N, up to a constant; infinite where a row
could never be drawn."""


def ignore_step(_metrics: Mapping[str, Any]) -> None:
    """Be an `OnStep` that shows nothing."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long a fit may take; whichever limit comes first ends it.

    Args:
        seconds: wall-clock seconds for the whole fit, those before an interruption included; None is no limit.
        steps: optimiser steps; None is no limit. The `steps` of a FitReport given here reproduce its bytes on CPU,
            whatever ended the first run.

    """

    seconds: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse limits that allow nothing."""
        for name, value in (("seconds", self.seconds), ("steps", self.steps)):
            if value is not None and value <= 0:
                raise GeneratorInputError(
                    f"budget: {name} must be positive", seen=value, remedy="give a positive number, or leave it out"
                )


@dataclass(frozen=True, kw_only=True)
class FitReport:
    """How a fit went; it goes into the manifest, so it holds no value of the source.

    Args:
        family: the name in the registry.
        steps: optimiser steps taken (0 where there are none); as `Budget.steps` they reproduce the fit on CPU.
        stopped_by: what ended the fit.
        seconds: wall clock, those before an interruption included.
        parameters: trainable numbers in the model.
        best: the best validation loss seen, or None.
        loss_unit: the unit of `best`, such as `nats per row`.
        device: such as `cpu` or `cuda:0`; precision: such as `float32` or `bfloat16 autocast`.
        history: rows of plain numbers (`step`, `train_loss`, `validation_loss`, ...) for the curve in the report.
        notes: sentences for a person, such as what a peer library did not let us control.

    """

    family: str
    steps: int
    stopped_by: StoppedBy
    seconds: float
    parameters: int
    best: float | None = None
    loss_unit: str = "nats per row"
    device: str = "cpu"
    precision: str = "float32"
    history: tuple[Mapping[str, float], ...] = field(default_factory=tuple)
    notes: tuple[str, ...] = ()


class Synthesizer(Protocol):
    """Learns a dataset and samples from it.

    The conformance suite in `tests/generators/test_conformance.py` is the contract in full.
    """

    def fit(self, train: Dataset, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep) -> FitReport:
        """Learn `train`; `run_dir` (created when absent) keeps checkpoints, from which the same call goes on.

        Raises:
            GeneratorInputError: the data cannot be learnt by this family.
            Diverged: the loss became NaN or infinite; names the phase.

        """
        ...

    def sample(self, n: int, *, seed: int, given: pd.DataFrame | None = None) -> Dataset:
        """Return exactly `n` rows with the schema of the training data.

        Args:
            n: number of rows, 0 or more.
            seed: same seed, same rows (on one machine). Rows depend on `n` too: fewer are no prefix of more, because
                draws are stratified over all of them.
            given: canonical columns to condition on, one row for each of the `n`, or None.

        Raises:
            NotFitted: before `fit`.
            GeneratorInputError: the family cannot condition on `given`, or could never draw its cells.

        """
        ...

    def save(self, path: Path) -> None:
        """Write the model into the folder `path` as safetensors and JSON; never pickle, never a training row."""
        ...


@dataclass(frozen=True, kw_only=True)
class Family:
    """One entry of the registry.

    Args:
        config: the frozen dataclass whose fields a spec may set, all with defaults.
        build: config -> a synthesizer, not fitted.
        load: folder written by `save` -> the fitted synthesizer.
        summary: one line for the documentation.
        trains: its fit takes steps until a budget ends it; families with a closed form need no share of the minutes.
        conditions: `sample` takes `given`, columns of labels at least.
        pictures: learns tables with one image column, and no others; a family without this learns none with any.
        likelihood: folder written by `save` -> `RowNats` of that model, on the CPU; None where rows have no likelihood.

    """

    config: type[Any]
    build: Callable[[Any], Synthesizer]
    load: Callable[[Path], Synthesizer]
    summary: str
    trains: bool = True
    conditions: bool = False
    pictures: bool = False
    likelihood: "Callable[[Path], RowNats] | None" = None


class GeneratorError(Exception):
    """Base of what this room raises."""


class GeneratorInputError(GeneratorError, UserError):
    """Data or configuration that the user must change."""


class NotFitted(GeneratorError):
    """`sample` or `save` was called before `fit`."""


class Diverged(GeneratorError):
    """A loss became NaN or infinite; the message names the phase and the step."""

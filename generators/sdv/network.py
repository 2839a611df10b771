"""SDV's neural synthesizers behind the project's contract: CTGAN, TVAE and CopulaGAN differ in a `Kind` alone.

SDV gets the states of `unit_interval` as numbered labels, being missing among them. It gets no number of a row: for
each it sees another one of the same leaf, which at least 20 rows share. So neither the mixtures nor the marginals that
SDV fits to single columns, and that are saved, can hold a value of the source, though a component may stand for two
rows. The networks see every row, like those of every other family.
"""

import dataclasses
import io
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from generators.base import Budget, Diverged, FitReport, GeneratorError, GeneratorInputError, NotFitted, OnStep
from generators.sdv.learnt import Learnt, Sampler, drawn, has_diverged, learnt_by, normalizers_of
from generators.sdv.library import alone, library
from generators.sdv.network_files import Fitted, read_model, write_model
from generators.sdv.unit_interval import decode, encode
from generators.sdv.watch import Watch
from sources.dataset import Dataset
from sources.randomness import derive

SPAN = 1_000.0  # numbers go to SDV as 0 to this: its mixtures add 1e-6 to every variance
MIXTURE_WIDTH = 11  # columns of a number at most: ten components, and its place in one
COPIES = 3  # of the encoded table that SDV holds at once (peak memory over table, for 2,000 labels in 20,000 rows)
CHECKED_ROWS = 50


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What tells SDV's neural synthesizers apart.

    Args:
        name: in the registry.
        synthesizer: SDV's name of it.
        config: the family's dataclass; it has `epochs`, `batch_size`, `embedding_dim`, `min_support`, `memory_gib`.
        layers: the option that holds the hidden widths of the network that samples.
        own: options that are the project's own, which SDV does not know.
        gan: two optimisers, and a generator that is asked for labels.
        loss: the column of SDV's table of losses that is shown.
        notes: for every report of a fit.

    """

    name: str
    synthesizer: str
    config: type[Any]
    layers: str
    own: tuple[str, ...] = ("epochs", "min_support", "memory_gib")
    gan: bool
    loss: str
    notes: tuple[str, ...] = ()

    def steps_per_epoch(self, num_rows: int, batch_size: int) -> int:
        """Return the batches in one of SDV's epochs; the GANs leave out a last one that is not full."""
        return max(num_rows // batch_size, 1) if self.gan else -(-num_rows // batch_size)


class Network:
    """A `generators.base.Synthesizer`.

    Args:
        kind: which of SDV's synthesizers.
        config: its options.

    """

    def __init__(self, kind: Kind, config: Any) -> None:
        """Remember the configuration."""
        self.kind, self.config = kind, config
        self._fitted: Fitted | None = None
        self._sampler: Sampler | None = None

    def fit(self, train: Dataset, *, seed: int, budget: Budget, run_dir: Path, on_step: OnStep) -> FitReport:
        """Learn `train`; see `generators.base.Synthesizer`.

        A step is one batch. Without `budget.steps` the plan is `epochs` over the rows. SDV cannot go on from a
        checkpoint: an interrupted fit starts anew. What it does before the first step (a mixture per number) knows no
        clock.

        Raises:
            GeneratorInputError: a column's kind or content is out of reach, or its labels need too much memory.
            Diverged: SDV's loss or weights became NaN or infinite.
            GeneratorError: this version of SDV's libraries keeps what it learns in another place.

        """
        began_s = time.monotonic()
        run_dir.mkdir(parents=True, exist_ok=True)
        _tell(on_step, began_s, "encode")
        places, codes, notes = encode(train, self.config.min_support, seed=seed, discrete=True)
        encoded = places.apply(lambda cells: cells if cells.dtype == object else SPAN * cells)
        self._sampler = None
        if encoded.shape[1] == 0:
            self._fitted = Fitted(schema=train.schema, codes=codes, learnt=None)
            seconds = time.monotonic() - began_s
            return FitReport(
                family=self.kind.name, steps=0, stopped_by="closed_form", seconds=seconds, parameters=0, notes=notes
            )
        self._check_memory(encoded)
        _tell(on_step, began_s, "prepare")
        per_epoch = self.kind.steps_per_epoch(len(train), self.config.batch_size)
        plan = budget.steps or self.config.epochs * per_epoch
        with alone(derive(seed, self.kind.name, "fit")):
            synthesizer = self._new(encoded, epochs=plan + 1)  # the watch ends it before the last one does
            with redirect_stdout(io.StringIO()):  # advice about columns of many labels
                prepared = synthesizer.preprocess({"t": encoded})
            watch = Watch(
                plan=plan,
                seconds=budget.seconds,
                began_s=began_s,
                num_optimizers=2 if self.kind.gan else 1,
                losses=lambda: getattr(getattr(synthesizer, "_model", None), "loss_values", None),
                loss=self.kind.loss,
                steps_per_epoch=per_epoch,
                on_step=on_step,
            )
            try:
                with watch.watching():
                    synthesizer.fit_processed_data(prepared)
            except ValueError as error:
                if has_diverged(synthesizer, gan=self.kind.gan):
                    raise Diverged(f"phase train: a weight is no number at step {watch.step}") from error
                raise
        watch.finish()
        learnt = self._learnt(synthesizer, seed=seed)
        self._fitted = Fitted(schema=train.schema, codes=codes, learnt=learnt)
        seconds = time.monotonic() - began_s
        return FitReport(
            family=self.kind.name,
            steps=watch.step,
            stopped_by=watch.stopped_by,
            seconds=seconds,
            parameters=learnt.num_weights,
            history=watch.history(),
            notes=(*notes, *self._notes(per_epoch, seconds, budget)),
        )

    def sample(self, n: int, *, seed: int, given: pd.DataFrame | None = None) -> Dataset:
        """Return `n` rows; see `generators.base.Synthesizer`.

        Raises:
            NotFitted: before `fit`.
            GeneratorInputError: `given` is not None. SDV would draw until rows fit by chance, and may return fewer.

        """
        fitted = self._fitted
        if fitted is None:
            raise NotFitted(f"{self.kind.name}: fit or load a model before sampling")
        if given is not None:
            raise GeneratorInputError(
                f"{self.kind.name}: cannot sample given columns",
                seen=", ".join(map(str, given.columns)),
                remedy="use tabular.autoregressive, which samples any columns given any others",
            )
        encoded = self._draw(fitted, n, seed=derive(seed, self.kind.name, "sample"))
        return decode(fitted.schema, fitted.codes, encoded, n, seed=seed)

    def save(self, path: Path) -> None:
        """Write `model.safetensors` and then `model.json` into the folder `path`.

        Raises:
            NotFitted: before `fit`.

        """
        fitted = self._fitted
        if fitted is None:
            raise NotFitted(f"{self.kind.name}: fit a model before saving it")
        write_model(path, fitted, family=self.kind.name, config=self.config)

    def _check_memory(self, encoded: pd.DataFrame) -> None:
        """Refuse a table that SDV would hold as more numbers than the configuration allows."""
        num_labels = int(encoded.select_dtypes(object).nunique().sum())
        width = num_labels + MIXTURE_WIDTH * encoded.select_dtypes("number").shape[1]
        needed_gib = COPIES * 8 * len(encoded) * width / 2**30
        if needed_gib > self.config.memory_gib:
            raise GeneratorInputError(
                f"{self.kind.name}: SDV makes a column of each label, {num_labels:,} here, about {needed_gib:.1f} GiB",
                seen=f"memory_gib: {self.config.memory_gib:g}",
                remedy="raise min_support, leave out columns of many labels or give them the kind id or text, raise "
                "memory_gib, or use tabular.autoregressive, whose memory does not grow with rows times labels",
            )

    def _new(self, encoded: pd.DataFrame, *, epochs: int) -> Any:
        """Return SDV's synthesizer of these columns, not fitted."""
        sdv = library(self.kind.name)
        options = {
            field.name: getattr(self.config, field.name)
            for field in dataclasses.fields(self.config)
            if field.name not in self.kind.own
        }
        columns = {
            name: {"sdtype": "categorical" if cells.dtype == object else "numerical"} for name, cells in encoded.items()
        }
        return getattr(sdv.single_table, self.kind.synthesizer)(
            sdv.metadata.Metadata.load_from_dict({"tables": {"t": {"columns": columns}}}),
            enforce_min_max_values=False,  # it would clip at the extremes of what it saw
            enforce_rounding=False,
            enable_gpu=False,
            epochs=epochs,
            **options,
        )

    def _learnt(self, synthesizer: Any, *, seed: int) -> Learnt:
        """Return what was learnt, having seen that it samples as SDV itself does."""
        settings = {
            "embedding_dim": self.config.embedding_dim,
            "batch_size": self.config.batch_size,
            "layers": list(getattr(self.config, self.kind.layers)),
        }
        seed = derive(seed, self.kind.name, "check")
        try:
            learnt = learnt_by(synthesizer, gan=self.kind.gan, settings=settings)
            same = Sampler(learnt).draw(CHECKED_ROWS, seed=seed)
            here = drawn(synthesizer._model, normalizers_of(synthesizer), CHECKED_ROWS, seed=seed)  # noqa: SLF001
        except AttributeError as error:
            raise GeneratorError(f"{self.kind.name}: this version of SDV's libraries is not known: {error}") from error
        if not same.equals(here):
            raise GeneratorError(f"{self.kind.name}: what was taken out of SDV does not sample as SDV does")
        return learnt

    def _draw(self, fitted: Fitted, n: int, *, seed: int) -> pd.DataFrame:
        """Return `n` rows in the encoding of `unit_interval`."""
        names = [name for code in fitted.codes for name in (code.state_column, code.value_column) if name is not None]
        if fitted.learnt is None or n == 0:
            return pd.DataFrame({name: np.zeros(n) for name in names}, index=pd.RangeIndex(n))
        if self._sampler is None:
            library(self.kind.name)
            self._sampler = Sampler(fitted.learnt)
        encoded = self._sampler.draw(n, seed=seed)
        return encoded.assign(
            **{
                code.value_column: encoded[code.value_column] / SPAN
                for code in fitted.codes
                if code.value_column is not None
            }
        )

    def _notes(self, per_epoch: int, seconds: float, budget: Budget) -> tuple[str, ...]:
        """Return what SDV does not let us control."""
        no_checkpoint = "SDV cannot go on from a checkpoint, nor keep the best weights: an interrupted fit starts anew"
        notes = [f"{no_checkpoint} (steps in an epoch of SDV's: {per_epoch:,})", *self.kind.notes]
        if budget.seconds is not None and seconds > budget.seconds:
            notes.append("what SDV does before its first step knows no clock; the fit took longer than the budget")
        return tuple(notes)


def load(path: Path, kind: Kind) -> Network:
    """Return the fitted synthesizer that `Network.save` wrote into the folder `path`.

    Raises:
        GeneratorInputError: there is no model of this kind.

    """
    fields, fitted = read_model(path, family=kind.name)
    network = Network(kind, kind.config(**fields))
    network._fitted = fitted  # noqa: SLF001 - the other half of this class
    return network


def check_options(config: Any, name: str, *, not_negative: tuple[str, ...] = ()) -> None:
    """Refuse numbers of a family's configuration that mean nothing.

    Raises:
        GeneratorInputError: one that must be positive (all but `not_negative`) is not.

    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, (str, bool)):
            continue
        least = "not be negative" if field.name in not_negative else "be positive"
        values = value if isinstance(value, tuple) else (value,)
        if not values or any(one < 0 or (one == 0 and field.name not in not_negative) for one in values):
            raise GeneratorInputError(
                f"{name}: {field.name} must {least}", seen=value, remedy="leave it out for SDV's own"
            )


def _tell(on_step: OnStep, began_s: float, phase: str) -> None:
    elapsed_s = time.monotonic() - began_s
    on_step({"step": 0, "loss": None, "best": None, "elapsed_s": elapsed_s, "left_s": None, "phase": phase})

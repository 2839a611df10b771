"""The one training loop: every family of every modality trains here.

A family hands over a `Recipe` (networks, and phases of one optimiser and one loss each), `batches` (step -> batch) and
a validation part. The path is a function of (data, configuration, seed, number of steps) and of nothing else:

- batch and randomness of step k come from (seed, k), so a resumed fit replays nothing;
- the learning rate is a function of (step, plan), see `schedule`; a clock or a plateau only ever chooses the plan;
- validation happens at fixed steps, with its own randomness, and changes no state; one that has no other to be compared
  with looks at no more batches than there were steps;
- where memory runs out a phase is tried again with half of the batch, and so is every later step; a checkpoint is
  written at once, so a resumed fit goes on with as many rows;
- the weights kept are the average (EMA) at the validated step with the lowest loss, the last step among them; without
  validation the average at the last step.

So the number of steps reached, given as `Budget.steps`, reproduces a fit byte for byte on a CPU with the same number of
threads (sums of matrix products are cut by threads, hence rounded otherwise by another number of them).
"""

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from generators.base import Budget, Diverged, GeneratorInputError, OnStep, StoppedBy
from generators.device import Device
from generators.training import checkpoint, memory
from generators.training.ema import Average
from generators.training.schedule import decay_start, plan_decaying_from, rate
from generators.training.streams import isolated_rng
from sources.randomness import derive

REPORT_EVERY_S = 0.25  # four lines a second are as much as an eye can follow
GPU_SETTLE_STEPS = 25  # losses are fetched from a GPU this rarely, because each fetch waits for it
CLOCK_MARGIN = 0.02  # part of a time budget left for saving

log = logging.getLogger(__name__)

Batch = Any
Loss = Callable[[Batch, torch.Generator], Tensor]


@dataclass
class Phase:
    """One optimiser and its loss; a step runs the phases in order.

    Args:
        name: shown to the user, and in `Diverged`.
        optimizer: over the parameters that this phase moves; its learning rates are the peaks of the schedule.
        loss: (batch, generator on the device) -> scalar; runs in autocast, with dropout seeded by (seed, step).
        sees_real_data: whether the loss touches real rows (what a private optimiser has to be wrapped around).
        every: run at steps divisible by this.

    """

    name: str
    optimizer: Optimizer
    loss: Loss
    sees_real_data: bool = True
    every: int = 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What is trained.

    Args:
        networks: everything with weights, on the device (an `nn.ModuleDict` for several).
        phases: in the order of a step; the first one's loss is shown.
        validate: (validation batch, generator) -> mean loss, lower is better; runs without gradients on the averaged
            weights in evaluation mode, with the same randomness every time.
        device: where, and in which precision.
        identity: a digest of whatever decides the path beside `TrainingConfig`, seed and steps: data and architecture.
        figures: further plain numbers about the validation that was just done, for its row of history.
        collapsed: rows of history so far -> whether the last one shows that training broke down. It then goes back to
            the best step and down from there, as after a plateau, but at once.
        fewest_rows: a batch is not halved below this many when memory runs out.

    """

    networks: nn.Module
    phases: Sequence[Phase]
    validate: Loss
    device: Device
    identity: str
    figures: Callable[[], Mapping[str, float]] | None = None
    collapsed: Callable[[Sequence[Mapping[str, float]]], bool] | None = None
    fewest_rows: int = 1


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How long and how carefully.

    Args:
        max_steps: the plan where nothing stops earlier and `budget.steps` is not given.
        budget: time and steps; with `steps` given early stopping is off, because the plan is fixed.
        evaluate_every: steps between validations.
        patience: validations without a new best after which the rate starts to fall, from the best step.
        warmup_steps: of the learning rate.
        ema_decay: of the averaged weights.
        clip_norm: largest gradient norm of a phase; None does not clip.
        checkpoint_s: seconds between checkpoints; they change nothing in the result.
        compile: compile the networks (GPU only).

    """

    max_steps: int
    budget: Budget = field(default_factory=Budget)
    evaluate_every: int = 150
    patience: int = 10
    warmup_steps: int = 50
    ema_decay: float = 0.999
    clip_norm: float | None = 1.0
    checkpoint_s: float = 15.0
    compile: bool = False


@dataclass(frozen=True, kw_only=True)
class Trained:
    """What `train` did; the networks hold the kept weights.

    Args:
        steps: the plan that was carried out; as `Budget.steps` it gives the same weights on a CPU.
        stopped_by: what chose the plan.
        seconds: wall clock, those before an interruption included.
        best: lowest validation loss, None without validation.
        kept_step: the step whose averaged weights are kept.
        history: a row per validation: step, train_loss, validation_loss, learning_rate (a factor), `Recipe.figures`.
        collapsed_step: the first step at which `Recipe.collapsed` said so, or None.
        notes: a sentence for each time that memory ran out and batches were halved.

    """

    steps: int
    stopped_by: StoppedBy
    seconds: float
    best: float | None
    kept_step: int
    history: tuple[Mapping[str, float], ...]
    collapsed_step: int | None = None
    notes: tuple[str, ...] = ()


@dataclass
class _Progress:
    """Everything of a fit that is no tensor; it goes into the checkpoint as JSON."""

    plan: int
    stopped_by: StoppedBy = "steps"
    step: int = 0
    elapsed_s: float = 0.0
    best: float | None = None
    kept_step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0
    finished: bool = False
    collapsed_step: int | None = None
    rows: int | None = None  # of a batch, once memory ran out
    notes: list[str] = field(default_factory=list)
    history: list[dict[str, float]] = field(default_factory=list)


def train(
    recipe: Recipe,
    batches: Callable[[int], Batch],
    validation: Sequence[Batch],
    config: TrainingConfig,
    *,
    seed: int,
    run_dir: Path,
    on_step: OnStep,
    spent_s: float = 0.0,
    reserve_s: float = 0.0,
) -> Trained:
    """Train `recipe.networks` in place, going on from the checkpoint in `run_dir` where it belongs to this fit.

    Args:
        recipe: what is trained.
        batches: step (from 0) -> batch, a pure function of the step.
        validation: batches of equal weight, or none at all.
        config: how long and how carefully.
        seed: of every random draw in here.
        run_dir: keeps `checkpoint.safetensors`; a finished fit found there is not trained again.
        on_step: see `generators.base.OnStep`.
        spent_s: seconds of the time budget used up before this call.
        reserve_s: seconds of the time budget that are needed after it.

    Raises:
        Diverged: a loss became NaN or infinite.
        GeneratorInputError: memory ran out with the smallest batch.

    """
    return _Fit(recipe, batches, validation, config, seed, run_dir, on_step, spent_s, reserve_s).run()


class _Fit:
    """The state of one call of `train`."""

    def __init__(  # noqa: PLR0917 - called once, by `train`, with its own arguments
        self,
        recipe: Recipe,
        batches: Callable[[int], Batch],
        validation: Sequence[Batch],
        config: TrainingConfig,
        seed: int,
        run_dir: Path,
        on_step: OnStep,
        spent_s: float,
        reserve_s: float,
    ) -> None:
        self.recipe, self.batches, self.validation, self.config = recipe, batches, validation, config
        self.seed, self.run_dir, self.on_step = seed, run_dir, on_step
        self.device = recipe.device
        self.average = Average(recipe.networks, config.ema_decay)
        self.peaks = [[float(group["lr"]) for group in phase.optimizer.param_groups] for phase in recipe.phases]
        self.progress = _Progress(plan=config.budget.steps or config.max_steps)
        self.kept: dict[str, Tensor] = {}
        self.rewind: tuple[dict[str, Tensor], str] | None = None  # state and progress at the best step, while level
        self.pending: list[tuple[str, int, Tensor]] = []
        self.spent_s, self.reserve_s = spent_s, reserve_s
        self.began_s = time.monotonic()
        self.began_step = 0
        self.shown_s = self.written_s = self.began_s
        self.last_loss = math.nan
        path = asdict(config)
        for name in ("checkpoint_s", "compile"):  # neither decides where the path goes
            del path[name]
        parts = [recipe.identity, path, seed, self.device.torch.type, self.device.precision, bool(validation)]
        self.identity = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    # ------------------------------------------------------------------ the story

    def run(self) -> Trained:
        self._resume()
        progress, config = self.progress, self.config
        if self.device.is_gpu and config.compile and not progress.finished:
            self.recipe.networks.compile()
        self.recipe.networks.train()
        while progress.step < progress.plan:
            self._step(progress.step)
            progress.step += 1
            if not self.device.is_gpu or progress.step % GPU_SETTLE_STEPS == 0:
                self._settle()
            self._stop_on_time()  # before the validation, which the last step of a plan must not miss
            if progress.step % config.evaluate_every == 0 or progress.step == progress.plan:
                self._settle()
                self._evaluate()
                self._stop_on_collapse()
                self._stop_on_plateau()
                progress = self.progress  # either goes back to the best step
            self._write_if_due()
            self._show()
        if not progress.finished:
            self._finish()
        checkpoint.load_network_state(
            self.recipe.networks, {**checkpoint.network_state(self.recipe.networks), **self.kept}
        )
        self.recipe.networks.eval()
        return Trained(
            steps=progress.plan,
            stopped_by=progress.stopped_by,
            seconds=progress.elapsed_s,
            best=progress.best,
            kept_step=progress.kept_step,
            history=tuple(progress.history),
            collapsed_step=progress.collapsed_step,
            notes=tuple(progress.notes),
        )

    def _step(self, step: int) -> None:
        batch = memory.first_rows(self.batches(step), self.progress.rows)
        factor = rate(step, self.progress.plan, self.config.warmup_steps)
        for phase, peaks in zip(self.recipe.phases, self.peaks, strict=True):
            if step % phase.every:
                continue
            for group, peak in zip(phase.optimizer.param_groups, peaks, strict=True):
                group["lr"] = peak * factor
            loss = self._gradients(phase, batch, step)
            while loss is None:
                batch = self._half_of(batch, phase, step)
                loss = self._gradients(phase, batch, step)
            with memory.said_clearly(f"the optimizer of phase {phase.name} moved the weights, at step {step}"):
                phase.optimizer.step()
            self.pending.append((phase.name, step, loss.detach()))
        self.average.update(step)

    def _gradients(self, phase: Phase, batch: Batch, step: int) -> Tensor | None:
        """Return the loss of the batch, its gradients in place; None where memory ran out, with nothing changed."""
        try:
            with isolated_rng(derive(self.seed, "step", phase.name, step), self.device.torch) as generator:
                with self.device.autocast():
                    loss = phase.loss(batch, generator)
                phase.optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                if self.config.clip_norm is not None:
                    parameters = [p for group in phase.optimizer.param_groups for p in group["params"]]
                    nn.utils.clip_grad_norm_(parameters, self.config.clip_norm)
        except (MemoryError, RuntimeError) as error:
            if not memory.is_out_of_memory(error):
                raise
            phase.optimizer.zero_grad(set_to_none=True)
            return None
        return loss

    def _half_of(self, batch: Batch, phase: Phase, step: int) -> Batch:
        """Return half of a batch that memory did not suffice for, and note that batches are so small from now on."""
        before = memory.rows_of(batch)
        rows = memory.halved(before, fewest=self.recipe.fewest_rows)
        if rows is None:
            raise GeneratorInputError(
                f"memory ran out in phase {phase.name} at step {step}, even with the smallest batch",
                seen=f"{before} rows a batch",
                remedy=memory.REMEDY,
            )
        memory.release()
        self.progress.rows = rows
        self.progress.notes.append(
            f"Memory ran out at step {step}: batches have {rows:,} rows instead of {before:,} from there on."
        )
        log.warning("memory ran out in phase %s at step %s; %s rows a batch from here on", phase.name, step, rows)
        self.written_s = -math.inf  # a fit that goes on from a checkpoint must know
        return memory.first_rows(batch, rows)

    def _settle(self) -> None:
        """Look at the losses of the last steps: raise `Diverged`, or add them to the running mean."""
        first = self.recipe.phases[0].name
        for (name, step, _), value in zip(self.pending, _values([loss for _, _, loss in self.pending]), strict=True):
            if not math.isfinite(value):
                raise Diverged(f"phase {name}: the loss is {value} at step {step}")
            if name == first:
                self.progress.loss_sum += value
                self.progress.loss_count += 1
                self.last_loss = value
        self.pending.clear()

    @torch.no_grad()
    def _evaluate(self) -> None:
        """Validate the averaged weights, keep them when they are the best so far, and write a row of history."""
        progress, networks = self.progress, self.recipe.networks
        row = {"step": float(progress.step), "train_loss": progress.loss_sum / max(progress.loss_count, 1)}
        progress.loss_sum, progress.loss_count = 0.0, 0
        improved = not self.validation  # without validation the latest is the best
        if self.validation:
            networks.eval()
            with self.average.applied():
                losses = []
                for number, batch in enumerate(self.validation[: self._batches_to_validate()]):
                    seed = derive(self.seed, "validation", number)
                    with (
                        memory.said_clearly("the validation part was looked at"),
                        isolated_rng(seed, self.device.torch) as generator,
                        self.device.autocast(),
                    ):
                        losses.append(self.recipe.validate(batch, generator))
                loss = sum(_values(losses)) / len(losses)
            networks.train()
            if not math.isfinite(loss):
                raise Diverged(f"phase validation: the loss is {loss} at step {progress.step}")
            row["validation_loss"] = loss
            row |= self.recipe.figures() if self.recipe.figures is not None else {}
            improved = progress.best is None or loss < progress.best
            if improved:
                progress.best = loss
        row["learning_rate"] = rate(progress.step - 1, progress.plan, self.config.warmup_steps)
        progress.history.append(row)
        if improved:
            progress.kept_step = progress.step
            self.kept = {name: tensor.clone() for name, tensor in self._averaged().items()}
            if self._may_stop_early() and progress.step < decay_start(progress.plan):
                self.rewind = ({name: tensor.clone() for name, tensor in self._tensors().items()}, _dump(progress))

    def _batches_to_validate(self) -> int:
        """Return how many batches to look at: all, but no more than steps where this validation is the only one.

        Then there is nothing to choose by it, and a budget for a step or two has no time for a long look.
        """
        only = not self.progress.history and self.progress.step == self.progress.plan
        return min(self.progress.step, len(self.validation)) if only else len(self.validation)

    # ------------------------------------------------------------------ what chooses the plan

    def _stop_on_plateau(self) -> None:
        """After `patience` validations without a new best: back to the best step, and down from there."""
        progress = self.progress
        if self.rewind is None or progress.step >= decay_start(progress.plan):
            self.rewind = None
            return
        if progress.step - progress.kept_step < self.config.patience * self.config.evaluate_every:
            return
        self._go_back()
        log.info("validation has levelled off at step %s; plan %s", self.progress.step, self.progress.plan)

    def _stop_on_collapse(self) -> None:
        """After a collapse: back to the best step, and down from there; where the plan is fixed it is only noted."""
        progress, collapsed = self.progress, self.recipe.collapsed
        if collapsed is None or progress.collapsed_step is not None or not collapsed(progress.history):
            return
        log.info("collapsed at step %s, the best was step %s", progress.step, progress.kept_step)
        progress.collapsed_step = progress.step
        if self.rewind is not None and progress.step < decay_start(progress.plan):
            self._go_back()

    def _go_back(self) -> None:
        """Take up the state of the best step again, with the plan that decays from there."""
        assert self.rewind is not None
        tensors, at_best = self.rewind
        left = self.progress
        self._load(tensors)
        self.progress = _Progress(**json.loads(at_best))
        self.progress.elapsed_s, self.progress.collapsed_step = left.elapsed_s, left.collapsed_step
        self.progress.rows, self.progress.notes = left.rows, left.notes
        self.progress.plan = plan_decaying_from(self.progress.step)
        self.progress.stopped_by = "early_stopping"
        self.rewind = None

    def _stop_on_time(self) -> None:
        """Choose the plan that decays from here when it would just fill what is left of the time budget."""
        progress, seconds = self.progress, self.config.budget.seconds
        progress.elapsed_s = self._elapsed_s()
        if seconds is None or progress.step >= decay_start(progress.plan):
            return
        plan = plan_decaying_from(progress.step)
        needed_s = progress.elapsed_s + self._seconds_for(plan) + self.reserve_s
        if plan < progress.plan and needed_s >= seconds * (1 - CLOCK_MARGIN):
            progress.plan, progress.stopped_by = plan, "time"
            self.rewind = None

    def _may_stop_early(self) -> bool:
        return bool(self.validation) and self.config.budget.steps is None

    # ------------------------------------------------------------------ clock and callback

    def _elapsed_s(self) -> float:
        return self.spent_s + time.monotonic() - self.began_s

    def _seconds_for(self, plan: int) -> float:
        """Return the seconds that the steps until `plan` will take, judged by those since this process began."""
        done = max(self.steps_done, 1)
        return (plan - self.progress.step) * (time.monotonic() - self.began_s) / done

    @property
    def steps_done(self) -> int:
        return self.progress.step - self.began_step

    def _show(self) -> None:
        progress, now_s = self.progress, time.monotonic()
        if now_s - self.shown_s < REPORT_EVERY_S and progress.step < progress.plan:
            return
        self.shown_s = now_s
        left_s = self._seconds_for(progress.plan)
        if self.config.budget.seconds is not None:
            left_s = min(left_s, max(self.config.budget.seconds - progress.elapsed_s, 0.0))
        self.on_step(
            {
                "step": progress.step,
                "loss": self.last_loss,
                "best": progress.best,
                "elapsed_s": progress.elapsed_s,
                "left_s": left_s,
                "phase": self.recipe.phases[0].name,
            }
        )

    # ------------------------------------------------------------------ checkpoint

    def _tensors(self) -> dict[str, Tensor]:
        tensors = checkpoint.named("network", checkpoint.network_state(self.recipe.networks))
        tensors |= checkpoint.named("average", self.average.state())
        for phase in self.recipe.phases:
            tensors |= checkpoint.named(f"optimizer.{phase.name}", checkpoint.optimizer_state(phase.optimizer))
        return tensors

    def _averaged(self) -> dict[str, Tensor]:
        """Return what is kept: buffers as they are, parameters averaged; not copied."""
        return {**checkpoint.network_state(self.recipe.networks), **self.average.state()}

    def _load(self, tensors: Mapping[str, Tensor]) -> None:
        checkpoint.load_network_state(self.recipe.networks, checkpoint.under("network", tensors))
        self.average.load(checkpoint.under("average", tensors))
        for phase in self.recipe.phases:
            state = checkpoint.under(f"optimizer.{phase.name}", tensors)
            checkpoint.load_optimizer_state(phase.optimizer, state)

    def _write_if_due(self) -> None:
        if time.monotonic() - self.written_s < self.config.checkpoint_s:
            return
        self._settle()  # never keep a state whose loss nobody has looked at
        self.progress.elapsed_s = self._elapsed_s()
        tensors = {**checkpoint.named("now", self._tensors()), **checkpoint.named("kept", self.kept)}
        progress = {"now": asdict(self.progress)}
        if self.rewind is not None:
            tensors |= checkpoint.named("rewind", self.rewind[0])
            progress["rewind"] = json.loads(self.rewind[1])
        checkpoint.write(self.run_dir, tensors, progress, identity=self.identity)
        self.written_s = time.monotonic()

    def _finish(self) -> None:
        self.progress.finished = True
        self.progress.elapsed_s = self._elapsed_s()
        tensors = checkpoint.named("kept", self.kept)
        checkpoint.write(self.run_dir, tensors, {"now": asdict(self.progress)}, identity=self.identity)

    def _resume(self) -> None:
        found = checkpoint.read(self.run_dir, identity=self.identity)
        if found is None:
            return
        tensors, progress = found
        tensors = {name: tensor.to(self.device.torch) for name, tensor in tensors.items()}
        self.progress = _Progress(**progress["now"])
        self.kept = checkpoint.under("kept", tensors)
        self.spent_s = self.progress.elapsed_s if self.progress.finished else self.spent_s + self.progress.elapsed_s
        self.began_step = self.progress.step
        if not self.progress.finished:
            self._load(checkpoint.under("now", tensors))
            if "rewind" in progress:
                self.rewind = (checkpoint.under("rewind", tensors), json.dumps(progress["rewind"]))


def _values(losses: Sequence[Tensor]) -> list[float]:
    """Return scalar tensors as floats in one transfer."""
    return [float(value) for value in torch.stack([loss.float() for loss in losses]).tolist()] if losses else []


def _dump(progress: _Progress) -> str:
    return json.dumps(asdict(progress))

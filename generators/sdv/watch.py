"""What happens between two steps of SDV's networks: progress, the clock, and the end of the fit.

SDV's `fit` runs a number of epochs fixed beforehand, tells nobody how far it is and cannot be stopped. torch calls
hooks before every optimiser's step, and an exception from there ends SDV's loop between two steps, with the weights of
all steps done. So a fit ends after any number of steps, by the clock or by their count, in the same state.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pandas as pd

from generators.base import Diverged, OnStep, StoppedBy

REPORT_EVERY_S = 0.25  # four lines a second are as much as an eye can follow
CLOCK_MARGIN = 0.02  # part of a time budget left for what comes after the last step


class Enough(Exception):
    """Ends SDV's loop; not an error."""


class Watch:
    """Counts the steps of a fit, shows them, and ends it.

    A step is one batch: the optimiser that came first (a GAN's discriminator, perhaps several times) and then all
    others (the generator).

    Args:
        plan: steps after which the fit ends.
        seconds: or the time after which it ends, counted from `began_s`; None is no limit. One step is always taken.
        began_s: of the fit, on the monotonic clock.
        num_optimizers: 2 for a GAN, 1 otherwise.
        losses: returns SDV's table of losses so far, one or more rows an epoch, None before the first.
        loss: the column of it that is shown.
        steps_per_epoch: to say in which epoch a step is.
        on_step: see `generators.base.OnStep`; the metrics also hold `epoch`, which begins at 1.

    """

    def __init__(
        self,
        *,
        plan: int,
        seconds: float | None,
        began_s: float,
        num_optimizers: int,
        losses: Callable[[], pd.DataFrame | None],
        loss: str,
        steps_per_epoch: int,
        on_step: OnStep,
    ) -> None:
        """Be ready for the first step."""
        self.plan, self.seconds, self.began_s = plan, seconds, began_s
        self.num_optimizers, self.losses, self.loss = num_optimizers, losses, loss
        self.steps_per_epoch, self.on_step = steps_per_epoch, on_step
        self.step = 0
        self.stopped_by: StoppedBy = "steps"
        self._first: Any = None
        self._last: Any = None
        self._thread = threading.get_ident()
        self._training_began_s = self._shown_s = began_s

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the torch optimisers that this thread runs inside the block, which `Enough` leaves."""
        from torch.optim.optimizer import register_optimizer_step_pre_hook  # noqa: PLC0415 - SDV brings torch

        handle = register_optimizer_step_pre_hook(self._before)
        try:
            yield
        except Enough:
            pass
        finally:
            handle.remove()

    def finish(self) -> None:
        """Show the last step, whose loss must be a number.

        Raises:
            Diverged: it is not.

        """
        self._show(self.last_loss())

    def last_loss(self) -> float | None:
        """Return the loss of the last whole epoch, None before its end.

        Raises:
            Diverged: it is no number.

        """
        table = self.losses()
        if table is None or table.empty:
            return None
        value = float(table[self.loss].iloc[-1])
        if not math.isfinite(value):
            raise Diverged(f"phase train: SDV's loss is {value} at step {self.step}")
        return value

    def history(self) -> tuple[Mapping[str, float], ...]:
        """Return a row per whole epoch: step, train_loss (SDV's own, mean over the epoch)."""
        table = self.losses()
        if table is None or table.empty:
            return ()
        epochs = table["Epoch"].astype(int)
        means = table[self.loss].astype(float).groupby(epochs).mean()
        steps = (np.sort(epochs.unique()) + 1.0) * self.steps_per_epoch
        return tuple({"step": float(step), "train_loss": float(loss)} for step, loss in zip(steps, means, strict=True))

    def _before(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        """Be called by torch before `optimizer` steps, in whatever thread."""
        if threading.get_ident() != self._thread:
            return
        if self._first is None:
            self._first = optimizer
            self._training_began_s = time.monotonic()
        elif optimizer is self._first and (self._last is not optimizer or self.num_optimizers == 1):
            self._between()
        self._last = optimizer

    def _between(self) -> None:
        """Look at the clock after a whole step."""
        self.step += 1
        now_s = time.monotonic()
        if self.step >= self.plan:
            raise Enough
        each_s = (now_s - self._training_began_s) / self.step
        if self.seconds is not None and now_s - self.began_s + each_s > self.seconds * (1 - CLOCK_MARGIN):
            self.stopped_by = "time"
            raise Enough
        if now_s - self._shown_s >= REPORT_EVERY_S:
            self._show(self.last_loss())

    def _show(self, loss: float | None) -> None:
        now_s = self._shown_s = time.monotonic()
        elapsed_s = now_s - self.began_s
        left_s = 0.0
        if self.step < self.plan and self.stopped_by != "time":
            left_s = (self.plan - self.step) * (now_s - self._training_began_s) / max(self.step, 1)
            if self.seconds is not None:
                left_s = min(left_s, max(self.seconds - elapsed_s, 0.0))
        self.on_step(
            {
                "step": self.step,
                "loss": loss,
                "best": None,
                "elapsed_s": elapsed_s,
                "left_s": left_s,
                "phase": "train",
                "epoch": max(self.step - 1, 0) // self.steps_per_epoch + 1,
            }
        )

"""How long each step of a run took, for `outcome.json` and `--json`."""

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

SECONDS: ContextVar[dict[str, float] | None] = ContextVar("seconds", default=None)
"""Step -> wall-clock seconds of the run at work; steps of several candidates are added up."""


def timed(step: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator that adds the seconds of each call to `step`."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def call(*args: P.args, **named: P.kwargs) -> R:
            with timing(step):
                return function(*args, **named)

        return call

    return decorate


@contextmanager
def timing(step: str) -> Iterator[None]:
    """Add the seconds of the block to `step`; nothing is noted where no run is at work."""
    began_s = time.monotonic()
    try:
        yield
    finally:
        seconds = SECONDS.get()
        if seconds is not None:
            seconds[step] = seconds.get(step, 0.0) + time.monotonic() - began_s


def so_far() -> dict[str, float]:
    """Return step -> seconds, in the order in which the steps ended first."""
    return {step: round(seconds, 3) for step, seconds in (SECONDS.get() or {}).items()}

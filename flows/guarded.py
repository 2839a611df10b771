"""Prefect's `task`, whose failures tell a server nothing of the data.

Prefect writes an exception's message into the state of a task and its log, and both go to the server. Ours are
written so that they may be read there; those of libraries may quote cells, so they are replaced by the name of their
class. Where it
happened stays known: the defect's log file (`flows.defects`) follows the chain of exceptions.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import prefect

from flows.errors import Defect, FlowError
from generators.base import GeneratorError
from releases.errors import ReleaseError
from sources.errors import SourceError, UserError
from validators.errors import ValidatorError

P = ParamSpec("P")
R = TypeVar("R")
OURS = (UserError, FlowError, GeneratorError, ReleaseError, SourceError, ValidatorError)


def task(**options: Any) -> "Callable[[Callable[P, R]], prefect.Task[P, R]]":
    """Return Prefect's decorator with `options`, put around the function once it is guarded."""

    def decorate(function: Callable[P, R]) -> "prefect.Task[P, R]":
        made: prefect.Task[P, R] = prefect.task(**options)(guarded(function))
        return made

    return decorate


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function`, which raises errors of our own and `Defect` in the place of any other."""

    @wraps(function)
    def inner(*arguments: P.args, **named: P.kwargs) -> R:
        try:
            return function(*arguments, **named)
        except (*OURS, MemoryError):
            raise
        except Exception as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the kernel's words and a path: a full disk, a missing right
            raise Defect(type(error).__name__) from None

    return inner

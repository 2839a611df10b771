"""What to do when memory runs out: tell that it did, and go on with fewer rows at a time."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from generators.base import GeneratorInputError

CPU_WORDS = ("can't allocate memory", "not enough memory", "cannot allocate memory", "bad_alloc")
"""How torch's allocator for the CPU says it, in a plain RuntimeError."""
REMEDY = "give the candidate a smaller network or batch_size, fewer rows, or more memory"

log = logging.getLogger(__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether `error` means that a GPU or this machine has no memory left."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in CPU_WORDS)


@contextmanager
def said_clearly(doing: str) -> Iterator[None]:
    """Turn a failed allocation in the block into an error that the user can act on.

    Args:
        doing: what the block does, for the message.

    Raises:
        GeneratorInputError: memory ran out.

    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise GeneratorInputError(f"memory ran out while {doing}", remedy=REMEDY) from error


def release() -> None:
    """Give back what torch holds of a GPU's memory without using it."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def halved(rows: int, *, fewest: int) -> int | None:
    """Return half of `rows`, even where it can be, or None where that is fewer than `fewest`.

    >>> halved(13, fewest=1), halved(3, fewest=1), halved(1, fewest=1), halved(2, fewest=2)
    (6, 1, None, None)
    """
    half = rows // 2
    half -= half % 2 if half > 1 else 0
    return half if half >= fewest else None


def rows_of(batch: Any) -> int:
    """Return the rows of a batch: a tensor, or a tuple that begins with one."""
    first = batch if isinstance(batch, Tensor) else batch[0]
    assert isinstance(first, Tensor), "a batch is a tensor, or a tuple that begins with one"
    return len(first)


def first_rows(batch: Any, rows: int | None) -> Any:
    """Return the batch cut to its first `rows`, as it is where `rows` is None; what is no tensor of them stays.

    >>> first_rows((torch.arange(4), 0.5), 2)
    (tensor([0, 1]), 0.5)
    """
    if rows is None:
        return batch
    if isinstance(batch, Tensor):
        return batch[:rows]
    whole = rows_of(batch)
    return tuple(part[:rows] if _has_rows(part, whole) else part for part in batch)


def _has_rows(part: Any, rows: int) -> bool:
    return isinstance(part, Tensor) and part.ndim > 0 and len(part) == rows

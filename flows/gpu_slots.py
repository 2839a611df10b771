"""Turns on the GPUs of one machine: a fit holds one slot while it runs, whatever run or user it belongs to.

A slot is a file in a folder that every process of the machine finds; holding it is a lock (`flock`), which the kernel
frees when its holder dies, however that happens. There is one slot for each GPU, named after the GPU itself and not
after the number that a process knows it by. A machine without GPUs has no slots, and nothing here touches its disk.

Set from outside: `UNDERSTUDY_GPU_FOLDER`, for several machines that share one GPU server's disk or for containers that
share GPUs, and `UNDERSTUDY_GPU_SLOTS`, a number of slots in all, where a GPU can carry more than one fit.
Several machines that share what a Prefect server counts: `gpu: {limit: NAME}` in the spec, a global concurrency limit.
"""

import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flows.errors import FlowInputError
from generators.device import AUTO_GPU, gpu_names

FOLDER = "UNDERSTUDY_GPU_FOLDER"
SLOTS = "UNDERSTUDY_GPU_SLOTS"
USUAL_FOLDER = Path("/tmp/understudy-gpus")  # noqa: S108 - known to all users of a machine; what lies there is empty
LOOK_EVERY_S = 0.2
MOST_SLOTS = 1024


@dataclass(frozen=True, kw_only=True)
class Slot:
    """One turn: the file whose lock is the turn, and the number of the GPU (None where there is none)."""

    path: Path
    gpu: int | None


def slots_here() -> tuple[Slot, ...]:
    """Return the slots of this machine, none where it has no GPU and no number of slots is set.

    Raises:
        FlowInputError: the number of slots is no number from 1 to `MOST_SLOTS`.

    """
    folder = Path(os.environ.get(FOLDER) or USUAL_FOLDER)
    names = gpu_names()
    given = os.environ.get(SLOTS)
    if given is None:
        return tuple(Slot(path=folder / name, gpu=number) for number, name in enumerate(names))
    if not given.isdecimal() or not 1 <= int(given) <= MOST_SLOTS:
        raise FlowInputError(f"{SLOTS}: not a number of slots", seen=given[:20], remedy=f"give 1 to {MOST_SLOTS}")
    if not names:
        return tuple(Slot(path=folder / f"slot-{number}", gpu=None) for number in range(int(given)))
    turns = ((number // len(names), number % len(names)) for number in range(int(given)))
    return tuple(Slot(path=folder / f"{names[gpu]}-{turn}", gpu=gpu) for turn, gpu in turns)


@contextmanager
def held(device: str, waiting: Callable[[], None]) -> Iterator[None]:
    """Hold a slot that suits `device` for the block, in which `auto` means its GPU; wait for one where all are taken.

    Args:
        device: as a spec writes it: `auto` and `cuda` take the first free slot, `cuda:1` those of that GPU, `cpu` none.
        waiting: called again and again while nothing is free.

    Raises:
        FlowInputError: the folder of the slots cannot be used.

    """
    suitable = _suitable(slots_here(), device)
    if not suitable:
        yield
        return
    descriptor, slot = _first_free(suitable, waiting)
    token = AUTO_GPU.set(slot.gpu)
    try:
        yield
    finally:
        AUTO_GPU.reset(token)
        os.close(descriptor)  # and with it the lock


def _suitable(slots: Sequence[Slot], device: str) -> list[Slot]:
    kind, _, number = device.partition(":")
    if kind == "cpu":
        return []
    return [slot for slot in slots if not number or slot.gpu is None or str(slot.gpu) == number]


def _first_free(slots: Sequence[Slot], waiting: Callable[[], None]) -> tuple[int, Slot]:
    while True:
        for slot in slots:
            descriptor = _opened(slot.path)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return descriptor, slot
        waiting()
        time.sleep(LOOK_EVERY_S)


def _opened(path: Path) -> int:
    """Open a slot's file for every user of the machine; a link, or anything but a file, is refused."""
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.parent.chmod(0o1777)
        try:  # first without O_CREAT, which systems refuse on other users' files in such a folder
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        except FileNotFoundError:
            descriptor = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_NOFOLLOW, 0o644)
    except OSError as error:
        raise FlowInputError(
            f"{path}: the slots of this machine's GPUs cannot be used",
            seen=error.strerror,
            remedy=f"correct the rights of this folder, or name another one for all users in {FOLDER}",
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FlowInputError(f"{path}: not a slot's file", remedy=f"remove it, or name another folder in {FOLDER}")
    return descriptor


@contextmanager
def counted_by_prefect(limit: str | None) -> Iterator[None]:
    """Hold one slot of Prefect's global concurrency limit `limit` for the block; nothing where it is None.

    The slot is a lease: when its holder is killed, the server takes it back within five minutes.

    Raises:
        FlowInputError: the server has no such limit.

    """
    if limit is None:
        yield
        return
    from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError  # noqa: PLC0415 - where one is named
    from prefect.concurrency.sync import concurrency  # noqa: PLC0415

    turn = concurrency(limit, strict=True, raise_on_lease_renewal_failure=False)  # a fit outlives a server's restart
    try:
        turn.__enter__()
    except ConcurrencySlotAcquisitionError as error:
        raise FlowInputError(
            "gpu.limit: the Prefect server has no such concurrency limit",
            seen=limit,
            remedy=f"prefect gcl create {limit} --limit 1, on the server that PREFECT_API_URL names; or leave gpu out",
        ) from error
    try:
        yield
    finally:
        turn.__exit__(None, None, None)

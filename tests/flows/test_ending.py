"""`flows.ending`: a program that swallows Ctrl-C or its termination ends all the same."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.ending import end_if_interrupted, heed_ctrl_c

PROGRAM = """
import signal, threading
from flows.ending import end_for_sure
signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
end_for_sure(0.2)
print("ready", flush=True)
while True:
    threading.Event().wait(60)
"""


def test_a_program_that_hears_its_termination_and_hangs_is_ended_with_its_code() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    began_s = time.monotonic()
    program.terminate()
    assert program.wait(timeout=30) == 143
    assert time.monotonic() - began_s >= 0.2
    assert program.stdout.read() == "heard\n"
    program.stdout.close()


@pytest.fixture
def heeding() -> Iterator[None]:
    """Have Ctrl-C heeded as the program does, and forgotten after the test."""
    before = signal.getsignal(signal.SIGINT)
    heed_ctrl_c()
    yield
    heed_ctrl_c()  # forgets
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heeding")
def test_ctrl_c_that_a_library_swallowed_strikes_again_at_the_next_step() -> None:
    end_if_interrupted()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        end_if_interrupted()


@pytest.mark.usefixtures("heeding")
def test_ctrl_c_ends_an_event_loop_whose_task_takes_no_heed_of_being_cancelled() -> None:
    async def stubborn() -> str:
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            return "went on"
        return "went on"

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(stubborn())

"""`flows.ending`: a program that swallows its termination ends all the same."""

import subprocess
import sys
import time
from pathlib import Path

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

"""What makes sure that Ctrl-C and SIGTERM end a run, wherever in a library they strike.

An exception that a signal raises can get lost: in an event loop that cancels something else instead, or in an import
that takes any failure for a missing extra. A run that goes on after Ctrl-C is therefore interrupted again at its next
step, and one that is still there long after SIGTERM is ended hard, which is safe whatever it was doing: what it writes
is whole or absent, as after SIGKILL.
"""

import os
import signal
import threading
import time
from types import FrameType

from flows.errors import Exit

GRACE_S = 30.0
"""What a run may take to end its server and its files after SIGTERM; systemd waits 90 s before it kills."""

_INTERRUPTED = threading.Event()
"""Of this process, as signals are: Ctrl-C was pressed."""


def heed_ctrl_c() -> None:
    """Raise KeyboardInterrupt at Ctrl-C as Python does, and remember it; call it in the main thread.

    Event loops leave a handler alone that is not Python's own, so the exception ends them as well.
    """
    _INTERRUPTED.clear()
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    _INTERRUPTED.set()
    raise KeyboardInterrupt


def end_if_interrupted() -> None:
    """Raise KeyboardInterrupt where Ctrl-C was pressed and the run went on; for the main thread, at every step."""
    if _INTERRUPTED.is_set() and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


def end_for_sure(grace_s: float = GRACE_S) -> None:
    """End this process `grace_s` seconds after SIGTERM if it is still there, whoever handles the signal.

    The signal's number is read from the descriptor that the interpreter writes it to, in a thread of its own, so it
    is seen even where the main thread hangs. Call it in the main thread.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)

    def watch() -> None:
        while signal.SIGTERM not in os.read(reading, 64):
            pass
        time.sleep(grace_s)
        os._exit(int(Exit.TERMINATED))

    threading.Thread(target=watch, name="end for sure", daemon=True).start()

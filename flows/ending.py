"""The last resort after SIGTERM: a run that does not end by itself is ended.

A termination can strike inside a library's event loop and leave its threads waiting for each other. Whatever the
program was doing then, ending it hard is safe: what it writes is whole or absent, as after SIGKILL.
"""

import os
import signal
import threading
import time

from flows.errors import Exit

GRACE_S = 30.0
"""What a run may take to end its server and its files after SIGTERM; systemd waits 90 s before it kills."""


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

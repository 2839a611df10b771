"""Run by `test_approval`: approves in forked children, killed at every third of their renames, removals and folders.

After each kill somebody approves in peace; prints how many versions there are then, and those that do not verify.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.approving import approve_command
from releases.verify import verify
from tests.flows.test_trust_input import asked

STRIDE = 3


def approve(run: Path, die_at: int) -> None:
    """Approve; kill this process at step `die_at`."""
    step = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal step
            if step == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            step += 1
            return original(*arguments, **named)

        return call

    for place, name in ((Path, "replace"), (Path, "rename"), (Path, "unlink"), (Path, "mkdir")):
        setattr(place, name, counted(getattr(place, name)))
    approve_command(run, who="Ben", reason="as agreed", key=None, as_json=True)


def main(to: Path) -> None:
    """Kill approvers one step later each time until one gets through."""
    signals: list[int] = []
    versions: list[int] = []
    broken: list[str] = []
    report = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what the command says is not of interest here
    while True:
        run = asked(to / str(len(signals)))
        child = os.fork()
        if child == 0:
            approve(run.path, die_at=STRIDE * len(signals) + 1)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        signals.append(os.WTERMSIG(status))
        if not (run.path / "decision.json").exists():
            approve_command(run.path, who="Cleo", reason="as agreed", key=None, as_json=True)
        made = [path.parent for path in run.releases.rglob("MANIFEST.json") if not path.parent.name.startswith(".")]
        versions.append(len(made))
        broken += [str(path) for path in made if not verify(path).ok]
    plain = {"kills": len(signals), "signals": signals, "versions": versions, "broken": broken}
    os.write(report, json.dumps(plain).encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]))

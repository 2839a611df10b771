"""Run by `test_publish`: publishes in forked children that are killed at each of their flushes and renames in turn.

Prints one JSON object: the kills, the versions that exist and do not verify, what lies about after a last writer.
"""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from releases.publish import publish
from releases.shelf import versions
from releases.verify import verify
from tests.releases.judged_sample import provenance_of, report_of, schema_of, synthetic_of
from validators.gate import decide


def write(to: Path, die_at: int | None) -> None:
    """Publish the sample; kill this process at step `die_at`."""
    step = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal step
            if step == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            step += 1
            return original(*arguments, **named)

        return call

    for place, name in ((os, "fsync"), (Path, "replace"), (Path, "rename"), (Path, "mkdir")):
        setattr(place, name, counted(getattr(place, name)))
    _publish(to)


def _publish(to: Path) -> None:
    schema = schema_of()
    report = report_of(schema)
    publish(
        to=to,
        synthetic=synthetic_of(schema),
        report=report,
        verdict=decide(report, report.policy),
        pictures=None,
        provenance=provenance_of(),
    )


def main(to: Path) -> None:
    """Kill writers one step later each time until one gets through, then let one more write in peace."""
    _publish(to / "warm")  # what is read once is read before the forks
    shelf = to / "wages"
    signals: list[int] = []
    incomplete: list[str] = []
    while True:
        child = os.fork()
        if child == 0:
            write(to, die_at=len(signals))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        found = sorted(entry.name for entry in shelf.iterdir()) if shelf.is_dir() else []
        visible = [name for name in found if not name.startswith(".") and name != "latest.json"]
        if "latest.json" in found:
            assert json.loads((shelf / "latest.json").read_text())["version"] in visible
        incomplete += [name for name in visible if not verify(shelf / name).ok]
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        signals.append(os.WTERMSIG(status))
    write(to, die_at=None)
    last = versions(shelf)[-1]
    known = {".lock", "latest.json", *versions(shelf)}
    print(  # noqa: T201 - read by the test
        json.dumps(
            {
                "kills": len(signals),
                "signals": signals,
                "incomplete": incomplete,
                "last": verify(shelf / last).ok,
                "leftovers": sorted(entry.name for entry in shelf.iterdir() if entry.name not in known),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Run by `test_signing`: signs in forked children that are killed at each of their flushes and renames in turn."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from releases.keys import SigningKey, new_key
from releases.publish import publish
from releases.signing import add_signature
from releases.verify import verify
from tests.releases.judged_sample import provenance_of, report_of, schema_of, synthetic_of
from validators.gate import decide


def sign(release: Path, key: SigningKey, die_at: int) -> None:
    """Sign; kill this process at step `die_at`."""
    step = 0

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal step
            if step == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            step += 1
            return original(*arguments, **named)

        return call

    for place, name in ((os, "fsync"), (Path, "replace"), (Path, "mkdir"), (Path, "write_bytes")):
        setattr(place, name, counted(getattr(place, name)))
    add_signature(release, key)


def main(to: Path) -> None:
    """Kill signers one step later each time until one gets through, then let one more sign in peace."""
    schema = schema_of()
    report = report_of(schema)
    first, last = new_key(), new_key()
    release = publish(
        to=to,
        synthetic=synthetic_of(schema),
        report=report,
        verdict=decide(report, report.policy),
        pictures=None,
        provenance=provenance_of(),
        signers=[first],
    )
    signals: list[int] = []
    broken: list[int] = []
    while True:
        child = os.fork()
        if child == 0:  # a kill after the rename leaves a signature, so each signer is another one
            sign(release, new_key(), die_at=len(signals))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not verify(release, keys=[first.public]).ok:
            broken.append(len(signals))
        if not os.WIFSIGNALED(status):
            assert os.WEXITSTATUS(status) == 0
            break
        signals.append(os.WTERMSIG(status))
    add_signature(release, last)
    print(  # noqa: T201 - read by the test
        json.dumps(
            {
                "kills": len(signals),
                "signals": signals,
                "broken": broken,
                "last": verify(release, keys=[first.public, last.public]).ok,
                "leftovers": sorted(entry.name for entry in release.parent.iterdir() if entry.name.startswith(".st")),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))

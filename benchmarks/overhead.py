"""What a run costs beside fitting, sampling and judging: imports, server, reading, publishing, exit.

    python benchmarks/overhead.py --spec examples/affairs.yaml --steps 200 --repeat 3

Each repetition is one `understudy run` in an empty folder, without a Prefect server to report to. Wall clock of the
whole process, less the seconds of `fit`, `sample` and `judge` that the run itself notes in outcome.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ("fit", "sample", "judge")


def measured(spec: str, steps: int) -> dict[str, float]:
    """Return step -> seconds of one run, with `total`, `overhead`, and `other` for what no step names."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    with tempfile.TemporaryDirectory() as folder:
        began_s = time.monotonic()
        command = [sys.executable, "-m", "flows.cli", "run", spec, "--quiet", "--out", folder]
        done = subprocess.run(
            [*command, "--set", f"budget={{steps: {steps}}}"],
            cwd=ROOT,
            env={**own, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        total_s = time.monotonic() - began_s
        (outcome,) = Path(folder).glob("runs/*/outcome.json")
        seconds = dict(json.loads(outcome.read_text())["seconds"])
    assert done.returncode in (0, 3, 4), done.returncode
    return {
        **seconds,
        "other": total_s - sum(seconds.values()),
        "total": total_s,
        "overhead": total_s - sum(seconds[step] for step in WORK),
    }


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", default="examples/affairs.yaml")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    given = parser.parse_args()
    runs = [measured(given.spec, given.steps) for _ in range(given.repeat)]
    print("| s |" + "".join(f" {number + 1} |" for number in range(len(runs))))
    print("| --- |" + " --- |" * len(runs))
    for step in runs[0]:
        print(f"| {step} |" + "".join(f" {run.get(step, 0.0):.1f} |" for run in runs))


if __name__ == "__main__":
    main()

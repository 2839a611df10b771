"""Fit a public synthesizer in an environment of its own; `benchmarks/tabular.py --peers` runs this with its Python.

    python3.11 -m venv /tmp/mostlyai && /tmp/mostlyai/bin/pip install mostlyai-engine
    python benchmarks/tabular.py ... --peers mostlyai=/tmp/mostlyai/bin/python

Every peer runs with its documented defaults, in a process of its own; nothing of this project is imported here, so that
neither's pins touch the other's. The seconds are its fit and its draw, the memory is the whole process.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

Draw = Callable[[int], pd.DataFrame]


def mostlyai(train: pd.DataFrame, seed: int) -> Draw:
    """Fit TabularARGN of mostlyai-engine (arXiv 2501.12012)."""
    from mostlyai.engine import TabularARGN, set_random_state  # noqa: PLC0415 - in its environment alone

    set_random_state(seed)
    model = TabularARGN(verbose=0)
    model.fit(train)
    return lambda n: model.sample(n_samples=n)


PEERS: dict[str, Callable[[pd.DataFrame, int], Draw]] = {"mostlyai": mostlyai}


def main() -> None:
    """Fit one peer with one seed, write the sample and what it cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=sorted(PEERS), required=True)
    parser.add_argument("--train", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--sample", type=Path, required=True)
    args = parser.parse_args()
    train = pd.read_parquet(args.train)
    start = time.perf_counter()
    draw = PEERS[args.peer](train, args.seed)
    fitted = time.perf_counter()
    sample = draw(len(train))
    done = time.perf_counter()
    sample[list(train.columns)].to_parquet(args.sample)
    cost = {
        "fit s": fitted - start,
        "sample s": done - fitted,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    args.sample.with_suffix(".json").write_text(json.dumps(cost))


if __name__ == "__main__":
    main()

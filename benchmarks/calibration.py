"""Are the p-values of the gate's tests uniform where they should be? Kolmogorov and Smirnov's answer for each test.

    python benchmarks/calibration.py --seeds 1000 --out calibration.jsonl
    python benchmarks/calibration.py --summary calibration.jsonl

Each test is drawn `--seeds` times under a law at the edge of what it tolerates (`benchmarks/known_nulls.py`), with the
validators' own functions. Tests that are larger than uniform by construction are asked one-sidedly not to be smaller.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ["OMP_NUM_THREADS"] = "1"
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402 - the number of threads must be set first
from known_nulls import NULLS, Null  # noqa: E402
from scipy import stats  # noqa: E402

LEVELS = (0.01, 0.05, 0.2)


def drawn(null: Null, seeds: int, first: int = 0) -> np.ndarray:
    """Return the p-values (float, at most `seeds`; draws that say nothing are left out)."""
    found = [null.draw(np.random.default_rng([seed, *null.test.encode()])) for seed in range(first, first + seeds)]
    return np.array([p for p in found if p is not None])


def not_smaller(ps: np.ndarray, upto: float = LEVELS[-1]) -> float:
    """Return a p-value of `nowhere up to upto are more p-values below a level than the level says`.

    It is Smirnov's one-sided test with the largest excess taken over that part alone, where a gate decides: a law that
    varies less than its test assumes gives fewer small p-values and more middling ones.
    """
    ordered = np.sort(ps)
    excess = np.arange(1, len(ps) + 1) / len(ps) - ordered
    most = float(excess[ordered <= upto].max(initial=0.0))
    return float(stats.ksone.sf(most, len(ps)))


def line_of(null: Null, ps: np.ndarray) -> dict[str, Any]:
    """Return what is told of one test, as plain JSON values."""
    return {
        "measurements": null.measurements,
        "test": null.test,
        "law": null.law,
        "rounded": null.rounded,
        "draws": len(ps),
        "under": {str(level): float(np.mean(ps <= level)) for level in LEVELS},
        "ks": float(stats.kstest(ps, "uniform").pvalue),
        "not_smaller": not_smaller(ps),
    }


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Return the lines as a Markdown table, worst first among equals of a kind."""
    head = ["| measurement | test | null | draws | ≤ .01 | ≤ .05 | ≤ .2 | KS p, uniform | not smaller up to .2 |"]
    head.append("|---|---|---|---|---|---|---|---|---|")
    rows = []
    for line in lines:
        under = " | ".join(f"{line['under'][str(level)]:.3f}" for level in LEVELS)
        uniform = f"{line['ks']:.3f}" if line["rounded"] is None else f"({line['rounded']})"
        rows.append(
            f"| {line['measurements']} | {line['test']} | {line['law']} | {line['draws']} | {under} | {uniform} | "
            f"{line['not_smaller']:.3f} |"
        )
    exact = [line for line in lines if line["rounded"] is None]
    fit = sum(line["ks"] > 0.01 for line in exact)
    safe = sum(line["not_smaller"] > 0.01 for line in lines)
    told = f"\nUniform at KS p > 0.01: {fit} of {len(exact)}. Not smaller than uniform: {safe} of {len(lines)}."
    return "\n".join([*head, *rows, told])


def main() -> None:
    """Draw the nulls, or print the table of an output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", default="", help="a part of a measurement's name")
    parser.add_argument("--without", nargs="*", default=[], help="names of measurements")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--summary", type=Path)
    args = parser.parse_args()
    if args.summary:
        print(table([json.loads(line) for line in args.summary.read_text().splitlines()]))
        return
    lines = []
    for null in NULLS:
        if args.only not in null.measurements or null.measurements in args.without:
            continue
        started = time.perf_counter()
        lines.append(line_of(null, drawn(null, args.seeds, args.first)))
        lines[-1]["seconds"] = round(time.perf_counter() - started, 1)
        if args.out:
            with args.out.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    print(table(lines))


if __name__ == "__main__":
    main()

"""Fit tabular families on a table, sample as many rows as it has, and score them beside fresh real rows.

    python benchmarks/tabular.py --train adult/train.parquet --test adult/test.parquet --target income \
        --families tabular.autoregressive tabular.vae --minutes 3 --seeds 0 1 2 --out docs/benchmarks/rows.json

`--peers mostlyai=/its/environment/bin/python` fits public synthesizers beside them, see `peers.py`.
`--data one.parquet` in place of train and test drops the columns of `--drop` (row numbers, ids), de-duplicates,
shuffles with seed 0 and takes 80 % for training.
Each fit runs in a process of its own: the seconds are its `fit` and `sample` calls, the memory is the whole process.
The test part selects nothing; it is read by the scores alone.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402 - the thread policy must be set first
import pandas as pd  # noqa: E402


def fit_one(args: argparse.Namespace) -> None:
    """Fit one family with one seed, write the sample and what it cost (the child process)."""
    from generators.base import Budget, ignore_step  # noqa: PLC0415 - in the child alone
    from generators.registry import SYNTHESIZERS  # noqa: PLC0415
    from sources.conform import conform, to_storage  # noqa: PLC0415
    from sources.inference import infer_schema  # noqa: PLC0415

    frame = pd.read_parquet(args.train)
    train = conform(frame, infer_schema(frame))
    family = SYNTHESIZERS[args.families[0]]
    options = json.loads(args.config)
    if args.device and "device" in getattr(family.config, "__dataclass_fields__", {}):
        options["device"] = args.device
    synthesizer = family.build(family.config(**options))
    budget = Budget(seconds=60 * args.minutes if args.minutes else None, steps=args.steps)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = synthesizer.fit(train, seed=args.seeds[0], budget=budget, run_dir=Path(folder), on_step=ignore_step)
    fitted = time.perf_counter()
    sample = synthesizer.sample(len(frame), seed=args.seeds[0] + 1)
    done = time.perf_counter()
    to_storage(sample).to_parquet(args.sample)
    cost = {
        "fit s": fitted - start,
        "sample s": done - fitted,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "steps": report.steps,
        "stopped by": report.stopped_by,
        "parameters": report.parameters,
        "device": report.device,
        "precision": report.precision,
    }
    Path(args.sample).with_suffix(".json").write_text(json.dumps(cost))


def main() -> None:
    """Run every family with every seed, print a Markdown table of medians, write all rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="one table, to be split 80/20")
    parser.add_argument("--train")
    parser.add_argument("--test")
    parser.add_argument("--drop", nargs="*", default=[], help="columns of --data to leave out")
    parser.add_argument("--target", help="a column of two labels, for TSTR")
    parser.add_argument("--families", nargs="+", default=["tabular.autoregressive"])
    parser.add_argument("--peers", nargs="*", default=[], help="name=python of its environment, see peers.py")
    parser.add_argument("--config", default="{}", help="JSON of the family's options")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--device", default="")
    parser.add_argument("--out", help="JSON file for all rows")
    parser.add_argument("--sample", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.sample:
        fit_one(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = run(args, Path(folder))
    table = pd.DataFrame(rows)
    if args.out:
        Path(args.out).write_text(json.dumps(rows, indent=1))
    numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name]) and name != "seed"]
    medians = table.groupby("family", sort=False)[numbers].median()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {len(args.seeds)} seeds, medians\n")
    print("| family | " + " | ".join(numbers) + " |")
    print("|---" * (len(numbers) + 1) + "|")
    for family, row in medians.iterrows():
        cells = ["" if np.isnan(row[name]) else f"{row[name]:.4g}" for name in numbers]
        print(f"| {family} | " + " | ".join(cells) + " |")


def run(args: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Return one row of costs and scores a fit, the fresh real rows first."""
    from scores import all_scores  # noqa: PLC0415 - slow to import

    if args.data:
        whole = pd.read_parquet(args.data).drop(columns=args.drop).drop_duplicates()
        whole = whole.sample(frac=1.0, random_state=0).reset_index(drop=True)
        cut = int(0.8 * len(whole))
        train, test = whole.iloc[:cut].reset_index(drop=True), whole.iloc[cut:].reset_index(drop=True)
    else:
        train, test = pd.read_parquet(args.train), pd.read_parquet(args.test)
    train.to_parquet(folder / "train.parquet")
    rows: list[dict[str, object]] = [{"family": "fresh real rows"} | all_scores(train, test, test, target=args.target)]
    for name in ("dcr share", "c2st fresh"):  # they compare with the test part, which these rows are
        rows[0].pop(name)
    if args.target:
        from scores import tstr_auc  # noqa: PLC0415

        rows[0]["tstr"] = tstr_auc(train, test, args.target)
    peers = dict(peer.split("=", maxsplit=1) for peer in args.peers)
    for family in (*args.families, *peers):
        for seed in args.seeds:
            sample = folder / f"{family}-{seed}.parquet"
            paths = ["--train", str(folder / "train.parquet"), "--sample", str(sample)]
            if family in peers:
                command = [peers[family], str(ROOT / "benchmarks" / "peers.py"), "--peer", family, "--seed", str(seed)]
            else:
                command = [sys.executable, __file__, "--families", family, "--seeds", str(seed)]
                command += ["--config", args.config, "--device", args.device]
                command += ["--minutes", str(args.minutes)] if args.minutes else []
                command += ["--steps", str(args.steps)] if args.steps else []
            subprocess.run([*command, *paths], check=True, cwd=ROOT)
            synthetic = pd.read_parquet(sample).astype(train.dtypes.to_dict())
            cost = json.loads(sample.with_suffix(".json").read_text())
            scores = all_scores(train, test, synthetic, target=args.target)
            rows.append({"family": family, "seed": seed} | scores | cost)
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    return rows


if __name__ == "__main__":
    main()

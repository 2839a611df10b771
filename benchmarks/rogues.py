"""Known answers for `understudy judge`: fresh real rows pass, six kinds of rubbish are refused for the right reason.

    python benchmarks/rogues.py --data adult/train.parquet --target income --protected sex race --seeds 0 1 2

A table is shuffled and cut into train (half), holdout (a quarter) and fresh rows (a quarter), the perfect generator.
Each case is judged by the command line in a process of its own, as a user would.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent

NUM_LABELS = 20
"""A number of more values than these is a quantity, and its groups are quarters."""

Rogue = Callable[[pd.DataFrame, pd.DataFrame, argparse.Namespace, np.random.Generator], pd.DataFrame]


def verbatim(train: pd.DataFrame, fresh: pd.DataFrame, _: argparse.Namespace, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of train, shuffled."""
    return train.iloc[rng.permutation(len(train))[: len(fresh)]]


def copies(share: float) -> Rogue:
    """Fresh rows of which `share` are rows of train."""

    def rogue(
        train: pd.DataFrame, fresh: pd.DataFrame, _: argparse.Namespace, rng: np.random.Generator
    ) -> pd.DataFrame:
        k = round(share * len(fresh))
        return pd.concat([fresh.iloc[k:], train.iloc[rng.permutation(len(train))[:k]]])

    return rogue


def independent(_: pd.DataFrame, fresh: pd.DataFrame, __: argparse.Namespace, rng: np.random.Generator) -> pd.DataFrame:
    """Every column shuffled by itself: perfect marginals, no structure."""
    columns = {name: fresh[name].to_numpy()[rng.permutation(len(fresh))] for name in fresh}
    return pd.DataFrame(columns, columns=fresh.columns).astype(fresh.dtypes.to_dict())


def flipped(_: pd.DataFrame, fresh: pd.DataFrame, args: argparse.Namespace, rng: np.random.Generator) -> pd.DataFrame:
    """A fifth of the labels are another label."""
    labels = fresh[args.target].unique()
    other = {label: labels[(i + 1) % len(labels)] for i, label in enumerate(labels)}
    hit = rng.random(len(fresh)) < 0.2
    changed = fresh[args.target].map(other).astype(fresh[args.target].dtype)
    return fresh.assign(**{args.target: fresh[args.target].where(~hit, changed)})


def erased(_: pd.DataFrame, fresh: pd.DataFrame, args: argparse.Namespace, __: np.random.Generator) -> pd.DataFrame:
    """The smallest group of at least 5 % of the first protected column is gone; of a number, its highest quarter."""
    column = fresh[args.protected[0]]
    if pd.api.types.is_numeric_dtype(column) and column.nunique() > NUM_LABELS:
        return fresh[~(column > column.quantile(0.75))]
    shares = column.value_counts(normalize=True)
    return fresh[column != shares[shares >= 0.05].index[-1]]


CASES: dict[str, tuple[Rogue | None, set[str]]] = {
    "fresh real rows": (None, set()),
    "verbatim copies": (verbatim, {"privacy"}),
    "5 % copies": (copies(0.05), {"privacy"}),
    "1 % copies": (copies(0.01), {"privacy"}),
    "independent columns": (independent, {"fidelity"}),
    "20 % labels flipped": (flipped, {"fidelity", "bias"}),
    "a group erased": (erased, {"bias"}),
}


def judged(parts: dict[str, pd.DataFrame], args: argparse.Namespace, folder: Path) -> tuple[int, float, list[str]]:
    """Return exit code, seconds and the families that refused."""
    command = [str(Path(sys.executable).parent / "understudy"), "judge", "--json", "--report", str(folder / "report")]
    command += ["--out", str(folder)]
    for name, frame in parts.items():
        path = folder / f"{name}.parquet"
        frame.reset_index(drop=True).to_parquet(path)
        command += [f"--{name}", str(path)]
    command += ["--target", args.target] if args.target else []
    for name in args.protected:
        command += ["--protected", name]
    start = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode not in {0, 3, 4}:
        print(done.stdout, done.stderr, file=sys.stderr)
        return done.returncode, seconds, []
    reasons = json.loads(done.stdout)["reasons"]
    return done.returncode, seconds, [f"{reason['family']}:{reason['name']}" for reason in reasons]


def main() -> None:
    """Print a Markdown row for each case and table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--target")
    parser.add_argument("--protected", nargs="*", default=[])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    table = pd.concat([pd.read_parquet(path) for path in args.data], ignore_index=True)
    print("| case | seed | exit | right | s | reasons |\n|---|---|---|---|---|---|")
    for seed in args.seeds:
        rng = np.random.default_rng(seed)
        rows = table.iloc[rng.permutation(len(table))].reset_index(drop=True)
        half, rest = len(rows) // 2, 3 * len(rows) // 4
        train, holdout, fresh = rows.iloc[:half], rows.iloc[half:rest], rows.iloc[rest:]
        for case in args.cases:
            rogue, families = CASES[case]
            if case == "a group erased" and not args.protected:
                continue
            synthetic = fresh if rogue is None else rogue(train, fresh, args, rng)
            with tempfile.TemporaryDirectory() as folder:
                parts = {"train": train, "holdout": holdout, "synthetic": synthetic}
                code, seconds, reasons = judged(parts, args, Path(folder))
            named = {reason.split(":")[0] for reason in reasons}
            right = code in {0, 4} if rogue is None else code == 3 and bool(families & named)
            shown = ", ".join(sorted(set(reasons)))
            print(
                f"| {case} | {seed} | {code} | {'yes' if right else 'no'} | {seconds:.0f} | {shown} |",
                flush=True,
            )


if __name__ == "__main__":
    main()

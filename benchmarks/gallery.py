"""Known answers for the gate: how often is each kind of rubbish refused, for the right reason, and fresh data not?

    python benchmarks/gallery.py --table adult=adult/train.parquet,adult/test.parquet:income:race,sex \
        --table simulated --rows 3000 --seeds 0-19 --jobs 2 --out gallery.jsonl
    python benchmarks/gallery.py --summary gallery.jsonl

Each draw cuts a table anew into train, holdout and fresh rows of equal size (`benchmarks/known_answers.py`). Every
judgement is one line of the output, which a second call with the same arguments continues. `--peers sdmetrics` adds
what SDMetrics says of the same rows, `--unjudged` leaves our own judgement out. `--summary` prints the tables: verdicts
by kind, p-values of fresh rows, peers and what the best threshold on their scores would refuse.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
os.environ["OMP_NUM_THREADS"] = "1"
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

import numpy as np  # noqa: E402 - the number of threads must be set first
import pandas as pd  # noqa: E402
from known_answers import KINDS, Draw, Population, drawn, simulated  # noqa: E402
from scipy import stats  # noqa: E402

from flows.judging import judge_table  # noqa: E402
from flows.progress import Silent  # noqa: E402
from sources.bundled import load  # noqa: E402
from sources.conform import conform  # noqa: E402
from sources.inference import infer_common  # noqa: E402
from sources.overrides import ColumnOverrides, SchemaOverrides  # noqa: E402
from validators.limits.limits import LIMITS  # noqa: E402
from validators.measurement import Status  # noqa: E402
from validators.policy import Policy  # noqa: E402

FRESH = "fresh real rows"
NUM_PEER_ROWS = 1_000  # that peers look at where they compare rows with rows
LOST = 0.05  # of fresh rows, that a threshold on a peer's score may refuse


def population_of(given: str) -> Population:
    """Return the table of `name=file[,file]:target[:protected,...]`, `simulated`, or `survey` (Fair's)."""
    if given == "simulated":
        return simulated()
    if given == "survey":
        table = load("statsmodels", "fair")
        table = table.assign(affair=np.where(table.pop("affairs") > 0, "yes", "no").astype(object))
        return Population(name="survey", table=table, target="affair", protected=("religious", "age"))
    name, rest = given.split("=", 1)
    files, target, *protected = rest.split(":")
    table = pd.concat([pd.read_parquet(file) for file in files.split(",")], ignore_index=True)
    names = tuple(protected[0].split(",")) if protected and protected[0] else ()
    return Population(name=name, table=table, target=target, protected=names)


def judged(draw: Draw, table: pd.DataFrame, policy: str, seed: int) -> dict[str, Any]:
    """Return what the judge says of `table` against the real rows of `draw`, as plain JSON values."""
    roles = {name: ColumnOverrides(role="protected") for name in draw.population.protected}
    roles[draw.population.target] = ColumnOverrides(role="target")
    schema = infer_common([draw.train, draw.holdout], SchemaOverrides(columns=roles))
    started = time.perf_counter()
    with Silent().bars("", ("checks",)) as bars:
        judgement = judge_table(
            table.reset_index(drop=True),
            train=conform(draw.train, schema),
            holdout=conform(draw.holdout, schema),
            reference=None,
            policy=Policy.preset(policy),
            seed=seed,
            bars=bars,
            name="checks",
        )
    reasons = judgement.verdict.reasons
    return {
        "outcome": judgement.verdict.outcome.value,
        "failed": sorted({f"{one.family}:{one.name}" for one in reasons if one.status is Status.FAIL}),
        "doubted": sorted({f"{one.family}:{one.name}" for one in reasons if one.status is Status.INCONCLUSIVE}),
        "invalid": sorted({f"{one.family}:{one.name}" for one in reasons if one.status is Status.INVALID}),
        "seconds": round(time.perf_counter() - started, 2),
        "values": [[m.name, m.subject, m.value, m.low, m.high, m.reference] for m in judgement.report.measurements],
    }


def peers(draw: Draw, table: pd.DataFrame) -> dict[str, float]:
    """Return the scores that SDMetrics gives `table`, 1 best: quality, detection, new rows, distances to real rows."""
    from sdmetrics.reports.single_table import QualityReport  # noqa: PLC0415 - heavy, and for `--peers` alone
    from sdmetrics.single_table import (  # noqa: PLC0415
        DCRBaselineProtection,
        DCROverfittingProtection,
        LogisticDetection,
        NewRowSynthesis,
    )

    kinds = {
        name: {"sdtype": "numerical" if name in draw.quantities else "categorical"}
        for name in draw.train
        if not pd.api.types.is_datetime64_any_dtype(draw.train[name])
        and (name in draw.quantities or draw.train[name].nunique() < len(draw.train) / 10)
    }
    metadata = {"columns": kinds}
    real, made, other = (part[list(kinds)].reset_index(drop=True) for part in (draw.train, table, draw.holdout))
    report = QualityReport()
    report.generate(real, made, metadata, verbose=False)
    protection = DCROverfittingProtection.compute_breakdown(
        real, made, other, metadata, num_rows_subsample=NUM_PEER_ROWS
    )
    baseline = DCRBaselineProtection.compute_breakdown(real, made, metadata, num_rows_subsample=NUM_PEER_ROWS)
    return {
        "QualityReport": float(report.get_score()),
        "LogisticDetection": float(LogisticDetection.compute(other, made, metadata)),
        "NewRowSynthesis": float(NewRowSynthesis.compute(real, made, metadata, synthetic_sample_size=NUM_PEER_ROWS)),
        "DCRBaselineProtection": float(baseline["score"]),
        "DCROverfittingProtection": float(protection["score"]),
    }


def one_draw(given: str, seed: int, kinds: list[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a line for each kind that the table can have."""
    population = population_of(given)
    draw = drawn(population, args.rows, np.random.default_rng([seed, 0]))
    lines = []
    for kind in kinds:
        table = KINDS[kind].make(draw, np.random.default_rng([seed, 1]))
        line = {"table": population.name, "kind": kind, "seed": seed, "rows": len(draw.train)}
        if table is None:
            lines.append({**line, "outcome": None})
            continue
        line |= {"outcome": "UNJUDGED"} if args.unjudged else judged(draw, table, args.policy, seed)
        if args.peers and KINDS[kind].must == "refuse":
            line["peers"] = peers(draw, table) if list(table) == list(draw.train) and len(table) > 1 else {}
        elif args.peers and kind == FRESH:
            line["peers"] = peers(draw, table)
        lines.append(line)
    return lines


def right(line: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether the gate answered as it must, and whether it named a right family (where one is asked for)."""
    kind = KINDS[line["kind"]]
    if kind.must == "pass":
        return line["outcome"] == "PASS", line["outcome"] == "PASS"
    if kind.must == "not pass":
        return line["outcome"] != "PASS", line["outcome"] != "PASS"
    families = {reason.split(":")[0] for reason in line["failed"]}
    refused = line["outcome"] == "REFUSE"
    return refused, refused and bool(families & kind.families)


def summary(lines: list[dict[str, Any]]) -> None:
    """Print the tables of the results as Markdown."""
    if any(line["outcome"] == "UNJUDGED" for line in lines):
        _peers(lines)
        return
    tables = sorted({line["table"] for line in lines})
    print(f"\n| kind | must | runs | refused | right reason | passed | {' | '.join(tables)} |")
    print("|---|---|---|---|---|---|" + "---|" * len(tables))
    rogues: list[tuple[bool, bool]] = []
    for kind, known in KINDS.items():
        found = [line for line in lines if line["kind"] == kind and line["outcome"]]
        if not found:
            continue
        outcomes = Counter(line["outcome"] for line in found)
        answers = [right(line) for line in found]
        if known.must == "refuse":
            rogues += answers
        cells = []
        for table in tables:
            at = [right(line)[0] for line in found if line["table"] == table]
            cells.append(f"{sum(at)}/{len(at)}" if at else "")
        shares = f"{outcomes['REFUSE'] / len(found):.1%} | {sum(reason for _, reason in answers) / len(found):.1%}"
        print(
            f"| {kind} | {known.must} | {len(found)} | {shares} | {outcomes['PASS'] / len(found):.1%} | "
            + " | ".join(cells)
            + " |"
        )
    if rogues:
        refused, reasons = np.mean(rogues, axis=0)
        print(f"\nRogues: {len(rogues)} runs, refused {refused:.2%}, for the right reason {reasons:.2%}.")
    _fresh(lines)
    _peers(lines)


def _fresh(lines: Iterable[Mapping[str, Any]]) -> None:
    """Print what keeps fresh rows from passing, and how p-values of fresh rows are spread."""
    found = [line for line in lines if line["kind"] == FRESH and line["outcome"]]
    if not found:
        return
    outcomes = Counter(line["outcome"] for line in found)
    print(
        f"\nFresh real rows: {len(found)} runs, " + ", ".join(f"{n} {name}" for name, n in outcomes.most_common()) + "."
    )
    why = Counter(
        f"{word} {reason}" for line in found for word in ("failed", "doubted", "invalid") for reason in line[word]
    )
    for reason, n in why.most_common():
        print(f"- {reason}: {n}")
    values = defaultdict(list)
    for line in found:
        smallest: dict[str, float] = {}
        for name, _, value, *_ in line["values"]:
            if value is not None and LIMITS[name].reason.startswith("A p-value"):
                smallest[name] = min(value, smallest.get(name, 1.0))
        for name, value in smallest.items():
            values[name].append(value)
    print("\n| p-value of fresh rows | runs | under .01 | under .05 | under .2 | KS p, not smaller than uniform |")
    print("|---|---|---|---|---|---|")
    for name, found_values in sorted(values.items()):
        p = np.array(found_values)
        shares = " | ".join(f"{np.mean(p < level):.3f}" for level in (0.01, 0.05, 0.2))
        # One-sided: p-values with a tolerance, or of counts, are larger than uniform ones, which refuses too little.
        print(f"| {name} | {len(p)} | {shares} | {stats.kstest(p, 'uniform', alternative='greater').pvalue:.3f} |")
    print(f"\nSeconds a judgement: median {np.median([line['seconds'] for line in found]):.1f}.")


def _peers(lines: Iterable[Mapping[str, Any]]) -> None:
    """Print the median score of each kind, and how often it is no worse than the worst tenth of fresh rows."""
    found = [line for line in lines if line.get("peers")]
    if not found:
        return
    names = list(found[0]["peers"])
    scores: dict[tuple[str, str], list[float]] = defaultdict(list)
    for line in found:
        for name, value in line["peers"].items():
            scores[line["kind"], name].append(value)
    print("\n| SDMetrics, median (share that scores like fresh rows) | " + " | ".join(names) + " |")
    print("|---|" + "---|" * len(names))
    floors = {
        (line["table"], name): np.quantile(
            [one["peers"][name] for one in found if one["kind"] == FRESH and one["table"] == line["table"]], 0.1
        )
        for line in found
        if line["kind"] == FRESH
        for name in names
    }
    for kind in KINDS:
        at = [line for line in found if line["kind"] == kind]
        if not at:
            continue
        cells = []
        for name in names:
            alike = np.mean([line["peers"][name] >= floors.get((line["table"], name), np.inf) for line in at])
            cells.append(f"{np.median(scores[kind, name]):.3f} ({alike:.0%})")
        print(f"| {kind} | " + " | ".join(cells) + " |")
    _thresholds(found, names)


def _thresholds(found: Sequence[Mapping[str, Any]], names: Sequence[str]) -> None:
    """Print how many rogues each score would refuse with the threshold that the fresh rows themselves suggest."""
    print(
        f"\n| a threshold that refuses at most {LOST:.0%} of fresh rows would refuse of rogues | one for all tables |",
        end="",
    )
    print(" one for each table |\n|---|---|---|")
    rogues = [line for line in found if KINDS[line["kind"]].must == "refuse"]
    for name in names:
        shares = []
        for apart in (False, True):
            floors = {line["table"]: _floor(found, name, line["table"] if apart else None) for line in found}
            shares.append(np.mean([line["peers"][name] < floors[line["table"]] for line in rogues]))
        print(f"| {name} | {shares[0]:.0%} | {shares[1]:.0%} |")
    ours = [line["outcome"] == "REFUSE" for line in rogues if line["outcome"] != "UNJUDGED"]
    if ours:
        print(f"| this gate | {np.mean(ours):.0%} | {np.mean(ours):.0%} |")


def _floor(found: Iterable[Mapping[str, Any]], name: str, table: str | None) -> float:
    """Return the score below which `LOST` of the fresh rows (of one table, or of all) lie."""
    fresh = [line["peers"][name] for line in found if line["kind"] == FRESH and table in (None, line["table"])]
    return float(np.quantile(fresh, LOST, method="lower")) if fresh else -np.inf


def main() -> None:
    """Run the draws that the output lacks, or print the summary of an output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--table", action="append", default=[], help="name=file[,file]:target[:protected], simulated, survey"
    )
    parser.add_argument("--rows", type=int, default=3000, help="rows of each of the three parts")
    parser.add_argument("--seeds", default="0-4", help="first-last")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--policy", default="standard")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--peers", nargs="?", const="sdmetrics", choices=["sdmetrics"], help="their scores beside")
    parser.add_argument("--unjudged", action="store_true", help="peers' scores alone")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--summary", type=Path, nargs="+")
    args = parser.parse_args()
    if args.summary:
        summary([json.loads(line) for file in args.summary for line in file.read_text().splitlines()])
        return
    known = args.out.read_text().splitlines() if args.out and args.out.exists() else []
    done = {(line["table"], line["seed"], line["kind"]) for line in map(json.loads, known)}
    first, last = (int(end) for end in args.seeds.split("-"))
    work = [
        (given, seed, [kind for kind in args.kinds if (given.split("=")[0], seed, kind) not in done])
        for seed in range(first, last + 1)
        for given in args.table
    ]
    with ProcessPoolExecutor(args.jobs) as pool:
        futures = [pool.submit(one_draw, given, seed, kinds, args) for given, seed, kinds in work if kinds]
        for future in futures:
            for line in future.result():
                text = json.dumps(line)
                if args.out:
                    with args.out.open("a") as file:
                        file.write(text + "\n")
                else:
                    print(text[:300])


if __name__ == "__main__":
    main()

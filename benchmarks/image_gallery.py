"""Known answers for the judges of pictures: is each kind of rubbish refused, for the right reason, and nothing fresh?

    python benchmarks/image_gallery.py --data mnist=folder/of/npz --data digits --seeds 0-2 --out images.jsonl
    python benchmarks/image_gallery.py --summary images.jsonl

Each draw cuts a set of pictures anew into train, holdout, reference and fresh ones (`benchmarks/known_pictures.py`).
Every judgement is one line of the output, which a second call with the same arguments continues. Kinds that hold
memorised pictures tell how many of them were found and how many others were taken for such. `--privacy` runs the judges
of privacy alone, which need no network: for the recall at many seeds. `--together 0.01` plants a hundredth of every
disguise at once, for the recall of each in one judgement.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np  # noqa: E402 - the threads' policy must be set first
import pandas as pd  # noqa: E402
from known_pictures import KINDS, PictureDraw, Pictures, drawn, leaked_together, population  # noqa: E402

from sources.dataset import Dataset  # noqa: E402
from sources.schema import Column, Schema  # noqa: E402
from validators.evidence import Evidence  # noqa: E402
from validators.gate import decide  # noqa: E402
from validators.judge import judge  # noqa: E402
from validators.measurement import Status  # noqa: E402
from validators.policy import Policy  # noqa: E402
from validators.registry import VALIDATORS, Validator  # noqa: E402

PRIVACY = ("privacy.image_matches", "privacy.image_copies")
LEAK = KINDS["1% exact"]


def evidence_of(draw: PictureDraw, made: Pictures) -> Evidence:
    """Return what the judge sees: train, holdout cut into holdout and reference (4 : 3), the pictures made."""
    height, width, channels = draw.train.images.shape[1:]
    schema = Schema(
        columns=(
            Column(name="image", kind="image", storage="uint8", shape=(height, width, channels)),
            Column(name="label", kind="categorical", role="target"),
        )
    )

    def dataset(part: Pictures) -> Dataset:
        frame = pd.DataFrame({"image": np.arange(len(part.images)), "label": pd.Series(part.labels, dtype=object)})
        return Dataset(frame=frame, schema=schema, media={"image": part.images})

    cut = len(draw.holdout.images) * 4 // 7
    held = np.arange(len(draw.holdout.images))
    return Evidence(
        train=dataset(draw.train),
        holdout=dataset(draw.holdout.take(held[:cut])),
        reference=dataset(draw.holdout.take(held[cut:])),
        synthetic=dataset(made),
        schema=schema,
        policy=Policy.preset("standard"),
    )


def judged(draw: PictureDraw, made: Pictures, seed: int, validators: Mapping[str, Validator]) -> dict[str, Any]:
    """Return what the judges say of the pictures, as plain JSON values."""
    started = time.perf_counter()
    evidence = evidence_of(draw, made)
    report = judge(evidence, seed=seed, validators=validators)
    found = report.measurements
    named = {status: sorted({f"{m.family}:{m.name}" for m in found if m.status is status}) for status in Status}
    whole = len(validators) == len(VALIDATORS)
    matches = next(m for m in found if m.name == "image_matches")
    positions = np.array(matches.detail.get("positions", []), dtype=np.int64)
    memorised = np.flatnonzero(made.memorised)
    outcome = decide(report, evidence.policy).outcome.value if whole else "REFUSE" if named[Status.FAIL] else "PASS"
    return {
        "outcome": outcome,
        "failed": named[Status.FAIL],
        "doubted": named[Status.INCONCLUSIVE],
        "invalid": named[Status.INVALID],
        "memorised": len(memorised),
        "found": int(np.isin(memorised, positions).sum()),
        "others": int((~made.memorised[positions]).sum()),
        "positions": positions.tolist(),
        "natural": matches.detail.get("natural_pairs"),
        "p": matches.value,
        "seconds": round(time.perf_counter() - started, 1),
        "timings_s": {name: s for name, s in report.timings_s.items() if s > 1},
    }


TOGETHER = "of each disguise at once"


def recalls(draw: PictureDraw, share: float, seed: int, validators: Mapping[str, Validator]) -> dict[str, Any]:
    """Return what `judged` tells of pictures with copies in every disguise, and how many of each were found."""
    made, places = leaked_together(draw, share, np.random.default_rng([seed, 2]))
    line = judged(draw, made, seed, validators)
    found = {name: [int(np.isin(at, line["positions"]).sum()), len(at)] for name, at in places.items()}
    return {"kind": f"{share:.1%} {TOGETHER}", "pictures": len(made.images), "by_disguise": found} | line


def right(line: Mapping[str, Any]) -> tuple[bool, bool]:
    """Return whether the gate answered as it must, and whether it named a right family."""
    kind = KINDS[line["kind"]]
    if kind.must == "pass":
        return line["outcome"] == "PASS", line["outcome"] != "REFUSE"
    refused = line["outcome"] == "REFUSE"
    return refused, refused and bool({reason.split(":")[0] for reason in line["failed"]} & kind.families)


def summary(lines: list[dict[str, Any]]) -> None:
    """Print the tables of the results as Markdown."""
    sets = sorted({line["set"] for line in lines})
    print(f"\n| kind | must | runs | refused | right reason | found | others | {' | '.join(sets)} |")
    print("|---|---|---|---|---|---|---|" + "---|" * len(sets))
    rogues: list[tuple[bool, bool]] = []
    for name, kind in KINDS.items():
        found = [line for line in lines if line["kind"] == name]
        if not found:
            continue
        answers = [right(line) for line in found]
        rogues += answers if kind.must == "refuse" else []
        memorised = sum(line["memorised"] for line in found)
        recall = f"{sum(line['found'] for line in found) / memorised:.1%}" if memorised else ""
        by_set = []
        for one in sets:
            at = [(right(line)[0], line) for line in found if line["set"] == one]
            held = sum(line["memorised"] for _, line in at)
            told = f" ({sum(line['found'] for _, line in at) / held:.0%})" if held else ""
            by_set.append(f"{sum(answer for answer, _ in at)}/{len(at)}{told}" if at else "")
        refused = np.mean([line["outcome"] == "REFUSE" for line in found])
        reason = f"{np.mean([good for _, good in answers]):.0%}" if kind.must == "refuse" else ""
        others = sum(line["others"] for line in found)
        print(
            f"| {name} | {kind.must} | {len(found)} | {refused:.0%} | {reason} | {recall} | {others} | "
            f"{' | '.join(by_set)} |"
        )
    if rogues:
        refused, reasons = np.mean(rogues, axis=0)
        print(f"\nRogues: {len(rogues)} runs, refused {refused:.1%}, for the right reason {reasons:.1%}.")
    _fresh([line for line in lines if KINDS.get(line["kind"], LEAK).must == "pass"])
    _recalls([line for line in lines if TOGETHER in line["kind"]])


def _recalls(lines: list[dict[str, Any]]) -> None:
    if not lines:
        return
    names = list(lines[0]["by_disguise"])
    print(f"\n| copies | runs | others | {' | '.join(names)} |\n|---|---|---|" + "---|" * len(names))
    by_kind = defaultdict(list)
    for line in lines:
        by_kind[f"{line['set']}, {line['kind']}"].append(line)
    for kind, own in sorted(by_kind.items()):
        totals = [np.sum([line["by_disguise"][name] for line in own], axis=0) for name in names]
        shares = " | ".join(f"{found} of {num} ({found / num:.1%})" for found, num in totals)
        print(f"| {kind} | {len(own)} | {sum(line['others'] for line in own)} | {shares} |")


def _fresh(lines: list[dict[str, Any]]) -> None:
    if not lines:
        return
    outcomes = Counter(line["outcome"] for line in lines)
    told = ", ".join(f"{count} {name}" for name, count in outcomes.most_common())
    print(f"\nFresh real pictures: {len(lines)} runs, {told}.")
    why = Counter(
        f"{word} {reason}" for line in lines for word in ("failed", "doubted", "invalid") for reason in line[word]
    )
    for reason, count in why.most_common():
        print(f"- {reason}: {count}")
    by_set = defaultdict(list)
    for line in lines:
        by_set[line["set"]].append(line)
    print("\n| fresh pictures of | pictures a run | taken for memorised | natural pairs | seconds a judgement |")
    print("|---|---|---|---|---|")
    for name, own in sorted(by_set.items()):
        taken = sum(line["others"] for line in own)
        total = sum(line["pictures"] for line in own)
        natural = np.median([line["natural"] or 0 for line in own])
        seconds = np.median([line["seconds"] for line in own])
        print(f"| {name} | {own[0]['pictures']:,} | {taken} of {total:,} | {natural:.0f} | {seconds:.0f} |")


def main() -> None:
    """Run the draws that the output lacks, or print the summary of an output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], help="name=folder of .npz, or digits")
    parser.add_argument("--pictures", type=int, default=2500, help="of train and of synthetic ones")
    parser.add_argument("--seeds", default="0-1", help="first-last")
    parser.add_argument("--kinds", nargs="*", default=list(KINDS))
    parser.add_argument("--privacy", action="store_true")
    parser.add_argument("--together", type=float, nargs="*", default=[], help="shares of each disguise, at once")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--summary", type=Path, nargs="+")
    args = parser.parse_args()
    if args.summary:
        summary([json.loads(line) for file in args.summary for line in file.read_text().splitlines()])
        return
    validators = {name: VALIDATORS[name] for name in PRIVACY} if args.privacy else VALIDATORS
    known = args.out.read_text().splitlines() if args.out and args.out.exists() else []
    done = {(line["set"], line["seed"], line["kind"]) for line in map(json.loads, known)}
    first, last = (int(end) for end in args.seeds.split("-"))

    def told(line: dict[str, Any]) -> None:
        line.pop("positions")
        if args.out:
            with args.out.open("a") as file:
                file.write(json.dumps(line) + "\n")
        else:
            print(json.dumps(line)[:400], flush=True)

    for seed in range(first, last + 1):
        for given in args.data:
            name, _, folder = given.partition("=")
            draw = drawn(population(name, Path(folder) if folder else None), args.pictures, np.random.default_rng(seed))
            for kind in args.kinds:
                if (name, seed, kind) in done:
                    continue
                made = KINDS[kind].make(draw, np.random.default_rng([seed, 1]))
                line = {"set": name, "kind": kind, "seed": seed, "pictures": len(made.images)}
                told(line | judged(draw, made, seed, validators))
            for share in args.together:
                if (name, seed, f"{share:.1%} {TOGETHER}") not in done:
                    told({"set": name, "seed": seed} | recalls(draw, share, seed, validators))


if __name__ == "__main__":
    main()

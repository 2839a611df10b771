"""How far fresh pictures stray from the limits of the `image_*` checks of fidelity and bias, and how far rogues do.

    python benchmarks/image_limits.py --data digits --pictures 1000 --references 5 --draws 4 --out limits.jsonl
    python benchmarks/image_limits.py --data mnist=folder/of/npz --pictures 2000 --out limits.jsonl
    python benchmarks/image_limits.py --summary limits.jsonl

For each reference part the networks are trained once; each draw then cuts other pictures anew into train, holdout and
fresh ones, as the default split does (65, 20 and 15 of a hundred, and as many synthetic as train). Rogues are judged in
the first two draws. Limits are set so that fresh pictures pass, and no rogue does.
"""

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np  # noqa: E402 - the threads' policy must be set first
import pandas as pd  # noqa: E402
from known_pictures import KINDS, PictureDraw, PicturePopulation, Pictures, population  # noqa: E402

from sources.dataset import Dataset  # noqa: E402
from sources.randomness import stream  # noqa: E402
from sources.schema import Column, Schema  # noqa: E402
from validators.evidence import Evidence  # noqa: E402
from validators.features.column import Features, PictureColumn  # noqa: E402
from validators.measurement import Measurement, Status  # noqa: E402
from validators.policy import Policy  # noqa: E402
from validators.registry import VALIDATORS  # noqa: E402

JUDGES = (
    "fidelity.image_distances",
    "fidelity.image_neighbours",
    "fidelity.image_c2st",
    "fidelity.image_labels",
    "fidelity.image_modes",
    "fidelity.image_sharpness",
    "bias.image_groups",
)
FRESH = "fresh real pictures"
ROGUES = tuple(name for name, kind in KINDS.items() if "privacy" not in kind.families and name != FRESH)
TRAIN, HOLDOUT, REFERENCE = 0.65, 0.20, 0.15


def dataset(pictures: Pictures) -> Dataset:
    """Return the pictures with their labels as a target."""
    height, width, channels = pictures.images.shape[1:]
    schema = Schema(
        columns=(
            Column(name="image", kind="image", storage="uint8", shape=(height, width, channels)),
            Column(name="label", kind="categorical", role="target"),
        )
    )
    labels = pd.Series(pictures.labels, dtype=object)
    frame = pd.DataFrame({"image": np.arange(len(labels)), "label": labels})
    return Dataset(frame=frame, schema=schema, media={"image": pictures.images})


def lines(known: PicturePopulation, num: int, reference: int, draws: int) -> Iterator[dict[str, Any]]:
    """Yield every measurement of the draws with one reference part."""
    order = stream(reference, "reference").permutation(len(known.images))
    sizes = [int(num * share) for share in (REFERENCE, TRAIN, HOLDOUT, TRAIN)]
    learnt = dataset(_at(known, order[: sizes[0]]))
    column = PictureColumn("image", learnt, seed=reference)
    for number in range(draws):
        rest = stream(reference, "draw", number).permutation(order[sizes[0] :])
        train, holdout, fresh = (
            _at(known, rows) for rows in np.split(rest[: sum(sizes[1:])], np.cumsum(sizes[1:])[:-1])
        )
        draw = PictureDraw(train=train, holdout=holdout, fresh=fresh)
        parts = {"train": dataset(train), "holdout": dataset(holdout)}
        for kind in (FRESH, *ROGUES) if number < 2 else (FRESH,):
            made = dataset(KINDS[kind].make(draw, np.random.default_rng([reference, number])))
            for one in _judged(parts, made, column, reference * 1000 + number):
                yield {
                    "set": known.name,
                    "pictures": num,
                    "kind": kind,
                    "draw": [reference, number],
                    "name": one.name,
                    "subject": one.subject,
                    "value": one.value,
                    "low": one.low,
                    "high": one.high,
                    "status": one.status.value,
                }


def summary(found: pd.DataFrame) -> None:
    """Print the tables as Markdown."""
    found["draw"] = found["draw"].map(tuple)
    for (name, num), own in found.groupby(["set", "pictures"]):
        print(f"\n## {name}, {num:,} pictures\n\n| kind | draws | refused | passed | refused by (draws) |")
        print("|---|---|---|---|---|")
        for kind, judged in own.groupby("kind", sort=False):
            by_draw = judged.groupby("draw")["status"]
            refused = by_draw.apply(lambda statuses: bool((statuses == Status.FAIL.value).any()))
            passed = by_draw.apply(lambda statuses: bool((statuses == Status.PASS.value).all()))
            failed = judged[judged["status"] == Status.FAIL.value].drop_duplicates(["draw", "name"])
            reasons = ", ".join(f"`{one}` {times}" for one, times in Counter(failed["name"]).most_common())
            print(f"| {kind} | {len(refused)} | {refused.sum()} | {passed.sum()} | {reasons} |")
        fresh = own[own["kind"] == FRESH]
        print(
            "\n| measurement | subject | mean | deviation | lowest, highest end | passed |\n|---|---|---|---|---|---|"
        )
        for (measure, subject), one in fresh.groupby(["name", "subject"], sort=False):
            ends = f"{one['low'].min():.3f}, {one['high'].max():.3f}"
            passed = (one["status"] == Status.PASS.value).mean()
            figures = f"{one['value'].mean():.3f} | {one['value'].std():.3f} | {ends} | {passed:.0%}"
            print(f"| `{measure}` | {subject} | {figures} |")


def _at(known: PicturePopulation, rows: np.ndarray) -> Pictures:
    return Pictures(images=known.images[rows], labels=known.labels[rows], memorised=np.zeros(len(rows), dtype=bool))


def _judged(parts: dict[str, Dataset], made: Dataset, column: PictureColumn, seed: int) -> list[Measurement]:
    evidence = Evidence(
        **parts,
        synthetic=made,
        schema=made.schema,
        policy=Policy.preset("standard"),
        features=Features(columns=(column,), **parts, synthetic=made),
    )
    return [one for name in JUDGES for one in VALIDATORS[name](evidence, stream(seed, "judge", name))]


def main() -> None:
    """Judge and write, or print the summary of what was written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], help="name=folder of .npz, or digits")
    parser.add_argument("--pictures", type=int, default=1000, help="of the source, before it is split")
    parser.add_argument("--references", type=int, default=3)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--out", type=Path, default=Path("image_limits.jsonl"))
    parser.add_argument("--summary", type=Path, nargs="+")
    args = parser.parse_args()
    if args.summary:
        summary(pd.concat([pd.read_json(file, lines=True) for file in args.summary], ignore_index=True))
        return
    for given in args.data:
        name, _, folder = given.partition("=")
        known = population(name, Path(folder) if folder else None)
        for reference in range(args.references):
            with args.out.open("a", encoding="utf-8") as file:
                for line in lines(known, args.pictures, reference, args.draws):
                    file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()

"""Fit image families, sample as many pictures as there are, and score them beside fresh real ones.

    python benchmarks/images.py --data mnist.npz --families image.gan image.vae image.autoregressive \
        --minutes 10 --seeds 0 1 2 --pictures docs/benchmarks/images --out mnist.json

The `.npz` holds `x_train`, `y_train`, `x_test`, `y_test` (uint8 N H W or N H W C; whole numbers N), or `x` and `y`, of
which a fifth is then for testing. Each fit runs in a process of its own: the seconds are its `fit` and `sample` calls,
the memory is the whole process. The test part selects nothing; it is read by the scores alone (`image_scores.py`).

`--extractor '{"kind": "inception_fid", "path": "weights.pth", "sha256": "..."}'` adds the Fréchet distance by a network
of one's own (docs/images.md), in all of its features, and the same of fresh real pictures.
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

GRID = 10  # rows and columns of the picture of samples


def fit_one(args: argparse.Namespace) -> None:
    """Fit one family with one seed, write the sample and what it cost (the child process)."""
    from generators.base import Budget, ignore_step  # noqa: PLC0415 - in the child alone
    from generators.registry import SYNTHESIZERS  # noqa: PLC0415
    from sources.conform import conform  # noqa: PLC0415
    from sources.image_files import read_arrays  # noqa: PLC0415
    from sources.inference import infer_schema  # noqa: PLC0415

    frame = read_arrays(args.train, images="images")
    train = conform(frame, infer_schema(frame))
    family = SYNTHESIZERS[args.families[0]]
    options = json.loads(args.config) | ({"device": args.device} if args.device else {})
    synthesizer = family.build(family.config(**options))
    budget = Budget(seconds=60 * args.minutes if args.minutes else None, steps=args.steps)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        report = synthesizer.fit(train, seed=args.seeds[0], budget=budget, run_dir=Path(folder), on_step=ignore_step)
    fitted = time.perf_counter()
    sample = synthesizer.sample(args.rows or len(train), seed=args.seeds[0] + 1)
    done = time.perf_counter()
    labels = sample.frame["label"].astype(str).to_numpy(dtype="U")
    np.savez(args.sample, images=sample.media["image"], label=labels)
    cost = {
        "fit s": fitted - start,
        "sample s": done - fitted,
        "drawn a s": len(sample) / (done - fitted),
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "steps": report.steps,
        "stopped by": report.stopped_by,
        "best": report.best,
        "loss unit": report.loss_unit,
        "parameters": report.parameters,
        "device": report.device,
        "precision": report.precision,
        "notes": list(report.notes),
    }
    Path(args.sample).with_suffix(".json").write_text(json.dumps(cost))


def parts(path: str, most: int | None) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return (train, test), each uint8 N H W C and labels int64 N from 0 on."""
    data = np.load(path)
    if "x_train" in data:
        found = [data["x_train"], data["y_train"], data["x_test"], data["y_test"]]
    else:
        order = np.random.default_rng(0).permutation(len(data["x"]))
        cut = int(0.8 * len(order))
        found = [data[name][rows] for rows in (order[:cut], order[cut:]) for name in ("x", "y")]
    images = [one if one.ndim == 4 else one[..., None] for one in found[::2]]
    labels = [one.astype(np.int64) for one in found[1::2]]
    return (images[0][:most], labels[0][:most]), (images[1], labels[1])


def grid(images: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return one picture, H W C, of the first pictures of each label, a row a label (again from the first at need)."""
    names = np.unique(labels)
    lines = []
    for line in range(GRID):
        mine = images[labels == names[line % len(names)]][(line // len(names)) * GRID :][:GRID]
        blank = np.zeros((GRID - len(mine), *images.shape[1:]), dtype=images.dtype)
        lines.append(np.concatenate(list(np.concatenate([mine, blank])), axis=1))
    return np.concatenate(lines, axis=0)


def main() -> None:
    """Run every family with every seed, print a Markdown table of medians, write all rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--train-rows", type=int, help="the first so many of the training part")
    parser.add_argument("--rows", type=int, help="pictures to draw; as many as there are for training unless given")
    parser.add_argument("--families", nargs="+", default=["image.gan", "image.vae", "image.autoregressive"])
    parser.add_argument("--config", default="{}", help="JSON of the family's options")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--device", default="")
    parser.add_argument("--extractor", help="JSON of a network of one's own, as under `policy: {extractor: ...}`")
    parser.add_argument("--pictures", help="folder for a PNG of samples of each family, first seed")
    parser.add_argument("--out", help="JSON file for all rows")
    parser.add_argument("--train", help=argparse.SUPPRESS)
    parser.add_argument("--sample", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.sample:
        fit_one(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = run(args, Path(folder))
    table = pd.DataFrame(rows)
    numbers = [name for name in table.columns if pd.api.types.is_numeric_dtype(table[name]) and name != "seed"]
    medians = table.groupby("family", sort=False)[numbers].median()
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {len(args.seeds)} seeds, medians\n")
    print("| family | " + " | ".join(numbers) + " |")
    print("|---" * (len(numbers) + 1) + "|")
    for family, row in medians.iterrows():
        cells = ["" if np.isnan(row[name]) else f"{row[name]:.4g}" for name in numbers]
        print(f"| {family} | " + " | ".join(cells) + " |")


def run(args: argparse.Namespace, folder: Path) -> list[dict[str, object]]:
    """Return one row of costs and scores a fit, the fresh real pictures first."""
    from image_scores import accuracy, all_scores, own_distances, own_network, trained  # noqa: PLC0415 - slow to import

    from sources.images import png  # noqa: PLC0415

    device = args.device or "cpu"
    train, test = parts(args.data, args.train_rows)
    np.savez(folder / "train.npz", images=train[0], label=np.char.add("class ", train[1].astype(str)))
    classes = int(train[1].max()) + 1
    reader = trained(*train, classes, seed=0, device=device)
    fresh: dict[str, object] = {"family": "fresh real pictures", "tstr": accuracy(reader, *test, device=device)}
    network = own_network(args.extractor) if args.extractor else None
    rows = [fresh]
    print(json.dumps(fresh), file=sys.stderr, flush=True)
    for family in args.families:
        for seed in args.seeds:
            sample = folder / f"{family}-{seed}.npz"
            command = [sys.executable, __file__, "--families", family, "--seeds", str(seed), "--config", args.config]
            command += ["--train", str(folder / "train.npz"), "--sample", str(sample), "--device", args.device]
            for name in ("minutes", "steps", "rows"):
                command += [f"--{name}", str(getattr(args, name))] if getattr(args, name) else []
            subprocess.run(command, check=True, cwd=ROOT)
            drawn = np.load(sample)
            labels = np.array([int(text.removeprefix("class ")) for text in drawn["label"]])
            scores = all_scores(train, test, (drawn["images"], labels), reader=reader, seed=seed, device=device)
            scores |= own_distances(network, train[0], test[0], drawn["images"], seed=seed) if network else {}
            rows.append({"family": family, "seed": seed} | scores | json.loads(sample.with_suffix(".json").read_text()))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            if args.out:
                Path(args.out).write_text(json.dumps(rows, indent=1))
            if args.pictures and seed == args.seeds[0]:
                place = Path(args.pictures)
                place.mkdir(parents=True, exist_ok=True)
                (place / f"{Path(args.data).stem}-{family}.png").write_bytes(png(grid(drawn["images"], labels)))
            sample.unlink()
    return rows


if __name__ == "__main__":
    main()

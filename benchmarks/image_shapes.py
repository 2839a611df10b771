"""Fit every image family without any configuration to pictures of many forms: train, interrupt, resume, sample.

    python benchmarks/image_shapes.py --steps 8 --out shapes.jsonl

Pictures are simulated: a bright bar on a noisy ground, level or upright, at a random place, with the label that says
which; channels have tints of their own. Each fit is ended by an exception at half of its steps and resumed from its
checkpoint; the resumed model must sample the same bytes as one that was never interrupted. One line of JSON a fit, with
what it cost; rows that are in `--out` already are not made again.

# N rows, H height, W width, C channels
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
from tables import markdown

ROWS = 200
SIZES = ((8, 8), (28, 28), (37, 53), (64, 64))
CHANNELS = (1, 3, 4)
DEPTHS = ("uint8", "uint16")
DRAWN = 20
LABELS = ("level", "upright")


def pictures(rng: np.random.Generator, shape: tuple[int, int, int], depth: str) -> tuple[np.ndarray, np.ndarray]:
    """Return N H W C of the depth, and labels N."""
    height, width, channels = shape
    upright = rng.random(ROWS) < 0.5
    place = rng.random(ROWS)
    rows, columns = np.arange(height)[None, :, None], np.arange(width)[None, None, :]
    at = np.where(upright, place * width, place * height)[:, None, None]
    length = np.where(upright[:, None, None], columns, rows)
    thick = max(1.0, min(height, width) / 8)
    bright = np.exp(-(((length - at) / thick) ** 2))[..., None] * np.linspace(1.0, 0.4, channels)
    light = 0.15 + 0.7 * bright + rng.normal(0, 0.03, (ROWS, height, width, channels))
    top = np.iinfo(depth).max
    return np.rint(np.clip(light, 0, 1) * top).astype(depth), np.where(upright, LABELS[1], LABELS[0])


class Interrupted(Exception):
    """Ends a fit in its middle."""


def fit_one(family: str, shape: tuple[int, int, int], depth: str, steps: int) -> dict[str, Any]:
    """Return what one fit, interrupted and not, has cost and shown."""
    from generators.base import Budget, ignore_step  # noqa: PLC0415 - torch only where it is needed
    from generators.registry import SYNTHESIZERS  # noqa: PLC0415
    from generators.training import loop  # noqa: PLC0415
    from sources.conform import conform  # noqa: PLC0415
    from sources.image_files import read_arrays  # noqa: PLC0415
    from sources.inference import infer_schema  # noqa: PLC0415

    loop.REPORT_EVERY_S = 0.0
    defaults = loop.TrainingConfig.__init__.__kwdefaults__
    assert defaults is not None
    defaults["checkpoint_s"] = 0.0  # so that there is a checkpoint in the middle of so short a fit

    def interrupt(metrics: Mapping[str, Any]) -> None:
        if metrics["step"] == steps // 2 and metrics["phase"] != "attributes":
            raise Interrupted

    images, labels = pictures(np.random.default_rng(0), shape, depth)
    build, config = SYNTHESIZERS[family].build, SYNTHESIZERS[family].config
    with tempfile.TemporaryDirectory() as folder:
        np.savez(Path(folder, "set.npz"), images=images, label=labels)
        frame = read_arrays(str(Path(folder, "set.npz")), images="images")
        train = conform(frame, infer_schema(frame))
        whole, resumed = build(config()), build(config())
        began = time.perf_counter()
        report = whole.fit(
            train, seed=1, budget=Budget(steps=steps), run_dir=Path(folder, "whole"), on_step=ignore_step
        )
        fitted = time.perf_counter()
        drawn = whole.sample(DRAWN, seed=2)
        sampled = time.perf_counter()
        ended = False
        try:
            resumed.fit(train, seed=1, budget=Budget(steps=steps), run_dir=Path(folder, "again"), on_step=interrupt)
        except Interrupted:
            ended = True
        seen: list[int] = []
        resumed.fit(
            train,
            seed=1,
            budget=Budget(steps=steps),
            run_dir=Path(folder, "again"),
            on_step=lambda metrics: seen.append(metrics["step"]),
        )
        again = resumed.sample(DRAWN, seed=2)
    column = next(iter(drawn.media))
    same = np.array_equal(drawn.media[column], again.media[column]) and drawn.frame.equals(again.frame)
    return {
        "family": family,
        "height": shape[0],
        "width": shape[1],
        "channels": shape[2],
        "depth": depth,
        "trained": bool(np.isfinite(report.best)) if report.best is not None else None,
        "sampled": drawn.media[column].shape == (DRAWN, *shape) and drawn.media[column].dtype == depth,
        "resumed": ended and seen[0] > steps // 2,
        "same bytes": same,
        "fit s": fitted - began,
        "pictures a s": DRAWN / (sampled - fitted),
        "parameters": report.parameters,
    }


def main() -> None:
    """Make what is not there yet, and print a table a family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", default=["image.autoregressive", "image.gan", "image.vae"])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--out", required=True)
    args = parser.parse_args()
    out = Path(args.out)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    names = ("family", "height", "width", "channels", "depth")
    made = {tuple(row[name] for name in names) for row in rows}
    for family, size, channels, depth in itertools.product(args.families, SIZES, CHANNELS, DEPTHS):
        if (family, *size, channels, depth) in made:
            continue
        row = fit_one(family, (*size, channels), depth, args.steps)
        rows.append(row)
        with out.open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(row, file=sys.stderr, flush=True)
    table = pd.DataFrame(rows)
    checks = ["trained", "sampled", "resumed", "same bytes"]
    by = table.groupby(["family", "height", "width"], sort=False)
    summary = by[checks].sum().astype(int).join(by.size().rename("fits"))
    summary = summary.join(by[["fit s", "pictures a s"]].median())
    print(markdown(summary.reset_index()))


if __name__ == "__main__":
    main()

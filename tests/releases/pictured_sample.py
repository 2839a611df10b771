"""A small judged dataset with pictures, and everything that publishing it takes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from releases.publish import publish
from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from tests.releases.judged_sample import WHEN, provenance_of, report_of
from validators.gate import decide

ROWS = 60


def pictured_schema(
    shape: tuple[int, int, int] = (5, 7, 1), *, deep: bool = False, name: str = "scan", label: str = "digit"
) -> Schema:
    """Return a label, a picture and a number."""
    return Schema(
        columns=(
            Column(name=label, kind="categorical", role="target", storage="string"),
            Column(name=name, kind="image", shape=shape, storage="uint16" if deep else "uint8"),
            Column(name="age", kind="numeric", integer=True, decimals=0, storage="int64"),
        )
    )


def pictured(schema: Schema, rows: int = ROWS, seed: int = 5) -> Dataset:
    """Draw rows of a known law: noise."""
    rng = stream(seed, "tests", "pictured")
    label, image, age = schema.names
    shape = schema[image].shape
    assert shape is not None
    top = 65_536 if schema[image].storage == "uint16" else 256
    frame = pd.DataFrame(
        {
            label: rng.choice(["0", "1", "=2"], rows).astype(object),
            image: np.arange(rows),
            age: rng.integers(18, 80, rows).astype(float),
        }
    )
    pixels = rng.integers(0, top, (rows, *shape)).astype(schema[image].storage)
    return Dataset(frame=frame, schema=schema, media={image: pixels})


def publisher(to: Path, schema: Schema | None = None) -> Callable[..., Path]:
    """Return a function that publishes the sample, with changes."""
    schema = schema or pictured_schema()
    report = report_of(schema)

    def run(**changes: object) -> Path:
        arguments: dict[str, object] = {
            "to": to,
            "synthetic": pictured(schema),
            "report": report,
            "verdict": decide(report, report.policy),
            "pictures": None,
            "provenance": provenance_of("scans"),
            "formats": ("parquet", "png"),
            "created": WHEN,
        }
        return publish(**(arguments | changes))  # type: ignore[arg-type, return-value]

    return run

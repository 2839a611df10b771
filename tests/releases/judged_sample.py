"""A small judged dataset from a known law, and everything that publishing it takes."""

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from releases.provenance import Candidate, FittedModel, Provenance
from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.gate import judged
from validators.limits.limits import LIMITS
from validators.measurement import Measurement
from validators.policy import Policy
from validators.report import Report, column_notes, due

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def schema_of() -> Schema:
    """Return a schema with every role that a judgement needs."""
    return Schema(
        columns=(
            Column(name="age", kind="numeric", integer=True, decimals=0, storage="int64", unit="years"),
            Column(name="wage", kind="numeric", decimals=2, storage="float64", description="gross, a month"),
            Column(name="group", kind="categorical", role="protected", storage="string"),
            Column(name="works", kind="boolean", storage="bool"),
            Column(name="paid", kind="categorical", role="target", positive="yes", storage="string"),
        )
    )


def synthetic_of(schema: Schema, rows: int = 60) -> Dataset:
    """Draw rows of a known law."""
    rng = stream(5, "tests", "releases")
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 80, rows).astype(float),
            "wage": np.round(rng.lognormal(7, 0.4, rows), 2),
            "group": rng.choice(["north", "south"], rows).astype(object),
            "works": pd.array(rng.random(rows) < 0.7, dtype="boolean"),
            "paid": rng.choice(["yes", "no"], rows).astype(object),
        }
    )
    return Dataset(frame=frame[list(schema.names)], schema=schema)


def measured(
    name: str, policy: Policy, *, subject: str = "all rows", reading: str = "As good as fresh rows."
) -> Measurement:
    """Return a measurement well inside its limit."""
    limit = policy.limits[name]
    if isinstance(limit, tuple):
        value, half = sum(limit) / 2, (limit[1] - limit[0]) / 8
    elif LIMITS[name].direction == "higher_is_better":
        value, half = 0.4, 0.0
    else:
        value, half = 0.4 * limit, 0.2 * limit
    return judged(
        name=name,
        subject=subject,
        value=value,
        low=value - half,
        high=value + half,
        n=1_234,
        reading=reading,
        policy=policy,
    )


def report_of(
    schema: Schema, *, policy: Policy | None = None, rows: int = 60, more: Sequence[Measurement] = ()
) -> Report:
    """Return a report in which everything that is due passes, and `more`."""
    policy = policy or Policy.preset("standard")
    names = [name for name in LIMITS if name in due(column_notes(schema), policy)]
    return Report(
        measurements=(*(measured(name, policy) for name in names), *more),
        policy=policy,
        seed=3,
        sizes={"train": 130, "holdout": 40, "reference": 30, "synthetic": rows},
        columns=column_notes(schema),
    )


def provenance_of(name: str = "wages", **changes: object) -> Provenance:
    """Return the story of a run."""
    fields: dict[str, object] = {
        "name": name,
        "spec": {"name": name, "source": {"kind": "file", "path": "/home/ann/secret-folder/people.parquet"}, "seed": 7},
        "seed": 7,
        "model": FittedModel(
            family="tabular.autoregressive",
            config={"width": 64, "dropout": 0.1},
            steps=120,
            stopped_by="early_stopping",
            seconds=12.34,
            parameters=5_000,
            device="cpu",
            precision="float32",
            threads=2,
            best=4.5,
            history=tuple({"step": float(i), "train_loss": 9.0 / i, "validation_loss": 9.5 / i} for i in range(1, 9)),
        ),
        "budget_seconds": 60.0,
        "split_rows": {"train": 130, "holdout": 40, "reference": 30},
        "source_fingerprint": "ab" * 32,
        "lineage_key": b"0123456789abcdef",
        "license": "cc-by-4.0",
        "candidates": (
            Candidate(name="tabular.autoregressive", outcome="PASS", seconds=12.3, chosen=True),
            Candidate(name="tabular.vae", outcome="REFUSE", words="fidelity: c2st", seconds=3.0),
        ),
    }
    return Provenance(**(fields | changes))  # type: ignore[arg-type]

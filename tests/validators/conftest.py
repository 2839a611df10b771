"""A small law with every kind of column, and datasets drawn from it."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sources.canaries import Canaries
from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Rules, Schema
from validators.evidence import Evidence
from validators.policy import Policy

SCHEMA = Schema(
    columns=(
        Column(name="income", kind="numeric", decimals=2, storage="float64"),
        Column(name="age", kind="numeric", integer=True, decimals=0, storage="int64", rules=Rules(minimum=0)),
        Column(name="group", kind="categorical", role="protected"),
        Column(name="trade", kind="categorical"),
        Column(name="member", kind="boolean", storage="bool"),
        Column(name="since", kind="datetime", storage="timestamp"),
        Column(name="bought", kind="categorical", role="target", positive="yes"),
    ),
    order_key="since",
)


def draw(n: int, seed: int) -> Dataset:
    """Return `n` rows of the law under `seed`."""
    rng = stream(seed, "law")
    latent = rng.normal(size=n)
    group = np.array(["a", "b", "c"], dtype=object)[np.searchsorted([0.5, 0.8], rng.random(n))]
    trade = np.array(["smith", "baker", "clerk", "nurse"], dtype=object)[
        np.clip(np.round(latent + rng.normal(0, 0.6, n) + 1.5), 0, 3).astype(int)
    ]
    trade[rng.random(n) < 0.05] = None
    age = np.round(np.clip(45 + 12 * latent + rng.normal(0, 6, n), 18, 90))
    age[rng.random(n) < 0.05] = np.nan
    chance = 1 / (1 + np.exp(-(2.2 * latent + 0.4 * (group == "a") - 0.5)))
    frame = pd.DataFrame(
        {
            "income": np.round(np.exp(7 + 0.8 * latent + rng.normal(0, 0.3, n)), 2),
            "age": age,
            "group": pd.Series(group, dtype=object),
            "trade": pd.Series(trade, dtype=object),
            "member": pd.Series(rng.random(n) < 1 / (1 + np.exp(-latent)), dtype="boolean"),
            "since": pd.Series(
                np.datetime64("2020-01-01", "us")
                + (rng.integers(0, 1500, n) + 200 * (latent > 0)).astype("timedelta64[D]")
            ).astype("datetime64[us]"),
            "bought": pd.Series(np.where(rng.random(n) < chance, "yes", "no"), dtype=object),
        }
    )
    return Dataset(frame=frame, schema=SCHEMA)


def changed(dataset: Dataset, **columns: object) -> Dataset:
    """Return the dataset with whole columns replaced."""
    frame = dataset.frame.copy()
    for name, values in columns.items():
        frame[name] = pd.Series(values, dtype=frame[name].dtype)
    return Dataset(frame=frame, schema=dataset.schema)


def independent(dataset: Dataset, seed: int) -> Dataset:
    """Return the dataset with each column shuffled on its own."""
    rng = stream(seed, "shuffle")
    frame = pd.DataFrame(
        {
            name: column.iloc[rng.permutation(len(column))].reset_index(drop=True)
            for name, column in dataset.frame.items()
        }
    )
    return Dataset(frame=frame, schema=dataset.schema)


def flipped(dataset: Dataset, share: float, seed: int) -> Dataset:
    """Return the dataset with a share of the labels turned round."""
    y = dataset.frame["bought"].to_numpy(dtype=object).copy()
    turned = stream(seed, "flip").random(len(y)) < share
    y[turned] = np.where(y[turned] == "yes", "no", "yes")
    return changed(dataset, bought=y)


@pytest.fixture(scope="session")
def law() -> SimpleNamespace:
    """Return the law: `draw(n, seed)`, and what spoils a dataset drawn from it."""
    return SimpleNamespace(schema=SCHEMA, draw=draw, changed=changed, independent=independent, flipped=flipped)


@pytest.fixture(scope="session")
def evidence_of() -> Callable[..., Evidence]:
    """Return a function that builds evidence of fresh rows, any part of which may be replaced."""

    def build(seed: int = 0, sizes: tuple[int, int, int] = (600, 400, 500), **replaced: object) -> Evidence:
        parts = [draw(n, 10 * seed + i) for i, n in enumerate(sizes)]
        evidence = Evidence(
            train=parts[0],
            holdout=parts[1],
            synthetic=parts[2],
            schema=SCHEMA,
            policy=Policy.preset("standard"),
            canaries=Canaries(planted=draw(20, 10 * seed + 7), control=draw(20, 10 * seed + 8)),
        )
        return replace(evidence, **replaced)  # type: ignore[arg-type]

    return build

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
from validators.features.column import Features, PictureColumn
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


PICTURES = Schema(
    columns=(
        Column(name="scan", kind="image", shape=(8, 8, 1), storage="uint8"),
        Column(name="shape", kind="categorical", role="target"),
        Column(name="group", kind="categorical", role="protected"),
    )
)


def draw_pictures(n: int, seed: int) -> Dataset:
    """Return `n` noisy pictures of a bar or a square, brighter in group b."""
    rng = stream(seed, "pictures")
    pixels = rng.uniform(0, 60, size=(n, 8, 8, 1))
    kind = rng.integers(0, 3, n)
    group = rng.random(n) < 0.4
    y, x = np.mgrid[:8, :8]
    top, left = rng.integers(0, 5, n)[:, None, None], rng.integers(0, 5, n)[:, None, None]
    marks = [
        (y == top + 1) | (y == top + 2),
        (x == left + 1) | (x == left + 2),
        (abs(y - top - 1.5) < 2) & (abs(x - left - 1.5) < 2),
    ]
    pixels[..., 0] += np.choose(kind[:, None, None], marks) * np.where(group, 180, 120)[:, None, None]
    frame = pd.DataFrame(
        {
            "scan": np.arange(n),
            "shape": pd.Series(np.array(["lying", "standing", "square"], dtype=object)[kind], dtype=object),
            "group": pd.Series(np.where(group, "b", "a"), dtype=object),
        }
    )
    return Dataset(frame=frame, schema=PICTURES, media={"scan": pixels.astype(np.uint8)})


@pytest.fixture(scope="session")
def pictures_of() -> Callable[..., Evidence]:
    """Return a function that builds evidence of fresh pictures; with other synthetic ones the networks are the same."""
    columns: dict[int, PictureColumn] = {}
    kept: dict[int, Evidence] = {}

    def build(seed: int = 0, synthetic: Dataset | None = None) -> Evidence:
        if synthetic is None and seed in kept:
            return kept[seed]
        train, holdout, fresh, reference = (draw_pictures(n, 10 * seed + i) for i, n in enumerate((500, 400, 450, 300)))
        if seed not in columns:
            columns[seed] = PictureColumn("scan", reference, seed=seed, steps=60)
        synthetic = fresh if synthetic is None else synthetic
        features = Features(columns=(columns[seed],), train=train, holdout=holdout, synthetic=synthetic)
        evidence = Evidence(
            train=train,
            holdout=holdout,
            synthetic=synthetic,
            reference=reference,
            schema=PICTURES,
            policy=Policy.preset("standard"),
            features=features,
        )
        if synthetic is fresh:
            kept[seed] = evidence
        return evidence

    return build


@pytest.fixture(scope="session")
def picture_law() -> SimpleNamespace:
    """Return the law of the pictures: `draw(n, seed)`."""
    return SimpleNamespace(schema=PICTURES, draw=draw_pictures)

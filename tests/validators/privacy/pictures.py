"""Simulated pictures of two kinds, and evidence over them."""

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.policy import Policy

SCHEMA = Schema(
    columns=(
        Column(name="picture", kind="image", storage="uint8", shape=(12, 14, 1)),
        Column(name="kind", kind="categorical", role="protected"),
    )
)


def simulated(n: int, seed: int) -> np.ndarray:
    """Return `n` smooth random pictures (uint8 n 12 14 1)."""
    rng = stream(seed, "pictures")
    rows, columns = np.linspace(0, 3, 12), np.linspace(0, 3, 14)
    waves = np.stack([np.outer(np.cos(a * rows + 1), np.cos(b * columns + a)) for a in range(6) for b in range(6)])
    fields = np.tensordot(rng.normal(size=(n, 36)), waves, axes=1)
    return np.clip(128 + 18 * fields, 0, 255).astype(np.uint8)[..., None]


def dataset(images: np.ndarray, seed: int = 0) -> Dataset:
    """Return the pictures with a random kind each."""
    kinds = np.array(["a", "b"], dtype=object)[(stream(seed, "kinds").random(len(images)) < 0.3).astype(int)]
    frame = pd.DataFrame({"picture": np.arange(len(images)), "kind": pd.Series(kinds, dtype=object)})
    return Dataset(frame=frame, schema=SCHEMA, media={"picture": images})


def evidence_of_pictures(
    synthetic: np.ndarray | None = None, seed: int = 0, sizes: tuple[int, int] = (400, 300)
) -> Evidence:
    """Return evidence in which the synthetic pictures are fresh ones, or those given."""
    train, holdout = (simulated(n, 10 * seed + i) for i, n in enumerate(sizes))
    fresh = simulated(400, 10 * seed + 5) if synthetic is None else synthetic
    return Evidence(
        train=dataset(train, 1),
        holdout=dataset(holdout, 2),
        synthetic=dataset(fresh, 3),
        schema=SCHEMA,
        policy=Policy.preset("standard"),
    )

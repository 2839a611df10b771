"""On a GPU: families of pictures keep the same promises as on the CPU, but for the bytes; run by `make test-gpu`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from generators.base import Budget, ignore_step
from generators.registry import SYNTHESIZERS
from sources.dataset import Dataset
from sources.schema import Column, Schema

pytestmark = pytest.mark.gpu
FAMILIES = tuple(name for name, family in SYNTHESIZERS.items() if family.pictures)


@pytest.fixture(autouse=True)
def _needs_a_gpu() -> Iterator[None]:
    assert torch.cuda.is_available(), "these tests were asked for on a machine without a GPU"
    yield
    torch.cuda.synchronize()


@pytest.mark.parametrize("precision", ["float32", "bfloat16 autocast"])
@pytest.mark.parametrize("name", FAMILIES)
def test_pictures_are_learnt_saved_and_loaded(name: str, precision: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    labels = rng.choice(["dark", "light"], size=400)
    images = rng.normal(np.where(labels == "dark", 60, 190), 8, size=(16, 16, 1, 400)).clip(0, 255)
    columns = (Column(name="scan", kind="image"), Column(name="label", kind="categorical"))
    frame = pd.DataFrame({"scan": np.arange(400), "label": pd.Series(labels, dtype=object)})
    media = {"scan": np.ascontiguousarray(images.transpose(3, 0, 1, 2)).astype(np.uint8)}
    train = Dataset(frame=frame, schema=Schema(columns=columns), media=media)
    family = SYNTHESIZERS[name]
    fitted = family.build(family.config(device="cuda", precision=precision))
    budget = Budget(steps=100)
    report = fitted.fit(train, seed=1, budget=budget, run_dir=tmp_path / "run", on_step=ignore_step)
    assert (report.device, report.precision) == ("cuda:0", precision)
    sample = fitted.sample(50, seed=2)
    fitted.save(tmp_path / "model")
    again = family.load(tmp_path / "model").sample(50, seed=2)
    assert np.abs(again.media["scan"].astype(int) - sample.media["scan"].astype(int)).mean() < 2

"""On a GPU: the same promises as on the CPU, but for the bytes; run by `make test-gpu`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from generators.base import Budget, ignore_step
from generators.registry import SYNTHESIZERS
from generators.training import loop
from generators.training.streams import isolated_rng
from sources.dataset import Dataset
from sources.schema import Column, Schema

pytestmark = pytest.mark.gpu
NEURAL = ("tabular.autoregressive", "tabular.vae", "tabular.gan")


@pytest.fixture(autouse=True)
def _needs_a_gpu() -> Iterator[None]:
    assert torch.cuda.is_available(), "these tests were asked for on a machine without a GPU"
    yield
    torch.cuda.synchronize()


def pairs(n: int = 2_000) -> Dataset:
    rng = np.random.default_rng(1)
    x = rng.normal(size=n)
    label = np.where(x + rng.normal(size=n) > 0, "up", "down").astype(object)
    columns = (Column(name="x", kind="numeric"), Column(name="y", kind="numeric"), Column(name="c", kind="categorical"))
    frame = pd.DataFrame({"x": x, "y": -x + 0.2 * rng.normal(size=n), "c": pd.Series(label, dtype=object)})
    return Dataset(frame=frame, schema=Schema(columns=columns))


@pytest.mark.parametrize("precision", ["float32", "bfloat16 autocast"])
@pytest.mark.parametrize("name", NEURAL)
def test_a_model_is_learnt_saved_and_loaded(name: str, precision: str, tmp_path: Path) -> None:
    family = SYNTHESIZERS[name]
    fitted = family.build(family.config(device="cuda", precision=precision))
    budget = Budget(steps=200)
    report = fitted.fit(pairs(), seed=1, budget=budget, run_dir=tmp_path / "run", on_step=ignore_step)
    assert (report.device, report.precision) == ("cuda:0", precision)
    sample = fitted.sample(1_000, seed=2).frame
    assert sample["x"].corr(sample["y"]) < -0.5
    fitted.save(tmp_path / "model")
    assert_frame_equal(family.load(tmp_path / "model").sample(1_000, seed=2).frame, sample)


def test_given_columns_are_conditioned_on(tmp_path: Path) -> None:
    family = SYNTHESIZERS["tabular.autoregressive"]
    fitted = family.build(family.config(device="cuda"))
    given = pd.DataFrame({"c": pd.Series(["up", "down"] * 50, dtype=object)})
    fitted.fit(pairs(), seed=1, budget=Budget(steps=50), run_dir=tmp_path, on_step=ignore_step)
    assert_frame_equal(fitted.sample(100, seed=1, given=given).frame[["c"]], given)


@pytest.mark.parametrize("name", NEURAL)
def test_an_interrupted_fit_goes_on(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "REPORT_EVERY_S", 0.0)
    monkeypatch.setitem(loop.TrainingConfig.__init__.__kwdefaults__, "checkpoint_s", 0.0)
    family = SYNTHESIZERS[name]

    def interrupt(metrics: Mapping[str, Any]) -> None:
        if metrics["step"] == 5:
            raise KeyboardInterrupt

    budget = Budget(steps=12)
    with pytest.raises(KeyboardInterrupt):
        family.build(family.config(device="cuda")).fit(
            pairs(), seed=1, budget=budget, run_dir=tmp_path, on_step=interrupt
        )
    seen: list[int] = []
    again = family.build(family.config(device="cuda"))
    again.fit(pairs(), seed=1, budget=budget, run_dir=tmp_path, on_step=lambda metrics: seen.append(metrics["step"]))
    assert seen[0] == 6


def test_global_randomness_of_every_gpu_is_left_alone() -> None:
    last = torch.device("cuda", torch.cuda.device_count() - 1)
    before = [torch.cuda.get_rng_state(number) for number in range(torch.cuda.device_count())]
    draws = []
    for _ in range(2):
        with isolated_rng(7, last) as generator:
            draws.append((torch.rand(4, device=last), torch.rand(4, device=last, generator=generator)))
    assert all(torch.equal(one, other) for one, other in zip(*draws, strict=True))
    after = [torch.cuda.get_rng_state(number) for number in range(torch.cuda.device_count())]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))

"""The family learns what it should, by pixels and by learnt tokens."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from generators.base import Budget, FitReport, GeneratorInputError, ignore_step
from generators.device import resolve
from generators.image import autoregressive
from generators.image.autoregressive import AutoregressivePainter, Config, plan_of
from generators.image.levels import fit_levels
from generators.image.painter import Form, Pictures
from generators.image.symbols import LearntSymbols
from generators.image.synthesizer import ImageSynthesizer
from sources.dataset import Dataset
from sources.schema import Column, Schema

SMALL = Config(width=32, depth=1, units=8, batch_size=32, ema_decay=0.99, device="cpu", precision="float32")
BITS = 6  # of a picture of `lines`, given its label: one for each line


def lines(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures of 6 x 6 whose rows (label 0) or columns (label 1) are black or white by a fair coin each."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, size=n)
    coins = rng.integers(0, 2, size=(n, BITS)).astype(np.uint8) * 255
    pictures = np.repeat(coins[:, :, None], 6, axis=2)
    pictures[labels == 1] = pictures[labels == 1].transpose(0, 2, 1)
    return pictures[..., None], labels


def dataset(images: np.ndarray, labels: np.ndarray) -> Dataset:
    image = Column(name="scan", kind="image", shape=images.shape[1:], storage=images.dtype.name)
    columns = (image, Column(name="label", kind="categorical"))
    cells = pd.Series([str(label) for label in labels], dtype=object)
    frame = pd.DataFrame({"scan": np.arange(len(images)), "label": cells})
    return Dataset(frame=frame, schema=Schema(columns=columns), media={"scan": images})


def fitted(config: Config, data: Dataset, steps: int, folder: Path) -> tuple[ImageSynthesizer, FitReport]:
    synthesizer = autoregressive.build(config)
    report = synthesizer.fit(data, seed=3, budget=Budget(steps=steps), run_dir=folder / "run", on_step=ignore_step)
    return synthesizer, report


def test_learns_a_known_law_to_its_entropy_and_draws_by_it(tmp_path: Path) -> None:
    synthesizer, report = fitted(SMALL, dataset(*lines(1_000, seed=1)), 400, tmp_path)
    assert report.loss_unit == "bits per dimension"
    assert report.best is not None
    bits = report.best * 36
    # every picture has 2^-6 by the law, so no model's mean is below it but by the luck of 100 held-out pictures
    assert 0.97 * BITS < bits < 1.1 * BITS
    sample = synthesizer.sample(400, seed=2)
    pictures = sample.media["scan"][..., 0]
    straight = np.where(
        sample.frame["label"] == "0",
        (pictures == pictures[:, :, :1]).all(axis=(1, 2)),
        (pictures == pictures[:, :1, :]).all(axis=(1, 2)),
    )
    assert straight.mean() > 0.85  # 2^-30 by chance
    coins = np.where((sample.frame["label"] == "0").to_numpy()[:, None], pictures[:, :, 0], pictures[:, 0, :]) == 255
    different = len(np.unique(coins, axis=0))
    assert different > 0.9 * 64 * (1 - math.exp(-400 / 64))  # of 64 pictures, as many as 400 fair draws show


def test_guidance_makes_pictures_that_fit_their_label_better(tmp_path: Path) -> None:
    images, labels = lines(600, seed=1)
    wrong = np.random.default_rng(2).random(600) < 0.3
    synthesizer, _ = fitted(SMALL, dataset(images, np.where(wrong, 1 - labels, labels)), 250, tmp_path)
    given = pd.DataFrame({"label": pd.Series(["0", "1"] * 200, dtype=object)})
    fits = []
    for guidance in (1.0, 3.0):
        _painter(synthesizer).config = replace(SMALL, guidance=guidance)
        pictures = synthesizer.sample(400, seed=1, given=given).media["scan"][..., 0].astype(float)
        is_rows = pictures.std(axis=2).sum(axis=1) < pictures.std(axis=1).sum(axis=1)
        fits.append((is_rows == (given["label"] == "0").to_numpy()).mean())
    assert fits[0] == pytest.approx(0.7, abs=0.15)
    assert fits[1] > fits[0] + 0.1


@pytest.mark.parametrize(("shape", "dtype"), [((66, 70, 3), np.uint8), ((48, 64, 1), np.uint16)])
def test_large_pictures_are_read_as_learnt_tokens(shape: tuple[int, int, int], dtype: type, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, size=40)
    top = np.iinfo(dtype).max
    ramp = np.linspace(0.1, 0.9, shape[1])[None, None, :, None] * np.ones((40, *shape))
    ramp[labels == 1] = ramp[labels == 1][:, :, ::-1]
    images = ((ramp + 0.02 * rng.standard_normal(ramp.shape)).clip(0, 1) * top).astype(dtype)
    config = Config(width=32, depth=1, units=4, batch_size=8, device="cpu", precision="float32")
    synthesizer, report = fitted(config, dataset(images, labels), 25, tmp_path)
    assert any("learnt tokens" in note for note in report.notes)
    assert report.best is not None
    assert report.best < math.log2(top + 1)  # what equal chances of all levels would take
    synthesizer.save(tmp_path / "model")
    sample = synthesizer.sample(9, seed=4)
    assert sample.media["scan"].shape == (9, *shape)
    assert sample.media["scan"].dtype == dtype
    again = autoregressive.load(tmp_path / "model").sample(9, seed=4)
    np.testing.assert_array_equal(sample.media["scan"], again.media["scan"])
    saved = (tmp_path / "model" / "weights.safetensors").read_bytes()
    assert b"symbols/decoder" in saved
    assert b"encoder." not in saved


def test_learnt_symbols_round_to_levels_that_the_decoder_gets_back() -> None:
    form = Form(shape=(37, 53, 1), levels=256, sizes=(), ranks=())
    symbols = LearntSymbols(form, 2, 8).eval()
    generator = torch.Generator()
    generator.manual_seed(1)
    seen = torch.rand((3, 1, 37, 53), generator=generator) * 2 - 1
    cells = symbols.read(seen)
    assert cells.shape == (3, 5 * 7, 16)
    levels = torch.from_numpy(symbols.cells.joined(cells.numpy()))
    codes, expected = symbols.quantiser(symbols._raw(seen))
    assert torch.equal(levels, expected)
    torch.testing.assert_close(symbols.quantiser.codes(levels), codes)
    assert codes.requires_grad  # gradients pass through the rounding
    assert symbols.pictures(cells).shape == (3, 37, 53, 1)


@pytest.mark.parametrize(
    ("shape", "levels", "most", "exact_and_side"),
    [
        ((8, 8, 1), 256, 16, (True, 2)),
        ((28, 28, 1), 256, 255, (True, 4)),
        ((32, 32, 3), 256, 255, (True, 2)),
        ((37, 53, 1), 256, 255, (True, 4)),
        ((64, 64, 1), 256, 255, (True, 4)),
        ((64, 64, 3), 256, 255, (False, 2)),
        ((64, 64, 3), 256, 1, (True, 4)),
        ((64, 64, 1), 65_536, 65_535, (False, 2)),
        ((3, 5, 1), 256, 255, (True, 1)),
    ],
)
def test_what_a_token_is_follows_from_the_pictures(
    shape: tuple[int, int, int], levels: int, most: int, exact_and_side: tuple[bool, int]
) -> None:
    dtype = np.uint8 if levels == 256 else np.uint16
    images = np.random.default_rng(1).integers(0, most + 1, size=(30, *shape)).astype(dtype)
    form = Form(shape=shape, levels=levels, sizes=(), ranks=())
    plan = plan_of(Config(), fit_levels(images), form, 30, resolve("cpu"))
    assert (plan.code is not None, plan.side) == exact_and_side


@pytest.mark.parametrize(
    "fields", [{"width": 100}, {"side": 0}, {"dropout": 1.0}, {"guidance": -1.0}, {"temperature": 0.0}]
)
def test_a_configuration_that_means_nothing_is_refused(fields: dict[str, float]) -> None:
    with pytest.raises(GeneratorInputError, match=next(iter(fields))):
        Config(**fields)


def test_validation_rows_are_never_learnt_from(tmp_path: Path) -> None:
    images, labels = lines(80, seed=1)
    held = np.arange(80) < 20
    form = Form(shape=(6, 6, 1), levels=256, sizes=(2,), ranks=(None,))

    def weights(pictures: np.ndarray, name: str) -> dict[str, torch.Tensor]:
        painter = AutoregressivePainter(SMALL, form, resolve("cpu", precision="float32"))
        painter.fit(
            Pictures(form=form, images=pictures, tokens=labels[:, None], held=held),
            seed=1,
            budget=Budget(steps=5),
            run_dir=tmp_path / name,
            on_step=ignore_step,
            spent_s=0.0,
        )
        return dict(painter.tensors())

    other = images.copy()
    other[held] = 255 - other[held]
    first, second = weights(images, "a"), weights(other, "b")
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = images.copy()
    other[~held] = 255 - other[~held]
    third = weights(other, "c")
    assert not all(torch.equal(first[name], third[name]) for name in first)


def _painter(synthesizer: ImageSynthesizer) -> AutoregressivePainter:
    assert synthesizer._fitted is not None
    painter = synthesizer._fitted[3]
    assert isinstance(painter, AutoregressivePainter)
    return painter

"""`image.vae`: its bound, what it learns of attributes, what is saved, and its architecture."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch.distributions import Normal, kl_divergence

from generators.base import Budget, FitReport, GeneratorInputError, Synthesizer, ignore_step
from generators.device import Device
from generators.image import vae
from generators.image.painter import Form
from generators.image.vae_networks import Decoder, Encoder, Plan, fitted_to, grid_of, latent_of
from generators.training.streams import isolated_rng
from sources.dataset import Dataset
from sources.schema import Column, Schema

SMALL = {"width": 8, "whole": 32, "top": 4, "latent": 2, "batch_size": 32}
CPU = Device(name="cpu", precision="float32")
LIGHT = {"dark": 60, "light": 190}


def of(images: np.ndarray, labels: list[str]) -> Dataset:
    columns = (Column(name="image", kind="image"), Column(name="label", kind="categorical"))
    frame = pd.DataFrame({"image": np.arange(len(images)), "label": pd.Series(labels, dtype=object)})
    return Dataset(frame=frame, schema=Schema(columns=columns), media={"image": images})


def fitted(train: Dataset, folder: Path, steps: int) -> tuple[Synthesizer, FitReport]:
    synthesizer = vae.build(vae.Config(**SMALL))
    report = synthesizer.fit(train, seed=1, budget=Budget(steps=steps), run_dir=folder, on_step=ignore_step)
    return synthesizer, report


def test_bound_of_noise_is_not_below_its_entropy_and_of_one_colour_falls_to_nothing(tmp_path: Path) -> None:
    """Levels drawn evenly have log2(256) bits; 20 held-out pictures of 64 values leave no error above 0.2 bits."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 256, size=(200, 8, 8, 1)).astype(np.uint8)
    _, report = fitted(of(noise, ["same"] * 200), tmp_path / "noise", 100)
    assert report.loss_unit == "bits per dimension"
    assert report.best is not None
    assert 8.0 - 0.2 < report.best < 9.5
    plain = np.full((200, 8, 8, 1), 77, dtype=np.uint8)
    _, report = fitted(of(plain, ["same"] * 200), tmp_path / "plain", 150)
    assert report.best is not None
    assert report.best < 2.0


def test_pictures_follow_the_attributes_that_are_given(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    names = rng.choice(list(LIGHT), size=300).tolist()
    images = np.clip(rng.normal([LIGHT[name] for name in names], 8, size=(8, 8, 1, 300)), 0, 255)
    synthesizer, _ = fitted(of(images.transpose(3, 0, 1, 2).astype(np.uint8), names), tmp_path, 200)
    given = pd.DataFrame({"label": pd.Series(["dark"] * 40 + ["light"] * 40, dtype=object)})
    means = synthesizer.sample(80, seed=3, given=given).media["image"].mean(axis=(1, 2, 3))
    assert means[:40].max() < means[40:].min()
    assert abs(means[:40].mean() - LIGHT["dark"]) < 20
    assert abs(means[40:].mean() - LIGHT["light"]) < 20
    apart = synthesizer.sample(200, seed=4)
    light = (apart.media["image"].mean(axis=(1, 2, 3)) > 125) == (apart.frame["label"] == "light").to_numpy()
    assert light.all()


def test_nothing_of_the_encoder_is_saved(tmp_path: Path) -> None:
    images = np.random.default_rng(3).integers(0, 256, size=(60, 8, 8, 1)).astype(np.uint8)
    synthesizer, report = fitted(of(images, ["same"] * 60), tmp_path / "run", 3)
    synthesizer.save(tmp_path / "model")
    saved = load_file(tmp_path / "model" / "weights.safetensors")
    plan = vae.plan_of(vae.Config(**SMALL), Form(shape=(8, 8, 1), levels=256, sizes=(), ranks=()), 54, CPU)
    encoder = Encoder(Form(shape=(8, 8, 1), levels=256, sizes=(), ranks=()), plan)
    assert not {name for name, _ in encoder.named_parameters() if name in saved}
    assert not {name for name in saved if "posterior" in name}
    assert sum(tensor.numel() for tensor in saved.values()) < report.parameters


def test_divergence_of_a_latent_is_that_of_its_two_normals() -> None:
    generator = torch.Generator().manual_seed(1)
    prior, difference = (torch.randn((5, 6), generator=generator) for _ in range(2))
    noise = torch.randn((5, 3), generator=generator)
    z, nats = latent_of(prior, difference, noise, 1.0)
    drawn, none = latent_of(prior, None, noise, 1.0)
    assert not bool(none.any())
    scale = (drawn - prior[:, :3]) / noise
    centre = prior[:, :3] + scale * difference[:, :3]
    own = (z - centre) / noise
    expected = kl_divergence(Normal(centre, own), Normal(prior[:, :3], scale)).sum(1)
    torch.testing.assert_close(nats, expected, rtol=1e-4, atol=1e-4)
    wild, nats = latent_of(1e4 * prior, 1e3 * difference, noise, 1.0)
    assert bool(torch.isfinite(wild).all())
    assert bool(torch.isfinite(nats).all())


@pytest.mark.parametrize(
    ("shape", "patch", "grid"),
    [
        ((8, 8, 1), 1, (8, 8)),
        ((28, 28, 1), 2, (14, 14)),
        ((37, 53, 3), 4, (10, 14)),
        ((64, 64, 3), 4, (16, 16)),
        ((3, 5, 1), 1, (3, 5)),
    ],
)
def test_architecture_follows_from_the_size_of_pictures(
    shape: tuple[int, int, int], patch: int, grid: tuple[int, int]
) -> None:
    form = Form(shape=shape, levels=256, sizes=(), ranks=())
    plan = vae.plan_of(vae.Config(), form, 5_000, CPU)
    assert plan.patch == patch
    assert grid_of(form, plan, 0) == grid
    with isolated_rng(1, torch.device("cpu")):
        encoder, decoder = Encoder(form, plan), Decoder(form, plan, learns=True)
    pictures = torch.zeros((2, shape[2], *shape[:2]))
    seen = encoder(fitted_to(pictures, plan))
    mixture, divergences = decoder(torch.zeros((2, 0), dtype=torch.int64), seen, torch.Generator())
    assert mixture.log_likelihood(pictures).shape == (2, *shape[:2])
    assert all(part.shape == (2,) and bool((part >= 0).all()) for part in divergences)
    assert len(divergences) == 1 + sum(plan.depth)


def test_a_plan_survives_json() -> None:
    form = Form(shape=(28, 28, 1), levels=256, sizes=(3,), ranks=(None,))
    painter = vae.VaePainter(vae.Config(**SMALL), form, CPU)
    with isolated_rng(1, torch.device("cpu")):
        painter._decoder = Decoder(form, vae.plan_of(vae.Config(**SMALL), form, 100, CPU), learns=True)
    loaded = vae.VaePainter.load(vae.Config(**SMALL), form, CPU, painter.tensors(), painter.to_json())
    tokens = torch.tensor([[0], [3]])
    np.testing.assert_array_equal(loaded.draw(tokens, seed=1), painter.draw(tokens, seed=1))
    assert isinstance(painter._decoder.plan, Plan)
    assert math.prod(loaded.draw(tokens, seed=1).shape) == 2 * 28 * 28


@pytest.mark.parametrize(
    "wrong", [{"width": 0}, {"hide": 1.0}, {"temperature": 0.0}, {"kl_warmup_steps": -1}, {"grain": -0.5}]
)
def test_numbers_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(GeneratorInputError, match=next(iter(wrong))):
        vae.Config(**wrong)

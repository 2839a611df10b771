"""`image.gan` itself: sizes by shape, what it learns of digits, what it keeps and says."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from generators.base import Budget, GeneratorInputError, ignore_step
from generators.device import Device
from generators.image import gan
from generators.image.gan_networks import Generator
from generators.image.painter import Form
from sources.dataset import Dataset
from sources.schema import Column, Schema

CPU, GPU = Device(name="cpu", precision="float32"), Device(name="cuda:0", precision="float32")


def form(height: int, width: int, channels: int, levels: int = 256) -> Form:
    return Form(shape=(height, width, channels), levels=levels, sizes=(10,), ranks=(None,))


def digits(rows: slice) -> tuple[np.ndarray, np.ndarray]:
    found = load_digits()
    order = np.random.default_rng(1).permutation(len(found.images))[rows]
    return np.rint(found.images[order] * (255 / 16)).astype(np.uint8)[..., None], found.target[order]


def dataset(images: np.ndarray, labels: np.ndarray) -> Dataset:
    storage: Any = images.dtype.name
    columns = (
        Column(name="scan", kind="image", shape=images.shape[1:], storage=storage),
        Column(name="label", kind="categorical"),
    )
    cells = pd.Series([str(label) for label in labels], dtype="string")
    frame = pd.DataFrame({"scan": np.arange(len(images)), "label": cells})
    return Dataset(frame=frame, schema=Schema(columns=columns), media={"scan": images})


@pytest.mark.parametrize("device", [CPU, GPU])
@pytest.mark.parametrize(
    "shape", [(8, 8, 1), (28, 28, 1), (37, 53, 3), (64, 64, 3), (3, 5, 1), (128, 96, 4), (1, 40, 1)]
)
def test_grids_halve_down_to_a_few_places_and_cover_the_picture(shape: tuple[int, int, int], device: Device) -> None:
    made = gan.architecture_of(gan.Config(), form(*shape), device)
    for side, places in zip(shape, made.coarsest, strict=False):
        assert side <= places * made.multiple < side + made.multiple
    assert 1 <= max(made.coarsest) <= gan.COARSEST
    assert max(made.coarsest) * 2 ** (len(made.widths) - 1) <= 4 * gan.FINEST
    assert list(made.widths) == sorted(made.widths, reverse=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"width": 12}, "width must be a multiple of 8"),
        ({"penalty": -1.0}, "penalty must not be negative"),
        ({"augment": 1.5}, r"augment must lie in \[0, 1\]"),
        ({"hide": 1.0}, r"hide must lie in \[0, 1\)"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(GeneratorInputError, match=words):
        gan.Config(**options)


def test_digits_are_drawn_for_their_labels_varied_and_not_copied(tmp_path: Path) -> None:
    """By a linear classifier of real digits; ten labels by chance would be told right once in ten."""
    images, labels = digits(slice(0, 700))
    fresh, fresh_labels = digits(slice(700, 1797))
    judge = LogisticRegression(max_iter=500).fit(fresh.reshape(len(fresh), -1) / 255, fresh_labels)
    synthesizer = gan.build(gan.Config(width=24))
    budget = Budget(steps=200)
    report = synthesizer.fit(
        dataset(images, labels), seed=3, budget=budget, run_dir=tmp_path / "run", on_step=ignore_step
    )
    given = pd.DataFrame({"label": pd.Series([str(row % 10) for row in range(200)], dtype="string")})
    drawn = synthesizer.sample(200, seed=4, given=given).media["scan"].reshape(200, -1).astype(float)
    assert float(np.mean(judge.predict(drawn / 255) == np.arange(200) % 10)) > 0.6
    spread = [drawn[label::10].std(axis=0).mean() / images[labels == label].std(axis=0).mean() for label in range(10)]
    assert min(spread) > 0.4
    apart = np.linalg.norm(drawn[:, None] - images.reshape(1, len(images), -1), axis=2).min(axis=1)
    assert float(apart.min()) > 50  # of 255 a pixel, over 64 pixels: real ones are farther apart than 100
    last = report.history[-1]
    assert {"coverage", "agreement", "augmentation", "overfitting"} <= set(last)
    assert report.best is not None
    assert report.best < 2
    synthesizer.save(tmp_path / "model")
    with safe_open(tmp_path / "model" / "weights.safetensors", framework="pt") as file:
        kept = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    own = Generator((10,), (None,), gan.architecture_of(gan.Config(width=24), form(8, 8, 1), CPU))
    assert {name.split(".")[0] for name in kept} == {name for name, _ in own.named_children()}  # no discriminator


def test_rounded_levels_of_sixteen_bits_are_told(tmp_path: Path) -> None:
    images, labels = digits(slice(0, 40))
    notes = {}
    for name, pictures in (("8", images), ("16", images.astype(np.uint16) * 257)):
        synthesizer = gan.build(gan.Config(width=8))
        run_dir = tmp_path / name
        report = synthesizer.fit(
            dataset(pictures, labels), seed=3, budget=Budget(steps=2), run_dir=run_dir, on_step=ignore_step
        )
        notes[name] = " ".join(report.notes)
    assert "rounded" in notes["16"]
    assert "rounded" not in notes["8"]

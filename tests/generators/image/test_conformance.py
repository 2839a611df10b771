"""What every registered family of pictures must do, beside what `generators.base.Synthesizer` says of all."""

import dataclasses
import json
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from sklearn.datasets import load_digits

from generators.base import Budget, Family, GeneratorInputError, NotFitted, Synthesizer, ignore_step
from generators.registry import SYNTHESIZERS
from generators.training import checkpoint, loop
from sources.dataset import Dataset
from sources.schema import Column, Schema

FAMILIES = tuple(name for name, family in SYNTHESIZERS.items() if family.pictures)
FEW = Budget(steps=6)  # enough to run every part of a fit
CONFIGS: Mapping[str, Mapping[str, Any]] = {
    "image.autoregressive": {"width": 32, "depth": 1, "units": 4, "batch_size": 16},
    "image.vae": {"width": 8, "top": 8, "latent": 2, "batch_size": 16},
    "image.gan": {"width": 8, "latent": 8, "condition": 8, "batch_size": 16},
}
ODD: Mapping[str, tuple[tuple[int, int, int], type[np.uint8 | np.uint16]]] = {
    "37 x 53 grey": ((37, 53, 1), np.uint8),
    "9 x 8 RGB": ((9, 8, 3), np.uint8),
    "12 x 12 RGBA": ((12, 12, 4), np.uint8),
    "8 x 8 grey of 16 bits": ((8, 8, 1), np.uint16),
    "10 x 6 RGB of 16 bits": ((10, 6, 3), np.uint16),
    "3 x 5": ((3, 5, 1), np.uint8),
}
Fits = dict[str, tuple[Synthesizer, Dataset, Path]]


@pytest.fixture(params=FAMILIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def family(name: str) -> Family:
    return SYNTHESIZERS[name]


@pytest.fixture(scope="session")
def fits(tmp_path_factory: pytest.TempPathFactory) -> Fits:
    """Each family, fitted once on digits with three attributes, and its saved folder."""
    torch.set_num_threads(1)
    found = {}
    for name in FAMILIES:
        folder, train = tmp_path_factory.mktemp(name), digits(120)
        synthesizer = built(name)
        synthesizer.fit(train, seed=7, budget=FEW, run_dir=folder / "run", on_step=ignore_step)
        synthesizer.save(folder / "model")
        found[name] = (synthesizer, train, folder / "model")
    return found


def built(name: str) -> Synthesizer:
    family = SYNTHESIZERS[name]
    return family.build(family.config(**CONFIGS.get(name, {})))


def dataset(images: np.ndarray, attributes: Mapping[str, tuple[Column, Any]], **keys: Any) -> Dataset:
    height, width, channels = images.shape[1:]
    depth: Any = images.dtype.name
    image = Column(name="scan", kind="image", shape=(height, width, channels), storage=depth)
    columns = (image, *(column for column, _ in attributes.values()))
    frame = pd.DataFrame({"scan": np.arange(len(images)), **{name: cells for name, (_, cells) in attributes.items()}})
    return Dataset(frame=frame, schema=Schema(columns=columns, **keys), media={"scan": images})


def digits(n: int) -> Dataset:
    """Scikit-learn's digits with their label, a number with missing cells, and a truth value."""
    found, rng = load_digits(), np.random.default_rng(1)
    images = np.rint(found.images[:n] * (255 / 16)).astype(np.uint8)[..., None]
    ink = np.where(rng.random(n) < 0.2, np.nan, np.round(images.mean(axis=(1, 2, 3)), 1))
    return dataset(
        images,
        {
            "label": (Column(name="label", kind="categorical"), labels(found.target[:n])),
            "ink": (Column(name="ink", kind="numeric", decimals=1), ink),
            "even": (Column(name="even", kind="boolean"), pd.Series(found.target[:n] % 2 == 0, dtype="boolean")),
        },
    )


def labels(values: Any) -> pd.Series:
    return pd.Series([str(value) for value in values], dtype=object)


def noise(n: int, shape: tuple[int, int, int], dtype: type[np.uint8 | np.uint16]) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.integers(0, np.iinfo(dtype).max + 1, size=(n, *shape)).astype(dtype)


def of_one_label(images: np.ndarray) -> Dataset:
    one = labels(["same"] * len(images))
    return dataset(images, {"label": (Column(name="label", kind="categorical"), one)})


def assert_same(first: Dataset, second: Dataset) -> None:
    assert_frame_equal(first.frame, second.frame, check_exact=True)
    np.testing.assert_array_equal(first.media["scan"], second.media["scan"])


def global_states() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 - to see that nobody touched it
    return random.getstate(), name, np.asarray(keys).tobytes(), tuple(rest), bytes(torch.get_rng_state().tolist())


# ---------------------------------------------------------------------- before and around a fit


def test_is_documented_with_every_option_and_an_example(family: Family, name: str) -> None:
    text = family.config.__doc__ or ""
    options = [field.name for field in dataclasses.fields(family.config)]
    assert [option for option in options if not re.search(rf"\b{option}\b", text)] == []
    assert name in text
    assert len(family.summary) > 20
    assert family.config() == family.config()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(family.config(), options[0], None)


def test_sample_and_save_before_fit_raise_not_fitted(name: str, tmp_path: Path) -> None:
    with pytest.raises(NotFitted):
        built(name).sample(1, seed=0)
    with pytest.raises(NotFitted):
        built(name).save(tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("content", [None, '{"format": "something else"}', "{half a", ""])
def test_load_of_what_save_did_not_write_says_so(family: Family, tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "model.json").write_text(content)
    with pytest.raises(GeneratorInputError, match="model"):
        family.load(tmp_path)


def test_same_seed_fits_the_same_and_leaves_input_and_global_randomness_alone(
    name: str, fits: Fits, tmp_path: Path
) -> None:
    first, _, _ = fits[name]
    train, before, states = digits(120), digits(120), global_states()
    reports: list[Mapping[str, Any]] = []
    second = built(name)
    report = second.fit(train, seed=7, budget=FEW, run_dir=tmp_path / "new" / "run", on_step=reports.append)
    sample = second.sample(20, seed=3)
    second.save(tmp_path / "model")
    SYNTHESIZERS[name].load(tmp_path / "model").sample(5, seed=4)
    assert global_states() == states
    assert_same(train, before)
    assert_same(sample, first.sample(20, seed=3))
    assert (report.family, report.steps, report.stopped_by) == (name, 6, "steps")
    assert {"step", "loss", "best", "elapsed_s", "left_s", "phase"} <= set(reports[-1])
    json.dumps(dataclasses.asdict(report), allow_nan=False)
    other = built(name)
    other.fit(train, seed=8, budget=FEW, run_dir=tmp_path / "other", on_step=ignore_step)
    assert not np.array_equal(other.sample(20, seed=3).media["scan"], sample.media["scan"])


# ---------------------------------------------------------------------- samples


@pytest.mark.parametrize("n", [0, 1, 7])
def test_sample_has_exactly_n_rows_in_the_schema_of_train(name: str, fits: Fits, n: int) -> None:
    synthesizer, train, _ = fits[name]
    sample = synthesizer.sample(n, seed=5)
    assert sample.schema == train.schema
    assert list(sample.frame.dtypes) == list(train.frame.dtypes)
    assert sample.frame.index.equals(pd.RangeIndex(n))
    assert sample.media["scan"].shape == (n, 8, 8, 1)
    assert sample.media["scan"].dtype == np.uint8
    assert list(sample.frame["scan"]) == list(range(n))


def test_same_seed_samples_the_same_and_another_seed_other_pictures(name: str, fits: Fits) -> None:
    synthesizer, _, _ = fits[name]
    once = synthesizer.sample(30, seed=5)
    assert_same(once, synthesizer.sample(30, seed=5))
    assert not np.array_equal(once.media["scan"], synthesizer.sample(30, seed=6).media["scan"])


def test_given_attributes_are_kept_exactly(name: str, fits: Fits) -> None:
    synthesizer, train, _ = fits[name]
    given = train.frame[["label", "even"]].iloc[:9].reset_index(drop=True)
    assert_frame_equal(synthesizer.sample(9, seed=1, given=given).frame[["label", "even"]], given)
    assert SYNTHESIZERS[name].conditions


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"scan": np.arange(3)}, "picture"),
        ({"labl": labels("123")}, 'did you mean "label"'),
        ({"label": labels(["1", "2", "x"])}, "does not show"),
        ({"label": labels("12")}, "one row is needed"),
    ],
)
def test_what_cannot_be_given_is_refused_in_words(name: str, fits: Fits, given: dict[str, Any], words: str) -> None:
    with pytest.raises(GeneratorInputError, match=words) as refusal:
        fits[name][0].sample(3, seed=1, given=pd.DataFrame(given))
    assert refusal.value.remedy


# ---------------------------------------------------------------------- saved models


def test_loaded_model_samples_the_same(name: str, fits: Fits) -> None:
    synthesizer, train, folder = fits[name]
    sample = SYNTHESIZERS[name].load(folder).sample(25, seed=11)
    assert_same(sample, synthesizer.sample(25, seed=11))
    assert sample.schema == train.schema


def test_saved_folder_is_safetensors_and_json_without_a_picture(name: str, fits: Fits) -> None:
    _, train, folder = fits[name]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".safetensors", ".json"}
    content = b"".join(path.read_bytes() for path in files)
    for image in train.media["scan"]:
        assert image.tobytes() not in content
        assert (image.astype(np.float32) / 255 * 2 - 1).tobytes() not in content


# ---------------------------------------------------------------------- odd datasets


@pytest.mark.parametrize("odd", list(ODD))
def test_pictures_of_any_form_are_learnt_sampled_and_loaded(name: str, tmp_path: Path, odd: str) -> None:
    shape, dtype = ODD[odd]
    train = of_one_label(noise(30, shape, dtype))
    synthesizer = built(name)
    synthesizer.fit(train, seed=1, budget=Budget(steps=2), run_dir=tmp_path / "run", on_step=ignore_step)
    sample = synthesizer.sample(3, seed=2)
    assert sample.media["scan"].shape == (3, *shape)
    assert sample.media["scan"].dtype == dtype
    assert list(sample.frame["label"]) == ["same"] * 3
    synthesizer.save(tmp_path / "model")
    assert_same(SYNTHESIZERS[name].load(tmp_path / "model").sample(3, seed=2), sample)


def test_pictures_without_any_attribute_are_learnt(name: str, tmp_path: Path) -> None:
    synthesizer = built(name)
    train = dataset(noise(30, (8, 8, 1), np.uint8), {})
    synthesizer.fit(train, seed=1, budget=Budget(steps=2), run_dir=tmp_path / "run", on_step=ignore_step)
    sample = synthesizer.sample(4, seed=2)
    assert sample.media["scan"].shape == (4, 8, 8, 1)
    synthesizer.save(tmp_path / "model")
    assert_same(SYNTHESIZERS[name].load(tmp_path / "model").sample(4, seed=2), sample)
    with pytest.raises(GeneratorInputError, match="no such column"):
        synthesizer.sample(1, seed=2, given=pd.DataFrame({"label": labels("1")}))


@pytest.mark.parametrize("level", [0, 255])
def test_pictures_that_are_all_one_colour_are_learnt_as_that(name: str, tmp_path: Path, level: int) -> None:
    synthesizer = built(name)
    train = dataset(np.full((40, 8, 8, 1), level, dtype=np.uint8), {})
    report = synthesizer.fit(train, seed=1, budget=Budget(steps=30), run_dir=tmp_path, on_step=ignore_step)
    assert report.best is None or np.isfinite(report.best)
    drawn = synthesizer.sample(10, seed=2).media["scan"].astype(float)
    assert abs(drawn.mean() - level) < 64  # of 255: on its side, after a few steps


def test_rows_of_one_person_and_rows_out_of_order_are_learnt(name: str, tmp_path: Path) -> None:
    """The image column counts places in `media`, in any order; `take` is the second route to the same rows."""
    persons = labels(np.repeat(np.arange(20), 2))
    key = Column(name="person", kind="id")
    train = dataset(noise(40, (8, 8, 1), np.uint8), {"person": (key, persons)}, entity_key="person")
    order = np.random.default_rng(3).permutation(40)
    shuffled = Dataset(
        frame=train.frame.iloc[order].reset_index(drop=True), schema=train.schema, media=dict(train.media)
    )
    samples = []
    for place, rows in enumerate((shuffled, train.take(order))):
        synthesizer = built(name)
        synthesizer.fit(rows, seed=1, budget=FEW, run_dir=tmp_path / str(place), on_step=ignore_step)
        samples.append(synthesizer.sample(5, seed=2))
    assert_same(*samples)
    assert not set(samples[0].frame["person"]) & set(persons)


@pytest.mark.parametrize("n", [1, 2, 19])
def test_too_few_pictures_are_refused_in_words(name: str, tmp_path: Path, n: int) -> None:
    with pytest.raises(GeneratorInputError, match="too few pictures") as refusal:
        built(name).fit(digits(n), seed=1, budget=FEW, run_dir=tmp_path, on_step=ignore_step)
    assert refusal.value.remedy


def test_tables_without_a_picture_or_with_two_are_refused_in_words(name: str, tmp_path: Path) -> None:
    train = digits(30)
    schema = Schema(columns=train.schema.columns[1:])
    none = Dataset(frame=train.frame[list(schema.names)], schema=schema)
    second = dataclasses.replace(train.schema.columns[0], name="other")
    two = Dataset(
        frame=train.frame.assign(other=np.arange(30)),
        schema=Schema(columns=(*train.schema.columns, second)),
        media={**train.media, "other": train.media["scan"]},
    )
    for wrong, seen in ((none, "0 of 3 columns"), (two, "2 of 5 columns: scan, other")):
        with pytest.raises(GeneratorInputError, match="exactly one image column") as refusal:
            built(name).fit(wrong, seed=1, budget=FEW, run_dir=tmp_path, on_step=ignore_step)
        assert seen in str(refusal.value)
        assert refusal.value.remedy


# ---------------------------------------------------------------------- interruption


class Interrupted(Exception):
    """What a user's Ctrl-C is to a fit."""


def test_interrupted_and_resumed_equals_uninterrupted(
    name: str, fits: Fits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uninterrupted, train, _ = fits[name]
    monkeypatch.setattr(loop, "REPORT_EVERY_S", 0.0)
    monkeypatch.setitem(loop.TrainingConfig.__init__.__kwdefaults__, "checkpoint_s", 0.0)

    def interrupt(metrics: Mapping[str, Any]) -> None:
        if metrics["step"] == 3 and metrics["phase"] != "attributes":
            raise Interrupted

    with pytest.raises(Interrupted):
        built(name).fit(train, seed=7, budget=FEW, run_dir=tmp_path, on_step=interrupt)
    seen: list[int] = []
    resumed = built(name)
    resumed.fit(train, seed=7, budget=FEW, run_dir=tmp_path, on_step=lambda metrics: seen.append(metrics["step"]))
    assert_same(resumed.sample(15, seed=3), uninterrupted.sample(15, seed=3))
    assert (tmp_path / checkpoint.FILE).exists()
    assert seen[0] == 4
    seen.clear()
    third = built(name)
    third.fit(train, seed=7, budget=FEW, run_dir=tmp_path, on_step=lambda metrics: seen.append(metrics["step"]))
    assert seen == []
    assert_same(third.sample(9, seed=3), resumed.sample(9, seed=3))


def test_a_fit_that_the_clock_ended_is_reproduced_by_its_number_of_steps(name: str, tmp_path: Path) -> None:
    train = digits(60)
    timed, counted = built(name), built(name)
    budget = Budget(seconds=2.0)
    report = timed.fit(train, seed=7, budget=budget, run_dir=tmp_path / "timed", on_step=ignore_step)
    assert report.stopped_by == "time"
    assert report.steps > 0
    budget = Budget(steps=report.steps)
    again = counted.fit(train, seed=7, budget=budget, run_dir=tmp_path / "counted", on_step=ignore_step)
    assert again.steps == report.steps
    assert_same(timed.sample(15, seed=3), counted.sample(15, seed=3))

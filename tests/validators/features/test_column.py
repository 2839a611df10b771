"""Frozen networks see pictures: what they are trained on, what they keep, and what they can tell."""

import numpy as np
import pandas as pd
import pytest
import torch

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.features.column import RANDOM, SELF_SUPERVISED, SUPERVISED, PictureColumn
from validators.features.networks import NUM_FEATURES

ALL = (RANDOM, SELF_SUPERVISED, SUPERVISED)


def bars(n: int, seed: int, *, shape: tuple[int, int, int] = (8, 8, 1), depth: type = np.uint8) -> Dataset:
    """Return noisy pictures of a bar that lies or stands, as the label says."""
    rng = stream(seed, "bars")
    height, width, channels = shape
    lying = rng.random(n) < 0.6
    pictures = rng.uniform(0, 0.3, size=(n, *shape))
    for row in range(n):
        if lying[row]:
            pictures[row, rng.integers(1, height - 1)] += 0.6
        else:
            pictures[row, :, rng.integers(1, width - 1)] += 0.6
    images = (pictures * np.iinfo(depth).max).astype(depth)
    schema = Schema(
        columns=(
            Column(name="scan", kind="image", shape=(height, width, channels), storage=images.dtype.name),  # type: ignore[arg-type]
            Column(name="bar", kind="categorical"),
        )
    )
    labels = pd.Series(np.where(lying, "lying", "standing"), dtype=object)
    return Dataset(frame=pd.DataFrame({"scan": np.arange(n), "bar": labels}), schema=schema, media={"scan": images})


def column_of(n: int, seed: int = 1) -> PictureColumn:
    return PictureColumn("scan", bars(n, 1), seed=seed, steps=60)


@pytest.fixture(scope="module")
def column() -> PictureColumn:
    return column_of(200)


@pytest.fixture(scope="module")
def fresh() -> Dataset:
    return bars(150, 2)


@pytest.mark.parametrize("extractor", ALL)
def test_features_are_standardised_on_the_rows_they_were_learnt_from(column: PictureColumn, extractor: str) -> None:
    features = column.features(column.learnt, extractor)
    assert features.shape == (200, NUM_FEATURES)
    assert features.dtype == np.float32
    assert np.allclose(features.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(features.std(axis=0), 1, atol=1e-3)


@pytest.mark.parametrize("extractor", ALL)
def test_the_same_seed_gives_the_same_features_and_another_gives_others(
    column: PictureColumn, fresh: Dataset, extractor: str
) -> None:
    features = column.features(fresh, extractor)
    again = column_of(200).features(bars(150, 2), extractor)
    other = column_of(200, 2).features(bars(150, 2), extractor)
    assert np.array_equal(features, again)
    assert not np.allclose(features, other, atol=0.1)


def test_the_number_of_threads_and_the_global_state_neither_matter_nor_change(fresh: Dataset) -> None:
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    found = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(column_of(60).features(fresh, SELF_SUPERVISED))
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(threads)
    assert np.array_equal(*found)
    assert torch.equal(before, torch.get_rng_state())


def test_nothing_is_computed_twice_and_nobody_may_write_into_it(column: PictureColumn, fresh: Dataset) -> None:
    first = column.features(fresh, RANDOM)
    assert column.features(fresh, RANDOM) is first
    assert column.pixels(fresh) is column.pixels(fresh)
    with pytest.raises(ValueError, match="read-only"):
        first[0, 0] = 1.0


def test_features_belong_to_their_rows_in_any_order(column: PictureColumn, fresh: Dataset) -> None:
    order = stream(3, "order").permutation(len(fresh))
    assert np.allclose(
        column.features(fresh.take(order), SUPERVISED), column.features(fresh, SUPERVISED)[order], atol=1e-4
    )
    indexed = Dataset(
        frame=fresh.frame.iloc[order].reset_index(drop=True), schema=fresh.schema, media=fresh.media
    )  # rows that point into the same pictures
    assert np.array_equal(column.raw(indexed), column.raw(fresh)[order])


def test_the_supervised_network_tells_the_labels_of_rows_it_has_not_seen(column: PictureColumn, fresh: Dataset) -> None:
    told = column.probabilities(fresh, "bar")
    assert np.allclose(told.sum(axis=1), 1, atol=1e-5)
    assert column.classes == {"bar": ("lying", "standing")}
    assert (told.argmax(axis=1) == column.labels(fresh, "bar")).mean() > 0.95


def test_missing_and_unseen_labels_are_of_no_class(column: PictureColumn, fresh: Dataset) -> None:
    frame = fresh.frame.assign(bar=pd.Series(["lying", None, "slanting", *["standing"] * 147], dtype=object))
    labels = column.labels(Dataset(frame=frame, schema=fresh.schema, media=fresh.media), "bar")
    assert labels[:4].tolist() == [0, -1, -1, 1]


def test_without_labels_there_is_no_supervised_network_and_with_few_rows_only_the_random_one() -> None:
    learnt = bars(60, 1)
    schema = Schema(columns=(learnt.schema.columns[0],))
    bare = Dataset(frame=learnt.frame[["scan"]], schema=schema, media=learnt.media)
    assert PictureColumn("scan", bare, seed=1).extractors == (RANDOM, SELF_SUPERVISED)
    few = PictureColumn("scan", bare.take(np.arange(20)), seed=1)
    assert few.extractors == (RANDOM,)
    assert np.isfinite(few.features(bare, RANDOM)).all()


@pytest.mark.parametrize(
    ("shape", "depth"),
    [
        ((37, 53, 3), np.uint8),
        ((64, 64, 4), np.uint8),
        ((16, 16, 1), np.uint16),
        ((1, 5, 1), np.uint8),
        ((3, 3, 1), np.uint8),
    ],
)
def test_any_shape_and_depth_has_features(shape: tuple[int, int, int], depth: type) -> None:
    rng = stream(1, "noise")
    images = rng.integers(0, np.iinfo(depth).max, size=(40, *shape), endpoint=True).astype(depth)
    column = Column(name="scan", kind="image", shape=shape, storage=images.dtype.name)  # type: ignore[arg-type]
    data = Dataset(
        frame=pd.DataFrame({"scan": np.arange(40)}), schema=Schema(columns=(column,)), media={"scan": images}
    )
    pictures = PictureColumn("scan", data, seed=1, steps=20)
    for extractor in pictures.extractors:
        features = pictures.features(data, extractor)
        assert features.shape == (40, NUM_FEATURES)
        assert np.isfinite(features).all()


def test_pictures_that_are_all_the_same_have_finite_features() -> None:
    learnt = bars(50, 1)
    same = Dataset(frame=learnt.frame, schema=learnt.schema, media={"scan": np.zeros((50, 8, 8, 1), dtype=np.uint8)})
    column = PictureColumn("scan", same, seed=1, steps=20)
    assert all(np.isfinite(column.features(same, extractor)).all() for extractor in column.extractors)

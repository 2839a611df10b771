"""A user's own network: what pictures become before it, what it must return, and that it says the same twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.validators.features.own_files import (
    Summary,
    inception_weights,
    program,
    transformer_weights,
    weights,
    written,
)
from validators.errors import ValidatorInputError
from validators.features import own
from validators.features.extractor import Extractor, read_extractor
from validators.features.own import OwnNetwork, check, embedded, load, prepared

SHA = "0" * 64
RNG = np.random.Generator(np.random.PCG64(0))


def plain(**more: Any) -> Extractor:
    return read_extractor({"kind": "torchscript", "path": "-", "sha256": SHA, **more})


def network(run: Any, **more: Any) -> OwnNetwork:
    return OwnNetwork(extractor=plain(**more), run=run, device=torch.device("cpu"))


def pictures(n: int, *shape: int, depth: type = np.uint8) -> np.ndarray:
    return RNG.integers(0, np.iinfo(depth).max, size=(n, *shape), endpoint=True, dtype=depth)


def test_colours_of_8_bits_are_put_as_they_are() -> None:
    images = pictures(2, 5, 4, 3)
    assert np.array_equal(prepared(images, plain(pixels="uint8")).numpy(), images.transpose(0, 3, 1, 2))
    floats = prepared(images, plain()).numpy()
    assert floats.dtype == np.float32
    np.testing.assert_allclose(floats, images.transpose(0, 3, 1, 2) / 255, rtol=1e-6)


def test_sixteen_bits_are_divided_by_their_own_largest() -> None:
    images = pictures(2, 5, 4, 3, depth=np.uint16)
    np.testing.assert_allclose(prepared(images, plain()).numpy(), images.transpose(0, 3, 1, 2) / 65535, rtol=1e-6)
    whole = np.full((1, 2, 2, 3), 65535, dtype=np.uint16)
    assert (prepared(whole, plain(pixels="uint8")) == 255).all()


def test_grey_becomes_three_equal_colours_and_colours_become_their_luma() -> None:
    grey = pictures(2, 5, 4, 1)
    found = prepared(grey, plain()).numpy()
    assert found.shape == (2, 3, 5, 4)
    assert np.array_equal(found[:, 0], found[:, 2])
    colours = np.zeros((3, 1, 1, 3), dtype=np.uint8)
    colours[[0, 1, 2], 0, 0, [0, 1, 2]] = 255
    assert prepared(colours, plain(channels=1)).flatten().tolist() == pytest.approx([0.299, 0.587, 0.114])
    assert prepared(grey, plain(channels=1)).shape == (2, 1, 5, 4)


def test_opacity_lays_pictures_over_white() -> None:
    image = np.array([[[[200, 100, 0, 0], [200, 100, 0, 255], [200, 100, 0, 51]]]], dtype=np.uint8)
    found = prepared(image, plain()).numpy()[0, :, 0] * 255
    assert found[:, 0].tolist() == pytest.approx([255, 255, 255])
    assert found[:, 1].tolist() == pytest.approx([200, 100, 0])
    assert found[:, 2].tolist() == pytest.approx([0.2 * 200 + 204, 0.2 * 100 + 204, 204])


def test_range_mean_and_deviation_follow_the_scaling() -> None:
    image = np.zeros((1, 6, 4, 3), dtype=np.uint8)
    image[:, :, 2:] = 255
    found = prepared(image, plain(size=[3, 2], pixels=[-1, 1], mean=[0.5, 0, 0], std=[2, 1, 4])).numpy()[0]
    assert found.shape == (3, 3, 2)
    # Halved with antialiasing: a triangle of two pixels to either side weighs the four by 3, 3, 1, 0.
    low, high = -1 + 2 / 7, 1 - 2 / 7
    np.testing.assert_allclose(found[0], [[(low - 0.5) / 2, (high - 0.5) / 2]] * 3, atol=1e-6)
    np.testing.assert_allclose(found[2], [[low / 4, high / 4]] * 3, atol=1e-6)


@pytest.mark.parametrize("kind", ["torchscript", "dino_vit", "inception_v3", "inception_fid"])
def test_each_kind_is_loaded_tried_and_says_the_same_again(kind: str, tmp_path: Path) -> None:
    given = {
        "torchscript": (program(Summary()), {}, 96),
        "dino_vit": (weights(transformer_weights()), {"size": 24, "heads": 3}, 24),
        "inception_v3": (weights(inception_weights(0.03)), {"size": 80}, 64),
        "inception_fid": (weights(inception_weights(0.03)), {"size": 80}, 64),
    }
    data, more, num = given[kind]
    found = load(read_extractor(written(tmp_path, data, kind, **more)))
    images = pictures(20, 9, 11, 4, depth=np.uint16)
    assert check(found, (9, 11, 4), np.uint16) == num
    features = embedded(found, images)
    assert features.shape == (20, num)
    assert features.std(axis=0).max() > 0
    assert np.array_equal(features, embedded(found, images))
    assert np.array_equal(features, embedded(load(found.extractor), images))


def test_batches_are_bounded_and_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []

    def run(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return batch[:, :, :4, :4].flatten(1)

    images = pictures(50, 4, 4, 1)
    found = embedded(network(run), images)
    assert sizes == [50]
    monkeypatch.setattr(own, "CHUNK_NUMBERS", 7 * 3 * 16)
    assert np.array_equal(embedded(network(run), images), found)
    assert sorted(sizes[1:]) == [1, *[7] * 7]
    sizes.clear()
    embedded(network(run, size=[400, 400]), images[:3])
    assert sizes == [1, 1, 1]


def test_the_threads_of_the_process_are_as_they_were() -> None:
    before = torch.get_num_threads()
    embedded(network(lambda batch: batch.flatten(1)), pictures(3, 4, 4, 1))
    assert torch.get_num_threads() == before


class Options(nn.Module):
    """Returns features only when it is asked for them, as the Inception of the Fréchet distance does."""

    def forward(self, pictures: Tensor, return_features: bool = False, power: float = 1.0) -> Tensor:  # noqa: FBT001, FBT002
        """Return means, or one class."""
        means = pictures.float().mean((2, 3)) ** power
        return means if return_features else means.argmax(1)


def test_arguments_reach_a_program(tmp_path: Path) -> None:
    given = written(tmp_path, program(Options()), "torchscript", pixels="uint8")
    with pytest.raises(ValidatorInputError, match="not one row of features"):
        check(load(read_extractor(given)), (8, 8, 3), np.uint8)
    arguments = {"return_features": True, "power": 2.0}
    found = load(read_extractor({**given, "arguments": arguments}))
    assert check(found, (8, 8, 3), np.uint8) == 3
    images = pictures(2, 8, 8, 3)
    np.testing.assert_allclose(embedded(found, images), images.mean((1, 2)) ** 2, rtol=1e-4)
    with pytest.raises(ValidatorInputError, match="fails on pictures"):
        check(load(read_extractor({**given, "arguments": {"return_feature": True}})), (8, 8, 3), np.uint8)


def failing(_: Tensor) -> Tensor:
    raise RuntimeError("Expected 3 channels\nbut got 4")


COUNTER = iter(range(1000))
WRONG = {
    "fails on pictures of 3 × 6 × 5": failing,
    "not one row of features": lambda batch: batch.mean((1, 2, 3)),
    "not one row of features for each": lambda batch: batch.flatten(1)[:1],
    "not one row": lambda batch: (batch.flatten(1),),
    "one row of features": lambda batch: batch.flatten(1).long(),
    "not finite": lambda batch: batch.flatten(1).log() - batch.flatten(1).log().nan_to_num(),
    "when asked again": lambda batch: batch.flatten(1) + next(COUNTER),
    "the others in its batch": lambda batch: batch.flatten(1) - batch.flatten(1).mean(0),
}


@pytest.mark.parametrize("words", WRONG)
def test_a_network_that_cannot_judge_is_refused(words: str) -> None:
    with pytest.raises(ValidatorInputError, match=words):
        check(network(WRONG[words]), (6, 5, 3), np.uint8)


def test_grids_of_one_place_are_features() -> None:
    assert check(network(lambda batch: batch.mean((2, 3), keepdim=True)), (6, 5, 3), np.uint8) == 3

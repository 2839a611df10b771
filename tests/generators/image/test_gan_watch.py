"""What the watch of `image.gan` says of real pictures, of repeated ones, of wrong attributes, and when it speaks."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from generators.image.gan_watch import Watch, collapsed, notes
from generators.image.random_features import RandomFeatures


@pytest.fixture(scope="module")
def parts() -> tuple[tuple[Tensor, Tensor], ...]:
    """Digits and their labels in three parts: learnt from, held out, fresh."""
    found = load_digits()
    order = np.random.default_rng(1).permutation(len(found.images))
    images = torch.from_numpy(found.images[order] / 8 - 1).float()[:, None]
    labels = torch.from_numpy(found.target[order].astype(np.int64))[:, None]
    return tuple((images[rows], labels[rows]) for rows in (slice(0, 800), slice(800, 1000), slice(1000, 1797)))


@pytest.fixture(scope="module")
def watch(parts: tuple[tuple[Tensor, Tensor], ...]) -> Watch:
    (learnt, labels), (held, held_labels), _ = parts
    features = RandomFeatures(learnt, seed=3)
    return Watch(
        features=features,
        learnt=(features(learnt), labels),
        held=(features(held), held_labels),
        sizes=(10,),
        ranks=(None,),
    )


def for_its_tokens(watch: Watch, part: tuple[Tensor, Tensor], *, off: int = 0) -> Tensor:
    """Return a picture of `part` for each token the watch asks for, of the label `off` higher; each seldom twice."""
    images, labels = part
    rng, wanted = np.random.default_rng(5), ((watch.tokens[:, 0] + off) % 10).numpy()
    return torch.stack([images[rng.choice(np.flatnonzero(labels[:, 0].numpy() == label))] for label in wanted])


def figures(watch: Watch, pictures: Tensor) -> dict[str, float]:
    return {"validation_loss": float(watch.distance(pictures)), **watch.figures}


def test_fresh_real_pictures_are_near_covered_and_agree(watch: Watch, parts: tuple[tuple[Tensor, Tensor], ...]) -> None:
    found = figures(watch, for_its_tokens(watch, parts[2]))
    assert abs(found["validation_loss"]) < 0.1
    assert found["coverage"] > 0.85
    assert found["agreement"] == pytest.approx(1, abs=0.1)


def test_each_kind_of_failure_is_farther_away_and_its_own_figure_shows_it(
    watch: Watch, parts: tuple[tuple[Tensor, Tensor], ...]
) -> None:
    fresh = figures(watch, for_its_tokens(watch, parts[2]))
    repeated = figures(watch, parts[2][0][:1].expand(len(watch.tokens), -1, -1, -1))
    mislabelled = figures(watch, for_its_tokens(watch, parts[2], off=1))
    noise = torch.rand(len(watch.tokens), 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 1
    noisy = figures(watch, noise)
    for failure in (repeated, mislabelled, noisy):
        assert failure["validation_loss"] > abs(fresh["validation_loss"]) + 0.05
    assert repeated["coverage"] < 0.1
    assert noisy["coverage"] < 0.1
    assert mislabelled["coverage"] > 0.85
    assert mislabelled["agreement"] < 0.2


def test_watching_the_same_pictures_twice_says_the_same(watch: Watch, parts: tuple[tuple[Tensor, Tensor], ...]) -> None:
    pictures = for_its_tokens(watch, parts[2])
    assert figures(watch, pictures) == figures(watch, pictures)


def row(loss: float, coverage: float) -> dict[str, float]:
    return {"validation_loss": loss, "coverage": coverage}


@pytest.mark.parametrize(
    ("history", "said"),
    [
        ([row(5.0, 0.0)], False),
        ([row(5.0, 0.0), row(1.0, 0.5), row(0.1, 0.9)], False),
        ([row(5.0, 0.0), row(0.1, 0.9), row(0.3, 0.7)], False),
        ([row(5.0, 0.0), row(0.1, 0.9), row(0.3, 0.2)], True),  # lost its variety
        ([row(5.0, 0.3), row(0.1, 0.9), row(3.0, 0.8)], True),  # back near where it began
        ([row(5.0, 0.0), row(4.0, 0.1), row(5.0, 0.0)], False),  # had nothing to lose
    ],
)
def test_a_collapse_is_lost_variety_or_a_way_back_and_nothing_less(
    history: list[dict[str, float]], *, said: bool
) -> None:
    assert collapsed(history) is said


def test_a_collapse_and_wrong_attributes_of_the_kept_step_are_told() -> None:
    history = [{"step": 200.0, "agreement": 0.4}, {"step": 400.0, "agreement": 0.95}, {"step": 600.0, "agreement": 0.1}]
    (collapse,) = notes(history, 600, 400)
    assert "collapsed by step 600" in collapse
    assert "that of step 400" in collapse
    assert notes(history, None, 400) == ()
    (attributes,) = notes(history, None, 200)
    assert "read off drawn pictures at 40%" in attributes


def test_pictures_of_any_shape_have_finite_features_even_where_all_are_one_colour() -> None:
    for shape in ((1, 3, 5), (3, 37, 53), (4, 9, 8)):
        same = torch.zeros(20, *shape)
        features = RandomFeatures(same, seed=1)(same + 0.1)
        assert features.shape[0] == 20
        assert bool(torch.isfinite(features).all())

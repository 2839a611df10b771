"""A picture that was moved and scaled is put back on its original, and fits it as no other picture does."""

import numpy as np
import pytest
from PIL import Image

from sources.randomness import stream
from tests.validators.privacy.pictures import simulated
from validators.privacy.image_registration import middle_of, registered
from validators.privacy.image_views import canonical, sampled, sampled_all, windows


def cut(picture: np.ndarray, top: float, left: float, share: float, method: Image.Resampling) -> np.ndarray:
    """Return a part of a picture (float32 H W), in shares of its sides, enlarged to the whole by Pillow."""
    height, width = picture.shape
    box = (left * width, top * height, (left + share) * width, (top + share) * height)
    return np.asarray(Image.fromarray(picture).resize((width, height), method, box=box))


def residual(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return 1 - correlation of pictures (N C P Q each) over their pixels."""
    pairs = zip(first.reshape(len(first), -1), second.reshape(len(second), -1), strict=True)
    return np.array([1 - np.corrcoef(a, b)[0, 1] for a, b in pairs])


@pytest.mark.parametrize(
    ("method", "most"),
    [(Image.Resampling.BICUBIC, 1e-4), (Image.Resampling.LANCZOS, 2e-3), (Image.Resampling.BILINEAR, 1e-2)],
)
def test_a_cropped_copy_fits_its_original_whatever_enlarged_it(method: Image.Resampling, most: float) -> None:
    rng, originals = stream(0, "crops"), canonical(simulated(60, 1))
    share = rng.uniform(0.8, 0.95, 60)
    corner = rng.uniform(size=(60, 2)) * (1 - share[:, None])
    copies = np.stack([cut(one[0], *at, by, method) for one, at, by in zip(originals, corner, share, strict=True)])[
        :, None
    ]
    near = corner + share[:, None] / 2 + rng.uniform(-0.02, 0.02, (60, 2))
    shown = registered(originals, copies, near, share * rng.uniform(0.98, 1.02, 60))
    assert np.median(residual(shown, middle_of(copies))) < most
    others = registered(np.roll(originals, 1, axis=0), copies, near, share)
    assert np.median(residual(others, middle_of(copies))) > 10 * most


def test_brightness_contrast_and_colours_are_no_hindrance() -> None:
    originals = np.concatenate([canonical(simulated(20, seed)) for seed in range(3)], axis=1)
    copies = np.float32(0.7) * np.roll(originals, 1, axis=3) + np.float32(0.2)
    height, width = originals.shape[2:]
    centre = np.tile([0.5 - 0.3 / height, 0.5 - 0.6 / width], (20, 1))
    shown = registered(originals, copies, centre, np.ones(20))
    inner = residual(shown[..., 1:-1], middle_of(copies)[..., 1:-1])
    assert np.median(inner) < 1e-3


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (5, 7), (32, 31)])
def test_pictures_that_show_nothing_and_odd_shapes_break_nothing(shape: tuple[int, int]) -> None:
    blank = np.full((3, 2, *shape), 0.5, np.float32)
    drawn = stream(0, "odd").random((3, 2, *shape)).astype(np.float32)
    for real, synthetic in ((blank, drawn), (drawn, blank), (drawn, drawn)):
        shown = registered(real, synthetic, np.full((3, 2), 0.5), np.ones(3))
        assert shown.shape == middle_of(synthetic).shape
        assert np.isfinite(shown).all()
    assert residual(shown, middle_of(drawn)) == pytest.approx(0, abs=1e-5) or shape == (1, 1)


def test_all_windows_at_once_are_the_windows_one_by_one() -> None:
    pictures = stream(0, "windows").random((4, 3, 17, 23)).astype(np.float32)
    views = windows((1.0, 0.9, 0.8), 13 / 14, (3, 2, 4), 1 / 14)
    found = sampled_all(pictures, views, (6, 5))
    assert found.shape == (4, 29, 3, 6, 5)
    for position, view in enumerate(views):
        assert found[:, position] == pytest.approx(sampled(pictures, view, (6, 5)), abs=1e-5)

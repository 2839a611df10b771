"""Pictures that repeat one another are told from those that real ones repeat."""

from dataclasses import replace

import numpy as np
import pytest

from sources.randomness import stream
from tests.validators.privacy.pictures import dataset, evidence_of_pictures, simulated
from validators.fidelity.image_repeats import image_repeats
from validators.measurement import Measurement, Status


def measured(synthetic: np.ndarray, seed: int = 0) -> Measurement:
    (found,) = image_repeats(evidence_of_pictures(synthetic, seed), stream(seed, "test"))
    return found


def test_fresh_pictures_pass() -> None:
    values = [measured(simulated(400, 10 * seed + 5), seed).value for seed in range(6)]
    assert min(value for value in values if value is not None) > 0.001


@pytest.mark.parametrize("rogue", ["one", "ten", "a fifth twice", "mirrored twins"])
def test_repeated_pictures_are_refused(rogue: str) -> None:
    images = simulated(400, 5)
    if rogue == "one":
        images[:] = images[0]
    elif rogue == "ten":
        images = images[np.arange(400) % 10]
    elif rogue == "a fifth twice":
        images[:80] = images[80:160]
    else:
        images[:80] = images[80:160, :, ::-1]
    assert measured(images).status is Status.FAIL


def test_pictures_that_real_ones_repeat_as_often_pass() -> None:
    def twice(n: int, seed: int) -> np.ndarray:
        images = simulated(n, seed)
        images[: n // 5] = images[n // 5 : 2 * (n // 5)]
        return images

    evidence = evidence_of_pictures(twice(400, 5))
    (found,) = image_repeats(
        replace(evidence, train=dataset(twice(400, 6), 1), holdout=dataset(twice(300, 7), 2)), stream(0, "test")
    )
    assert found.status is Status.PASS

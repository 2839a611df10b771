"""Attacks on pictures find the members of a generator that smears its training pictures, and none of a fresh one."""

import numpy as np

from sources.randomness import stream
from tests.validators.privacy.pictures import evidence_of_pictures, simulated
from validators.judge import judge
from validators.measurement import Measurement, Status
from validators.privacy.image_membership import image_membership


def measured(synthetic: np.ndarray, seed: int = 0) -> Measurement:
    evidence = evidence_of_pictures(synthetic, seed, sizes=(500, 900))
    (found,) = judge(evidence, seed=seed, validators={"privacy.image_membership": image_membership}).measurements
    return found


def test_fresh_pictures_are_not_refused_and_the_interval_holds_chance() -> None:
    for seed in range(2):
        found = measured(simulated(400, 10 * seed + 5), seed)
        assert found.status is not Status.FAIL
        assert found.low is not None
        assert found.high is not None
        assert found.low <= 0.01 <= found.high
        assert found.reference == 0.01


def test_noisy_copies_of_all_of_train_give_their_members_away() -> None:
    noisy = simulated(500, 0) + stream(0, "noise").normal(0, 8, (500, 12, 14, 1))
    found = measured(np.clip(noisy, 0, 255).astype(np.uint8))
    assert found.status is Status.FAIL
    assert found.value is not None
    assert found.value > 0.5

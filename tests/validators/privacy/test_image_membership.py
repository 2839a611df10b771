"""Attacks on pictures find the members of a generator that smears its training pictures, and none of a fresh one."""

from dataclasses import replace

import numpy as np

from sources.randomness import stream
from tests.validators.privacy.pictures import dataset, evidence_of_pictures, simulated
from validators.features.column import Features, PictureColumn
from validators.measurement import Measurement, Status
from validators.privacy.image_membership import image_membership


def measured(synthetic: np.ndarray, seed: int = 0) -> Measurement:
    evidence = evidence_of_pictures(synthetic, seed, sizes=(500, 900))
    reference = dataset(simulated(150, 10 * seed + 8), 4)
    assert evidence.holdout is not None
    features = Features(
        columns=(PictureColumn("picture", reference, seed=seed, steps=40),),
        train=evidence.train,
        holdout=evidence.holdout,
        synthetic=evidence.synthetic,
    )
    evidence = replace(evidence, reference=reference, features=features)
    (found,) = image_membership(evidence, stream(seed, "test"))
    return found


def test_fresh_pictures_are_not_refused_and_the_interval_holds_chance() -> None:
    for seed in range(3):
        found = measured(simulated(400, 10 * seed + 5), seed)
        assert found.status is not Status.FAIL
        assert found.low is not None
        assert found.high is not None
        assert found.low <= 1 <= found.high
        assert found.reference == 1
        assert found.detail["accused_share"] == 0.05


def test_noisy_copies_of_all_of_train_give_their_members_away() -> None:
    noisy = simulated(500, 0) + stream(0, "noise").normal(0, 8, (500, 12, 14, 1))
    found = measured(np.clip(noisy, 0, 255).astype(np.uint8))
    assert found.status is Status.FAIL
    assert found.value is not None
    assert found.value > 10

"""Memorised pictures are found in their disguises, planted ones for trial too, and fresh pictures are let through."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.known_pictures import DISGUISES
from sources.randomness import stream
from sources.schema import Schema
from tests.validators.privacy.pictures import SCHEMA, dataset, evidence_of_pictures, simulated
from validators.measurement import Measurement, Status
from validators.privacy.image_copies import hashed, image_copies
from validators.privacy.image_law import UNKNOWN, law_of
from validators.privacy.image_matches import image_matches


def measured(evidence: object) -> dict[str, Measurement]:
    return {one.name: one for one in image_matches(evidence, stream(0, "test"))}  # type: ignore[arg-type]


def with_copies(disguise: str, num: int, seed: int = 0) -> np.ndarray:
    fresh, train = simulated(400, 10 * seed + 5), simulated(400, 10 * seed)
    fresh[:num] = DISGUISES[disguise](train[:num], stream(seed, "disguise"))
    return fresh


def test_fresh_pictures_pass_and_the_controls_say_so() -> None:
    for seed in range(3):
        found = measured(evidence_of_pictures(seed=seed))
        assert [one.status for one in found.values()] == [Status.PASS] * 4
        assert found["image_matches"].detail["synthetic_pictures"] == 0
        assert found["image_controls"].detail["matched"] == 1.0


@pytest.mark.parametrize("disguise", list(DISGUISES))
def test_twenty_copies_are_refused_in_any_disguise_and_named(disguise: str) -> None:
    found = measured(evidence_of_pictures(with_copies(disguise, 20)))
    assert found["image_matches"].status is Status.FAIL
    named = set(found["image_matches"].detail["positions"])
    assert len(named & set(range(20))) >= 16
    assert len(named - set(range(20))) <= 1


def test_as_many_copies_are_seen_as_the_leak_says_and_fewer_are_not() -> None:
    fewest = measured(evidence_of_pictures())["image_leak"].detail["pictures"]
    assert measured(evidence_of_pictures(with_copies("exact", fewest)))["image_matches"].status is Status.FAIL
    assert measured(evidence_of_pictures(with_copies("exact", fewest - 3)))["image_matches"].status is Status.PASS


def test_pictures_that_real_rows_repeat_are_no_leak() -> None:
    # every picture of train twice among the real ones, and twenty of them among the synthetic: so do fresh ones
    evidence = evidence_of_pictures()
    common = simulated(30, 99)
    parts = []
    for part, start in ((evidence.train, 0), (evidence.holdout, 15), (evidence.synthetic, 5)):
        assert part is not None
        images = part.media["picture"].copy()
        images[:25] = np.roll(common, -start, axis=0)[:25]
        parts.append(dataset(images, start))
    found = measured(replace(evidence, train=parts[0], holdout=parts[1], synthetic=parts[2]))
    assert found["image_matches"].status is not Status.FAIL


@pytest.mark.parametrize(("with_fresh", "refused"), [(15, False), (0, True)])
def test_pictures_that_real_rows_repeat_moved_by_a_pixel_are_no_leak(with_fresh: int, *, refused: bool) -> None:
    # two shots of one scene, one a pixel beside the other, in any two of the parts; or in train and synthetic alone
    evidence = evidence_of_pictures()
    scenes = simulated(60, 99)
    beside = scenes[:, :, [0, *range(13)]]
    assert evidence.holdout is not None
    train, holdout, synthetic = (
        part.media["picture"].copy() for part in (evidence.train, evidence.holdout, evidence.synthetic)
    )
    train[:20], synthetic[:20] = scenes[:20], beside[:20]
    train[20 : 20 + with_fresh], holdout[:with_fresh] = scenes[20 : 20 + with_fresh], beside[20 : 20 + with_fresh]
    holdout[20 : 20 + with_fresh], synthetic[20 : 20 + with_fresh] = (
        one[40 : 40 + with_fresh] for one in (scenes, beside)
    )
    parts = [dataset(images, seed) for seed, images in enumerate((train, holdout, synthetic))]
    found = measured(replace(evidence, train=parts[0], holdout=parts[1], synthetic=parts[2]))["image_matches"]
    assert (found.status is Status.FAIL) is refused
    assert 0 <= found.detail["natural_pairs"] - 2 * with_fresh <= 2  # the law brings half a picture by chance


def test_a_leak_of_one_group_is_seen_there() -> None:
    evidence = evidence_of_pictures()
    rows = np.flatnonzero((evidence.train.frame["kind"] == "b").to_numpy())[:25]
    images = evidence.synthetic.media["picture"].copy()
    images[:25] = evidence.train.media["picture"][rows]
    found = measured(replace(evidence, synthetic=dataset(images, 3)))["image_group_matches"]
    assert found.status is Status.FAIL
    assert found.detail["group"] == "kind=b"


def test_a_split_that_is_not_random_leaves_it_undecided() -> None:
    evidence = evidence_of_pictures()
    assert evidence.holdout is not None
    shifted = np.clip(
        evidence.holdout.media["picture"].astype(int) // 2 + np.arange(14)[None, None, :, None] * 9, 0, 255
    )
    found = measured(replace(evidence, holdout=dataset(shifted.astype(np.uint8), 2)))
    assert found["image_controls"].status in {Status.INCONCLUSIVE, Status.INVALID}


@pytest.mark.parametrize("what", ["blank", "all the same", "one pixel", "colour, 16 bits"])
def test_odd_pictures_break_nothing(what: str) -> None:
    def odd(n: int, seed: int) -> np.ndarray:
        rng = stream(seed, "odd")
        if what == "blank":
            return np.full((n, 5, 7, 1), 9, np.uint8)
        if what == "all the same":
            return np.repeat(stream(0, "one").integers(0, 255, (1, 9, 9, 3), dtype=np.uint8), n, axis=0)
        if what == "one pixel":
            return rng.integers(0, 255, (n, 1, 1, 1), dtype=np.uint8)
        return rng.integers(0, 65535, (n, 37, 9, 4), dtype=np.uint16)

    evidence = evidence_of_pictures()
    parts = [dataset(odd(120, seed), seed) for seed in range(3)]
    found = measured(replace(evidence, train=parts[0], holdout=parts[1], synthetic=parts[2]))
    assert Status.FAIL not in {one.status for one in found.values()}
    assert all(one.value is None or 0 <= one.value <= 1 for one in found.values())


def test_without_fresh_pictures_nothing_is_decided_and_without_pictures_nothing_is_said() -> None:
    evidence = evidence_of_pictures()
    found = measured(replace(evidence, holdout=None))
    assert {one.status for one in found.values()} == {Status.INCONCLUSIVE}
    table = replace(evidence, schema=Schema(columns=SCHEMA.columns[1:]))
    assert image_matches(table, stream(0, "test")) == []
    assert image_copies(table, stream(0, "test")) == []


def test_the_law_finds_the_exponent_of_a_power_and_minds_no_duplicates() -> None:
    rng = stream(0, "law")
    is_train = np.arange(9_000) < 4_500
    exponents = []
    for duplicates in (0, 6):
        distance = rng.random(9_000) ** (1 / 5.0)
        distance[-duplicates or 9_000 :] = 0.0
        exponents.append(law_of(distance, is_train).exponent)
    assert exponents == pytest.approx([5.0, 5.0], rel=0.35)
    assert exponents[1] == pytest.approx(exponents[0], rel=0.35)


def test_the_law_counts_training_pictures_that_chance_brings() -> None:
    counts = []
    for seed in range(40):
        distance = stream(seed, "law").random(6_000) ** (1 / 4.0)
        law = law_of(distance, np.arange(6_000) < 4_000)
        counts.append(int((law.expected(distance[:4_000]) <= 0.5).sum()))
    assert np.mean(counts) <= 0.5 + 3 * np.sqrt(0.5 / 40) + 0.3  # the exponent is estimated, and less than it is
    assert law_of(np.zeros(300), np.arange(300) < 200) is UNKNOWN
    assert law_of(np.full(300, np.inf), np.arange(300) < 200) is UNKNOWN


def test_copies_pixel_for_pixel_are_refused_and_equal_icons_are_not() -> None:
    mirrored = with_copies("flipped", 25)
    (found,) = image_copies(evidence_of_pictures(mirrored), stream(0, "test"))
    assert found.status is Status.FAIL
    assert found.detail["train"] == 25

    def icons(n: int, seed: int) -> np.ndarray:
        return (stream(seed, "icons").random((n, 2, 3, 1)) < 0.5).astype(np.uint8)

    evidence = evidence_of_pictures()
    parts = [dataset(icons(300, seed), seed) for seed in range(3)]
    (found,) = image_copies(replace(evidence, train=parts[0], holdout=parts[1], synthetic=parts[2]), stream(0, "test"))
    assert found.status is Status.PASS


def test_a_hash_is_that_of_the_mirror_images_and_of_no_other_picture() -> None:
    images = simulated(50, 3)
    assert (hashed(images) == hashed(images[:, :, ::-1])).all()
    assert (hashed(images) == hashed(images[:, ::-1])).all()
    changed = images.copy()
    changed[:, 0, 0] ^= 1
    assert (hashed(images) != hashed(changed)).all()
    assert len(set(hashed(images))) == 50

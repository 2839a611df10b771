"""The known answers for pictures are what they say, and the judges of pictures give them on the digits."""

import numpy as np
import pytest

from benchmarks.image_gallery import PRIVACY, judged, right
from benchmarks.known_pictures import DISGUISES, KINDS, PictureDraw, drawn, population
from validators.registry import VALIDATORS


@pytest.fixture(scope="module")
def draw() -> PictureDraw:
    return drawn(population("digits"), 700, np.random.default_rng(1))


def test_the_parts_of_a_draw_are_disjoint(draw: PictureDraw) -> None:
    assert [len(part.images) for part in (draw.train, draw.fresh)] == [700, 700]
    rows = [image.tobytes() for part in (draw.train, draw.holdout, draw.fresh) for image in part.images]
    assert len(set(rows)) > 0.99 * len(rows)  # a pair of equal digits there may be


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_kind_repeats_itself_and_leaves_the_draw_alone(draw: PictureDraw, kind: str) -> None:
    before = draw.train.images.copy(), draw.fresh.images.copy(), draw.fresh.labels.copy()
    first, second = (KINDS[kind].make(draw, np.random.default_rng(2)) for _ in range(2))
    assert (first.images == second.images).all()
    assert (first.labels == second.labels).all()
    assert first.images.dtype == np.uint8
    assert first.images.shape[1:] == draw.train.images.shape[1:]
    assert (draw.train.images == before[0]).all()
    assert (draw.fresh.images == before[1]).all()
    assert (draw.fresh.labels == before[2]).all()


def test_leaks_hold_as_many_pictures_of_train_as_they_say(draw: PictureDraw) -> None:
    train = {image.tobytes() for image in draw.train.images}
    for share, num in (("0.1%", 8), ("1%", 8), ("10%", 70)):
        made = KINDS[f"{share} exact"].make(draw, np.random.default_rng(2))
        held = np.array([image.tobytes() in train for image in made.images])
        assert made.memorised.sum() == num
        assert held[made.memorised].all()
        assert held[~made.memorised].sum() <= 1


def test_disguises_change_pictures_but_do_not_hide_them(draw: PictureDraw) -> None:
    images = draw.train.images[:100]
    for name, disguise in DISGUISES.items():
        made = disguise(images, np.random.default_rng(3))
        assert (made == images).all() == (name == "exact"), name
        centred = [
            part.reshape(100, -1) - part.reshape(100, -1).mean(axis=1, keepdims=True)
            for part in ((made[:, :, ::-1] if name == "flipped" else made).astype(float), images.astype(float))
        ]
        cosine = (centred[0] * centred[1]).sum(axis=1) / np.prod([np.linalg.norm(c, axis=1) for c in centred], axis=0)
        assert np.median(cosine) > 0.3, name


@pytest.mark.parametrize("kind", ["fresh real pictures", "1% exact", "1% flipped", "10% JPEG", "10% brightened"])
def test_the_judges_of_privacy_answer_as_they_must(draw: PictureDraw, kind: str) -> None:
    made = KINDS[kind].make(draw, np.random.default_rng(4))
    line = judged(draw, made, 5, {name: VALIDATORS[name] for name in PRIVACY})
    assert right({"kind": kind, **line}) == (True, True), line
    assert line["others"] <= 1
    assert line["found"] >= line["memorised"] * {"10% JPEG": 0.2, "10% brightened": 0.5}.get(kind, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.startswith(("0.1", "1%", "10%"))])
def test_all_judges_together_answer_as_they_must(draw: PictureDraw, kind: str) -> None:
    made = KINDS[kind].make(draw, np.random.default_rng(4))
    line = judged(draw, made, 5, VALIDATORS)
    if kind == "fresh real pictures":  # 700 are too few to be sure of everything, and enough not to be refused
        assert line["failed"] == line["invalid"] == []
    else:
        assert line["outcome"] == "REFUSE", line

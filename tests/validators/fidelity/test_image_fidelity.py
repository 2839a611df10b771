"""Rogue pictures are refused for the right reason, and fresh ones by none."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import ndimage

from sources.dataset import Dataset
from sources.randomness import stream
from validators.evidence import Evidence
from validators.fidelity.image_c2st import own_side_share
from validators.fidelity.image_neighbours import figures_of, occupancy, radii
from validators.measurement import Measurement, Status
from validators.registry import VALIDATORS

EvidenceOf = Callable[..., Evidence]
JUDGES = {
    "fidelity.image_distances": {"image_kid", "image_frechet"},
    "fidelity.image_neighbours": {"image_density", "image_coverage", "image_precision", "image_recall"},
    "fidelity.image_c2st": {"image_c2st"},
    "fidelity.image_labels": {"image_agreement", "image_tstr"},
    "fidelity.image_modes": {"image_modes"},
    "fidelity.image_sharpness": {"image_sharpness"},
    "bias.image_groups": {"image_group_coverage", "image_group_agreement"},
}


def altered(dataset: Dataset, images: np.ndarray, **columns: np.ndarray) -> Dataset:
    frame = dataset.frame.assign(**columns)
    return Dataset(frame=frame, schema=dataset.schema, media={"scan": images.astype(np.uint8)})


def rogue(kind: str, fresh: Dataset) -> Dataset:
    rng = stream(1, "rogue", kind)
    images, n = fresh.media["scan"].astype(np.float64), len(fresh)
    if kind == "blurred":
        return altered(fresh, ndimage.gaussian_filter(images, (0, 0.8, 0.8, 0)))
    if kind == "noisy":
        return altered(fresh, np.clip(images + rng.normal(0, 60, images.shape), 0, 255))
    if kind == "dim":
        return altered(fresh, images * 0.5)
    if kind == "collage":
        return altered(fresh, np.concatenate([images[:, :4], images[rng.permutation(n), 4:]], axis=1))
    if kind == "labels shuffled":
        return altered(fresh, images, shape=fresh.frame["shape"].to_numpy()[rng.permutation(n)])
    if kind == "dropped kind":
        return fresh.take(np.flatnonzero((fresh.frame["shape"] != "square").to_numpy()))
    if kind == "one picture":
        return altered(fresh, np.repeat(images[:1], n, axis=0))
    assert kind == "averages"
    return altered(fresh, np.mean([images, *(images[rng.permutation(n)] for _ in range(5))], axis=0))


def failed(evidence: Evidence, asked: set[str]) -> dict[str, list[Measurement]]:
    """Return what fails of the judges that measure what is asked for."""
    found: dict[str, list[Measurement]] = {}
    for name in (name for name, own in JUDGES.items() if own & asked):
        for measurement in VALIDATORS[name](evidence, stream(1, "judge", name)):
            if measurement.status is Status.FAIL:
                found.setdefault(measurement.name, []).append(measurement)
    return found


@pytest.mark.parametrize(
    ("kind", "reasons"),
    [
        ("blurred", {"image_sharpness", "image_c2st"}),
        ("noisy", {"image_c2st"}),
        ("dim", {"image_sharpness", "image_c2st"}),
        ("collage", {"image_agreement"}),
        ("labels shuffled", {"image_agreement", "image_tstr", "image_group_agreement"}),
        ("dropped kind", {"image_modes"}),
        ("one picture", {"image_modes", "image_coverage", "image_recall", "image_kid"}),
        ("averages", {"image_recall", "image_sharpness"}),
    ],
)
def test_a_rogue_is_refused_for_the_right_reason(
    kind: str, reasons: set[str], picture_law: SimpleNamespace, pictures_of: EvidenceOf
) -> None:
    evidence = pictures_of(seed=1, synthetic=rogue(kind, picture_law.draw(450, 12)))
    assert reasons <= failed(evidence, reasons).keys()


def test_fresh_pictures_pass_every_check(pictures_of: EvidenceOf) -> None:
    evidence = pictures_of(seed=1)
    found = [m for name in JUDGES for m in VALIDATORS[name](evidence, stream(1, "judge", name))]
    assert {m.name for m in found} == set.union(*JUDGES.values())
    assert [(m.name, m.subject, m.reading) for m in found if m.status is not Status.PASS] == []


def test_copies_of_train_have_their_originals_as_neighbours(pictures_of: EvidenceOf) -> None:
    evidence = pictures_of(seed=1)
    copies = pictures_of(seed=1, synthetic=evidence.train)
    (found,) = failed(copies, {"image_c2st"})["image_c2st"]
    assert found.subject == "neighbours, against train"
    assert found.value is not None
    assert found.value < 0.05


def test_few_pictures_are_inconclusive_and_never_refused(pictures_of: EvidenceOf) -> None:
    evidence = pictures_of(seed=1)
    assert evidence.features is not None
    few = evidence.synthetic.take(np.arange(40))
    evidence = replace(evidence, synthetic=few, features=replace(evidence.features, synthetic=few))
    found = [m for name in JUDGES for m in VALIDATORS[name](evidence, stream(1, "judge", name))]
    assert {m.status for m in found} == {Status.INCONCLUSIVE}
    assert all("40 pictures" in m.reading for m in found)


def test_balls_and_neighbours_are_those_of_a_naive_count() -> None:
    rng = stream(1, "points")
    centres, rows = (rng.normal(size=(n, 5)).astype(np.float32) for n in (40, 30))
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    radius = np.sort(apart, axis=1)[:, 5]  # the first is the row itself
    assert np.allclose(radii(centres), radius, atol=1e-5)
    inside = np.linalg.norm(rows[:, None] - centres[None], axis=2) <= radius
    found = occupancy(centres, radius, rows)
    assert found.balls_of_row.tolist() == inside.sum(axis=1).tolist()
    assert found.rows_of_ball.tolist() == inside.sum(axis=0).tolist()
    sole = [int(np.flatnonzero(column)[0]) if column.sum() == 1 else -1 for column in inside.T]
    assert found.sole.tolist() == sole


def test_density_coverage_precision_and_recall_are_those_of_the_papers() -> None:
    rng = stream(2, "points")
    train, holdout, synthetic = (rng.normal(size=(n, 3)).astype(np.float32) for n in (50, 60, 50))
    far = synthetic + np.float32(100)
    figures = figures_of(train, holdout, far)
    assert [figures[name].synthetic for name in figures] == [0, 0, 0, 0]
    figures = figures_of(train, holdout, synthetic)
    to_holdout = np.linalg.norm(synthetic[:, None] - holdout[None], axis=2)
    radius = np.sort(np.linalg.norm(holdout[:, None] - holdout[None], axis=2), axis=1)[:, 5]
    own = np.sort(np.linalg.norm(synthetic[:, None] - synthetic[None], axis=2), axis=1)[:, 5]
    assert figures["image_density"].synthetic == pytest.approx((to_holdout <= radius).sum() / (5 * 50))
    assert figures["image_coverage"].synthetic == pytest.approx((to_holdout <= radius).any(axis=0).mean())
    assert figures["image_precision"].synthetic == pytest.approx((to_holdout <= radius).any(axis=1).mean())
    assert figures["image_recall"].synthetic == pytest.approx((to_holdout <= own[:, None]).any(axis=0).mean())


def test_the_nearest_neighbour_is_of_either_side_alike_under_one_law() -> None:
    shares = []
    for seed in range(40):
        both = stream(seed, "points").normal(size=(200, 4)).astype(np.float32)
        share, variance = own_side_share(both[:100], both[100:])
        shares.append((share - 0.5) / np.sqrt(variance))
    assert abs(np.mean(shares)) < 4 / np.sqrt(len(shares))
    assert 0.4 < np.std(shares) < 1.3

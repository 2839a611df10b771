"""Authenticity by hand, of fresh rows as of synthetic ones, and of copies."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from sources.randomness import stream
from validators.evidence import Evidence
from validators.privacy.authenticity import authenticity
from validators.privacy.excess_matches import excess_matches


def points(rows: int, seed: int) -> np.ndarray:
    return stream(seed, "points").normal(size=(rows, 4)).astype(np.float32)


def test_three_rows_by_hand() -> None:
    train = np.array([[0.0], [1.0], [5.0]], dtype=np.float32)  # 1, 1 and 4 from their own nearest
    synthetic = np.array([[-0.5], [-1.5], [7.0], [9.5]], dtype=np.float32)  # .5, 1.5, 2 and 4.5 from theirs
    found = authenticity(train, synthetic[1:2], synthetic, stream(0, "draw"))
    assert (found.synthetic, found.fresh, found.shortfall) == (0.5, 1.0, 0.5)


def test_a_training_row_is_held_against_its_own_distance_and_not_that_of_the_row_at_its_place() -> None:
    """The known mistake is to index the distances among training rows by the synthetic row's place."""
    train = np.array([[0.0], [10.0], [10.1]], dtype=np.float32)  # 10, .1 and .1
    synthetic = np.array([[10.3], [1.0]], dtype=np.float32)  # nearest to the third, at .2; to the first, at 1
    found = authenticity(train, synthetic, synthetic, stream(0, "draw"))
    assert found.synthetic == 0.5  # the first is authentic, the second is not; by place it would be the other way round
    first = authenticity(train, synthetic, synthetic[:1], stream(0, "draw"))
    assert first.synthetic == 1.0


def test_fresh_rows_have_no_shortfall_and_copies_have_it_all() -> None:
    shortfalls = [authenticity(*(points(400, 3 * s + i) for i in range(3)), stream(s, "draw")) for s in range(100)]
    covered = [one.low <= 0 for one in shortfalls], [one.high >= 0 for one in shortfalls]
    assert min(map(sum, covered)) >= 88  # 95 of 100 in the mean; 3 sd below
    assert np.mean([one.shortfall for one in shortfalls]) == pytest.approx(0, abs=0.012)
    train = points(400, 1)
    copied = authenticity(train, points(400, 2), train, stream(0, "draw"))
    assert copied.synthetic == 0.0
    assert copied.low > 0.2


def test_it_is_told_beside_the_share_of_nearest_rows(evidence_of: Callable[..., Evidence]) -> None:
    evidence = evidence_of(1, (600, 600, 500))
    fresh, copies = (
        next(one for one in excess_matches(given, stream(0, "matches")) if one.name == "dcr_share")
        for given in (evidence, replace(evidence, synthetic=evidence.train))
    )
    assert abs(fresh.detail["authenticity"]["shortfall"]) < 0.12
    assert copies.detail["authenticity"]["synthetic"] == 0.0
    assert "authentic" in copies.reading

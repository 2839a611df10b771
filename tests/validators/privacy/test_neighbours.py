"""Distances between rows of mixed kinds: against a naive reference, and what they must not do."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import pairwise_distances

from sources.randomness import stream
from validators.privacy import neighbours
from validators.privacy.neighbours import as_labels, as_numbers, embed, nearest, several_nearest


@pytest.fixture
def vectors(law: SimpleNamespace) -> Any:
    frames = [law.draw(700, 1).frame, law.draw(900, 2).frame]
    return embed(frames, law.schema, scale=(0,))


def test_nearest_is_what_all_pairs_give(vectors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", 64)  # several ragged blocks in both directions
    monkeypatch.setattr(neighbours, "BLOCK_COLUMNS", 256)
    distance, winner = nearest(*vectors)
    naive = pairwise_distances(*(part.astype(np.float64) for part in vectors))
    np.testing.assert_allclose(distance, naive.min(axis=1), atol=1e-4)
    np.testing.assert_allclose(distance, naive[np.arange(len(naive)), winner], atol=1e-6)


def test_several_nearest_are_what_all_pairs_give(vectors: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK_ROWS", 64)
    monkeypatch.setattr(neighbours, "BLOCK_COLUMNS", 129)  # the last block holds fewer rows than are asked for
    naive = np.sort(pairwise_distances(*(part.astype(np.float64) for part in vectors)), axis=1)
    for k in (1, 5, 700):
        np.testing.assert_allclose(several_nearest(*vectors, k), naive[:, :k], atol=1e-4)


def test_a_copied_row_is_at_exactly_zero_even_among_rows_a_hair_away(vectors: Any) -> None:
    left, right = vectors
    near = left[:50] + np.float32(1e-5)
    distance, winner = nearest(left[:50], np.concatenate([near, right, left[:50]]))
    assert (distance == 0).all()
    assert (winner >= len(near) + len(right)).all()


def test_a_row_is_not_its_own_neighbour(vectors: Any) -> None:
    rows = vectors[0]
    distance, winner = nearest(rows, rows, own_position=np.arange(len(rows)))
    assert (winner != np.arange(len(rows))).all()
    naive = pairwise_distances(rows.astype(np.float64))
    np.fill_diagonal(naive, np.inf)
    np.testing.assert_allclose(distance, naive.min(axis=1), atol=1e-4)


def test_one_wild_value_moves_no_other_distance(law: SimpleNamespace) -> None:
    frames = [law.draw(300, seed).frame for seed in (1, 2)]
    before, _ = nearest(*embed(frames, law.schema, scale=(0,)))
    frames[0].loc[frames[0]["income"].idxmax(), "income"] = 1e12  # the same rank as before
    after, _ = nearest(*embed(frames, law.schema, scale=(0,)))
    others = np.arange(300) != frames[0]["income"].idxmax()
    np.testing.assert_allclose(before[others], after[others], rtol=0.02, atol=0.02)


def test_two_labels_and_a_missing_cell_are_one_apart(law: SimpleNamespace) -> None:
    frame = law.draw(50, 1).frame.iloc[[0, 0, 0]].reset_index(drop=True)
    frame["trade"] = ["smith", "baker", None]
    points, *_ = embed([frame], law.schema, scale=(0,))
    assert pairwise_distances(points)[np.triu_indices(3, 1)] == pytest.approx(1.0)


def test_labels_beyond_the_commonest_share_one(law: SimpleNamespace) -> None:
    frame = law.draw(400, 1).frame
    frame["trade"] = [f"t{i}" for i in range(400)]
    points, *_ = embed([frame], law.schema, scale=(0,))
    assert points.shape[1] < neighbours.MAX_LABELS + 30


def test_cells_of_every_kind_become_labels_or_numbers(law: SimpleNamespace) -> None:
    frame = law.draw(200, 3).frame
    assert set(as_labels(frame["member"])) == {"true", "false"}
    assert set(as_labels(frame["trade"])) == {"smith", "baker", "clerk", "nurse", None}
    since = as_numbers(frame["since"])
    assert since[0] == frame["since"].iloc[0].timestamp() * 1e6
    assert np.isnan(as_numbers(frame["age"])).sum() == frame["age"].isna().sum()


def test_the_order_of_rows_and_the_number_of_threads_change_nothing(
    vectors: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = vectors
    order = stream(1, "order").permutation(len(left))
    distance, winner = nearest(left, right)
    again, other = nearest(left[order], right)
    monkeypatch.setattr(neighbours.os, "sched_getaffinity", lambda _pid: {0})
    alone, same = nearest(left, right)
    assert (distance[order] == again).all()
    assert (winner[order] == other).all()
    assert (alone == distance).all()
    assert (same == winner).all()

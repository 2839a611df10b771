import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sources.conform import conform
from sources.dataset import Dataset
from sources.errors import SourceInputError
from sources.inference import infer_schema
from sources.overrides import from_mapping
from sources.split import split


def rows(num_rows: int, entities: list[object] | None = None) -> Dataset:
    """Return numbered rows, with an entity key where entities are given."""
    frame = pd.DataFrame({"row": np.arange(num_rows) * 1.5})
    if entities is None:
        return conform(frame, infer_schema(frame))
    frame["who"] = entities
    return conform(frame, infer_schema(frame, from_mapping({"entity_key": "who"})))


def test_the_parts_have_the_sizes_of_the_survey() -> None:
    parts = split(rows(6366), seed=7)
    assert (len(parts.train), len(parts.holdout), len(parts.reference)) == (4138, 1273, 955)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(num_rows=st.integers(10, 200), seed=st.integers(0, 10**9))
def test_the_parts_are_disjoint_and_hold_every_row_in_order(num_rows: int, seed: int) -> None:
    parts = split(rows(num_rows), seed=seed)
    taken = [part.frame["row"].to_numpy() for part in (parts.train, parts.holdout, parts.reference)]
    assert all(len(part) and (np.diff(part) > 0).all() for part in taken)
    assert sorted(np.concatenate(taken)) == (np.arange(num_rows) * 1.5).tolist()


@settings(derandomize=True, max_examples=30, deadline=None)
@given(entities=st.lists(st.sampled_from(list("abcdefgh")), min_size=30, max_size=80), seed=st.integers(0, 99))
def test_an_entity_never_straddles_the_parts(entities: list[object], seed: int) -> None:
    if len(set(entities)) < 3:
        return
    parts = split(rows(len(entities), entities), seed=seed)
    seen = [set(part.frame["who"]) for part in (parts.train, parts.holdout, parts.reference)]
    assert all(seen)
    assert sum(map(len, seen)) == len(set(entities))


def test_the_same_seed_gives_the_same_parts_and_another_gives_others() -> None:
    first, again, other = (split(rows(100), seed=seed).holdout.frame for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)


def test_every_row_goes_to_the_holdout_with_the_same_probability() -> None:
    """Of 400 splits each of 20 rows is held out in 80 on average; six standard deviations are 48."""
    held = np.zeros(20)
    for seed in range(400):
        held[(split(rows(20), seed=seed).holdout.frame["row"].to_numpy() / 1.5).astype(int)] += 1
    assert held.sum() == 400 * 4
    assert np.abs(held - 80).max() < 48


def test_duplicates_are_counted_and_kept() -> None:
    frame = pd.DataFrame({"a": [1.5, 1.5, 1.5, 2.5] * 5})
    parts = split(conform(frame, infer_schema(frame)), seed=0)
    assert parts.duplicates == 18
    assert len(parts.train) + len(parts.holdout) + len(parts.reference) == 20


def test_rows_without_a_key_are_their_own_entities() -> None:
    entities: list[object] = [None] * 30 + ["a"] * 10
    parts = split(rows(40, entities), seed=3)
    assert all(part.frame["who"].isna().any() for part in (parts.train, parts.holdout, parts.reference))


@pytest.mark.parametrize(
    ("dataset", "fractions", "words"),
    [
        (rows(9), (0.65, 0.2, 0.15), "too few rows"),
        (rows(20, ["a", "b"] * 10), (0.65, 0.2, 0.15), "too few entities"),
        (rows(20), (0.5, 0.5, 0.5), "sum to 1"),
        (rows(20), (1.2, -0.1, -0.1), "must be positive"),
    ],
)
def test_what_cannot_be_split_is_a_user_error(
    dataset: Dataset, fractions: tuple[float, float, float], words: str
) -> None:
    with pytest.raises(SourceInputError, match=words):
        split(dataset, seed=0, fractions=fractions)

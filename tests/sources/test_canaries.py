"""Canaries are made-up rows of real cells, as many planted as kept, and no real row among them."""

import numpy as np
import pandas as pd
import pytest

from sources.canaries import canaries_for, plant
from sources.conform import conform
from sources.dataset import Dataset
from sources.errors import SourceInputError
from sources.inference import infer_schema
from sources.randomness import stream
from sources.split import Split, split


def parts_of(frame: pd.DataFrame) -> Split:
    return split(conform(frame, infer_schema(frame)), seed=3)


@pytest.fixture(scope="module")
def parts() -> Split:
    rng = stream(1, "canaries")
    age = rng.integers(18, 90, 1000)
    frame = pd.DataFrame(
        {
            "key": [f"K-{number:05d}" for number in rng.permutation(90_000)[:1000]],
            "age": age,
            "pay": (age * 100 + rng.normal(0, 50, 1000)).round(2),
            "town": rng.choice(["Ayr", "Bath", "Cork"], 1000),
        }
    )
    return parts_of(frame)


def rows_of(data: Dataset) -> set[tuple[object, ...]]:
    return set(data.frame.drop(columns="key").itertuples(index=False, name=None))


def test_canaries_are_no_real_rows_but_every_cell_is_one_of_the_reference_part(parts: Split) -> None:
    made = canaries_for(parts, 30, seed=5)
    assert (len(made.planted), len(made.control)) == (30, 30)
    real = rows_of(parts.train) | rows_of(parts.holdout) | rows_of(parts.reference)
    both = rows_of(made.planted) | rows_of(made.control)
    assert len(both) == 60
    assert not both & real
    for data in (made.planted, made.control):
        for name in data.frame:
            assert set(data.frame[name]) <= set(parts.reference.frame[name])
    keys = pd.concat([made.planted.frame["key"], made.control.frame["key"], parts.train.frame["key"]])
    assert keys.is_unique
    assert abs(np.corrcoef(made.planted.frame["age"], made.planted.frame["pay"])[0, 1]) < 0.6


def test_planting_adds_them_and_loses_nothing(parts: Split) -> None:
    made = canaries_for(parts, 30, seed=5)
    learnt = plant(parts.train, made, seed=5)
    assert len(learnt) == len(parts.train) + 30
    assert rows_of(learnt) == rows_of(parts.train) | rows_of(made.planted)
    assert set(learnt.frame["key"].tail(30)) != set(made.planted.frame["key"])
    pd.testing.assert_frame_equal(plant(parts.train, made, seed=5).frame, learnt.frame)


def test_the_same_seed_makes_the_same_canaries(parts: Split) -> None:
    one, two, other = (canaries_for(parts, 25, seed=seed).planted.frame for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(other)


@pytest.mark.parametrize(("num", "what"), [(5, "too few"), (500, "more than the reference part")])
def test_numbers_that_show_nothing_or_cannot_be_made_are_refused(parts: Split, num: int, what: str) -> None:
    with pytest.raises(SourceInputError, match=what):
        canaries_for(parts, num, seed=1)


def test_a_table_in_which_every_combination_is_real_is_refused() -> None:
    rng = stream(2, "few")
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], 600), "paid": rng.choice(["yes", "no"], 600)})
    with pytest.raises(SourceInputError, match="nearly every combination"):
        canaries_for(parts_of(frame), 20, seed=1)

"""Networks are trained on rows that are not judged."""

from dataclasses import replace

import numpy as np
import pandas as pd

from sources.dataset import Dataset
from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.features.making import features_of
from validators.policy import Policy


def numbered(first: int, n: int) -> Dataset:
    """Return n pictures that hold their own number, two of each person."""
    numbers = np.arange(first, first + n)
    images = np.stack([numbers // 256, numbers % 256], axis=1).astype(np.uint8).reshape(n, 1, 2, 1)
    schema = Schema(
        columns=(
            Column(name="image", kind="image", shape=(1, 2, 1), storage="uint8"),
            Column(name="person", kind="id"),
        ),
        entity_key="person",
    )
    people = pd.Series([f"p{number // 2}" for number in numbers], dtype=object)
    frame = pd.DataFrame({"image": np.arange(n), "person": people})
    return Dataset(frame=frame, schema=schema, media={"image": images})


def numbers_of(dataset: Dataset) -> set[int]:
    pixels = dataset.media["image"].astype(int)
    return set((pixels[:, 0, 0, 0] * 256 + pixels[:, 0, 1, 0]).tolist())


EVIDENCE = Evidence(
    train=numbered(0, 120),
    holdout=numbered(200, 100),
    reference=numbered(400, 80),
    synthetic=numbered(600, 50),
    schema=numbered(0, 1).schema,
    policy=Policy.preset("standard"),
)


def test_the_reference_part_trains_the_networks_and_nothing_else_changes() -> None:
    features = features_of(EVIDENCE, seed=1)
    assert features is not None
    assert features.columns[0].learnt is EVIDENCE.reference
    assert features.train is EVIDENCE.train
    assert features.holdout is EVIDENCE.holdout
    assert features.caveat == ""


def test_without_a_reference_half_of_the_holdout_trains_and_the_other_half_is_judged() -> None:
    features = features_of(replace(EVIDENCE, reference=None), seed=1)
    assert features is not None
    learnt, judged = numbers_of(features.columns[0].learnt), numbers_of(features.holdout)
    assert not learnt & judged
    assert learnt | judged == set(range(200, 300))
    assert not {number // 2 for number in learnt} & {number // 2 for number in judged}  # people
    assert "half of the holdout" in features.caveat


def test_without_a_holdout_the_training_part_is_cut_into_thirds() -> None:
    features = features_of(replace(EVIDENCE, holdout=None), seed=1)
    assert features is not None
    parts = [numbers_of(part) for part in (features.columns[0].learnt, features.train, features.holdout)]
    assert sum(map(len, parts)) == 120
    assert set.union(*parts) == set(range(120))
    assert min(map(len, parts)) == 40
    assert "third of the training part" in features.caveat


def test_without_pictures_there_are_no_features() -> None:
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    table = Dataset(frame=frame, schema=Schema(columns=(Column(name="a", kind="numeric"),)))
    evidence = replace(EVIDENCE, train=table, holdout=table, reference=table, synthetic=table, schema=table.schema)
    assert features_of(evidence, seed=1) is None

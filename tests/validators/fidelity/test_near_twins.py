"""Near-twins: padding and prototypes are found, clusters counted once, natural twins accuse nobody."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.fidelity.near_twins import Company, clusters, crowding, near_twins
from validators.measurement import Measurement, Status
from validators.policy import Policy

EvidenceOf = Callable[..., Evidence]


def measured(evidence: Evidence, seed: int = 1) -> Measurement:
    (found,) = near_twins(evidence, stream(seed, "twins"))
    return found


def repeated(dataset: Dataset, rows: np.ndarray, share: float) -> Dataset:
    """Return `rows` of the dataset with a little noise in income and age."""
    rng = stream(1, "noise")
    frame = dataset.frame.iloc[rows].reset_index(drop=True)
    frame["income"] = (frame["income"] * np.exp(share * rng.normal(size=len(frame)))).round(2)
    frame["age"] = (frame["age"] + 12 * share * rng.normal(size=len(frame))).round()
    return Dataset(frame=frame, schema=dataset.schema)


def test_clusters_are_counted_once_however_many_rows_they_hold() -> None:
    distance = np.array([0.1, 0.1, 0.1, 0.5, 0.2, 0.2, 0.9])
    neighbour = np.array([1, 0, 1, 2, 5, 4, 0])
    table = Company(distance, neighbour)
    assert [clusters(table, threshold) for threshold in (0.05, 0.1, 0.2, 1.0)] == [0, 1, 2, 2]
    of_one = Company(distance, neighbour, np.array([0, 1, 2, 3, 0, 4, 5]))  # rows 0 and 4 are of one entity
    assert [clusters(of_one, threshold) for threshold in (0.05, 0.1, 0.2, 1.0)] == [0, 1, 1, 1]


@pytest.mark.parametrize("noise", [0.01, 0.1])
def test_each_row_written_twice_is_refused(evidence_of: EvidenceOf, law: SimpleNamespace, noise: float) -> None:
    evidence = evidence_of(sizes=(2000, 1500, 10))
    padded = repeated(law.draw(750, 5), np.arange(1500) // 2, noise)
    assert measured(replace(evidence, synthetic=padded)).status is Status.FAIL


def test_a_few_hundred_prototypes_are_refused(evidence_of: EvidenceOf, law: SimpleNamespace) -> None:
    few = repeated(law.draw(300, 5), stream(1, "which").integers(0, 300, 2000), 0.05)
    assert measured(evidence_of(sizes=(2000, 1500, 10), synthetic=few)).status is Status.FAIL


def test_fresh_rows_pass_whatever_the_sizes(evidence_of: EvidenceOf) -> None:
    for seed, sizes in enumerate([(2000, 2000, 2000), (600, 300, 3000), (3000, 300, 400), (200, 150, 200)]):
        assert measured(evidence_of(seed=seed, sizes=sizes), seed).status is Status.PASS


def test_without_tolerance_the_test_would_keep_its_level() -> None:
    """Of clusters in random points of one law the larger number is in either table as often; ties and lattices too."""
    below = 0
    for seed in range(60):
        rng = stream(seed, "points")
        found = []
        for _ in range(2):
            x = np.sort(np.round(rng.normal(size=400), 3))
            gap = np.diff(x)
            left, right = np.append(np.inf, gap), np.append(gap, np.inf)
            position = np.arange(400)
            found.append(Company(np.minimum(left, right), np.where(left <= right, position - 1, position + 1)))
        p, _, counts = crowding(found[0], found[1])
        below += counts[0] > counts[1]
        assert p > 0.05
    assert 12 <= below <= 48  # of the reported thresholds; both tables are alike


def test_a_table_full_of_natural_twins_passes_when_fresh() -> None:
    rng = stream(8, "labels")
    schema = Schema(columns=tuple(Column(name=name, kind="categorical") for name in "abcd"))
    parts = [
        Dataset(
            frame=pd.DataFrame(rng.integers(0, 6, (1500, 4)).astype(str), columns=list("abcd"), dtype=object),
            schema=schema,
        )
        for _ in range(3)
    ]
    policy = Policy.preset("standard")
    evidence = Evidence(train=parts[0], holdout=parts[1], synthetic=parts[2], schema=schema, policy=policy)
    assert measured(evidence).status is Status.PASS


def test_rows_of_one_entity_are_near_in_either_table() -> None:
    schema = Schema(
        columns=(Column(name="who", kind="id"), *(Column(name=name, kind="numeric") for name in "xyz")),
        entity_key="who",
    )
    rng = stream(9, "people")

    def part(first: int, people: int) -> Dataset:
        rows = rng.normal(size=(people, 3)).repeat(5, axis=0) + 1e-3 * rng.normal(size=(people * 5, 3))
        frame = pd.DataFrame(rows, columns=list("xyz"))
        frame.insert(0, "who", np.repeat([f"p{first + i}" for i in range(people)], 5).astype(object))
        return Dataset(frame=frame, schema=schema)

    policy = Policy.preset("standard")
    evidence = Evidence(
        train=part(0, 1500), holdout=part(2000, 800), synthetic=part(4000, 200), schema=schema, policy=policy
    )
    assert measured(evidence).status is Status.PASS

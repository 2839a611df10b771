"""Time order: a shuffled order is refused with and without entities, a fresh series is not, no order is no matter."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema
from validators.evidence import Evidence
from validators.fidelity.time_order import NUM_GROUPS, step_correlation, step_tables, steps, time_order
from validators.measurement import Measurement, Status
from validators.policy import Policy

EvidenceOf = Callable[..., Evidence]
COLUMNS = (
    Column(name="when", kind="datetime"),
    Column(name="load", kind="numeric"),
    Column(name="state", kind="categorical"),
)
PLAIN = Schema(columns=COLUMNS, order_key="when")
PEOPLE = Schema(columns=(Column(name="who", kind="id"), *COLUMNS), order_key="when", entity_key="who")


def series(n: int, rng: np.random.Generator, memory: float = 0.9) -> pd.DataFrame:
    """Return a walk that remembers, a row an hour."""
    load = np.zeros(n)
    noise = rng.normal(size=n)
    for i in range(1, n):
        load[i] = memory * load[i - 1] + noise[i]
    when = np.datetime64("2024-01-01", "us") + np.arange(n).astype("timedelta64[h]")
    state = np.where(load + rng.normal(size=n) > 0, "up", "down").astype(object)
    return pd.DataFrame({"when": pd.Series(when).astype("datetime64[us]"), "load": load, "state": state})


def plain(seed: int, sizes: tuple[int, int, int] = (2000, 1500, 1500)) -> Evidence:
    """Return one long series whose rows fall to the parts at random."""
    rng = stream(seed, "series")
    frame = series(sum(sizes), rng).iloc[rng.permutation(sum(sizes))]
    parts = [
        Dataset(frame=frame.iloc[end - n : end].reset_index(drop=True), schema=PLAIN)
        for n, end in zip(sizes, np.cumsum(sizes), strict=True)
    ]
    policy = Policy.preset("standard")
    return Evidence(train=parts[0], holdout=parts[1], synthetic=parts[2], schema=PLAIN, policy=policy)


def people(seed: int, num: int) -> Dataset:
    """Return the short series of `num` people."""
    rng = stream(seed, "people")
    frames = [series(25, rng, 0.7).assign(who=f"{seed}-{i}") for i in range(num)]
    frame = pd.concat(frames, ignore_index=True)[["who", "when", "load", "state"]]
    frame["who"] = frame["who"].astype(object)
    return Dataset(frame=frame, schema=PEOPLE)


def shuffled(dataset: Dataset) -> Dataset:
    frame = dataset.frame.copy()
    frame["when"] = frame["when"].iloc[stream(1, "time").permutation(len(frame))].to_numpy()
    return Dataset(frame=frame, schema=dataset.schema)


def measured(evidence: Evidence, seed: int = 1) -> Measurement:
    (found,) = time_order(evidence, stream(seed, "order"))
    return found


def test_a_shuffled_order_is_refused_and_a_fresh_part_passes() -> None:
    for seed in range(3):
        evidence = plain(seed)
        assert measured(evidence).status is Status.PASS
        found = measured(replace(evidence, synthetic=shuffled(evidence.synthetic)))
        assert found.status is Status.FAIL
        assert found.detail["column"] in {"load", "state"}


def test_a_shorter_part_is_no_worse_for_its_wider_gaps() -> None:
    found = measured(plain(4, (4000, 1500, 600)))
    assert found.value == pytest.approx(1.0)
    assert abs(found.detail["real"] - found.detail["synthetic"]) < 0.12


@pytest.mark.parametrize("with_holdout", [True, False])
def test_within_people_a_shuffled_order_is_refused(with_holdout: bool) -> None:  # noqa: FBT001 - a parameter
    evidence = Evidence(
        train=people(1, 240),
        holdout=people(2, 120) if with_holdout else None,
        synthetic=people(3, 120),
        schema=PEOPLE,
        policy=Policy.preset("standard"),
    )
    assert measured(evidence).status is Status.PASS
    rows = evidence.synthetic.frame.copy()
    rng = stream(1, "within")
    rows["when"] = rows.groupby("who")["when"].transform(lambda cells: cells.to_numpy()[rng.permutation(len(cells))])
    assert measured(replace(evidence, synthetic=Dataset(frame=rows, schema=PEOPLE))).status is Status.FAIL


def test_people_of_one_row_each_have_no_order_to_judge() -> None:
    alone = people(3, 80)
    frame = alone.frame.assign(who=[f"x{i}" for i in range(len(alone))]).astype({"who": object})
    evidence = Evidence(
        train=people(1, 60),
        holdout=people(2, 60),
        synthetic=Dataset(frame=frame, schema=PEOPLE),
        schema=PEOPLE,
        policy=Policy.preset("standard"),
    )
    assert measured(evidence).status is Status.INCONCLUSIVE


def test_steps_are_those_of_a_loop() -> None:
    frame = people(1, 7).frame.sample(frac=1, random_state=3).reset_index(drop=True)
    frame.loc[5, "when"] = pd.NaT
    before, after, group = steps(frame, COLUMNS[0], "who", 10, stream(1, "steps"))
    expected = set()
    for _, rows in frame.dropna(subset=["when"]).groupby("who"):
        order = rows.sort_values("when").index.to_list()
        expected |= set(pairwise(order))
    assert set(zip(before.tolist(), after.tolist(), strict=True)) == expected
    assert len(before) == len(expected)
    of_entity = {who: set(group[frame["who"].to_numpy()[before] == who]) for who in frame["who"]}
    assert all(len(groups) == 1 for groups in of_entity.values())


def test_the_correlation_of_steps_is_that_of_their_scores() -> None:
    rng = stream(1, "cells")
    cells = rng.integers(0, 3, 500)
    step = np.arange(499), np.arange(1, 500), np.arange(499) * NUM_GROUPS // 499
    scores, after = np.array([0.0, 1.0, 3.0]), np.array([2.0, 0.0, 1.0])
    value, variance = step_correlation(step_tables(cells, step, 3), scores, after)
    assert value == pytest.approx(np.corrcoef(scores[cells[:-1]], after[cells[1:]])[0, 1])
    assert np.sqrt(variance) == pytest.approx(1 / np.sqrt(499), rel=0.5)


def test_without_an_order_nothing_is_measured() -> None:
    evidence = plain(1, (300, 200, 200))
    schema = Schema(columns=COLUMNS)
    assert time_order(replace(evidence, schema=schema), stream(1, "order")) == []
    alone = Schema(columns=COLUMNS[:1], order_key="when")
    parts = {
        part: Dataset(frame=getattr(evidence, part).frame[["when"]], schema=alone)
        for part in ("train", "holdout", "synthetic")
    }
    assert time_order(replace(evidence, schema=alone, **parts), stream(1, "order")) == []


def test_an_order_written_in_labels_is_an_order() -> None:
    evidence = plain(2)
    schema = Schema(columns=(Column(name="when", kind="id"), *COLUMNS[1:]), order_key="when")
    parts = {}
    for part in ("train", "holdout", "synthetic"):
        frame = getattr(evidence, part).frame.copy()
        frame["when"] = frame["when"].dt.strftime("%Y-%m-%d %H").astype(object)
        parts[part] = Dataset(frame=frame, schema=schema)
    evidence = replace(evidence, schema=schema, **parts)
    assert measured(evidence).status is Status.PASS
    assert measured(replace(evidence, synthetic=shuffled(evidence.synthetic))).status is Status.FAIL

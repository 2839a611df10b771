"""What the report draws: plain numbers, and nothing of a real row in public."""

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Schema
from validators.evidence import Evidence
from validators.judge import judge
from validators.pictures import PUBLIC_LEAST_ROWS, pictures
from validators.privacy.excess_matches import excess_matches
from validators.privacy.membership import membership


def drawn(evidence: Evidence, seed: int = 1) -> Any:
    validators = {"privacy.excess_matches": excess_matches, "privacy.membership": membership}
    report = judge(evidence, seed=seed, validators=validators)
    return pictures(evidence, report, seed)


def numbers_in(value: Any) -> Any:
    if isinstance(value, dict):
        return [number for part in value.values() for number in numbers_in(part)]
    if isinstance(value, list | tuple):
        return [number for part in value for number in numbers_in(part)]
    return [value] if isinstance(value, float) else []


@pytest.fixture(scope="module")
def case(evidence_of: Callable[..., Evidence]) -> Any:
    evidence = evidence_of(1, (1500, 800, 1200))
    return evidence, drawn(evidence)


def test_every_column_is_drawn_worst_first_and_shares_add_up(case: Any) -> None:
    evidence, found = case
    assert {one.name for one in found.columns} == set(evidence.schema.names)
    distances = [one.distance for one in found.columns]
    assert distances == sorted(distances, reverse=True)
    for one in found.columns:
        missing = evidence.synthetic.frame[one.name].isna().mean() if one.edges else 0.0
        assert sum(one.synthetic) == pytest.approx(1 - missing)
        assert len(one.synthetic) == len(one.real) == (len(one.labels) if one.labels else len(one.edges) - 1)
        assert one.distance < 0.1


def test_a_spoilt_column_comes_first(case: Any, law: SimpleNamespace) -> None:
    evidence, _ = case
    spoilt = law.changed(evidence.synthetic, trade=np.full(1200, "smith", dtype=object))
    first = drawn(replace(evidence, synthetic=spoilt)).columns[0]
    assert first.name == "trade"
    naive = (evidence.train.frame["trade"] != "smith").sum() + (evidence.holdout.frame["trade"] != "smith").sum()
    assert first.distance == pytest.approx(naive / 2300)


def test_pairs_are_near_the_ceiling_for_fresh_rows_and_below_it_for_independent_columns(
    case: Any, law: SimpleNamespace
) -> None:
    evidence, found = case
    size = len(evidence.schema.names)
    assert len(found.pairs.names) == size
    assert all(found.pairs.shortfall[i][i] is None for i in range(size))
    fresh = max(cell for row in found.pairs.shortfall for cell in row if cell is not None)
    loose = drawn(replace(evidence, synthetic=law.independent(evidence.synthetic, 3)))
    assert fresh < 0.06
    assert max(cell for row in loose.pairs.shortfall for cell in row if cell is not None) > 0.2


def test_groups_have_shares_and_rates_with_intervals(case: Any) -> None:
    evidence, found = case
    (group,) = found.groups
    frame = evidence.synthetic.frame
    for i, label in enumerate(group.labels):
        rows = frame["group"] == label
        assert group.share[i][0] == pytest.approx(rows.mean())
        assert group.rate[i][0] == pytest.approx((frame["bought"][rows] == "yes").mean())
        assert group.rate[i][1] < group.rate[i][0] < group.rate[i][2]


def test_the_map_and_the_distances_are_drawn(case: Any) -> None:
    _, found = case
    assert len(found.projection.real) == 1500
    assert len(found.projection.synthetic) == 1200
    assert sum(found.distances.train) == pytest.approx(1.0)
    assert len(found.distances.edges) == len(found.distances.fresh) + 1
    assert found.attack is not None
    assert found.attack.accused[-1] == 1.0
    assert found.attack.found[-1] == pytest.approx(1.0, abs=0.01)
    assert list(found.attack.found) == sorted(found.attack.found)


def test_json_is_plain_and_the_same_seed_draws_the_same(case: Any) -> None:
    evidence, found = case
    text = json.dumps(found.to_json(), allow_nan=False)
    assert text == json.dumps(drawn(evidence).to_json(), allow_nan=False)


def test_the_public_sees_nothing_that_was_read_from_real_rows_but_coarse_pairs(case: Any) -> None:
    evidence, found = case
    public = found.public()
    assert public.projection is None
    assert public.distances is None
    assert public.attack is None
    assert all(one.real is None and one.distance is None for one in public.columns)
    assert all(one.real_share is None and one.real_rate is None for one in public.groups)
    plain = public.to_json()
    assert all(round(number, 2) == number for number in numbers_in(plain["pairs"]))
    real = pd.concat([evidence.train.frame, evidence.holdout.frame])["income"]
    assert not set(numbers_in(plain)) & set(real)


def test_public_columns_depend_on_the_synthetic_rows_alone(case: Any, law: SimpleNamespace) -> None:
    evidence, found = case
    other = drawn(replace(evidence, train=law.draw(1500, 991), holdout=law.draw(800, 992)))
    by_name = [{one.name: one for one in each.public().columns} for each in (found, other)]
    assert by_name[0] == by_name[1]


def test_rare_labels_and_small_groups_are_not_public(case: Any, law: SimpleNamespace) -> None:
    evidence, _ = case
    labels = evidence.synthetic.frame["group"].to_numpy(dtype=object).copy()
    labels[:3] = "secret-few"
    trades = evidence.synthetic.frame["trade"].to_numpy(dtype=object).copy()
    trades[: PUBLIC_LEAST_ROWS - 1] = "secret-trade"
    train = law.changed(evidence.train, group=np.where(np.arange(1500) < 30, "secret-few", "a").astype(object))
    found = drawn(replace(evidence, train=train, synthetic=law.changed(evidence.synthetic, group=labels, trade=trades)))
    assert "secret-trade" in json.dumps(found.to_json())
    assert "secret" not in json.dumps(found.public().to_json())


def test_odd_tables_are_drawn(evidence_of: Callable[..., Evidence], law: SimpleNamespace) -> None:
    evidence = evidence_of(1, (200, 120, 150))
    empty = replace(evidence, synthetic=evidence.synthetic.take(np.arange(0)))
    assert drawn(empty).pairs is None
    frame = evidence.train.frame[["income"]].assign(income=3.0)
    schema = Schema(columns=(law.schema["income"],))
    constant = Dataset(frame=frame, schema=schema)
    lone = replace(evidence, schema=schema, train=constant, holdout=None, synthetic=constant)
    found = drawn(lone)
    assert found.columns[0].distance == 0
    assert found.groups == ()
    json.dumps(found.public().to_json(), allow_nan=False)
    assert stream(1, "x") is not None

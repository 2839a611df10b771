"""The known answers are what they say, and the gate gives them on a simulated table."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.gallery import judged, right
from benchmarks.known_answers import KINDS, Draw, drawn, simulated


@pytest.fixture(scope="module")
def draw() -> Draw:
    return drawn(simulated(6000, seed=1), 1200, np.random.default_rng(1))


def made(kind: str, draw: Draw) -> pd.DataFrame:
    table = KINDS[kind].make(draw, np.random.default_rng(2))
    assert table is not None
    return table.reset_index(drop=True)


def rows_of(table: pd.DataFrame) -> set[tuple[object, ...]]:
    return set(table.astype(str).itertuples(index=False, name=None))


def test_the_parts_of_a_draw_are_disjoint_and_of_one_law(draw: Draw) -> None:
    parts = [set(part["customer"]) for part in (draw.train, draw.holdout, draw.fresh)]
    assert [len(part) for part in parts] == [1200] * 3
    assert len(set.union(*parts)) == 3600


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_kind_leaves_the_draw_alone_and_repeats_itself(draw: Draw, kind: str) -> None:
    before = draw.train.copy(), draw.fresh.copy()
    tables = [KINDS[kind].make(draw, np.random.default_rng(2)) for _ in range(2)]
    pd.testing.assert_frame_equal(draw.train, before[0])
    pd.testing.assert_frame_equal(draw.fresh, before[1])
    if tables[0] is None:
        assert tables[1] is None
    else:
        pd.testing.assert_frame_equal(tables[0], tables[1])


def test_leaks_hold_as_many_rows_of_train_as_they_say(draw: Draw) -> None:
    train = rows_of(draw.train)
    shares = {
        kind: np.mean([row in train for row in made(kind, draw).astype(str).itertuples(index=False, name=None)])
        for kind in ("verbatim", "verbatim, shuffled", "0.5 % copies", "5 % copies", "20 % copies", "fresh real rows")
    }
    assert list(shares.values()) == [1.0, 1.0, 0.005, 0.05, 0.2, 0.0]


def test_unfaithful_rows_keep_what_they_should_keep(draw: Draw) -> None:
    independent = made("independent columns", draw)
    assert all(sorted(independent[name].astype(str)) == sorted(draw.fresh[name].astype(str)) for name in draw.fresh)
    flipped = made("20 % labels flipped", draw)
    assert np.mean(flipped["stayed"] != draw.fresh["stayed"]) == pytest.approx(0.2, abs=0.04)
    assert made("missing values filled", draw)["rating"].isna().sum() == 0
    anywhere = made("missing values anywhere", draw)
    assert anywhere["rating"].isna().sum() == draw.fresh["rating"].isna().sum()
    assert made("tails clipped", draw)["spent"].max() == pytest.approx(draw.fresh["spent"].quantile(0.95), rel=0.01)


def test_unfair_rows_hit_one_group(draw: Draw) -> None:
    counts = draw.fresh["region"].value_counts()
    assert set(counts.index) - set(made("a group erased", draw)["region"]) == {counts.index[-1]}
    halved = (made("a group halved", draw)["region"].value_counts() / counts).round(1)
    assert sorted(halved) == [0.5, 1.0, 1.0, 1.0]
    both = made("an intersection erased", draw)
    assert pd.crosstab(both["region"], both["sex"]).to_numpy().min() == 0
    averaged = made("a group averaged", draw)
    assert min(averaged.groupby("region")["spent"].nunique()) == 1


@pytest.mark.parametrize(
    "kind",
    [
        "fresh real rows",
        "copies, one cell changed",
        "rows of train and holdout",
        "texts of train",
        "missing values anywhere",
        "rows twice with noise",
        "a group averaged",
        "ids twice",
        "no rows",
    ],
)
def test_the_gate_answers_as_it_must(draw: Draw, kind: str) -> None:
    line = {"kind": kind, **judged(draw, made(kind, draw), "standard", 3)}
    if kind == "fresh real rows":  # 1,200 rows are too few to be sure of everything, and enough not to be refused
        assert line["failed"] == []
        assert line["invalid"] == []
    else:
        assert right(line) == (True, True), line["failed"]

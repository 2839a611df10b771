"""Labels as tokens, in one level and in two."""

import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from generators.base import Budget, ignore_step
from generators.tabular import autoregressive, gan, vae
from generators.tabular.codec import CodecConfig, TableCodec, fit_codec
from generators.tabular.imputation import impute
from generators.tabular.labels import LabelCodec, fit_labels, most_labels
from generators.tabular.likeness import order_by_likeness
from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema

ROWS = 3_000
TOWNS, GROUPS = 48, 4
COLUMNS = (
    Column(name="town", kind="categorical"),
    Column(name="region", kind="categorical"),
    Column(name="height", kind="numeric", decimals=0),
)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A column of more than 16 labels has two levels."""
    monkeypatch.setattr("generators.tabular.labels.MOST_LABELS", 16)


def places(n: int = ROWS) -> Dataset:
    """Towns, a tenth of them missing and three of them held once, which decide the region in nine of ten rows."""
    rng = np.random.default_rng(1)
    town = rng.integers(TOWNS, size=n)
    region = np.where(rng.random(n) < 0.9, town % GROUPS, rng.integers(GROUPS, size=n))
    names = pd.Series(np.array([f"town {number:02d}" for number in range(TOWNS)], dtype=object)[town], dtype=object)
    names[rng.random(n) < 0.1] = None
    names[:3] = ["Lonelyville", "Nowhere", "Elsewhere"]
    frame = {
        "town": names,
        "region": pd.Series(np.array([f"region {number}" for number in range(GROUPS)], dtype=object)[region]),
        "height": np.round(rng.normal(170 + 10 * region, 5, size=n)),
    }
    return Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=COLUMNS))


def agreement(frame: pd.DataFrame) -> float:
    known = frame["town"].notna() & frame["town"].fillna("").str.startswith("town")
    towns = frame["town"][known].str[5:].astype(int) % GROUPS
    return float((towns.astype(str) == frame["region"][known].str[7:]).mean())


def test_wide_tables_have_fewer_labels_with_a_token_each() -> None:
    assert [most_labels(number) for number in (0, 1, 64, 128, 10_000)] == [1_024, 1_024, 1_024, 512, 64]


def test_labels_in_clusters_decode_to_themselves() -> None:
    labels = tuple(f"label {number}" for number in range(11))
    codec = LabelCodec(labels=labels, rare=True, missing=True, clusters=3, own=2)
    assert (codec.size, codec.num_fine) == (7, 3)
    values = np.array([*labels, "unheard of", None], dtype=object)
    tokens = codec.encode(values)
    assert tokens[:, 0].tolist() == [0, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 6]
    assert codec.valid()[tokens[:, 0], tokens[:, 1]].all()
    assert codec.valid().sum() == len(values)
    assert codec.decode(tokens[:, 0], tokens[:, 1]).tolist() == [*labels, None, None]
    assert codec.emit.tolist() == [True] * 5 + [False, True]
    assert LabelCodec.from_json(json.loads(json.dumps(codec.to_json()))) == codec
    strict = LabelCodec(labels=labels, rare=False, missing=False, clusters=3, own=2)
    assert strict.encode(values)[-2:].tolist() == [[-1, -1], [-1, -1]]


def test_a_column_of_very_many_labels_takes_outputs_of_their_root() -> None:
    values = pd.Series(np.repeat(np.array([f"l{number:05d}" for number in range(33_000)], dtype=object), 5))
    codec = fit_labels(Column(name="c", kind="categorical"), values, 5, None)
    assert codec.size + codec.num_fine < 700
    tokens = codec.encode(values.to_numpy())
    assert codec.decode(tokens[:, 0], tokens[:, 1]).tolist() == values.tolist()


@pytest.mark.usefixtures("few")
def test_rare_labels_are_neither_kept_nor_in_a_cluster() -> None:
    data = places()
    codec = fit_codec(data, CodecConfig(), seed=1)
    town = codec.columns["town"]
    assert isinstance(town, LabelCodec)
    assert (town.clusters, town.own, len(town.labels)) == (7, 4, TOWNS)
    assert "Lonelyville" not in json.dumps(codec.to_json())
    tokens = codec.encode(data.frame)
    assert (tokens >= 0).all()
    assert tokens[:3, 0].tolist() == [11, 11, 11]
    assert not codec.tokens[0].emit[11]
    other = TableCodec.from_json(json.loads(json.dumps(codec.to_json())), data.schema)
    assert np.array_equal(tokens, other.encode(data.frame))
    decoded = other.decode(tokens, seed=1)["town"]
    assert decoded[3:].equals(data.frame["town"][3:])


def test_labels_that_go_with_the_same_cells_share_a_cluster() -> None:
    rng = np.random.default_rng(2)
    label = rng.integers(100, size=6_000)
    group = rng.permutation(100) % 5
    other = np.where(rng.random(6_000) < 0.7, group[label], rng.integers(5, size=6_000))
    counts = np.full(10, 10)
    order = order_by_likeness(label, counts, [other, rng.integers(9, size=6_000)], stream(1, "x"))
    assert sorted(order) == list(range(100))
    alike = [np.bincount(group[part]).max() for part in np.split(order, 10)]
    by_chance = [np.bincount(group[part]).max() for part in np.split(rng.permutation(100), 10)]
    assert np.mean(alike) > 8
    assert np.mean(by_chance) < 5.5


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize(("family", "steps"), [(vae, 60), (gan, 10)], ids=["vae", "gan"])
def test_families_draw_only_labels_that_are_kept(family: ModuleType, steps: int, tmp_path: Path) -> None:
    data = places()
    model = family.build(family.Config(device="cpu", width=32, hidden=32, batch_size=128, correct=False))
    model.fit(data, seed=1, budget=Budget(steps=steps), run_dir=tmp_path / "run", on_step=ignore_step)
    drawn = model.sample(2_000, seed=2).frame
    assert set(drawn["town"].dropna()) <= {f"town {number:02d}" for number in range(TOWNS)}
    assert drawn["town"].nunique() > TOWNS * 0.9
    model.save(tmp_path / "model")
    same = family.load(tmp_path / "model").sample(50, seed=3).frame
    pd.testing.assert_frame_equal(same, model.sample(50, seed=3).frame)


@pytest.mark.usefixtures("few")
def test_a_label_in_a_cluster_is_drawn_given_and_imputed_with_its_region(tmp_path: Path) -> None:
    """Independent columns agree in a quarter of the rows; 0.4 is five standard errors above that at 300 rows."""
    data = places()
    model = autoregressive.build(autoregressive.Config(device="cpu", width=64, hidden=64, correct=False))
    model.fit(data, seed=1, budget=Budget(steps=200), run_dir=tmp_path, on_step=ignore_step)
    drawn = model.sample(2_000, seed=2).frame
    assert set(drawn["town"].dropna()) == {f"town {number:02d}" for number in range(TOWNS)}
    assert abs(drawn["town"].isna().mean() - data.frame["town"].isna().mean()) < 0.06
    assert agreement(drawn) > 0.7
    given = pd.DataFrame({"town": pd.Series([f"town {number % TOWNS:02d}" for number in range(960)], dtype=object)})
    completed = model.sample(960, seed=2, given=given).frame
    assert completed["town"].equals(given["town"])
    assert agreement(completed) > 0.4
    lacking = data.frame[data.frame["town"].isna()]
    filled = impute(model, lacking, seed=3)
    assert filled["town"].notna().all()
    assert filled["region"].equals(lacking["region"])
    assert agreement(filled) > 0.4

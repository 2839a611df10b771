"""From files to a synthesizer and back: every kind in every type that files have, through every family."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from generators.base import Budget, ignore_step
from generators.registry import SYNTHESIZERS
from sources.conform import conform, to_storage, write_table
from sources.dataset import Dataset
from sources.readers import read_table
from sources.schema import Column, Rules, Schema, TableRule

N = 200
TABLES = [name for name, family in SYNTHESIZERS.items() if not family.pictures]
WHOLE: dict[str, Any] = {"kind": "numeric", "integer": True, "decimals": 0}
COLUMNS = (
    Column(name="counter", kind="id", storage="int64", rules=Rules(unique=True)),
    Column(name="visitor", kind="id", storage="int64"),
    Column(name="long", kind="id", storage="int64"),
    Column(name="zoned", kind="datetime", storage="timestamp", timezone="Europe/Prague"),
    Column(name="day", kind="datetime", storage="date"),
    Column(name="flag", kind="boolean", storage="bool"),
    Column(name="answer", kind="boolean", storage="string", truth=("no", "yes")),
    Column(name="code", kind="categorical", storage="int64", missing_marks=("?",)),
    Column(name="label", kind="categorical", rules=Rules(values=("a", "b"))),
    Column(name="negative", storage="int64", **WHOLE),
    Column(name="heavy", kind="numeric", decimals=2, storage="float64", bins=(0.0, 10.0)),
    Column(name="constant", kind="numeric", decimals=1, storage="float64"),
    Column(name="nothing", kind="numeric", storage="float64"),
)
RULES = (TableRule(kind="greater", columns=("heavy", "negative")), TableRule(kind="unique", columns=("counter",)))


def everything() -> Dataset:
    rng = np.random.default_rng(0)
    moments = pd.Series(pd.Timestamp("2020-03-01") + pd.to_timedelta(rng.integers(0, 10**7, N), unit="s"))
    days = pd.Series(pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1_000, N), unit="D"))
    raw = pd.DataFrame(
        {
            "counter": rng.permutation(10**4)[:N],
            "visitor": np.repeat(np.arange(N // 4), 4) + 7_000,
            "long": 9 * 10**18 + rng.integers(0, 10**17, N),
            "zoned": moments.astype("datetime64[us]").dt.tz_localize("UTC").dt.tz_convert("Europe/Prague"),
            "day": [None if number % 9 == 0 else day.date() for number, day in enumerate(days)],
            "flag": pd.Series(rng.random(N) < 0.4, dtype="boolean").mask(pd.Series(rng.random(N) < 0.1)),
            "answer": rng.choice(["yes", "no"], N),
            "code": pd.Series(rng.choice([1, 2, 7], N), dtype="Int64").mask(pd.Series(rng.random(N) < 0.1)),
            "label": rng.choice(["a", "b"], N),
            "negative": -rng.integers(1, 1_000, N),
            "heavy": np.round(rng.standard_cauchy(N) * 1e4, 2),
            "constant": 3.5,
            "nothing": np.nan,
        }
    )
    return conform(raw, Schema(columns=COLUMNS, entity_key="visitor", rules=RULES))


@pytest.fixture(scope="module", params=TABLES)
def folder_and_sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Dataset]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("storage")
    family = SYNTHESIZERS[request.param]
    fitted = family.build(family.config())
    fitted.fit(everything(), seed=1, budget=Budget(steps=6), run_dir=folder / "run", on_step=ignore_step)
    fitted.save(folder / "model")
    loaded = family.load(folder / "model")
    torch.set_num_threads(threads)
    return folder, loaded.sample(150, seed=2)


def test_a_loaded_model_knows_the_whole_schema(folder_and_sample: tuple[Path, Dataset]) -> None:
    assert folder_and_sample[1].schema == everything().schema


@pytest.mark.parametrize("format_", ["parquet", "csv"])
def test_a_sample_survives_files(folder_and_sample: tuple[Path, Dataset], format_: Literal["parquet", "csv"]) -> None:
    folder, sample = folder_and_sample
    path = folder / f"sample.{format_}"
    write_table(to_storage(sample), path, format_)
    assert_frame_equal(conform(read_table(path), sample.schema).frame, sample.frame, check_exact=True)


def test_ids_are_new_unique_where_they_were_and_repeat_where_they_did(folder_and_sample: tuple[Path, Dataset]) -> None:
    _, sample = folder_and_sample
    source = everything().frame
    assert sample.frame["counter"].is_unique
    assert set(sample.frame["visitor"].value_counts()) <= {4, 150 % 4}
    for name in ("counter", "visitor", "long"):
        assert not set(sample.frame[name]) & set(source[name])


@pytest.mark.parametrize("num_rows", [20, 21, 30])
@pytest.mark.parametrize("name", TABLES)
def test_as_few_rows_as_can_be_learnt_give_a_sample_that_can_be_stored(
    name: str, num_rows: int, tmp_path: Path
) -> None:
    family = SYNTHESIZERS[name]
    few = everything().take(np.arange(num_rows))
    few = replace(few, schema=replace(few.schema, entity_key=None))  # five visitors support nothing
    fitted = family.build(family.config())
    fitted.fit(few, seed=1, budget=Budget(steps=2), run_dir=tmp_path, on_step=ignore_step)
    sample = fitted.sample(10, seed=1)
    assert_frame_equal(conform(to_storage(sample), sample.schema).frame, sample.frame, check_exact=True)

"""Given cells that no draw could have: refused by column and count, never quietly read as the nearest."""

import numpy as np
import pandas as pd
import pytest

from generators.base import GeneratorInputError
from generators.tabular.codec import CodecConfig, TableCodec, fit_codec
from generators.tabular.conditions import known_tokens
from sources.dataset import Dataset
from sources.schema import Column, Schema


@pytest.fixture(scope="module")
def codec() -> TableCodec:
    rng = np.random.default_rng(1)
    n = 600
    frame = pd.DataFrame(
        {
            "who": pd.Series([f"P{row:04d}" for row in range(n)], dtype=object),
            "age": rng.integers(17, 91, n).astype(np.float64),
            "score": rng.normal(size=n),
            "rooms": rng.integers(1, 5, n).astype(np.float64),
            "day": pd.Series(np.datetime64("2020-01-01", "us") + rng.integers(0, 900, n).astype("timedelta64[D]")),
        }
    )
    columns = (
        Column(name="who", kind="id"),
        Column(name="age", kind="numeric", integer=True, decimals=0),
        Column(name="score", kind="numeric"),
        Column(name="rooms", kind="numeric", integer=True, decimals=0),
        Column(name="day", kind="datetime", storage="date"),
    )
    return fit_codec(Dataset(frame=frame, schema=Schema(columns=columns)), CodecConfig(), seed=1)


@pytest.mark.parametrize(
    ("column", "good", "bad"),
    [
        ("age", [18.0, 40.0, 89.0], [1000.0, -1.0]),
        ("score", [-2.0, 0.0, 2.0], [40.0, -40.0]),
        ("rooms", [1.0, 4.0], [0.0, 2.5, 9.0]),
        ("day", list(pd.to_datetime(["2020-02-01", "2022-01-05"])), list(pd.to_datetime(["1990-01-01", "2100-01-01"]))),
    ],
)
def test_numbers_and_days_outside_what_can_be_drawn_are_refused(
    codec: TableCodec, column: str, good: list[object], bad: list[object]
) -> None:
    dtype = "datetime64[us]" if column == "day" else "float64"
    tokens, _ = known_tokens(pd.DataFrame({column: pd.Series(good, dtype=dtype)}), len(good), codec)
    assert (tokens[:, codec.position(column)] >= 0).all()
    for cell in bad:
        with pytest.raises(
            GeneratorInputError, match=f"column '{column}' holds numbers that the model never draws"
        ) as no:
            known_tokens(pd.DataFrame({column: pd.Series([cell, good[0]], dtype=dtype)}), 2, codec)
        assert "1 cells" in str(no.value)


def test_whatever_a_model_draws_can_be_given_back(codec: TableCodec) -> None:
    rng = np.random.default_rng(2)
    tokens = np.column_stack([rng.integers(0, token.size, 2_000) for token in codec.tokens])
    frame = codec.decode(tokens, seed=3)
    assert len(known_tokens(frame, 2_000, codec)[0]) == 2_000

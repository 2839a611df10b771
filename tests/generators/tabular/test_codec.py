"""A table as small integers and back."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from generators.base import GeneratorInputError
from generators.tabular.codec import CodecConfig, TableCodec, fit_codec
from generators.tabular.identifiers import fit_id
from generators.tabular.labels import LabelCodec
from sources.dataset import Dataset
from sources.randomness import stream
from sources.schema import Column, Schema

N = 600


def table(frame: dict[str, Any], *columns: Column) -> Dataset:
    return Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=columns))


def people(n: int = N, seed: int = 1) -> Dataset:
    rng = np.random.default_rng(seed)
    grade = rng.integers(4, size=n)
    town = np.array(["Brno", "Oslo", None, "Riga"], dtype=object)[rng.integers(4, size=n)]
    town[:3] = ["Lonelyville", "Nowhere", "Elsewhere"]
    return table(
        {
            "person": pd.Series([f"P-{number:07d}" for number in rng.permutation(10**6)[:n]], dtype=object),
            "town": pd.Series(town, dtype=object),
            "grade": pd.Series(np.array(["none", "school", "college", "phd"], dtype=object)[grade], dtype=object),
            "grade_number": (grade * 3 + 1).astype(np.float64),
            "weight": np.round(rng.normal(70, 12, size=n), 1),
            "member": pd.Series(rng.random(n) < 0.3, dtype="boolean").mask(pd.Series(rng.random(n) < 0.1)),
            "born": pd.Series(
                pd.to_datetime("1950-01-01") + pd.to_timedelta(rng.integers(20_000, size=n), unit="D")
            ).astype("datetime64[us]"),
            "country": pd.Series(["here"] * n, dtype=object),
        },
        Column(name="person", kind="id"),
        Column(name="town", kind="categorical"),
        Column(name="grade", kind="categorical"),
        Column(name="grade_number", kind="numeric", integer=True),
        Column(name="weight", kind="numeric", decimals=1),
        Column(name="member", kind="boolean"),
        Column(name="born", kind="datetime"),
        Column(name="country", kind="categorical"),
    )


def test_decoding_the_rows_gives_back_labels_and_kinds() -> None:
    data = people()
    codec = fit_codec(data, CodecConfig(), seed=1)
    tokens = codec.encode(data.frame)
    assert tokens.dtype == np.int16
    assert (tokens >= 0).all()
    frame = codec.decode(tokens, seed=2)
    assert frame.dtypes.equals(data.frame.dtypes)
    assert list(frame.columns) == list(data.frame.columns)
    for name in ("grade", "grade_number", "member", "country"):
        pd.testing.assert_series_equal(frame[name], data.frame[name], check_names=False)
    common = data.frame["town"].isin(["Brno", "Oslo", "Riga"])
    assert frame["town"][common].equals(data.frame["town"][common])
    assert np.array_equal(np.round(frame["weight"], 1), frame["weight"])
    assert (frame["born"] == frame["born"].dt.normalize()).all()
    pd.testing.assert_frame_equal(frame, codec.decode(tokens, seed=2))


def test_rare_labels_are_learnt_as_one_and_never_kept() -> None:
    data = people()
    codec = fit_codec(data, CodecConfig(), seed=1)
    town = codec.columns["town"]
    assert isinstance(town, LabelCodec)
    assert town.labels == ("Brno", "Oslo", "Riga")
    place = codec.position("town")
    assert place is not None
    assert codec.tokens[place].emit.tolist() == [True, True, True, False, True]
    assert codec.encode(data.frame)[:3, place].tolist() == [3, 3, 3]
    text = json.dumps(codec.to_json())
    assert "Lonelyville" not in text
    assert any("town: 3 labels" in note and "Lonelyville" not in note for note in codec.notes(data.frame))


def test_a_column_that_another_decides_is_left_out_and_derived() -> None:
    codec = fit_codec(people(), CodecConfig(), seed=1)
    assert set(codec.derived) == {"grade"}
    assert codec.derived["grade"][0] == "grade_number"
    assert codec.position("grade") is None
    assert fit_codec(people(), CodecConfig(derive=False), seed=1).derived == {}


def test_an_almost_exact_rule_is_no_rule() -> None:
    data = people()
    data.frame.loc[N - 1, "grade_number"] = 1.0 if data.frame.loc[N - 1, "grade_number"] != 1.0 else 4.0
    assert fit_codec(data, CodecConfig(), seed=1).derived == {}


def test_ids_are_new_distinct_and_of_the_same_format() -> None:
    data = people()
    frame = fit_codec(data, CodecConfig(), seed=1).decode(np.zeros((5_000, 6), dtype=np.int16), seed=3)
    assert frame["person"].is_unique
    assert frame["person"].str.fullmatch(r"P-\d+").all()
    assert not set(frame["person"]) & set(data.frame["person"])


def test_ids_that_repeat_repeat_as_often() -> None:
    values = np.repeat(np.array([f"{number:08x}" for number in range(10**6, 10**6 + 300)], dtype=object), 3)
    drawn = pd.Series(fit_id(values).draw(900, stream(1, "ids")))
    assert drawn.value_counts().tolist() == [3] * 300


def test_ids_of_diverse_repeats_keep_their_mean_and_no_single_count() -> None:
    rng = np.random.default_rng(2)
    counts = np.append(rng.integers(1, 60, size=299), 5_000)
    values = np.repeat(np.array([f"{number:08x}" for number in range(10**6, 10**6 + 300)], dtype=object), counts)
    codec = fit_id(values)
    assert max(size for size, _ in codec.repeats) < 100
    drawn = pd.Series(codec.draw(20_000, stream(1, "ids"))).value_counts()
    standard_error = counts[:-1].std() / np.sqrt(len(drawn))
    assert abs(drawn.mean() - counts[:-1].mean()) < 5 * standard_error


@pytest.mark.parametrize(
    ("storage", "largest"), [("int64", np.iinfo(np.int64).max), ("float64", 2**53)], ids=["int64", "float64"]
)
@pytest.mark.parametrize("digits", [1, 4, 10, 15, 18, 19])
def test_ids_stored_as_numbers_are_whole_numbers_that_the_type_holds(storage: Any, largest: int, digits: int) -> None:
    rng = np.random.default_rng(3)
    first = 10 ** (digits - 1)
    ids = sorted({str(first + int(step)) for step in rng.integers(0, max(first // 10, 9), size=400)})
    codec = fit_id(np.array([*ids, "-7"], dtype=object), storage)
    drawn = [str(text) for text in codec.draw(3_000, stream(1, "ids"))]
    assert len(set(drawn)) == 3_000
    assert all(str(int(text)) == text and 0 < int(text) <= largest for text in drawn)
    assert [int(getattr(np, storage)(int(text))) for text in drawn] == [int(text) for text in drawn]
    assert not set(drawn) & set(ids)


def test_the_lattice_is_not_what_a_few_rows_hold() -> None:
    """The greatest common divisor of zeros and one number is that number."""
    zeros = np.where(np.arange(N) == 3, 98_765.0, 0.0)
    sparse = np.where(np.arange(N) == 3, 98_765.0, np.nan)
    names = ("zeros", "sparse")
    data = table({"zeros": zeros, "sparse": sparse}, *[Column(name=x, kind="numeric", integer=True) for x in names])
    assert "98765" not in json.dumps(fit_codec(data, CodecConfig(), seed=1).to_json())


def test_many_rows_of_one_entity_support_neither_its_label_nor_its_number() -> None:
    who = np.arange(N) // 2  # two rows each
    who[:100] = 0
    rng = np.random.default_rng(1)
    frame = {
        "who": pd.Series(who.astype(str), dtype=object),
        "town": pd.Series(np.where(who == 0, "Lonelyville", "Brno").astype(object), dtype=object),
        "height": np.where(who == 0, 211.5, np.round(rng.normal(170, 10, size=N), 1)),
    }
    columns = (
        Column(name="who", kind="id"),
        Column(name="town", kind="categorical"),
        Column(name="height", kind="numeric", decimals=1),
    )
    data = Dataset(frame=pd.DataFrame(frame), schema=Schema(columns=columns, entity_key="who"))
    codec = fit_codec(data, CodecConfig(), seed=1)
    kept = json.dumps(codec.to_json())
    assert "Lonelyville" not in kept
    assert "211.5" not in kept
    assert (codec.encode(data.frame) >= 0).all()
    by_rows = fit_codec(Dataset(frame=data.frame, schema=Schema(columns=columns)), CodecConfig(), seed=1)
    assert "Lonelyville" in json.dumps(by_rows.to_json())  # the control: a hundred persons would be many


def test_more_labels_than_int16_holds_are_encoded() -> None:
    labels = pd.Series(np.repeat(np.array([f"l{number:05d}" for number in range(33_000)], dtype=object), 5))
    data = table({"c": labels}, Column(name="c", kind="categorical"))
    codec = fit_codec(data, CodecConfig(), seed=1)
    tokens = codec.encode(data.frame)
    assert tokens.min() == 0
    assert codec.decode(tokens, seed=1)["c"].equals(labels)


def test_a_support_of_nobody_is_refused() -> None:
    with pytest.raises(GeneratorInputError, match="min_support"):
        CodecConfig(min_support=0)


def test_constant_and_all_missing_columns_need_no_token() -> None:
    nothing = pd.Series([None] * 50, dtype=object)
    data = table(
        {"one": np.ones(50), "gone": np.full(50, np.nan), "none": nothing},
        Column(name="one", kind="numeric", integer=True),
        Column(name="gone", kind="numeric"),
        Column(name="none", kind="categorical"),
    )
    codec = fit_codec(data, CodecConfig(), seed=1)
    assert codec.tokens == ()
    pd.testing.assert_frame_equal(codec.decode(codec.encode(data.frame), seed=1), data.frame)


def test_amounts_in_whole_thousands_stay_so() -> None:
    values = np.random.default_rng(1).integers(1, 400, size=N) * 1000.0
    codec = fit_codec(table({"x": values}, Column(name="x", kind="numeric", integer=True)), CodecConfig(), seed=1)
    decoded = codec.decode(codec.encode(pd.DataFrame({"x": values})), seed=1)["x"]
    assert (decoded % 1000 == 0).all()


def test_zoned_moments_are_canonical_and_keep_their_unit() -> None:
    seconds = np.random.default_rng(1).integers(10**9, size=N)
    series = pd.Series(pd.to_datetime(seconds, unit="s")).astype("datetime64[us]")
    series[5] = pd.NaT
    data = table({"t": series}, Column(name="t", kind="datetime", timezone="Europe/Prague"))
    codec = fit_codec(data, CodecConfig(), seed=1)
    decoded = codec.decode(codec.encode(data.frame), seed=1)["t"]
    assert decoded.dtype == series.dtype
    assert decoded.isna().equals(series.isna())
    assert (decoded.dropna() == decoded.dropna().dt.floor("s")).all()
    assert (decoded - series).abs().max() < pd.Timedelta(days=770)  # twice a leaf of 20 of 600 rows over 32 years


def test_json_round_trip_gives_the_same_codec() -> None:
    data = people()
    codec = fit_codec(data, CodecConfig(), seed=1)
    other = TableCodec.from_json(json.loads(json.dumps(codec.to_json())), data.schema)
    tokens = codec.encode(data.frame)
    assert np.array_equal(tokens, other.encode(data.frame))
    pd.testing.assert_frame_equal(codec.decode(tokens, seed=2), other.decode(tokens, seed=2))
    assert other.sizes == codec.sizes


@pytest.mark.parametrize(
    ("values", "column", "message"),
    [
        (pd.Series(["a text"] * 50, dtype=object), Column(name="x", kind="text"), "text is not modelled"),
        (pd.Series(np.append(np.arange(49.0), np.inf)), Column(name="x", kind="numeric"), "infinite numbers"),
        (
            pd.Series([str(n) for n in range(50)], dtype=object),
            Column(name="x", kind="categorical"),
            "no label is held",
        ),
        (pd.Series(np.arange(19.0)), Column(name="x", kind="numeric"), "too few rows"),
    ],
)
def test_what_cannot_be_learnt_is_said_with_a_remedy(values: pd.Series, column: Column, message: str) -> None:
    with pytest.raises(GeneratorInputError, match=message) as caught:
        fit_codec(table({"x": values}, column), CodecConfig(), seed=1)
    assert caught.value.remedy

import datetime as dt
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sources.conform import conform, conform_loosely, to_storage, write_table
from sources.errors import SourceError, SourceInputError
from sources.fingerprint import fingerprint
from sources.inference import infer_schema
from sources.overrides import from_mapping
from sources.readers import read_table

NAMES = (
    "plain", "with space", "dot.ted", 'quo"ted', "apos'trophe", "comma, name", "semi;colon", "tab\tname", "ünïcödé 名",
    "class", "def", "index", "<b>bold</b>", "<script>alert(1)</script>", "{{ braces }}", "%s %d", "a=b", "=1+1",
    "-x", "c0", "level_0", "None", "nan", "0", "1.5", "select * from t; --", "back\\slash", "$dollar", "#hash",
    "x" * 300, "~/home", "../up", "a\nb",
)  # fmt: skip
LETTERS = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))
ROWS = 24
CELLS = {
    "whole": st.integers(-(10**9), 10**9),
    "huge": st.integers(2**53, 2**63 - 1),
    "real": st.floats(allow_nan=False, allow_infinity=False, width=64),
    "money": st.integers(-(10**7), 10**7).map(lambda cents: cents / 100),
    "label": st.sampled_from(["red", "green", " blue", "007", "NA", "?", "yes", "-", "1"]),
    "text": st.text(LETTERS, min_size=0, max_size=12),
    "truth": st.booleans(),
    "digit": st.sampled_from([0, 1]),
    "moment": st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2200, 1, 1)),  # noqa: DTZ001 - naive times are meant
    "day": st.dates(dt.date(1800, 1, 1), dt.date(2200, 1, 1)),
    "european": st.dates(dt.date(1950, 1, 1), dt.date(2020, 1, 1)).map(lambda day: day.strftime("%d.%m.%Y")),
}


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """Draw a raw frame of columns of every sort, with missing cells in some."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    data = {}
    for name in names:
        cell = CELLS[draw(st.sampled_from(sorted(CELLS)))]
        cells = draw(st.lists(st.one_of(st.none(), cell, cell, cell), min_size=ROWS, max_size=ROWS))
        data[name] = pd.Series(cells, dtype=object)
    return pd.DataFrame(data)


def usable(frame: pd.DataFrame) -> bool:
    """Return whether every column has a cell that is not missing."""
    try:
        infer_schema(frame)
    except SourceInputError as error:
        assert "every cell is missing" in str(error)  # noqa: PT017 - the one reason that drawn frames have
        return False
    return True


@settings(derandomize=True, max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=frames())
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_table_survives_every_step_and_both_formats(frame: pd.DataFrame, form: str, tmp_path: Path) -> None:
    if not usable(frame):
        return
    schema = infer_schema(frame)
    dataset = conform(frame, schema)
    stored = to_storage(dataset)
    pd.testing.assert_frame_equal(conform(stored, schema).frame, dataset.frame)
    path = tmp_path / f"t.{form}"
    write_table(stored, path, form)  # type: ignore[arg-type]
    back = read_table(path)
    again = conform(back, schema)
    pd.testing.assert_frame_equal(again.frame, dataset.frame)
    assert fingerprint(again) == fingerprint(dataset)
    first = path.read_bytes()
    write_table(to_storage(again), path, form)  # type: ignore[arg-type]
    assert path.read_bytes() == first


@settings(derandomize=True, max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(frame=frames())
def test_a_csv_file_is_told_the_same_by_its_own_schema(frame: pd.DataFrame, tmp_path: Path) -> None:
    """Read, infer, conform, store, write, read, infer: the second schema holds the first one's cells."""
    if not usable(frame):
        return
    write_table(to_storage(conform(frame, infer_schema(frame))), tmp_path / "a.csv", "csv")
    raw = read_table(tmp_path / "a.csv")
    schema = infer_schema(raw)
    dataset = conform(raw, schema)
    write_table(to_storage(dataset), tmp_path / "b.csv", "csv")
    second = read_table(tmp_path / "b.csv")
    pd.testing.assert_frame_equal(conform(second, schema).frame, dataset.frame)
    kinds = [column.kind for column in infer_schema(second).columns]
    assert kinds == [column.kind for column in schema.columns]


def test_one_two_and_text_one_two_have_the_same_labels() -> None:
    schema = infer_schema(pd.DataFrame({"class": [1, 2] * 20}))
    forms = [[1, 2], [1.0, 2.0], ["1", "2"], ["1.0", " 2"], pd.Categorical([1, 2]), pd.array([1, 2], dtype="Int8")]
    for cells in forms:
        assert conform(pd.DataFrame({"class": cells}), schema).frame["class"].tolist() == ["1", "2"]


def test_text_labels_keep_their_zeros_and_blanks() -> None:
    schema = infer_schema(pd.DataFrame({"code": ["007", " 8", "N1"] * 20}))
    assert conform(pd.DataFrame({"code": ["007", " 8", "7"]}), schema).frame["code"].tolist() == ["007", " 8", "7"]


@pytest.mark.parametrize(
    "cells",
    [
        [0, 1, None],
        [False, True, None],
        ["0", "1", ""],
        ["False", "TRUE", "?"],
        [0.0, 1.0, np.nan],
        ["no", "yes", None],
    ],
)
def test_truth_values_are_understood_in_every_form(cells: list[object]) -> None:
    raw = pd.DataFrame({"b": ["no", "yes"] * 20})
    schema = infer_schema(raw, from_mapping({"columns": {"b": {"kind": "boolean"}}}))
    assert conform(pd.DataFrame({"b": cells}), schema).frame["b"].tolist() == [False, True, pd.NA]
    assert to_storage(conform(raw, schema))["b"].tolist() == raw["b"].tolist()


def test_canonical_types_are_those_of_the_table_in_dataset() -> None:
    frame = pd.DataFrame(
        {
            "n": [1, 2] * 20,
            "c": ["a", "b"] * 20,
            "b": [True, False] * 20,
            "t": pd.date_range("2024-01-01", periods=40, tz="Europe/Prague"),
            "i": [f"A-{n:04d}" for n in range(40)],
        }
    )
    schema = infer_schema(frame, from_mapping({"columns": {"n": {"kind": "numeric"}}}))
    dataset = conform(frame, schema)
    assert [str(dtype) for dtype in dataset.frame.dtypes] == [
        "float64",
        "object",
        "boolean",
        "datetime64[us]",
        "object",
    ]
    assert dataset.frame["t"][0] == pd.Timestamp("2023-12-31T23:00")
    stored = to_storage(dataset)
    assert [str(dtype) for dtype in stored.dtypes] == [
        "int64", "object", "bool", "datetime64[us, Europe/Prague]", "object",
    ]  # fmt: skip


def test_storage_types_are_those_that_the_source_has() -> None:
    frame = pd.DataFrame(
        {
            "nullable": pd.array([1, None, 3] * 8, dtype="Int64"),
            "class": [1.0, 2.0, 2.0] * 8,
            "date": [20240101, 20240102, 20240103] * 8,
            "day": ["1.2.2024", "02.02.2024", ""] * 8,
            "flag": [0.0, 1.0, None] * 8,
        }
    )
    schema = infer_schema(frame)
    stored = to_storage(conform(frame, schema))
    assert [str(dtype) for dtype in stored.dtypes] == ["Int64", "float64", "int64", "object", "float64"]
    assert stored["date"].tolist() == frame["date"].tolist()
    assert stored["day"].tolist() == ["01.02.2024", "02.02.2024", None] * 8
    assert stored["class"].tolist() == frame["class"].tolist()


def test_numbers_are_stored_on_their_lattice_without_negative_zero() -> None:
    schema = infer_schema(pd.DataFrame({"x": [0.1, 0.25], "n": [1, 5]}))
    dataset = conform(pd.DataFrame({"x": [0.1 + 0.2, -0.001], "n": [2, 3]}), schema)
    stored = to_storage(dataset)
    assert stored["x"].tolist() == [0.3, 0.0]
    assert not np.signbit(stored["x"][1])


def test_a_label_that_is_no_number_cannot_be_stored_as_one() -> None:
    schema = infer_schema(pd.DataFrame({"class": [1, 2] * 20}))
    dataset = conform(pd.DataFrame({"class": ["x", "2"]}), schema)
    with pytest.raises(SourceError, match='column "class": a label is no int64'):
        to_storage(dataset)


@pytest.mark.parametrize(
    ("train", "other", "words"),
    [
        ([1, 2, 3], ["1", "secret", "also"], "2 cells are not numbers, the first in row 2"),
        ([1, 2, 3], [1, 2, 2.5], "1 cells are not whole numbers, the first in row 3"),
        ([1.5, 2.5], [1.5, np.inf], "1 cells are not numbers, the first in row 2"),
        ([1, 2, 3], [2**60, 1, 2], "1 cells are not numbers, the first in row 1"),
        ([1, 2, 3], [dt.date(2024, 1, 1)], "1 cells are not numbers"),
        ([0, 1] * 9, [0, 2], "1 cells are not truth values, the first in row 2"),
        ([True, False], [dt.datetime(2024, 1, 1)], "1 cells are not truth values"),  # noqa: DTZ001
        (["2024-01-01", "2024-01-02"], ["2024-01-01", "secret"], "1 cells are not dates"),
        (["13.01.2024", "02.02.2024"], ["31.02.2024"], "1 cells are not dates"),
        (pd.date_range("2024-01-01", periods=2), [True], "1 cells are not dates"),
    ],
)
def test_cells_that_do_not_fit_are_counted_and_never_shown(train: object, other: object, words: str) -> None:
    schema = infer_schema(pd.DataFrame({"odd": train}))
    with pytest.raises(SourceInputError, match=words) as caught:
        conform(pd.DataFrame({"odd": other}), schema)
    assert 'column "odd"' in str(caught.value)
    assert "secret" not in str(caught.value)


def test_missing_and_extra_columns_are_named() -> None:
    schema = infer_schema(pd.DataFrame({"religious": [1, 2], "age": [3, 4]}))
    with pytest.raises(SourceInputError, match=r'"religious" is missing \(did you mean "religous"\?\)'):
        conform(pd.DataFrame({"religous": [1], "age": [3]}), schema)
    with pytest.raises(SourceInputError, match='"extra" is not in the schema'):
        conform(pd.DataFrame({"religious": [1], "age": [3], "extra": [1]}), schema)


def test_loosely_conformed_tables_say_what_does_not_fit() -> None:
    schema = infer_schema(pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
    dataset, found = conform_loosely(pd.DataFrame({"b": ["x", "y"], "a": ["oops", "2"], "c": [1, 2]}), schema)
    assert dataset is not None
    assert dataset.frame["a"].isna().tolist() == [True, False]
    assert [(entry.column, entry.what, entry.cells, entry.first_row) for entry in found] == [
        ("c", "extra_column", 0, None),
        ("a", "type", 1, 1),
    ]
    nothing, found = conform_loosely(pd.DataFrame({"b": ["x"]}), schema)
    assert nothing is None
    assert [(entry.column, entry.what) for entry in found] == [("a", "missing_column")]


def test_column_order_and_index_of_a_file_do_not_matter() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    schema = infer_schema(frame)
    shuffled = frame[["b", "a"]].set_axis([7, 7, 9], axis=0)
    pd.testing.assert_frame_equal(conform(shuffled, schema).frame, conform(frame, schema).frame)


def test_conforming_does_not_change_its_input() -> None:
    frame = pd.DataFrame({"n": pd.array([1, None], dtype="Int64"), "t": ["a", ""], "f": [1.5, np.nan]})
    before = frame.copy(deep=True)
    dataset = conform(frame, infer_schema(frame))
    dataset.frame.loc[0, "f"] = 99.0
    to_storage(dataset)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_hostile_name_survives_both_formats(form: str, tmp_path: Path) -> None:
    frame = pd.DataFrame({name: [f"v{position}", "w", "w"] for position, name in enumerate(NAMES)})
    schema = infer_schema(frame)
    write_table(to_storage(conform(frame, schema)), tmp_path / f"t.{form}", form)  # type: ignore[arg-type]
    pd.testing.assert_frame_equal(conform(read_table(tmp_path / f"t.{form}"), schema).frame, frame)


def test_line_ends_inside_cells_survive_a_csv_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"t": ["a\r", "b\nc", "\r\n d", "e"], "n": [1.5, None, 2.5, 3.5]})
    schema = infer_schema(frame)
    dataset = conform(frame, schema)
    write_table(to_storage(dataset), tmp_path / "t.csv", "csv")
    pd.testing.assert_frame_equal(conform(read_table(tmp_path / "t.csv"), schema).frame, dataset.frame)


def test_an_unknown_format_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(SourceInputError, match="unknown format"):
        write_table(pd.DataFrame({"a": [1]}), tmp_path / "t.xls", "xls")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []

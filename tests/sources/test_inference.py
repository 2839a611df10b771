import datetime as dt
import decimal

import numpy as np
import pandas as pd
import pytest

from sources.errors import SourceInputError
from sources.inference import examine, infer_common, infer_schema
from sources.overrides import from_mapping
from sources.readers import SourceSpec, read
from sources.schema import Column, Kind


def column_of(values: object, name: str = "c", **said: object) -> Column:
    """Return what the one column with `values` is taken for."""
    overrides = from_mapping({"columns": {name: said}}) if said else None
    return infer_schema(pd.DataFrame({name: values}), overrides)[name]


def repeated(*values: object, times: int = 30) -> list[object]:
    return list(values) * times


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("age", range(18, 90), "numeric"),
        ("flag", repeated(0, 1), "boolean"),
        ("flag", repeated(0.0, 1.0, None), "boolean"),
        ("flag", repeated("true", "false"), "boolean"),
        ("flag", repeated("TRUE", "FALSE", ""), "boolean"),
        ("flag", repeated(True, False), "boolean"),
        ("answer", repeated("yes", "no"), "categorical"),
        ("class", repeated(1, 2), "categorical"),
        ("zip_code", repeated(10115, 20095, 80331), "categorical"),
        ("TrafficType", repeated(1, 2, 3, 4), "categorical"),
        ("age_group", repeated(1, 2, 3, 4), "numeric"),
        ("answer", repeated(1, 2, 3, 9), "categorical"),
        ("siblings", repeated(0, 1, 2, 3, 8), "numeric"),
        ("x", repeated("007", "008", "009"), "categorical"),
        ("x", [f"{n:05d}" for n in range(100)], "id"),
        ("patient_id", [n // 2 for n in range(400)], "id"),
        ("district_id", repeated(1, 2, 3), "categorical"),
        ("row", range(1, 201), "id"),
        ("x", [2**53 + n for n in range(100)], "id"),
        ("x", repeated(2**60, 2**60 + 1), "categorical"),
        ("x", [str(2**70 + n) for n in range(100)], "id"),
        ("email", [f"user{n}@example.org" for n in range(50)], "id"),
        ("uuid", [f"{n:08x}-{n * n:08x}" for n in range(50)], "id"),
        ("colour", repeated("red", "green", "blue"), "categorical"),
        ("remark", [f"the {n} quick brown foxes" for n in range(80)], "text"),
        ("when", [f"2024-01-{n:02d}" for n in range(1, 29)], "datetime"),
        ("when", [f"2024-01-{n:02d}T10:30:00Z" for n in range(1, 29)], "datetime"),
        ("when", [f"{n}.12.2024" for n in range(1, 29)], "datetime"),
        ("when", [f"{n} Mar 2024" for n in range(1, 29)], "datetime"),
        ("price", [f"${n},{n:03d}.50" for n in range(10, 90)], "text"),
        ("price", [f"{n},{n % 100:02d}" for n in range(10, 90)], "text"),
        ("share", [f"{n} %" for n in range(10, 90)], "text"),
        ("start", [f"{n // 60:02d}:{n % 60:02d}" for n in range(100, 200)], "text"),
        ("change", [f"{n / 10:+.1f}" for n in range(-90, 90)], "text"),
        ("phone", [f"+4207770{n:05d}" for n in range(90)], "id"),
        ("address", [f"10.0.{n}.1" for n in range(90)], "id"),
        ("date", [20240100 + n for n in range(1, 29)], "datetime"),
        ("amount", [20240100 + n for n in range(1, 29)], "numeric"),
        ("n", ["1", "2", "?", "4"] * 20, "numeric"),
        ("n", ["1.5", "2", "-", "4"] * 20, "numeric"),
        ("n", ["1", "2", "abc", "4"] * 20, "categorical"),
        ("constant", [3] * 40, "numeric"),
        ("constant", ["x"] * 40, "categorical"),
        ("constant", [0] * 40, "numeric"),
        ("negative", [-5, -4, -3] * 20, "numeric"),
    ],
)
def test_the_kind_is_told_from_the_content(name: str, values: object, kind: Kind) -> None:
    assert column_of(values, name).kind == kind


@pytest.mark.parametrize(
    ("values", "decimals", "integer"),
    [
        ([1.0, 2.0, 5.0, np.nan], 0, True),
        ([0.1, 0.25, 3.0], 2, False),
        ([17.5, 22.0, 27.0], 1, False),
        (["0.10", "2.55"], 2, False),
        (np.array([0.1, 0.2, 0.3], dtype="float32"), 1, False),
        ([1e-12, 0.5], None, False),
        (list(np.linspace(0, 1, 97) ** 0.5), None, False),
        ([-0.001, 123456.789], 3, False),
        ([decimal.Decimal("1.20"), decimal.Decimal("3.45")], 2, False),
    ],
)
def test_numbers_lie_on_the_coarsest_lattice_that_writes_them(
    values: object, decimals: int | None, *, integer: bool
) -> None:
    column = column_of(values)
    assert (column.decimals, column.integer) == (decimals, integer)


@pytest.mark.parametrize(
    ("values", "storage"),
    [
        (pd.array([1, None, 3], dtype="Int64"), "int64"),
        (pd.array([1, None, 3], dtype="Int8"), "int64"),
        ([1.0, None, 3.0], "float64"),
        (["1", "", "3"], "int64"),
        (["1.0", "", "3"], "float64"),
        (pd.Series([1, 2, 1, 2], dtype="category"), "int64"),
        (pd.Series(["a", "b"] * 20, dtype="category"), "string"),
        (pd.Series(["a", "b"] * 20, dtype="string"), "string"),
        (pd.Series(["a", None] * 20, dtype="string[pyarrow]"), "string"),
        (pd.Series([1, None] * 20, dtype="int32[pyarrow]"), "int64"),
        (pd.Series([1.5, None] * 20, dtype="double[pyarrow]"), "float64"),
        (pd.array([True, None, False], dtype="boolean"), "bool"),
        (pd.date_range("2024-01-01", periods=5, tz="Europe/Prague"), "timestamp"),
        ([dt.date(2024, 1, 1), None], "date"),
        (pd.to_timedelta([1, 2, 90], unit="s"), "float64"),
    ],
)
def test_extension_types_are_understood(values: object, storage: str) -> None:
    assert column_of(values).storage == storage


def test_durations_become_seconds_and_say_so() -> None:
    frame = pd.DataFrame({"wait": pd.to_timedelta([1, 90], unit="s")})
    schema, (finding,) = examine(frame)
    assert schema["wait"].unit == "s"
    assert finding.notes == ("durations are held as seconds",)


def test_time_zones_are_kept_by_name_or_offset() -> None:
    assert column_of(pd.date_range("2024-01-01", periods=5, tz="Europe/Prague")).timezone == "Europe/Prague"
    assert column_of(["2024-01-01T10:00:00+02:00", "2024-07-01T10:00:00+02:00"]).timezone == "+02:00"
    assert column_of(["2024-01-01T10:00:00+01:00", "2024-07-01T10:00:00+02:00"]).timezone == "UTC"
    assert column_of(pd.date_range("2024-01-01", periods=5)).timezone is None


def test_dates_whose_day_and_month_could_be_exchanged_are_said() -> None:
    _, (clear,) = examine(pd.DataFrame({"d": ["13/01/2024", "02/03/2024"]}))
    schema, (unclear,) = examine(pd.DataFrame({"d": ["01/02/2024", "02/03/2024"]}))
    assert clear.notes == ()
    assert schema["d"].datetime_format == "%m/%d/%Y"
    assert "datetime_format" in unclear.notes[0]
    assert column_of(["01/02/2024", "02/03/2024"], datetime_format="%d/%m/%Y").datetime_format == "%d/%m/%Y"


def test_amounts_and_times_of_day_in_text_are_no_ids_and_are_said() -> None:
    frame = pd.DataFrame({"price": [f"$1,{n:03d}.50" for n in range(100)]})
    finding = examine(frame)[1][0]
    assert finding.kind == "text"
    assert "plain numbers" in finding.notes[0]


def test_one_of_a_thing_is_said_in_the_singular() -> None:
    reasons = [finding.reason for finding in examine(pd.DataFrame({"a": ["x"], "b": [1.5]}))[1]]
    assert reasons == ["1 label in 1 row", "1 different number with 1 decimal"]


def test_marks_for_missing_cells_are_found_and_said() -> None:
    frame = pd.DataFrame({"n": ["1", "2", "N/A", "?"] * 10, "w": ["a", "b", "?", "none"] * 10})
    schema, findings = examine(frame)
    assert schema["n"].missing_marks == ("?", "N/A")
    assert schema["w"].missing_marks == ("?",)
    assert findings[0].notes == ('read as missing: "?", "N/A"',)


def test_namibia_is_no_missing_mark() -> None:
    codes = ["AT", "BE", "CZ", "DE", "ES", "FR", "GB", "IT", "NA", "NL", "PL", "US"] * 10
    assert column_of(codes).missing_marks == ()
    assert column_of(["low", "high", "NA"] * 10).missing_marks == ("NA",)


def test_the_survey_is_understood() -> None:
    schema = infer_schema(read(SourceSpec(kind="statsmodels", dataset="fair")))
    kinds = {column.name: column.kind for column in schema.columns}
    coded = {"religious", "occupation", "occupation_husb"}
    assert {name for name, kind in kinds.items() if kind == "categorical"} == coded
    assert {name for name, kind in kinds.items() if kind == "numeric"} == set(kinds) - coded
    assert schema["age"].decimals == 1
    assert schema["rate_marriage"].integer
    assert all(column.storage == "float64" for column in schema.columns)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([None, None], "every cell is missing"),
        ([np.nan, np.nan], "every cell is missing"),
        (["", " "], "every cell is missing"),
        (["?", "NA"], "every cell is missing"),
        ([1.0, np.inf, -np.inf], "infinite numbers in 2 cells, the first in row 2"),
        (["1.5", "inf"], "infinite numbers in 1 cells, the first in row 2"),
        ([[1], [2]], "nested cells"),
        ([{"a": 1}, None], "nested cells"),
        ([b"a", b"b"], "binary cells"),
        ([1 + 2j, 3j], "complex numbers"),
    ],
)
def test_a_column_that_cannot_be_used_is_named_with_a_remedy(values: object, words: str) -> None:
    with pytest.raises(SourceInputError, match=words) as caught:
        infer_schema(pd.DataFrame({"good": [1, 2, 3][: len(list(values))], "odd": values}))  # type: ignore[call-overload]
    assert 'column "odd"' in str(caught.value)
    assert caught.value.remedy


def test_an_empty_column_works_where_the_spec_says_what_it_is() -> None:
    assert column_of([None, None], kind="numeric").kind == "numeric"
    assert column_of(["", ""], kind="categorical").kind == "categorical"


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame(), "no columns"),
        (pd.DataFrame({"a": []}), "no rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns have one name"),
        (pd.DataFrame([[1, 2]], columns=["a", " "]), "column 2 has no name"),
        (pd.DataFrame([[1, 2]]), "its name is no text"),
        (pd.DataFrame(np.zeros((2, 5000)), columns=[f"c{n}" for n in range(5000)]), "too many columns"),
    ],
)
def test_a_table_that_is_none_is_a_user_error(frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(SourceInputError, match=words):
        infer_schema(frame)


def test_what_the_spec_says_wins() -> None:
    frame = pd.DataFrame({"code": repeated(1, 2, 3), "answer": repeated("no", "yes", "yes"), "y": repeated(0, 1, 1)})
    overrides = from_mapping(
        {
            "columns": {
                "code": {"kind": "numeric", "unit": "steps", "rules": {"minimum": 0, "maximum": 3}},
                "answer": {"kind": "boolean", "role": "protected"},
                "y": {"kind": "categorical", "role": "target", "positive": 1},
            },
            "order_key": "code",
        }
    )
    schema = infer_schema(frame, overrides)
    assert (schema["code"].kind, schema["code"].unit, schema["code"].rules.maximum) == ("numeric", "steps", 3.0)
    assert (schema["answer"].truth, schema["answer"].storage) == (("no", "yes"), "string")
    assert schema.target is not None
    assert (schema.target.name, schema.target.positive, schema.target.kind) == ("y", "1", "categorical")
    assert schema.order_key == "code"


@pytest.mark.parametrize(
    ("values", "said", "words"),
    [
        (["a", "b"], {"kind": "numeric"}, "2 cells are no numbers"),
        (["a", "b"], {"kind": "datetime"}, "not all cells are dates"),
        (["a", "b", "c"], {"kind": "boolean"}, "needs two labels"),
        ([1, 2, 3], {"kind": "boolean"}, "needs two labels"),
        ([1.5, 2.5], {"kind": "numeric", "integer": True}, "not all of its numbers are whole"),
        ([2**53 + 1, 5], {"kind": "numeric"}, "would lose digits"),
        (pd.date_range("2024-01-01", periods=2), {"kind": "numeric"}, "its cells are dates"),
        ([1, 2], {"kind": "image"}, "no images"),
        (["a", "b"], {"storage": "int64"}, "does not fit"),
        ([1, 2], {"timezone": "UTC"}, "the column is numeric"),
    ],
)
def test_a_kind_that_the_cells_cannot_be_is_a_user_error_that_shows_no_cell(
    values: object, said: dict[str, object], words: str
) -> None:
    with pytest.raises(SourceInputError, match=words):
        column_of(values, **said)


def test_two_targets_are_one_too_many() -> None:
    said = {"columns": {"a": {"role": "target"}, "b": {"role": "target"}}}
    with pytest.raises(SourceInputError, match="more than one target"):
        infer_schema(pd.DataFrame({"a": [1, 2], "b": [1, 2]}), from_mapping(said))


def test_real_rows_in_two_files_are_described_together() -> None:
    train = pd.DataFrame({"n": [1, 2, 3], "c": ["a", "b", "a"]})
    holdout = pd.DataFrame({"c": ["a", "c"], "n": [1.5, None]})
    schema = infer_common([train, holdout])
    assert schema.names == ("n", "c")
    assert (schema["n"].integer, schema["n"].decimals) == (False, 1)
    with pytest.raises(SourceInputError, match='column "c" is missing'):
        infer_common([train, holdout[["n"]]])


def test_inference_does_not_change_its_input() -> None:
    frame = pd.DataFrame({"n": ["1", "?", "3"], "d": pd.date_range("2024-01-01", periods=3)}, index=[5, 5, 7])
    before = frame.copy(deep=True)
    infer_schema(frame)
    pd.testing.assert_frame_equal(frame, before)

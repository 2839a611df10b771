import gzip
import hashlib
import io
import sqlite3
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sources.bundled import SKLEARN_SETS, statsmodels_sets
from sources.errors import SourceInputError
from sources.readers import SourceSpec, read, read_table

HEADER = b"name,age\n"
SURVEY = "676760f996c2"  # of the bundled survey as CSV


def written(folder: Path, data: bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_told_from_the_content(tmp_path: Path, delimiter: str) -> None:
    text = "a,b,c\n1,x y,2.5\n2,z,3.5\n".replace(",", delimiter)
    frame = read_table(written(tmp_path, text.encode()))
    assert frame.to_numpy().tolist() == [["1", "x y", "2.5"], ["2", "z", "3.5"]]
    assert list(frame.columns) == ["a", "b", "c"]


def test_csv_cells_stay_the_text_that_they_are(tmp_path: Path) -> None:
    cells = ["007", "NA", "1e5", "true", " x", "1.50", "9007199254740993", "", "a,b", 'say "hi"', "two\nlines", "ä€😀"]
    frame = pd.DataFrame({"first": cells, "second": cells[::-1]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "t.csv"), frame)


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_become_points(tmp_path: Path, delimiter: str) -> None:
    text = "a;b;c\n1,5;1.234,50;x,y\n-;-3,125;z\n;0,5;1,5\n".replace(";", delimiter)
    frame = read_table(written(tmp_path, text.encode()))
    assert frame.to_numpy().tolist() == [["1.5", "1234.50", "x,y"], ["-", "-3.125", "z"], ["", "0.5", "1,5"]]


def test_a_comma_that_may_part_thousands_is_a_decimal_sign_only_beside_sure_ones(tmp_path: Path) -> None:
    alone = read_table(written(tmp_path, b"a;b\n1,234;x\n5,678;y\n"))
    beside = read_table(written(tmp_path, b"a;b\n1,234;0,5\n5,678;1\n"))
    assert alone["a"].tolist() == ["1,234", "5,678"]
    assert beside.to_numpy().tolist() == [["1.234", "0.5"], ["5.678", "1"]]


def test_commas_in_lists_and_in_comma_files_stay(tmp_path: Path) -> None:
    lists = read_table(written(tmp_path, b"a;b\n1,2;x\n1,2,3;y\n3;z\n"))
    quoted = read_table(written(tmp_path, b'a,b\n"1,5",x\n"2,5",y\n'))
    assert lists["a"].tolist() == ["1,2", "1,2,3", "3"]
    assert quoted["a"].tolist() == ["1,5", "2,5"]


def test_decimal_commas_judge_like_decimal_points(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [20, 31, 45], "wage": [1.5, 2.25, 1000.0]})
    frame.to_csv(tmp_path / "point.csv", index=False)
    frame.to_csv(tmp_path / "comma.csv", index=False, sep=";", decimal=",")
    pd.testing.assert_frame_equal(read_table(tmp_path / "comma.csv"), read_table(tmp_path / "point.csv"))


@pytest.mark.parametrize("ending", ["", "\n", "\n\n\n", "\r\n\r\n"])
def test_blank_lines_at_the_end_of_one_column_are_no_rows(tmp_path: Path, ending: str) -> None:
    frame = read_table(written(tmp_path, ('a\nx\n\ny\n""' + ending).encode()))
    assert frame["a"].tolist() == ["x", "", "y", ""]


@pytest.mark.parametrize("name", ["table.csv.gz", "table.csv", "TABLE.CSV.GZ"])
def test_gzipped_tables_are_read(tmp_path: Path, name: str) -> None:
    frame = read_table(written(tmp_path, gzip.compress(b"a,b\n1,x\n2,y\n"), name))
    assert frame.to_numpy().tolist() == [["1", "x"], ["2", "y"]]


def test_gzipped_parquet_is_read(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pd.DataFrame({"a": [1, 2]}).to_parquet(buffer)
    assert read_table(written(tmp_path, gzip.compress(buffer.getvalue()), "t.parquet.gz"))["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (gzip.compress(b"a,b\n1,2\n" * 99, mtime=0)[:-12], "not a readable gzip file"),
        (b"\x1f\x8b not gzip at all", "not a readable gzip file"),
        (gzip.compress(b"", mtime=0), "the file is empty"),
        (gzip.compress(b"\x00\x01\x02", mtime=0), "binary content"),
        (b"PK\x03\x04\x14\x00\x06\x00", "an Excel workbook or a zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook"),
    ],
)
@pytest.mark.parametrize("name", ["t.csv", "t.csv.gz", "t.xlsx"])
def test_archives_that_are_no_tables_say_what_they_are(tmp_path: Path, data: bytes, words: str, name: str) -> None:
    if name == "t.xlsx" and words in ("the file is empty", "binary content"):
        words = words if words == "the file is empty" else "not a kind of file"
    with pytest.raises(SourceInputError, match=words) as raised:
        read_table(written(tmp_path, data, name))
    assert raised.value.remedy


def test_blanks_after_every_comma_belong_to_the_delimiter(tmp_path: Path) -> None:
    frame = read_table(written(tmp_path, b"age, work\n39, State-gov\n50, ?\n"))
    assert frame["work"].tolist() == ["State-gov", "?"]
    assert list(frame.columns) == ["age", "work"]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    assert list(read_table(written(tmp_path, b"\xef\xbb\xbf" + HEADER + b"x,1\n")).columns) == ["name", "age"]


def test_windows_line_ends_and_a_single_column_are_read(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, b"only\r\nx\r\ny\r\n"))["only"].tolist() == ["x", "y"]


def test_parquet_integers_stay_integers_where_cells_are_missing(tmp_path: Path) -> None:
    table = pa.table({"n": pa.array([2**60 + 1, None, 3], pa.int64()), "b": pa.array([True, None, False])})
    pq.write_table(table, tmp_path / "t.parquet")
    frame = read_table(tmp_path / "t.parquet")
    assert frame["n"].tolist() == [2**60 + 1, pd.NA, 3]
    assert str(frame["b"].dtype) == "boolean"


def test_a_parquet_file_is_known_by_its_content(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.parquet").rename(tmp_path / "t.bin")
    assert read_table(tmp_path / "t.bin")["a"].tolist() == [1]


def test_a_file_in_another_store_is_read_through_fsspec() -> None:
    with fsspec.open("memory://understudy/t.csv", "wb") as file:
        file.write(HEADER + b"x,1\n")
    assert read_table("memory://understudy/t.csv").to_numpy().tolist() == [["x", "1"]]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (HEADER, "no rows"),
        (HEADER + b"x,1\ny\n", "row 2 has 1 cells, the header 2"),
        (HEADER + b"x,1\ny,2\nz,3,4\n", "row 3 has 3 cells, the header 2"),
        (b"a,a\n1,2\n", "two columns have one name"),
        (b",a\n0,2\n", "column 1 has no name"),
        (b"name\nJos\xe9\n", "not UTF-8, the first wrong byte is in line 2"),
        ("a,b\n1,2\n".encode("utf-16"), "UTF-16"),
        (b"\x00\x01\x02\xff" * 50, "binary"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(1, 200)), "not UTF-8"),
        (b"PAR1 and then nothing of the kind", "not a readable Parquet file"),
        (b'name,age\n"x,1\n', "close open quotes"),
        (",".join(f"c{n}" for n in range(10_000)).encode() + b"\n" + b"1," * 9_999 + b"1\n", "too many columns"),
    ],
)
def test_a_bad_file_is_a_user_error_that_names_the_file_and_no_cell(tmp_path: Path, data: bytes, words: str) -> None:
    path = written(tmp_path, data)
    with pytest.raises(SourceInputError) as caught:
        read_table(path)
    assert words in str(caught.value)
    assert "Jos" not in str(caught.value)
    assert caught.value.what.startswith(str(path))
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array([[1], [2]]), "nested"),
        (pa.array([{"a": 1}, {"a": 2}]), "nested"),
        (pa.array([b"a", b"b"]), "binary"),
    ],
)
def test_nested_and_binary_parquet_columns_are_named(tmp_path: Path, column: pa.Array, words: str) -> None:
    pq.write_table(pa.table({"good": [1, 2], "odd": column}), tmp_path / "t.parquet")
    with pytest.raises(SourceInputError, match=f'column "odd" holds {words} cells'):
        read_table(tmp_path / "t.parquet")


def test_a_cut_off_parquet_file_is_a_user_error(tmp_path: Path) -> None:
    pd.DataFrame({"a": np.arange(1000)}).to_parquet(tmp_path / "t.parquet")
    data = (tmp_path / "t.parquet").read_bytes()
    with pytest.raises(SourceInputError, match="not a readable Parquet file"):
        read_table(written(tmp_path, data[: len(data) // 2], "cut.parquet"))


def test_a_parquet_file_without_columns_or_rows_is_a_user_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({}), tmp_path / "none.parquet")
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "empty.parquet")
    with pytest.raises(SourceInputError, match="no columns"):
        read_table(tmp_path / "none.parquet")
    with pytest.raises(SourceInputError, match="no rows"):
        read_table(tmp_path / "empty.parquet")


def test_missing_files_folders_and_unknown_suffixes_are_user_errors(tmp_path: Path) -> None:
    written(tmp_path, HEADER + b"x,1\n", "people.csv")
    written(tmp_path, b"hello", "letter.docx")
    with pytest.raises(SourceInputError, match=r'no such file \(did you mean "people.csv"\?\)'):
        read_table(tmp_path / "peopel.csv")
    with pytest.raises(SourceInputError, match="a folder"):
        read_table(tmp_path)
    with pytest.raises(SourceInputError, match=r"seen: \.docx"):
        read_table(tmp_path / "letter.docx")
    with pytest.raises(SourceInputError, match="unknown protocol"):
        read_table("nonsense://people.csv")


def test_a_store_without_its_package_names_the_package() -> None:
    with pytest.raises(SourceInputError, match="pip install adlfs"):
        read_table("abfs://container/people.parquet")


@pytest.mark.parametrize(
    "source",
    [
        SourceSpec(),
        SourceSpec(path=" "),
        SourceSpec(kind="sql", sql="people"),
        SourceSpec(kind="sql", url="sqlite://"),
        SourceSpec(kind="statsmodels"),
        SourceSpec(kind="statsmodels", dataset="fiar"),
        SourceSpec(kind="sklearn", dataset="adult"),
        SourceSpec(kind="flie", path="x.csv"),  # type: ignore[arg-type]
        SourceSpec(kind="sql", url="no url at all", sql="people"),
        SourceSpec(kind="sql", url="nonsense://host/db", sql="people"),
        SourceSpec(kind="sql", url="sqlite:///no-such-file.db", sql="people"),
    ],
)
def test_an_incomplete_or_unknown_source_is_a_user_error_with_a_remedy(source: SourceSpec) -> None:
    with pytest.raises(SourceInputError) as caught:
        read(source)
    assert caught.value.remedy
    assert not Path("no-such-file.db").exists()


@pytest.fixture
def database(tmp_path: Path) -> str:
    with sqlite3.connect(tmp_path / "people.db") as connection:
        connection.execute('create table "the people" (id integer, name text, born date, weight real)')
        connection.executemany(
            'insert into "the people" values (?, ?, ?, ?)',
            [(2**60 + 1, "a:b", "1999-01-02", 1.5), (None, None, None, None)],
        )
        connection.execute("create table people as select * from 'the people'")
    connection.close()
    return f"sqlite:///{tmp_path / 'people.db'}"


def test_a_query_and_a_table_give_the_rows_without_loss(database: str) -> None:
    queried = read(SourceSpec(kind="sql", url=database, sql="select id, name from 'the people' where name = 'a:b'"))
    assert queried.to_numpy().tolist() == [[2**60 + 1, "a:b"]]
    table = read(SourceSpec(kind="sql", url=database, sql="people"))
    assert list(table.columns) == ["id", "name", "born", "weight"]
    assert table.loc[1].tolist() == [None] * 4


@pytest.mark.parametrize("sql", ["no_such_table", "selekt 1", "select * from people where 1 = 0", "drop table people"])
def test_a_query_that_gives_no_rows_is_a_user_error(database: str, sql: str) -> None:
    with pytest.raises(SourceInputError):
        read(SourceSpec(kind="sql", url=database, sql=sql))


def test_a_password_in_a_database_url_is_not_shown() -> None:
    with pytest.raises(SourceInputError) as caught:
        read(SourceSpec(kind="sql", url="sqlite://user:hunter2@/x.db", sql="people"))
    assert "hunter2" not in str(caught.value)


def test_the_survey_is_the_bundled_one() -> None:
    frame = read(SourceSpec(kind="statsmodels", dataset="fair"))
    assert list(frame.columns) == [
        "rate_marriage", "age", "yrs_married", "children", "religious", "educ", "occupation", "occupation_husb",
        "affairs",
    ]  # fmt: skip
    assert len(frame) == 6366
    assert hashlib.sha256(frame.to_csv(index=False).encode()).hexdigest()[:12] == SURVEY
    assert "fair" in statsmodels_sets()


@pytest.mark.parametrize(("name", "shape"), [("iris", (150, 5)), ("wine", (178, 14)), ("digits", (1797, 65))])
def test_sets_of_scikit_learn_are_tables(name: str, shape: tuple[int, int]) -> None:
    assert read(SourceSpec(kind="sklearn", dataset=name)).shape == shape


def test_every_named_set_of_scikit_learn_loads() -> None:
    for name in SKLEARN_SETS:
        assert len(read(SourceSpec(kind="sklearn", dataset=name))) > 0

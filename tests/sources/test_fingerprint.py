import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sources.conform import conform, to_storage, write_table
from sources.dataset import Dataset
from sources.fingerprint import _schema_bytes, fingerprint, keyed
from sources.inference import infer_schema
from sources.overrides import from_mapping
from sources.readers import read_table

FRAME = pd.DataFrame(
    {
        "n": [1.5, np.nan, -0.0, 7.25],
        "c": ["a", "b", None, "a"],
        "t": pd.to_datetime(["2024-01-01", None, "2024-02-01", "1900-01-01"]),
        "b": pd.array([True, None, False, True], dtype="boolean"),
    }
)
SCHEMA = infer_schema(FRAME)


def dataset(frame: pd.DataFrame = FRAME) -> Dataset:
    return conform(frame, SCHEMA)


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from test_fingerprint import dataset, fingerprint\nprint(fingerprint(dataset()))"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code, str(root), str(Path(__file__).parent)],
        capture_output=True, text=True, check=True, cwd=root,
    )  # fmt: skip
    assert done.stdout.strip() == fingerprint(dataset())


def test_csv_and_parquet_of_the_same_rows_have_the_same_fingerprint(tmp_path: Path) -> None:
    for form in ("csv", "parquet"):
        write_table(to_storage(dataset()), tmp_path / f"t.{form}", form)  # type: ignore[arg-type]
        assert fingerprint(dataset(read_table(tmp_path / f"t.{form}"))) == fingerprint(dataset())


@pytest.mark.parametrize(
    ("column", "row", "value"),
    [
        ("n", 0, 1.25),
        ("n", 1, 0.0),
        ("c", 0, "b"),
        ("c", 2, "None"),
        ("t", 0, pd.Timestamp("2024-01-02")),
        ("b", 1, True),
    ],
)
def test_every_cell_counts(column: str, row: int, value: object) -> None:
    changed = FRAME.copy()
    changed.loc[row, column] = value
    assert fingerprint(dataset(changed)) != fingerprint(dataset())


def test_the_order_of_rows_and_columns_and_the_schema_count() -> None:
    turned = FRAME[["c", "n", "t", "b"]]
    seen = {
        fingerprint(dataset()),
        fingerprint(dataset(FRAME.iloc[::-1])),
        fingerprint(conform(turned, infer_schema(turned))),
        fingerprint(conform(FRAME, SCHEMA.with_column("c", role="target"))),
    }
    assert len(seen) == 4


def test_words_and_negative_zero_do_not_count() -> None:
    words = conform(FRAME, SCHEMA.with_column("c", description="a label", unit="-"))
    positive = FRAME.assign(n=[1.5, np.nan, 0.0, 7.25])
    assert fingerprint(words) == fingerprint(dataset(positive)) == fingerprint(dataset())


def test_labels_do_not_run_into_each_other() -> None:
    first = pd.DataFrame({"c": ["ab", "c"] * 3})
    second = pd.DataFrame({"c": ["a", "bc"] * 3})
    schema = infer_schema(first)
    assert fingerprint(conform(first, schema)) != fingerprint(conform(second, schema))


def test_the_public_form_needs_the_key() -> None:
    private = fingerprint(dataset())
    assert keyed(private, b"k" * 32) != keyed(private, b"l" * 32)
    assert private not in keyed(private, b"k" * 32)
    with pytest.raises(AssertionError):
        keyed(private, b"short")


def test_what_a_schema_does_not_say_leaves_its_fingerprint_alone() -> None:
    frame = pd.DataFrame({"mail": [f"p{n}@mail.com" for n in range(40)], "n": range(40)})
    plain, personal = (
        fingerprint(conform(frame, infer_schema(frame, from_mapping({"columns": {"mail": said}}))))
        for said in ({"kind": "id"}, {"pii": "email"})
    )
    silent = _schema_bytes(infer_schema(frame, from_mapping({"columns": {"mail": {"kind": "id"}}})))
    assert not any(word in silent for word in (b"pii", b"locale", b"dropped"))
    assert plain != personal

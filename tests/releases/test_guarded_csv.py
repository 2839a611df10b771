import csv
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.guarded_csv import BACK_PATTERN, guarded, guarded_table, unguarded
from releases.verify import verify
from sources.dataset import Dataset
from sources.schema import Schema
from sources.storage import to_storage, write_table
from tests.releases.judged_sample import report_of, synthetic_of
from tests.releases.nasty import NASTY, nasty_texts
from validators.gate import decide

FORMULA = re.compile(r"\s*[=+\-@\t\r\n＝＋－＠]")
texts = st.one_of(nasty_texts, st.text(st.characters(exclude_categories=["Cs"]), max_size=8))


def runs(cell: str) -> bool:
    """Return whether a spreadsheet would take the cell for a formula; it reads `-5` as the number that it is."""
    if not FORMULA.match(cell):
        return False
    try:
        float(cell)
    except ValueError:
        return True
    return not cell.isascii() or cell != cell.strip() or "n" in cell.lower() or "_" in cell


@given(texts)
def test_a_guarded_text_does_not_run_and_comes_back(text: str) -> None:
    assert not runs(guarded(text))
    assert unguarded(guarded(text)) == text
    found = re.fullmatch(BACK_PATTERN, guarded(text))
    assert found is not None
    assert found.group(1) == text


@given(texts, texts)
def test_no_two_texts_become_one(one: str, other: str) -> None:
    assert (guarded(one) == guarded(other)) == (one == other)


@pytest.mark.parametrize("text", ["-5", "+3.25", "-1e-7", ".5", "-.5"])
def test_texts_that_are_plain_numbers_stay(text: str) -> None:
    assert guarded(text) == text


@pytest.mark.parametrize("text", ["-", "--1", "-1-1", "+49 30 1", "-5\n", "-٣", "-inf", "-nan", "-1_0", "=1"])
def test_texts_that_only_look_like_numbers_do_not(text: str) -> None:
    assert guarded(text) == "'" + text


@given(st.lists(texts, min_size=1, max_size=6, unique=True), st.lists(texts, min_size=1, max_size=6))
def test_a_written_table_has_no_cell_that_runs_and_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], cells: list[str]
) -> None:
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name in names}, columns=names)
    frame["number"] = np.arange(len(cells)) * -1.5
    table, touched = guarded_table(frame)
    path = tmp_path_factory.mktemp("csv") / "data.csv"
    write_table(table, path, "csv")
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file, strict=True)
    assert [unguarded(name) for name in head[:-1]] == names
    assert not any(runs(name) for name in head)
    assert not any(runs(cell) for row in rows for cell in row[:-1])
    assert [[unguarded(cell) for cell in row[:-1]] for row in rows] == [[cell] * len(names) for cell in cells]
    assert [float(row[-1]) for row in rows] == frame["number"].tolist()
    assert set(touched) == (set(names) if any(guarded(cell) != cell for cell in cells) else set())


def test_numbers_times_truth_values_and_missing_cells_are_not_touched() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([-1, None], dtype="Int64"),
            "real": [-1.5, np.nan],
            "when": pd.to_datetime(["2026-01-01", None]),
            "truth": pd.array([True, None], dtype="boolean"),
            "text": pd.Series(["plain", None], dtype=object),
        }
    )
    table, touched = guarded_table(frame)
    assert touched == ()
    pd.testing.assert_frame_equal(table, frame)


def hostile_release(published: Callable[..., Path], schema: Schema, name: str) -> tuple[Path, Dataset]:
    """Publish the sample with a column and labels called `name`."""
    columns = (
        *schema.columns[:2],
        replace(schema.columns[2], name=name, description=name),
        replace(schema.columns[3], unit=name),
        schema.columns[4],
    )
    hostile = Schema(columns=columns)
    synthetic = Dataset(frame=synthetic_of(schema).frame.set_axis(list(hostile.names), axis=1), schema=hostile)
    synthetic.frame.iloc[:7, 2] = name
    report = report_of(hostile)
    return published(synthetic=synthetic, report=report, verdict=decide(report, report.policy)), synthetic


@pytest.mark.parametrize("name", [name for name in NASTY if "\x00" not in name])
def test_a_release_with_hostile_names_verifies_and_its_parquet_is_untouched(
    name: str, published: Callable[..., Path], schema: Schema
) -> None:
    release, synthetic = hostile_release(published, schema, name)
    assert verify(release).ok, verify(release).checks
    pd.testing.assert_frame_equal(pd.read_parquet(release / "data/data.parquet"), to_storage(synthetic))
    with (release / "data/data.csv").open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file, strict=True)
    assert [unguarded(one) for one in head] == list(synthetic.schema.names)
    assert [unguarded(row[2]) for row in rows] == synthetic.frame[name].tolist()
    assert not any(runs(cell) for cell in [*head, *(row[2] for row in rows)])


def test_the_line_of_the_documentation_takes_the_marks_off() -> None:
    text = (Path(__file__).parents[2] / "docs" / "stores.md").read_text()
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert "assert back" in block
    exec(block, {})  # noqa: S102 - our own documentation


def test_a_csv_of_before_the_guard_still_verifies(published: Callable[..., Path], schema: Schema) -> None:
    import json  # noqa: PLC0415 - one use

    from releases.manifest import data_digest, digest_of, file_entry  # noqa: PLC0415

    release, _ = hostile_release(published, schema, "=1")
    path = release / "data/data.csv"
    path.write_text(path.read_text().replace("'=1", "=1"))
    manifest = json.loads((release / "MANIFEST.json").read_text())
    manifest["files"]["data/data.csv"] = file_entry(path)
    manifest["data_sha256"] = data_digest(manifest["files"])
    manifest["digest"] = digest_of(manifest)
    (release / "MANIFEST.json").write_text(json.dumps(manifest))
    assert verify(release).ok, verify(release).checks

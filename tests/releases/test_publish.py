import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from releases.errors import ReleaseError, ReleaseInputError
from releases.manifest import FIELDS, read_manifest
from releases.shelf import versions
from releases.verify import verify
from sources.dataset import Dataset
from sources.storage import to_storage
from tests.releases.judged_sample import provenance_of
from validators.gate import Outcome, Verdict
from validators.report import Report

ROOT = Path(__file__).resolve().parents[2]
Published = Callable[..., Path]


def test_a_release_has_the_layout_of_the_design_and_verifies(published: Published) -> None:
    release = published()
    assert release.name == "1"
    assert {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()} == {
        "data/data.parquet",
        "data/data.csv",
        "README.md",
        "report.html",
        "croissant.json",
        "schema.json",
        "verdict.json",
        "MANIFEST.json",
    }
    assert [entry.name for entry in release.parent.iterdir() if entry.name.startswith(".staging")] == []
    assert verify(release).ok, verify(release).checks


def test_the_data_files_hold_the_judged_rows(published: Published, synthetic: Dataset) -> None:
    release = published()
    pd.testing.assert_frame_equal(pd.read_parquet(release / "data/data.parquet"), to_storage(synthetic))
    assert pd.read_csv(release / "data/data.csv")["age"].tolist() == synthetic.frame["age"].astype(int).tolist()


def test_the_manifest_says_that_memory_ran_out_and_no_other_note_of_the_fit(published: Published) -> None:
    provenance = provenance_of()
    told = "Memory ran out at step 3: batches have 32 rows instead of 64 from there on."
    model = replace(provenance.model, notes=("12 rows of a rare sort.", told))
    release = published(provenance=replace(provenance, model=model))
    assert read_manifest(release)["generator"]["notes"] == [told]
    assert verify(release).ok
    assert "notes" not in read_manifest(published())["generator"]


def test_same_content_is_the_next_version_with_the_same_data_bytes(published: Published) -> None:
    first, second = published(), published()
    assert (first.name, second.name) == ("1", "2")
    for name in ("data/data.parquet", "data/data.csv", "schema.json", "verdict.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    one, two = read_manifest(first), read_manifest(second)
    assert {field for field in FIELDS if one[field] != two[field]} == {"this_run", "files", "digest"}
    assert one["data_sha256"] == two["data_sha256"]


def test_versions_by_time_are_named_by_the_moment_and_never_collide(published: Published) -> None:
    names = [published(versioning="time").name for _ in range(2)]
    assert names == ["20260304T050607Z", "20260304T050607Z-2"]


def test_the_next_number_follows_the_highest_even_when_earlier_ones_are_gone(published: Published) -> None:
    for _ in range(3):
        last = published()
    (last.parent / "1").rename(last.parent / ".gone")
    assert published().name == "4"
    assert versions(last.parent) == ["2", "3", "4"]


@pytest.mark.parametrize("outcome", [Outcome.REFUSE, Outcome.INCONCLUSIVE, Outcome.INVALID])
def test_what_did_not_pass_is_a_defect_of_the_caller_and_writes_nothing(
    outcome: Outcome, published: Published, tmp_path: Path
) -> None:
    with pytest.raises(ReleaseError, match="only what passed"):
        published(verdict=Verdict(outcome=outcome, reasons=()))
    assert list(tmp_path.iterdir()) == []


def test_a_pass_that_does_not_follow_from_the_report_writes_nothing(
    published: Published, report: Report, tmp_path: Path
) -> None:
    verdict = Verdict(outcome=Outcome.PASS, reasons=())
    with pytest.raises(ReleaseError, match="only what passed"):
        published(report=replace(report, measurements=report.measurements[1:]), verdict=verdict)
    with pytest.raises(ReleaseError, match="other rows"):
        published(report=replace(report, sizes={**report.sizes, "synthetic": 61}))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "a b", "x" * 101, "nul\0"])
def test_names_that_are_no_folder_names_are_the_users(
    name: str, published: Published, provenance: object, tmp_path: Path
) -> None:
    with pytest.raises(ReleaseInputError, match="cannot be a folder"):
        published(provenance=replace(provenance, name=name))  # type: ignore[type-var]
    assert list(tmp_path.rglob("*")) == []


def test_a_folder_of_other_things_is_left_alone(published: Published, tmp_path: Path) -> None:
    shelf = tmp_path / "releases" / "wages"
    shelf.mkdir(parents=True)
    (shelf / "__init__.py").write_text("code")
    with pytest.raises(ReleaseInputError, match="other things"):
        published()
    assert (shelf / "__init__.py").read_text() == "code"


def test_a_place_that_cannot_be_written_is_the_users(published: Published, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReleaseInputError, match="cannot be written"):
        published(to=tmp_path / "file")


def test_an_error_while_writing_leaves_no_version(
    published: Published, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("releases.publish.write_text", full)
    with pytest.raises(ReleaseInputError, match="nothing was published") as caught:
        published()
    assert "No space left" in str(caught.value)
    assert [entry.name for entry in (tmp_path / "releases/wages").iterdir()] == [".lock"]


def test_writers_at_once_get_one_number_each(published: Published) -> None:
    with ThreadPoolExecutor(6) as pool:
        releases = list(pool.map(lambda _: published(), range(6)))
    assert sorted(release.name for release in releases) == ["1", "2", "3", "4", "5", "6"]
    assert all(verify(release).ok for release in releases)


def test_a_kill_at_any_step_leaves_nothing_that_looks_like_a_release(tmp_path: Path) -> None:
    """Fork a writer for each flush or rename it does, kill it there, and look; the last one lives."""
    script = ROOT / "tests" / "releases" / "killed_writer.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] >= 20
    assert set(found["signals"]) == {signal.SIGKILL}
    assert found["incomplete"] == []
    assert found["last"]
    assert found["leftovers"] == []

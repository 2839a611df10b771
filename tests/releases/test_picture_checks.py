"""What a recipient's `verify` finds in pictures that were changed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from releases.manifest import data_digest, digest_of, file_entry
from releases.verify import verify
from sources.files import json_text
from sources.images import png
from tests.releases.pictured_sample import pictured, pictured_schema, publisher


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return publisher(tmp_path_factory.mktemp("pictures"))()


def failed(release: Path) -> list[str]:
    return [f"{check.name}: {check.words}" for check in verify(release).checks if not check.ok]


def first(release: Path) -> Path:
    return release / "data/images/000001.png"


def one_bit(release: Path) -> None:
    data = bytearray(first(release).read_bytes())
    data[-20] ^= 1
    first(release).write_bytes(data)


def swapped(release: Path) -> None:
    other = release / "data/images/000002.png"
    one, two = first(release).read_bytes(), other.read_bytes()
    first(release).write_bytes(two)
    other.write_bytes(one)


def removed(release: Path) -> None:
    first(release).unlink()


def added(release: Path) -> None:
    shutil.copy(first(release), release / "data/images/000061.png")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (one_bit, "Changed since they were written: 'data/images/000001.png'"),
        (swapped, "Changed since they were written: 'data/images/000001.png', 'data/images/000002.png'"),
        (removed, "Missing: 'data/images/000001.png'"),
        (added, "Not in the manifest: 'data/images/000061.png'"),
    ],
)
def test_a_changed_picture_is_found(change: Callable[[Path], None], words: str, release: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "scans/1"))
    assert failed(copy) == []
    change(copy)
    assert any(words in line for line in failed(copy)), failed(copy)


def rewritten(release: Path) -> None:
    """Write the manifest anew, as its maker would have done."""
    path = release / "MANIFEST.json"
    manifest = json.loads(path.read_text())
    manifest["files"] = {
        file.relative_to(release).as_posix(): file_entry(file)
        for file in sorted(release.rglob("*"))
        if file.is_file() and file != path
    }
    manifest["data_sha256"] = data_digest(manifest["files"])
    manifest["digest"] = digest_of(manifest)
    path.write_text(json_text(manifest))


def unmarked(release: Path) -> None:
    first(release).write_bytes(png(pictured(pictured_schema()).media["scan"][0]))


def of_another_size(release: Path) -> None:
    first(release).write_bytes(png(pictured(pictured_schema((7, 5, 1))).media["scan"][0]))


def no_picture(release: Path) -> None:
    first(release).write_bytes(b"\x89PNG")


def named_twice(release: Path) -> None:
    path = release / "data/metadata.parquet"
    frame = pd.read_parquet(path)
    frame.loc[0, "file_name"] = frame.loc[1, "file_name"]
    frame.to_parquet(path, index=False)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (unmarked, "does not say that it is synthetic"),
        (of_another_size, "is no picture of 5 × 7 pixels"),
        (no_picture, "is no picture of 5 × 7 pixels"),
        (named_twice, "does not name each picture once"),
        (removed, "does not name each picture once"),
        (added, "does not name each picture once"),
    ],
)
def test_a_release_whose_pictures_are_not_what_it_says_does_not_verify_whoever_wrote_the_manifest(
    change: Callable[[Path], None], words: str, release: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(release, tmp_path / "scans/1"))
    change(copy)
    rewritten(copy)
    assert any(line.startswith("data/images:") and words in line for line in failed(copy)), failed(copy)

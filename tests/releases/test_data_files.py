"""Releases of pictures: what is written, what it says of itself, and that recipients' tools read the same rows back."""

import io
import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from releases.errors import ReleaseInputError
from releases.manifest import read_manifest
from releases.verify import verify
from sources.conform import conform
from sources.dataset import Dataset
from sources.errors import SourceInputError
from sources.images import ImageOptions
from sources.picture_folder import names_of
from sources.readers import SourceSpec, read, read_path
from sources.synthetic_mark import DIGITAL_SOURCE_TYPE
from tests.releases.pictured_sample import ROWS, pictured, pictured_schema, publisher

SHAPES = [((5, 7, 1), False), ((5, 7, 3), False), ((3, 4, 4), False), ((5, 7, 1), True), ((2, 3, 3), True)]


def same_rows(one: Dataset, other: Dataset) -> bool:
    pictures = [
        np.array_equal(one.media[name][one.frame[name]], other.media[name][other.frame[name]]) for name in one.media
    ]
    names = [name for name in one.schema.names if name not in one.media]
    return all(pictures) and one.frame[names].equals(other.frame[names])


@pytest.mark.parametrize("form", SHAPES, ids=str)
def test_every_file_says_that_it_is_synthetic_and_holds_nothing_else(
    form: tuple[tuple[int, int, int], bool], tmp_path: Path
) -> None:
    release = publisher(tmp_path, pictured_schema(form[0], deep=form[1]))()
    cells = pd.read_parquet(release / "data/data.parquet")["scan"]
    files = [release / "data" / name for name in names_of(ROWS, "png")]
    assert [path.read_bytes() for path in files] == [cell["bytes"] for cell in cells]
    for data in [*(cell["bytes"] for cell in cells), (release / "contact-sheet.png").read_bytes()]:
        picture = Pillow.open(io.BytesIO(data))
        picture.load()
        info = dict(picture.info)
        packet = info.pop("XML:com.adobe.xmp")
        assert info.pop("xmp", packet.encode()).decode() == packet
        assert info == {}
        (said,) = re.findall(r"<Iptc4xmpExt:DigitalSourceType>([^<]*)</Iptc4xmpExt:DigitalSourceType>", packet)
        assert said == DIGITAL_SOURCE_TYPE


@pytest.mark.parametrize("table", ["csv", "parquet"])
@pytest.mark.parametrize("form", ["png", "webp"])
def test_the_folder_reads_back_as_the_rows_that_were_judged(form: str, table: str, tmp_path: Path) -> None:
    schema = pictured_schema((5, 7, 3), name="image")
    release = publisher(tmp_path, schema)(formats=(form, table) if table == "csv" else (form,))
    names = sorted(path.name for path in (release / "data").iterdir())
    assert names == ["images", f"metadata.{table}"]
    frame = read(SourceSpec(kind="folder", folder=str(release / "data"), images=ImageOptions()))
    frame["digit"] = frame["digit"].str.removeprefix("'")  # the guard against spreadsheets, in CSV alone
    assert same_rows(conform(frame, schema), pictured(schema))
    assert verify(release).ok


def test_parquet_reads_back_as_the_rows_that_were_judged_and_equal_rows_are_equal_bytes(tmp_path: Path) -> None:
    schema = pictured_schema((3, 4, 1), deep=True)
    first, second = (publisher(tmp_path / place, schema)() for place in "ab")
    assert same_rows(conform(read_path(str(first / "data/data.parquet")), schema), pictured(schema))
    manifests = [read_manifest(release) for release in (first, second)]
    assert manifests[0]["data_sha256"] == manifests[1]["data_sha256"]
    assert (first / "contact-sheet.png").read_bytes() == (second / "contact-sheet.png").read_bytes()


def test_a_webp_of_grey_pictures_is_lossless_and_the_card_says_what_it_is(tmp_path: Path) -> None:
    schema = pictured_schema()
    release = publisher(tmp_path, schema)(formats=("webp",))
    pixels = pictured(schema).media["scan"]
    for number, name in enumerate(names_of(ROWS, "webp")):
        found = np.asarray(Pillow.open(release / "data" / name))
        assert np.array_equal(found, pixels[number].repeat(3, axis=2))
    assert "WebP knows no grey" in (release / "README.md").read_text()


@pytest.mark.parametrize(
    ("formats", "schema", "words"),
    [
        (("csv",), pictured_schema(), "CSV holds no pictures"),
        (("png", "webp"), pictured_schema(), "nothing that can be written"),
        (("jpeg",), pictured_schema(), "nothing that can be written"),
        (("webp",), pictured_schema(deep=True), "WebP holds 8 bits"),
        (("png",), pictured_schema(label="file_name"), "a column of this name says where each picture lies"),
    ],
)
def test_formats_that_do_not_hold_the_rows_publish_nothing(
    formats: tuple[str, ...], schema: Any, words: str, tmp_path: Path
) -> None:
    with pytest.raises((ReleaseInputError, SourceInputError), match=words):
        publisher(tmp_path, schema)(formats=formats)
    assert [path.name for path in tmp_path.rglob("*") if path.name != ".lock"] == ["scans"]


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # rdflib's own
@pytest.mark.parametrize("table", ["csv", "parquet"])
def test_croissant_is_valid_and_its_pictures_are_read(
    table: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    import mlcroissant  # noqa: PLC0415 - takes a second

    schema = pictured_schema()
    release = publisher(tmp_path, schema)(formats=("parquet", "png", *(["csv"] if table == "csv" else [])))
    with caplog.at_level(logging.WARNING):
        dataset = mlcroissant.Dataset(jsonld=str(release / "croissant.json"))
    assert (dataset.metadata.ctx.issues.errors, dataset.metadata.ctx.issues.warnings) == (set(), set())
    assert caplog.records == []
    pixels, truth = pictured(schema).media["scan"], pictured(schema).frame
    rows = list(dataset.records("parquet"))
    assert all(np.array_equal(np.asarray(row["parquet/scan"]), pixels[i, :, :, 0]) for i, row in enumerate(rows))
    described = list(dataset.records("metadata"))
    assert [row["metadata/digit"].decode() for row in described] == list(truth["digit"])
    named = {row["images/file_name"]: np.asarray(row["images/image"]) for row in dataset.records("images")}
    for i, row in enumerate(described):
        name = row["metadata/metadata-file_name"].decode().rpartition("/")[2]
        assert np.array_equal(named[name.encode()][:, :, 0], pixels[i, :, :, 0])
    assert json.loads((release / "croissant.json").read_text())["keywords"] == ["synthetic", "image", "understudy"]


@pytest.mark.parametrize("formats", [("parquet",), ("png",), ("png", "csv"), ("parquet", "webp")])
def test_the_lines_that_the_card_gives_open_a_picture(
    formats: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema = pictured_schema(name="```\nimport os")
    release = publisher(tmp_path, schema)(formats=formats)
    card = (release / "README.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", card, re.DOTALL | re.MULTILINE)
    monkeypatch.chdir(release)
    found: dict[str, Any] = {}
    exec(block, found)  # noqa: S102 - our own card
    with found["picture"] as picture:
        assert picture.size == (7, 5)
    assert "](contact-sheet.png)" in card
    assert "import os" not in block

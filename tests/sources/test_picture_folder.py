"""Folders and archives of pictures: written whole, read back, and what their mark is."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from sources.errors import SourceInputError
from sources.image_files import read_folder
from sources.images import Image, ImageOptions, decode, png, webp
from sources.picture_folder import names_of, write_folder
from sources.randomness import stream
from sources.readers import metadata_in, read_path, source_at
from sources.synthetic_mark import DIGITAL_SOURCE_TYPE, XMP, is_marked


def pixels_of(number: int, *shape: int, deep: bool = False) -> np.ndarray:
    rng = stream(number, "tests", "picture folder")
    return rng.integers(0, 65_536 if deep else 256, shape).astype(np.uint16 if deep else np.uint8)


def frame_of(rows: int = 4) -> pd.DataFrame:
    cells = pd.Series([Image(pixels_of(row, 5, 7, 3)) for row in range(rows)], dtype=object)
    return pd.DataFrame({"name": [f"n{row % 2}" for row in range(rows)], "picture": cells, "age": range(rows)})


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_marked_png_has_the_same_pixels_and_the_iptc_term_where_readers_look(channels: int, deep: bool) -> None:  # noqa: FBT001 - parametrised
    pixels = pixels_of(1, 3, 4, channels, deep=deep)
    data = png(pixels, xmp=XMP)
    assert is_marked(data)
    assert not is_marked(png(pixels))
    assert data.replace(XMP, b"") != data
    with Pillow.open(io.BytesIO(data)) as picture:
        assert DIGITAL_SOURCE_TYPE in picture.info["XML:com.adobe.xmp"]
    if not (deep and channels > 1):  # of which Pillow reads 8 bits alone
        assert np.array_equal(decode(data, ImageOptions(), place="x").pixels, pixels)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_webp_is_lossless_also_under_full_transparency(channels: int) -> None:
    pixels = pixels_of(2, 6, 5, channels)
    if channels == 4:
        pixels[..., 3] = 0
    data = webp(pixels, xmp=XMP)
    assert data == webp(pixels, xmp=XMP)
    assert is_marked(data)
    with Pillow.open(io.BytesIO(data)) as picture:
        assert DIGITAL_SOURCE_TYPE.encode() in picture.info["xmp"]
        found = np.asarray(picture.convert("RGBA" if channels == 4 else "RGB"))
    assert np.array_equal(found, np.repeat(pixels, 3, axis=2) if channels == 1 else pixels)


def test_the_mark_is_wellformed_xml_with_one_statement() -> None:
    from xml.etree import ElementTree as ET  # noqa: PLC0415 - of our own text

    root = ET.fromstring(XMP.decode().removeprefix("\ufeff"))  # noqa: S314 - our own constant
    (description,) = root.iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    (said,) = list(description)
    assert said.tag == "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"
    assert said.text == DIGITAL_SOURCE_TYPE


@pytest.mark.parametrize("table", ["csv", "parquet"])
def test_a_folder_reads_back_as_the_rows_and_equal_rows_are_equal_archives(table: str, tmp_path: Path) -> None:
    frame = frame_of()
    for name in ("one", "one.zip", "two.zip"):
        write_folder(frame, tmp_path / name, image="picture", form="png", table=table)  # type: ignore[arg-type]
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        assert sorted(archive.namelist()) == [*names_of(4, "png"), f"metadata.{table}"]
        archive.extractall(tmp_path / "three")
    for name in ("one", "three"):
        back = read_path(str(tmp_path / name))
        assert list(back["image"]) == list(frame["picture"])
        assert list(back["name"]) == list(frame["name"])
        assert [int(age) for age in back["age"]] == list(frame["age"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "one.zip", "three", "two.zip"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    frame = frame_of()
    frame.loc[3, "picture"] = Image(pixels_of(0, 5, 7, 3, deep=True))
    with pytest.raises(SourceInputError, match="WebP holds 8 bits"):
        write_folder(frame, tmp_path / "out", image="picture", form="webp", table="csv")
    assert list(tmp_path.iterdir()) == []


def test_what_a_path_means() -> None:
    assert source_at("sklearn:digits_images").dataset == "digits_images"
    assert source_at("people.csv").path == "people.csv"
    assert source_at("s3://bucket/people.npz.csv").path == "s3://bucket/people.npz.csv"
    assert source_at("a.npz").arrays == "a.npz"
    assert source_at("tests").folder == "tests"


def test_two_tables_in_a_folder_of_pictures_are_one_too_many(tmp_path: Path) -> None:
    write_folder(frame_of(), tmp_path / "out", image="picture", form="png", table="csv")
    (tmp_path / "out/metadata.parquet").write_bytes((tmp_path / "out/metadata.csv").read_bytes())
    with pytest.raises(SourceInputError, match="several tables describe the pictures"):
        metadata_in(str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([*names_of(2, "png"), "images/000001.png"], "has several rows in the attributes"),
        ([*names_of(2, "png"), "../../etc/passwd"], "is named by the attributes and not there"),
        ([*names_of(2, "png"), "/etc/passwd"], "is named by the attributes and not there"),
        (["images/000001.png"], "has no row in the attributes"),
    ],
)
def test_a_table_that_names_other_files_than_the_folders_is_refused(
    names: list[str], words: str, tmp_path: Path
) -> None:
    write_folder(frame_of(2), tmp_path / "out", image="picture", form="png", table="csv")
    with pytest.raises(SourceInputError, match=words):
        read_folder(tmp_path / "out", ImageOptions(), pd.DataFrame({"file_name": names}))

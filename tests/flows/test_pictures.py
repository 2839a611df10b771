"""What a spec may ask for with pictures and without: one clear complaint each; and what silence means."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.cli import command_line
from flows.errors import FlowInputError
from flows.pictures import DEFAULT, check_pictures, settled
from flows.spec_file import check_spec, load_spec
from generators.registry import SYNTHESIZERS
from sources.images import Image
from sources.picture_folder import write_folder
from sources.randomness import stream
from sources.schema import Column, Schema
from sources.storage import write_table

DIGITS = "name: d\nsource: {kind: sklearn, dataset: digits_images}\n"
WINE = "name: w\nsource: {kind: sklearn, dataset: wine}\n"
IMAGE = next((kind for kind in SYNTHESIZERS if kind.startswith("image.")), "image.vae")

COMPLAINTS = {
    "a family of tables": (
        DIGITS + "candidates: [tabular.vae]\n",
        'candidates.0: tabular.vae draws no pictures, and column "image" holds pictures',
        f"choose {DEFAULT.kind} or another of image.*",
    ),
    "SDV": (DIGITS + "candidates: [sdv.gaussian_copula]\n", "sdv.gaussian_copula draws no pictures", "drop: true"),
    "a family of pictures": (
        WINE + f"candidates: [tabular.vae, {IMAGE}]\n",
        f"candidates.1: {IMAGE} draws pictures, and the table has no image column",
        "source.folder",
    ),
    "canaries": (DIGITS + "canaries: 5\n", "canaries: rows can be made up, pictures cannot", "leave canaries out"),
    "CSV alone": (DIGITS + "publish: {formats: [csv]}\n", "publish.formats: CSV holds no pictures", "parquet"),
    "two forms": (DIGITS + "publish: {formats: [png, webp]}\n", "one kind of picture file", "choose one"),
    "too many files": (DIGITS + "rows: 90000\npublish: {formats: [png]}\n", "a file for each", "parquet"),
    "files without pictures": (WINE + "publish: {formats: [png]}\n", "has no image column", "parquet, csv"),
    "unknown format": (DIGITS + "publish: {formats: [jpeg]}\n", "unknown word", "parquet, csv, png, webp"),
    "the target": (
        DIGITS + "schema: {columns: {image: {role: target}}}\n",
        "a target must be a number, a label",
        "another column",
    ),
    "one side": ("name: d\nsource: {folder: x, resize: 32}\n", "source.resize: not allowed", "give [height, width]"),
    "a side of nothing": ("name: d\nsource: {folder: x, resize: [0, 32]}\n", "source.resize", "such as [32, 32]"),
    "three sides": ("name: d\nsource: {folder: x, resize: [1, 2, 3]}\n", "source.resize", "such as [32, 32]"),
    "a huge side": ("name: d\nsource: {folder: x, resize: [5000, 2]}\n", "source.resize", "at most 4,096"),
    "a mode of other programs": ("name: d\nsource: {folder: x, mode: gray}\n", "source.mode", "give L (grey), RGB"),
    "a mode in small letters": ("name: d\nsource: {path: x.parquet, mode: rgb}\n", "source.mode", "give L (grey), RGB"),
    "a misspelt key": ("name: d\nsource: {folder: x, attribute: y}\n", 'did you mean "attributes"?', "resize, mode"),
    "a key of another source": ("name: d\nsource: {arrays: x.npz, resize: [2, 2]}\n", "no such key", "arrays, images"),
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_what_pictures_do_not_allow_is_one_clear_complaint(
    complaint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec, words, remedy = COMPLAINTS[complaint]
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(spec)
    assert command_line(["run", "spec.yaml"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert words in said
    assert remedy in said
    assert [path.name for path in tmp_path.iterdir()] == ["spec.yaml"]


def test_silence_means_a_family_of_pictures_and_parquet() -> None:
    silent = check_spec({"name": "d", "source": "x.parquet"}, place="x")
    said = check_spec(
        {"name": "d", "source": "x.parquet", "candidates": ["tabular.vae"], "publish": {"formats": ["csv"]}}, place="x"
    )
    pictures = Schema(columns=(Column(name="scan", kind="image", shape=(2, 2, 1), storage="uint8"),))
    tables = Schema(columns=(Column(name="age", kind="numeric"),))
    assert settled(silent, tables) is silent
    found = settled(silent, pictures)
    assert ([one.kind for one in found.candidates], found.publish.formats) == ([DEFAULT.kind], ("parquet",))
    assert settled(said, pictures) == said


def test_the_rows_of_a_silent_spec_are_counted_and_a_second_image_column_is_one_too_many() -> None:
    spec = check_spec({"name": "d", "source": "x.parquet", "publish": {"formats": ["png"]}}, place="x")
    scan = Column(name="scan", kind="image", shape=(2, 2, 1), storage="uint8")
    one, two = Schema(columns=(scan,)), Schema(columns=(scan, replace(scan, name="mask")))
    check_pictures(settled(spec, one), one, rows=80_000, place="x")
    with pytest.raises(FlowInputError, match="a file for each of so many pictures"):
        check_pictures(settled(spec, one), one, rows=80_001, place="x")
    with pytest.raises(FlowInputError, match="learns one image column, and the table has 2"):
        check_pictures(settled(spec, two), two, rows=5, place="x")


def written_source(kind: str, folder: Path) -> str:
    """Write 40 pictures of two labels; return how `understudy init` is told of them."""
    rng = stream(3, "tests", "init")
    pixels = rng.integers(0, 256, (40, 6, 5, 3)).astype(np.uint8)
    frame = pd.DataFrame(
        {"image": pd.Series([Image(one) for one in pixels], dtype=object), "kind": ["cat", "dog"] * 20}
    )
    if kind == "folder":
        write_folder(frame, folder / "pets", image="image", form="png", table="csv")
        return "pets"
    if kind == "arrays":
        np.savez(folder / "pets.npz", images=pixels, kind=frame["kind"].to_numpy().astype(str))
        return "pets.npz"
    if kind == "parquet":
        write_table(frame, folder / "pets.parquet", "parquet")
        return "pets.parquet"
    return "sklearn:digits_images"


@pytest.mark.parametrize("kind", ["folder", "arrays", "parquet", "bundled"])
def test_init_describes_pictures_so_that_the_spec_opens(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.opening import open_source  # noqa: PLC0415 - pulls in the checks

    monkeypatch.chdir(tmp_path)
    assert command_line(["init", written_source(kind, tmp_path), "-o", "spec.yaml"]) == 0, capsys.readouterr()
    text = Path("spec.yaml").read_text()
    spec = load_spec("spec.yaml", check_candidates=False)
    assert all(one.kind.startswith("image.") for one in spec.candidates)
    assert spec.budget.minutes == 3
    assert spec.publish.formats == ("parquet", "png")
    assert "canaries" not in text
    opened = open_source(spec, place="spec.yaml")
    (column,) = (one for one in opened.schema.columns if one.kind == "image")
    assert column.shape == ((8, 8, 1) if kind == "bundled" else (6, 5, 3))
    assert spec.rows == len(opened.dataset) == (1797 if kind == "bundled" else 40)
    assert json.dumps(column.shape)

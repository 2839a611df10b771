"""The whole flow with pictures, for real: digits in, a release out, whose public files show synthetic ones alone."""

import io
import json
import re
from base64 import b64decode
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Pillow

from flows import shards, stages
from flows.cli import command_line
from flows.opening import open_source, targets_of
from flows.spec import RebalanceSpec
from flows.spec_file import load_spec
from flows.stages import draw, sample, write_sample
from releases.contact_sheet import COLUMNS
from sources.bundled import load
from sources.dataset import Dataset
from sources.images import Image
from sources.picture_folder import names_of, write_folder
from sources.picture_sheets import GAP
from sources.readers import read_path
from sources.synthetic_mark import XMP
from tests.flows.test_release_flow import lenient
from validators.limits.limits import LIMITS

ROWS, DRAWN, SIDE = 1_797, 300, 8
SPEC = f"""
name: digits
source: {{folder: digits}}
schema: {{columns: {{digit: {{role: target, kind: categorical}}}}}}
candidates: [{{kind: image.autoregressive, width: 32, depth: 1, units: 8}}]
budget: {{steps: 4}}
rows: {DRAWN}
publish: {{formats: [parquet, png, csv]}}
"""


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Make a folder with pictures of digits and their spec the working directory; return the real rows."""
    monkeypatch.chdir(tmp_path)
    frame = load("sklearn", "digits_images").head(ROWS)
    write_folder(frame, tmp_path / "digits", image="image", form="png", table="csv")
    policy = json.loads(lenient().rpartition("policy: ")[2])
    for name, limit in LIMITS.items():  # p-values: what a network of four steps draws is surely wrong
        if name.startswith("image_") and limit.direction == "higher_is_better":
            policy[name] = 1e-300
    (tmp_path / "spec.yaml").write_text(SPEC + f"policy: {json.dumps(policy)}\n")
    return frame


def pictures_in(release: Path) -> list[bytes]:
    """Return every picture that a public file holds, but for the data."""
    pages = [path.read_text() for path in (release / "report.html", release / "README.md")]
    inline = [b64decode(one) for page in pages for one in re.findall(r"data:image/[a-z]+;base64,([^\"]*)", page)]
    return [*inline, (release / "contact-sheet.png").read_bytes()]


def tiles_of(data: bytes, columns: int) -> set[bytes]:
    """Return the pixels of the pictures on a sheet, 8 x 8 each, whatever it was enlarged by."""
    with Pillow.open(io.BytesIO(data)) as picture:
        pixels = np.asarray(picture)
    scale = round(((pixels.shape[1] + GAP) / columns - GAP) / SIDE)
    step = scale * SIDE + GAP
    tiles = [
        pixels[y : y + scale * SIDE : scale, x : x + scale * SIDE : scale]
        for y in range(0, pixels.shape[0], step)
        for x in range(0, pixels.shape[1], step)
    ]
    return {np.ascontiguousarray(tile[:, :, 0]).tobytes() for tile in tiles if tile[:, :, 3].all()}


def shown(cells: pd.Series) -> set[bytes]:
    return {cell.pixels[:, :, 0].tobytes() for cell in cells}


@pytest.mark.usefixtures("prefect_server")
def test_digits_are_learnt_judged_published_and_verified(
    digits: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command_line(["run", "spec.yaml"]) == 0, capsys.readouterr()
    assert "parquet, png, csv" in capsys.readouterr().out
    release = Path("releases/digits/1")
    assert command_line(["verify", str(release)]) == 0
    assert f"{DRAWN} pictures of 8 × 8 pixels, each says that a model made it." in capsys.readouterr().out
    drawn = read_path(str(release / "data/data.parquet"))
    assert len(drawn) == DRAWN

    # No public file shows a real picture; each picture shown is one of the release.
    real, synthetic = shown(digits["image"]), shown(drawn["image"])
    assert not real & synthetic
    public = pictures_in(release)
    assert len(public) >= 2
    tiles = set().union(*(tiles_of(data, 12 if data is not public[-1] else COLUMNS) for data in public))
    assert len(tiles) >= 50
    assert tiles <= synthetic
    assert all(XMP in data for data in public)
    (page,) = Path("runs").glob("digits-*/evidence.html")
    private = [b64decode(one) for one in re.findall(r"data:image/png;base64,([^\"]*)", page.read_text())]
    assert set().union(*(tiles_of(data, 12) for data in private if XMP not in data)) & real
    assert "<script" not in (release / "report.html").read_text()

    # Nothing has changed: nothing is made. A changed picture is another source.
    assert command_line(["run", "spec.yaml"]) == 0
    assert "unchanged" in capsys.readouterr().out

    # The model draws more, given a label, into every kind of file.
    (fit,) = Path("runs/fits").glob("*/fit.json")
    for name in ("more.parquet", "more", "more.zip"):
        assert command_line(["sample", str(fit.parent), "-n", "5", "-o", name, "--given", "digit=3"]) == 0
    one, other = read_path("more.parquet"), read_path("more")
    assert list(one["image"]) == list(other["image"])
    assert {str(digit) for digit in one["digit"]} == {"3"}
    for options, words in (
        (["-o", "more.csv"], "CSV holds no pictures"),
        (["-o", "x.parquet", "--given", "image=1"], 'column "image" holds pictures'),
        (["-o", "more"], "exists already"),
        (["-o", "more.tar"], "neither .parquet nor .csv"),
    ):
        assert command_line(["sample", str(fit.parent), "-n", "5", *options]) == 2
        assert words in capsys.readouterr().err

    # Pieces drawn apart are the bytes of one draw.
    reference = json.loads(fit.read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shards, "LEAST_ROWS", 16)
        patch.setattr(shards, "PIECE_BYTES", 48 * SIDE * SIDE)
        whole = sample(reference, family="image.autoregressive", rows=100, seed=7, folder=Path("whole"))
        apart = write_sample(
            [
                draw(reference, family="image.autoregressive", rows=rows, seed=7, piece=piece)
                for piece, rows in enumerate((48, 48, 4))
            ],
            Path("apart"),
        )
    assert whole["sha256"] == apart["sha256"]
    assert stages.holds(whole)

    # Under a stated law of labels the shares are exact, and pictures stay with their rows.
    asked = targets_of(RebalanceSpec(shares={"digit": {"1": 0.5}}), [opened_digits()], place="spec.yaml")
    altered = sample(reference, family="image.autoregressive", rows=40, seed=7, folder=Path("altered"), targets=asked)
    table = read_path(altered["path"])
    assert ([str(digit) for digit in table["digit"]].count("1"), len(table)) == (20, 40)


def opened_digits() -> Dataset:
    return open_source(load_spec("spec.yaml"), place="spec.yaml").dataset


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_server")
def test_a_stated_law_of_labels_holds_for_pictures(digits: pd.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(digits) == ROWS
    sets = ["rebalance={shares: {digit: {'1': 0.2}}}", "source={kind: sklearn, dataset: digits_images}"]
    sets += ["publish.formats=[png]"]
    command = ["run", "spec.yaml", *(word for one in sets for word in ("--set", one))]
    assert command_line(command) == 0, capsys.readouterr()
    release = Path("releases/digits/1")
    table = pd.read_parquet(release / "data/metadata.parquet")
    assert (table["digit"].astype(str) == "1").sum() == DRAWN // 5
    assert list(table["file_name"]) == names_of(DRAWN, "png")
    assert command_line(["verify", str(release)]) == 0
    assert "Altered on purpose, as stated." in capsys.readouterr().out


def test_pictures_made_elsewhere_are_judged_from_parquet_and_folders(
    digits: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = [digits.iloc[start : start + 110].reset_index(drop=True) for start in (0, 110, 220)]
    for name, part in zip(("train", "holdout", "synthetic"), parts, strict=True):
        write_folder(part, Path(name), image="image", form="png", table="parquet")
    command = ["judge", "--train", "train", "--synthetic", "synthetic", "--target", "digit", "--policy", "research"]
    assert command_line([*command, "--holdout", "holdout", "--report", "out"]) in (0, 3, 4), capsys.readouterr()
    assert "train 110 · holdout 110 · synthetic 110 rows" in capsys.readouterr().out
    assert "data:image/png;base64," in Path("out/evidence.html").read_text()
    assert command_line([*command, "--holdout", "train"]) == 2
    assert "--holdout: the same rows as --train" in capsys.readouterr().err
    other = parts[2].assign(image=[Image(np.zeros((9, 9, 1), dtype=np.uint8))] * 110)
    write_folder(other, Path("larger"), image="image", form="png", table="parquet")
    assert command_line([*command, "--synthetic", "larger"]) == 3
    assert "contract" in capsys.readouterr().out

"""A user's own network judges pictures beside the three made here, through the command line; mistakes end at once."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from flows.cli import command_line
from sources.bundled import load
from sources.picture_folder import write_folder
from tests.validators.features.own_files import Summary, program, transformer_weights, weights, written
from validators.gate import Outcome, decide
from validators.measurement import Status
from validators.report import Report

PARTS = {"train": (0, 200), "holdout": (200, 500), "synthetic": (500, 700)}
SHARP = ("image_kid", "image_frechet", "image_density", "image_coverage", "image_precision", "image_recall")
JUDGE = ["judge", "--train", "train", "--holdout", "holdout", "--policy", "research"]


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Make a folder with three folders of digits the working directory; return what a policy says of a program."""
    monkeypatch.chdir(tmp_path)
    for name in PARTS:
        write_folder(rows_of(name), Path(name), image="image", form="png", table="parquet")
    return written(tmp_path, program(Summary()), "torchscript", name="summary.pt", size=[16, 16])


def rows_of(part: str) -> pd.DataFrame:
    """Return some real rows, those of different parts different ones."""
    frame = load("sklearn", "digits_images")
    order = np.random.Generator(np.random.PCG64(5)).permutation(len(frame))
    return frame.iloc[order[slice(*PARTS[part])]].reset_index(drop=True)


def flow(given: dict[str, Any]) -> str:
    """Return the words of `--extractor`."""
    return yaml.safe_dump(given, default_flow_style=True, width=10_000).strip()


def test_own_features_are_judged_reported_and_named_by_kind_and_sha256(
    digits: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*JUDGE, "--synthetic", "synthetic", "--extractor", flow(digits), "--report"]
    assert command_line([*command, "out"]) in (0, 3, 4), capsys.readouterr()
    report = Report.loads(Path("out/report.json").read_text())
    own = {one.name: one for one in report.measurements if one.subject.startswith("own features")}
    assert set(own) == {*SHARP, "image_c2st"}
    # They are fresh digits: nothing is refused, and every value stands beside that of real ones.
    assert {one.status.value for one in own.values()} <= {"PASS", "INCONCLUSIVE"}
    assert own["image_frechet"].reference == 1.0
    assert own["image_frechet"].detail["distance_of_real"] > 0
    assert own["image_kid"].detail["share_of_real"] == pytest.approx(0, abs=0.1)
    page = Path("out/evidence.html").read_text()
    assert "own features" in page
    assert f"torchscript, SHA-256 {digits['sha256']}" in page
    assert digits["path"] not in page + Path("out/report.json").read_text()

    # A report that lacks what its policy names is no pass.
    without = [one for one in report.measurements if one.subject != "own features"]
    verdict = decide(Report(**{**vars(report), "measurements": tuple(without)}), report.policy)
    assert verdict.outcome is Outcome.INVALID
    assert any("names an extractor of its own" in reason.reading for reason in verdict.reasons)


@pytest.mark.slow
def test_own_features_see_what_they_look_at(digits: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    frame = rows_of("synthetic")
    blank = [type(cell)(np.full_like(cell.pixels, 9)) for cell in frame["image"]]
    write_folder(frame.assign(image=pd.Series(blank)), Path("blank"), image="image", form="png", table="parquet")
    command = [*JUDGE, "--synthetic", "blank", "--extractor", flow(digits), "--report", "out"]
    assert command_line(command) == 3, capsys.readouterr()
    failed = {
        one.name
        for one in Report.loads(Path("out/report.json").read_text()).measurements
        if one.subject == "own features" and one.status is Status.FAIL
    }
    assert {"image_kid", "image_coverage", "image_recall"} <= failed


COMPLAINTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "another file": ({"sha256": "0" * 64}, "sha256: the file is another one", "give the file that you have tested"),
    "no file": ({"path": "gone.pt"}, "path: no such file", "give the path"),
    "another kind": ({"kind": "dino_vit"}, "a TorchScript program, not weights", "write kind: torchscript"),
    "another size": ({"size": [1, 1]}, "the network fails on pictures of 3 × 1 × 1", "as it takes them"),
    "another depth of colour": ({"channels": 1}, "the network fails on pictures of 1 × 16 × 16", "as it takes them"),
    "a misspelt key": ({"sizes": 3}, 'did you mean "size"?', "keys here: kind"),
}


@pytest.mark.parametrize("complaint", COMPLAINTS)
def test_an_extractor_that_does_not_fit_ends_before_anything_is_done(
    complaint: str, digits: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    change, words, remedy = COMPLAINTS[complaint]
    before = sorted(path.name for path in Path().iterdir())
    wrong = {**digits, **change}
    spec = {"name": "d", "source": {"folder": "train"}, "policy": {"preset": "research", "extractor": wrong}}
    Path("spec.yaml").write_text(yaml.safe_dump(spec))
    for command in (
        [*JUDGE, "--synthetic", "synthetic", "--extractor", flow(wrong), "--report", "out"],
        ["run", "spec.yaml"],
    ):
        assert command_line(command) == 2, command
        said = " ".join(capsys.readouterr().err.split())
        assert words in said, said
        assert remedy in said
    assert sorted(path.name for path in Path().iterdir()) == sorted([*before, "spec.yaml"])


def test_weights_of_another_shape_and_tables_without_pictures_are_refused(
    digits: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = transformer_weights()
    tensors["norm.weight"] = tensors["norm.weight"][:-1]
    wrong = written(Path(), weights(tensors), "dino_vit", name="vit.safetensors", size=16)
    assert command_line([*JUDGE, "--synthetic", "synthetic", "--extractor", flow(wrong)]) == 2
    assert "norm.weight has another shape" in capsys.readouterr().err
    spec = {"name": "w", "source": {"kind": "sklearn", "dataset": "wine"}, "policy": {"extractor": digits}}
    Path("spec.yaml").write_text(yaml.safe_dump(spec))
    assert command_line(["run", "spec.yaml"]) == 2
    assert "policy.extractor: the table has no image column" in capsys.readouterr().err
    assert command_line([*JUDGE, "--synthetic", "synthetic", "--extractor", "{kind: torchscript"]) == 2
    assert "--extractor" in capsys.readouterr().err
    assert not Path("runs").exists()

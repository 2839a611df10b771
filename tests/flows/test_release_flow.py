"""The whole flow, for real: a table in, a release or a refusal out."""

import hashlib
import json
from pathlib import Path

import pandas as pd
import pytest

from flows import run
from flows.cli import command_line
from flows.release_flow import labels_of
from flows.run_folder import claimed, folder_of
from flows.spec_file import check_spec, load_spec
from flows.stages import Tried
from validators.limits.limits import LIMITS

SPEC = """
name: people
source: {path: people.csv}
schema: {columns: {paid: {role: target, positive: "yes"}, group: {role: protected}}}
candidates: [sdv.gaussian_copula, {kind: tabular.vae, width: 32, hidden: 32, latent: 4, components: 8}]
budget: {steps: 40}
rows: 500
"""


def lenient() -> str:
    """Return the spec with every limit wide open: what the flow does with a pass, not how good a model is."""
    bounds: dict[str, object] = {}
    for name, limit in LIMITS.items():
        if isinstance(limit.bound, tuple):
            bounds[name] = [1e-9 if limit.bound[0] > 0 else -1e9, 1e9]
        elif name != "contract_rules":
            bounds[name] = 1e9 if limit.direction == "lower_is_better" else 1e-6
    return SPEC + f"policy: {json.dumps({'preset': 'research', 'alarm': 0.9, 'checks': 1, **bounds})}\n"


def digests(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


@pytest.mark.usefixtures("prefect_server")
def test_a_run_publishes_what_passed_and_repeats_itself(survey: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (survey / "spec.yaml").write_text(lenient())
    assert command_line(["run", "spec.yaml"]) == 0, capsys.readouterr()
    first = capsys.readouterr().out
    assert "verdict    PASS" in first
    assert "kept from an earlier run" not in first
    release = survey / "releases" / "people" / "1"
    assert (release / "MANIFEST.json").is_file()
    assert len(pd.read_csv(release / "data" / "data.csv")) == 500
    (run_folder,) = [path for path in (survey / "runs").iterdir() if path.name.startswith("people-")]
    assert (run_folder / "evidence.html").is_file()
    assert command_line(["verify", str(release)]) == 0

    # Where nothing has changed nothing is made; a release that is not there any more is made again.
    assert command_line(["run", "spec.yaml"]) == 0
    assert "unchanged  source, spec and code are those of version 1: nothing was made" in capsys.readouterr().out
    assert command_line(["run", "spec.yaml", "--json", "--set", "schedule=0 3 * * 1"]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "UNCHANGED"
    assert [path.name for path in release.parent.glob("[0-9]*")] == ["1"]

    # On request it is made again: without training, and the same spec and seed give the same files.
    assert command_line(["run", "spec.yaml", "--json", "--force"]) == 0
    out = capsys.readouterr().out
    plain = json.loads(out[out.index("{\n") :])
    assert plain["outcome"] == "PASS"
    assert Path(plain["release"]).name == "2"
    assert digests(release / "data") == digests(survey / "releases" / "people" / "2" / "data")
    fits = sorted(path.parent.name for path in survey.glob("runs/fits/*/fit.json"))
    assert len(fits) == 2

    # Another policy asks for the same fits; a fit that somebody deleted is made again, with the same bytes.
    before = {name: digests(survey / "runs" / "fits" / name / "model") for name in fits}
    for path in survey.glob("runs/fits/*/model/*"):
        path.unlink()
    assert command_line(["run", "spec.yaml", "--set", "policy.alarm=0.03"]) == 0
    assert "drift      none   4 columns against the source of version 2" in capsys.readouterr().out
    assert {name: digests(survey / "runs" / "fits" / name / "model") for name in fits} == before
    assert digests(release / "data") == digests(survey / "releases" / "people" / "3" / "data")
    capsys.readouterr()

    # The gate was asked about two tables, twice about the same; under another policy it is another question.
    manifests = [json.loads((release.parent / version / "MANIFEST.json").read_text()) for version in "123"]
    assert [manifest["this_run"]["gate_calls"] for manifest in manifests] == [2, 2, 4]

    # One model can be asked for more.
    vae = next(path.parent for path in survey.glob("runs/fits/*/fit.json") if "tabular.vae" in path.read_text())
    assert command_line(["sample", str(vae / "model"), "-n", "7", "-o", "more.csv"]) == 0
    assert len(pd.read_csv("more.csv")) == 7
    assert command_line(["sample", str(release), "-n", "7", "-o", "none.csv"]) == 2


@pytest.mark.usefixtures("prefect_server")
def test_a_refused_run_publishes_nothing_and_names_its_evidence(
    survey: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = "policy: {preset: strict}\n"  # a copula cannot know that the wage decides on paid
    spec = (
        SPEC.split("candidates:", maxsplit=1)[0]
        + "candidates: [{kind: tabular.vae, width: 32, hidden: 32}]\nbudget: {steps: 1}\ncanaries: 20\n"
    )
    (survey / "spec.yaml").write_text(spec + policy)
    assert command_line(["run", "spec.yaml"]) == 3
    output = capsys.readouterr()
    assert "verdict    REFUSE" in output.out
    assert "nothing was published" in output.out
    assert not (survey / "releases").exists()
    (page,) = survey.glob("runs/people-*/evidence.html")
    assert str(page.relative_to(survey)) in output.out
    assert json.loads((page.parent / "outcome.json").read_text())["release"] is None
    (report,) = page.parent.glob("1-*/report.json")
    plain = json.loads(report.read_text())
    assert plain["sizes"]["canaries"] == 20
    (canaries,) = [one for one in plain["measurements"] if one["name"] == "canaries"]
    assert canaries["status"] == "PASS"  # one step remembers nothing


@pytest.mark.usefixtures("prefect_server")
def test_a_source_that_no_candidate_can_learn_leaves_nothing(survey: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pd.read_csv("people.csv").head(24).to_csv("people.csv", index=False)  # 15 rows to learn from
    (survey / "spec.yaml").write_text(SPEC.replace("sdv.gaussian_copula, ", ""))
    assert command_line(["run", "spec.yaml"]) == 2
    assert "no candidate can learn this data" in capsys.readouterr().err
    assert sorted(path.name for path in survey.iterdir()) == ["people.csv", "spec.yaml"]


def test_families_tried_twice_are_numbered() -> None:
    kinds = ["tabular.vae", "tabular.vae", "sdv.gaussian_copula"]
    spec = check_spec({"name": "a", "source": "b.csv", "candidates": kinds}, place="a")
    assert labels_of(spec) == ("tabular.vae #1", "tabular.vae #2", "sdv.gaussian_copula")
    assert Tried(candidate=spec.candidates[0], failure="no").outcome == "FAILED"


@pytest.mark.usefixtures("prefect_server")
def test_two_runs_of_one_spec_at_once_do_not_meet(survey: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (survey / "spec.yaml").write_text(SPEC)
    folder = folder_of(load_spec("spec.yaml"), Path())
    with claimed(folder):
        assert command_line(["run", "spec.yaml"]) == 2
        error = capsys.readouterr().err
    assert "another run of this spec is at work" in error
    assert "remedy: " in error


def test_a_termination_that_a_library_fails_to_clean_up_after_is_no_defect(
    survey: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from prefect.exceptions import TerminationSignal  # noqa: PLC0415 - after the settings of the session

    def struck(*_arguments: object, **_named: object) -> None:
        failed = ValueError("the state of a task that never began")
        failed.__context__ = TerminationSignal(signal=15)
        raise failed

    (survey / "spec.yaml").write_text(SPEC)
    monkeypatch.setattr(run, "_run_flow", struck)
    assert command_line(["run", "spec.yaml"]) == 143
    assert "defect" not in capsys.readouterr().err


def test_the_terminal_is_told_how_to_go_on_after_ctrl_c(
    survey: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    (survey / "spec.yaml").write_text(SPEC)
    monkeypatch.setattr(run, "_run_flow", interrupted)
    assert command_line(["run", "spec.yaml"]) == 130
    assert "run the same command again" in capsys.readouterr().err

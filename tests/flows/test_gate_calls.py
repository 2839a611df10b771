"""Every judgement of other rows on one source is counted, once."""

import json
from pathlib import Path

import pytest

from flows.errors import FlowInputError
from flows.gate_calls import counted
from flows.gate_ledger import FILE_NAME
from flows.judging import Judgement
from flows.run_folder import RunFolder
from flows.spec import CandidateSpec
from flows.stages import Tried
from validators.gate import Outcome, Verdict
from validators.policy import Policy
from validators.report import Report


def tried(sha256: str | None, policy: str = "standard") -> Tried:
    """Return a candidate whose rows have this hash, or none that was judged."""
    candidate = CandidateSpec(kind="tabular.vae")
    if sha256 is None:
        return Tried(candidate=candidate, failure="diverged")
    report = Report(measurements=(), policy=Policy.preset(policy), seed=0, sizes={}, columns=())
    judgement = Judgement(report=report, verdict=Verdict(outcome=Outcome.REFUSE, reasons=()), evidence=None)
    return Tried(candidate=candidate, sample={"sha256": sha256}, judgement=judgement)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(root=tmp_path / "runs", path=tmp_path / "runs" / "one", releases=tmp_path / "releases")


def test_the_same_rows_under_the_same_policy_are_one_call(folder: RunFolder) -> None:
    assert counted(folder, "source", [tried("a"), tried("b"), tried(None)]) == 2
    assert counted(folder, "source", [tried("a")]) == 2
    assert counted(folder, "source", [tried("a", "strict")]) == 3
    assert counted(folder, "another source", [tried("a")]) == 1
    assert counted(folder, "source", []) == 3


def test_the_file_names_no_source(folder: RunFolder) -> None:
    counted(folder, "source", [tried("a")])
    text = (folder.root / FILE_NAME).read_text()
    assert "source" not in text
    assert len(json.loads(text)) == 1


@pytest.mark.parametrize("text", ["{", "[]", '{"x": 1}'])
def test_a_spoilt_file_is_said_and_left_alone(folder: RunFolder, text: str) -> None:
    folder.root.mkdir(parents=True)
    (folder.root / FILE_NAME).write_text(text)
    if text.startswith('{"x"'):  # another source's entry is none of this one's business
        assert counted(folder, "source", [tried("a")]) == 1
    else:
        with pytest.raises(FlowInputError, match=FILE_NAME):
            counted(folder, "source", [tried("a")])
        assert (folder.root / FILE_NAME).read_text() == text

"""What a run finished is kept as long as it is what it was, and made again as soon as it is not."""

import json
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.killing import people
from flows import kept, stages
from flows.judging import Judgement
from flows.opening import open_source, parts_of
from flows.progress import Silent
from flows.run_folder import RunFolder
from flows.spec_file import load_spec
from generators.base import Budget
from sources.split import Split
from sources.storage import to_storage, write_table
from validators.policy import Policy


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Split:
    people(tmp_path)
    monkeypatch.chdir(tmp_path)
    return parts_of(open_source(load_spec("spec.yaml"), place="spec.yaml"), seed=7)


def judged(
    parts: Split, folder: Path, calls: list[int], monkeypatch: pytest.MonkeyPatch, **changes: object
) -> Judgement:
    original = stages.judge_sample

    def counted(*arguments: object, **named: object) -> Judgement:
        calls.append(1)
        return original(*arguments, **named)  # type: ignore[arg-type]

    path = folder / "sample.parquet"
    if not path.exists():
        folder.mkdir(parents=True)
        write_table(to_storage(parts.reference), path, "parquet")
    root = RunFolder(root=folder.parent, path=folder, releases=folder / "releases")
    with monkeypatch.context() as patched, Silent().bars("judge", ()) as bars:
        patched.setattr(stages, "judge_sample", counted)
        return kept.judged(
            {"path": str(path), "sha256": stages.hashlib.sha256(path.read_bytes()).hexdigest(), "rows": 90},
            parts,
            None,
            **{"policy": Policy.from_spec("research"), "seed": 7, **changes},  # type: ignore[arg-type]
            folder=folder,
            root=root,
            bars=bars,
            name="x",
        )


def test_rows_are_judged_once_and_again_when_anything_that_decides_it_differs(
    parts: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    folder = tmp_path / "runs" / "1-x"
    first = judged(parts, folder, calls, monkeypatch)
    again = judged(parts, folder, calls, monkeypatch)
    assert len(calls) == 1
    assert again.report == first.report
    assert again.verdict == first.verdict
    assert again.evidence is not None
    assert first.evidence is not None
    pd.testing.assert_frame_equal(again.evidence.synthetic.frame, first.evidence.synthetic.frame)
    judged(parts, folder, calls, monkeypatch, seed=8)
    assert len(calls) == 2
    judged(parts, folder, calls, monkeypatch, policy=Policy.from_spec("strict"), seed=8)
    assert len(calls) == 3

    # A report that somebody edited decides nothing.
    report = folder / "report.json"
    plain = json.loads(report.read_text())
    for measurement in plain["measurements"]:
        measurement["status"] = "PASS"
    report.write_text(json.dumps(plain))
    honest = judged(parts, folder, calls, monkeypatch, policy=Policy.from_spec("strict"), seed=8)
    assert len(calls) == 4
    assert {one.status.value for one in honest.report.measurements} != {"PASS"}


def test_a_finished_fit_is_not_made_again_without_prefect_and_changed_files_are(parts: Split, tmp_path: Path) -> None:
    (candidate, _) = load_spec("spec.yaml").candidates
    budget, steps = Budget(steps=3), []
    key = stages.fit_key(parts.train, candidate, seed=7, budget=budget)

    def fit() -> stages.Reference:
        return stages.fit(
            parts.train, candidate, seed=7, budget=budget, key=key, fits=tmp_path / "fits", on_step=steps.append
        )

    first = fit()
    assert steps
    steps.clear()
    served = Path(first["path"]).parent / "checkpoints"
    served.mkdir()  # as a kill right after the fit was noted leaves it
    assert fit() == first
    assert not steps
    assert not served.exists()
    drawn = kept.sampled(first, family=candidate.kind, rows=5, seed=1, folder=tmp_path / "1-x")
    mark = Path(drawn["path"]).stat().st_mtime_ns
    assert kept.sampled(first, family=candidate.kind, rows=5, seed=1, folder=tmp_path / "1-x") == drawn
    assert Path(drawn["path"]).stat().st_mtime_ns == mark
    bytes_before = Path(drawn["path"]).read_bytes()
    Path(drawn["path"]).write_bytes(b"cut")
    assert kept.sampled(first, family=candidate.kind, rows=5, seed=1, folder=tmp_path / "1-x") == drawn
    assert Path(drawn["path"]).read_bytes() == bytes_before
    assert kept.sampled(first, family=candidate.kind, rows=6, seed=1, folder=tmp_path / "1-x")["rows"] == 6

    (Path(first["path"]) / "model.json").write_text("{}")
    assert {**fit(), "report": None} == {**first, "report": None}
    assert steps

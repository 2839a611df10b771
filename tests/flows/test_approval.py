"""Signed and approved releases, for real: asked by a run, let out by a person, once, whatever is interrupted."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pandas as pd
import pytest

from flows import approving
from flows.approving import approve_command
from flows.cli import command_line
from flows.errors import FlowInputError
from flows.settings import LOOPBACK
from flows.signers import signing_keys
from releases.keys import new_key, read_public_key, write_pair
from releases.manifest import read_manifest
from releases.verify import verify
from tests.flows.test_release_flow import SPEC, lenient
from tests.flows.test_trust_input import PASSPHRASE, asked, tree

ROOT = Path(__file__).parents[2]
FAST = SPEC.split("candidates:", maxsplit=1)[0] + "candidates: [sdv.gaussian_copula]\nbudget: {steps: 40}\nrows: 200\n"


def spec_with(publish: str) -> str:
    policy = lenient().removeprefix(SPEC)
    return FAST + policy + f"publish: {publish}\n"


def document(text: str) -> dict[str, object]:
    return dict(json.loads(text[text.index("{\n") :]))


@pytest.mark.usefixtures("prefect_server")
def test_a_run_waits_for_a_person_and_the_judged_rows_are_published_signed_by_two(
    survey: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_SIGNING_KEY_PASSPHRASE", PASSPHRASE)
    publisher, _ = write_pair(new_key(), survey / "publisher", passphrase=PASSPHRASE)
    officer, _ = write_pair(new_key(), survey / "officer", passphrase=None)
    monkeypatch.setenv("BOARD_KEY", publisher.read_text())
    (survey / "spec.yaml").write_text(spec_with('{sign: "env:BOARD_KEY", approval: {by: [Cleo], expires_hours: 1}}'))

    # It passes, and nothing is published.
    assert command_line(["run", "spec.yaml", "--as", "Ann"]) == 5
    said = capsys.readouterr()
    assert "verdict    PASS" in said.out
    assert "nothing is published before somebody else than Ann approves it (Cleo)" in said.out
    assert not list(survey.glob("releases/people/*/MANIFEST.json"))
    (run,) = (path.parent for path in survey.glob("runs/people-*/pending.json"))
    assert f"understudy approve {run.relative_to(survey)} --as NAME" in said.out
    judged = (run / "1-sdv.gaussian_copula" / "sample.parquet").read_bytes()

    # Asked again it says so, and asks no second time, even where publishing would need nobody now.
    before = (run / "pending.json").read_bytes()
    assert command_line(["run", "spec.yaml", "--json", "--set", "publish.approval=none"]) == 5
    assert document(capsys.readouterr().out)["exit"] == 5
    assert (run / "pending.json").read_bytes() == before

    # A person lets it out: the rows are those that were judged, and both keys stand for them.
    assert command_line(["approve", str(run), "--as", "Cleo", "--reason", "As agreed.", "--key", str(officer)]) == 0
    said_then = capsys.readouterr()
    release = survey / "releases" / "people" / "1"
    rows = pd.read_parquet(run / "1-sdv.gaussian_copula" / "sample.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(release / "data" / "data.parquet"), rows)
    assert (run / "1-sdv.gaussian_copula" / "sample.parquet").read_bytes() == judged
    keys = [str(publisher.with_suffix(".pub")), str(officer.with_suffix(".pub"))]
    assert command_line(["verify", str(release), "--key", keys[0], "--key", keys[1], "--json"]) == 0
    found = document(capsys.readouterr().out)
    assert found["trust"] == "signed"
    (approval,) = read_manifest(release)["approvals"]
    assert (approval["by"], approval["requested_by"], approval["reason"]) == ("Cleo", "Ann", "As agreed.")
    assert approval["key_id"] == read_public_key(Path(keys[1])).key_id
    assert "**Cleo**" in (release / "README.md").read_text()
    assert json.loads((run / "outcome.json").read_text())["release"] == str(release)

    # The same spec on the same source asks nobody again: what was let out stands.
    assert command_line(["run", "spec.yaml", "--json"]) == 0
    again = document(capsys.readouterr().out)
    assert (again["outcome"], again["release"]) == ("UNCHANGED", str(release))

    # What a person let out is what a run publishes that asks nobody.
    assert command_line(["run", "spec.yaml", "--quiet", "--set", "publish.approval=none"]) == 0
    second = release.parent / "2"
    for name in ("data/data.parquet", "data/data.csv", "schema.json", "verdict.json"):
        assert (second / name).read_bytes() == (release / name).read_bytes(), name
    assert read_manifest(second)["lineage"] == read_manifest(release)["lineage"]
    assert command_line(["verify", str(second), "--key", keys[0]]) == 0

    # No key, no passphrase and no place of a key is in anything that was left behind or said.
    said_last = capsys.readouterr()
    secrets = [PASSPHRASE, *(line for path in (publisher, officer) for line in path.read_text().splitlines()[1:-1])]
    kept = {name: data for name, data in tree(survey).items() if not name.endswith(".pem")}
    kept |= tree(Path(os.environ["PREFECT_HOME"])) if Path(os.environ["PREFECT_HOME"]).is_dir() else {}
    kept |= {f"said {n}": (s.out + s.err).encode() for n, s in enumerate((said, said_then, said_last))}
    assert any(name.endswith("/decision.json") for name in kept)
    for what in ("flow_runs", "task_runs", "artifacts", "logs", "events"):
        answer = httpx.post(f"{os.environ['PREFECT_API_URL']}/{what}/filter", json={"limit": 50}, trust_env=False)
        kept[f"Prefect's {what}"] = answer.raise_for_status().content
    assert b"people" in kept["Prefect's flow_runs"]
    assert [name for name, data in kept.items() for secret in secrets if secret.encode() in data] == []
    assert b"BOARD_KEY" not in (release / "MANIFEST.json").read_bytes()


def test_a_rejection_is_final_for_the_same_spec_and_source(
    survey: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = asked(survey)
    assert command_line(["reject", str(run.path), "--as", "Ben", "--reason", "too few rows", "--json"]) == 0
    assert document(capsys.readouterr().out)["outcome"] == "REJECTED"
    assert not (run.path / "pending.json").exists()
    assert not list(run.releases.rglob("MANIFEST.json"))
    decision = json.loads((run.path / "decision.json").read_text())
    assert (decision["outcome"], decision["by"], decision["reason"]) == ("rejected", "Ben", "too few rows")
    from flows.approval import rejected  # noqa: PLC0415

    found = rejected(run, "ab" * 32)
    assert found is not None
    assert found.by == "Ben"
    assert rejected(run, "cd" * 32) is None  # another source makes other rows


def test_an_expired_request_keeps_nobody_and_may_be_rejected(tmp_path: Path) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    from flows.approval import waiting  # noqa: PLC0415

    run = asked(tmp_path, hours=0.5)
    assert waiting(run, datetime.now(UTC)) is None
    assert command_line(["reject", str(run.path), "--as", "Ben", "--reason", "late"]) == 0


def test_the_requester_may_approve_where_the_spec_lets_him(tmp_path: Path) -> None:
    run = asked(tmp_path, other_than_requester=False)
    assert command_line(["approve", str(run.path), "--as", "ann@desk", "--reason", "mine"]) == 0
    checks = verify(run.releases / "wages" / "1").checks
    assert any("the one who asked" in check.words for check in checks if check.name == "approval")


def test_of_several_people_at_once_one_decides(tmp_path: Path) -> None:
    run = asked(tmp_path)

    def decide(name: str) -> bool:
        try:
            return approve_command(run.path, who=name, reason="as agreed", key=None, as_json=False) == 0
        except FlowInputError as error:
            assert "somebody else decides" in error.what or "approved already" in error.what  # noqa: PT017
            return False

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(decide, ["Ben", "Cleo", "Dan", "Eve"])) == 1
    assert [path.parent.name for path in run.releases.rglob("MANIFEST.json")] == ["1"]


def test_an_approval_that_is_interrupted_after_publishing_publishes_no_second_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    run = asked(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(approving, "end", interrupted)
        assert command_line(["approve", str(run.path), "--as", "Ben", "--reason", "as agreed"]) == 130
    assert command_line(["reject", str(run.path), "--as", "Cleo", "--reason", "no"]) == 2
    assert "has published it" in capsys.readouterr().err
    assert command_line(["approve", str(run.path), "--as", "Ben", "--reason", "as agreed"]) == 0
    assert "before the last approval was interrupted" in capsys.readouterr().out
    assert [path.parent.name for path in run.releases.rglob("MANIFEST.json")] == ["1"]


def test_an_approver_who_is_killed_at_any_step_leaves_one_release_in_the_end(tmp_path: Path) -> None:
    script = ROOT / "tests" / "flows" / "killed_approver.py"
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] >= 8
    assert set(found["signals"]) == {signal.SIGKILL}
    assert found["versions"] == [1] * len(found["signals"])
    assert found["broken"] == []


@pytest.mark.usefixtures("prefect_server")
def test_a_key_may_be_a_secret_of_a_prefect_server() -> None:
    from prefect.blocks.system import Secret  # noqa: PLC0415 - after its settings

    assert LOOPBACK in os.environ["PREFECT_API_URL"]
    key = new_key()
    Secret(value=key.private_pem(None).decode()).save("board", overwrite=True)
    (read,) = signing_keys(["block:board"], option="publish.sign")
    assert read.public == key.public
    with pytest.raises(FlowInputError, match="no Secret block 'bord' could be loaded") as caught:
        signing_keys(["block:bord"], option="publish.sign")
    assert caught.value.remedy

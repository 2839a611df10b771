"""What opens the door to a source, and what only the source knows, is nowhere that a recipient or an operator looks."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.killing import people
from flows.cli import command_line

ROOT = Path(__file__).parents[2]
SECRETS = ("AKIA-planted", "wJal-planted", "tok-planted", "pw-planted", "sig-planted", "hunter-planted")
RARE = ("zebrafish-planted", "987654.25")  # a label and a number of one row each


def spec_of(folder: Path, more: str = "") -> None:
    """Write a spec whose source needs credentials: the local store takes any and ignores them."""
    people(folder)
    table = pd.read_csv(folder / "people.csv")
    table.loc[3, "group"], table.loc[4, "wage"] = RARE[0], float(RARE[1])
    table.to_csv(folder / "people.csv", index=False)
    options = json.dumps({"key": SECRETS[0], "secret": SECRETS[1], "client_kwargs": {"token": [SECRETS[2]]}})
    url = f"file://{folder}/people.csv"
    text = (folder / "spec.yaml").read_text().replace("path: people.csv", f"path: '{url}', options: {options}")
    (folder / "spec.yaml").write_text(text + more)


def found_in(folder: Path, words: tuple[str, ...], *, but: tuple[str, ...] = ()) -> list[str]:
    """Return `file: word` for every one of `words` in the name or the bytes of a file below `folder`."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in but]
    return [f"{path}: {word}" for path in files for word in words if word.encode() in path.read_bytes()]


def told_to_prefect() -> str:
    """Return everything that the server knows: flow runs, task runs, artifacts, logs, with their states."""
    from prefect.client.orchestration import get_client  # noqa: PLC0415 - after its settings

    with get_client(sync_client=True) as client:
        runs = [*client.read_flow_runs(), *client.read_task_runs()]
        artifacts, logs = client.read_artifacts(), client.read_logs()
        return "\n".join(one.model_dump_json() for one in (*runs, *artifacts, *logs))


@pytest.mark.usefixtures("prefect_server")
@pytest.mark.timeout(900)
def test_no_secret_and_no_rare_value_is_seen_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    spec_of(tmp_path)
    monkeypatch.chdir(tmp_path)
    said = []

    # A run that is killed while it trains leaves its folder as it is.
    process = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", "spec.yaml", "--out", "killed", "--set", "budget.steps=5000"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline_s = time.monotonic() + 240
        while not list(tmp_path.glob("killed/runs/fits/*/.lock")):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
    finally:
        process.kill()
        said += process.communicate()

    # One passes, one is refused.
    assert command_line(["run", "spec.yaml", "--out", "passed"]) == 0, capfd.readouterr()
    policy = ["--set", "policy=strict", "--set", "budget.steps=1"]
    assert command_line(["run", "spec.yaml", "--out", "refused", "--json", *policy]) in (3, 4)

    # Errors name the source.
    wrong = "source.path=https://ann:pw-planted@127.0.0.1:9/people.csv?sig=sig-planted"
    assert command_line(["run", "spec.yaml", "--out", "wrong", "--set", wrong]) == 2
    monkeypatch.setenv("PLANTED_DB", "postgresql://ann:hunter-planted@127.0.0.1:9/people")  # no driver is installed
    assert command_line(["run", "spec.yaml", "--out", "wrong", "--set", "source={url: $PLANTED_DB, sql: t}"]) == 2
    said += capfd.readouterr()

    text = "\n".join(said) + told_to_prefect()
    assert "people" in text, "the server was asked and knows the runs"
    assert [word for word in (*SECRETS, *RARE) if word in text] == []
    assert found_in(tmp_path, SECRETS, but=("spec.yaml",)) == []
    for version in tmp_path.glob("*/releases"):
        assert found_in(version, RARE) == []
    assert found_in(Path(os.environ["PREFECT_HOME"]), (*SECRETS, *RARE)) == []
    assert list(tmp_path.glob("passed/releases/people/1/MANIFEST.json"))
    assert list(tmp_path.glob("refused/runs/people-*/outcome.json"))
    (key,) = tmp_path.glob("passed/runs/lineage.key")
    assert found_in(tmp_path, (key.read_text(),), but=("lineage.key",)) == []
    assert key.stat().st_mode & 0o077 == 0

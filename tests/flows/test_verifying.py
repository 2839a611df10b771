"""What a recipient sees: checks in their order, what they are worth, by the program and by hand, in seconds."""

import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from flows.cli import command_line
from releases.keys import new_key, write_pair
from releases.manifest import digest_of
from releases.publish import publish
from sources.dataset import Dataset
from sources.schema import Column, Schema
from tests.flows.test_trust_input import pair, release
from tests.releases.judged_sample import provenance_of, report_of
from validators.gate import decide

ROOT = Path(__file__).parents[2]
MOST_S = 5.0


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(arguments: list[str], capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert command_line(arguments) == code
    return capsys.readouterr().out


def test_it_says_what_a_signature_is_worth(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed = release(here, "ann")
    pair(here, "eve")
    assert "by whom, only --key PUB can tell" in said(["verify", signed], capsys)
    assert "this is what the holders of these keys published" in said(["verify", signed, "--key", "ann.pub"], capsys)
    wrong = said(["verify", signed, "--key", "eve.pub"], capsys, code=3)
    assert "WRONG" in wrong
    assert "0 of the 1 given keys signed it" in wrong
    assert "do not use it" in wrong
    unsigned = release(here)
    assert "without a signature nobody can tell by whom" in said(["verify", unsigned], capsys)
    assert "There is no signature" in said(["verify", unsigned, "--key", "ann.pub"], capsys, code=3)


def test_json_says_it_for_programs(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed = release(here, "ann")
    plain = json.loads(said(["verify", signed, "--key", "ann.pub", "--name", "wages", "--json"], capsys))
    assert (plain["outcome"], plain["trust"], plain["exit"]) == ("VERIFIED", "signed", 0)
    assert plain["release"] == {"name": "wages", "version": "1"}
    order = [check["name"] for check in plain["checks"]]
    assert order[:7] == ["manifest", "file names", "files", "hashes", "provenance", "signature", "name"]
    (Path(signed) / "README.md").write_text("Real data.")
    assert json.loads(said(["verify", signed, "--json"], capsys, code=3))["outcome"] == "CHANGED"


def test_a_second_signer_and_the_keys_commands_by_hand(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    signed = release(here, "ann")
    made = json.loads(said(["keys", "new", "-o", "keys/ben", "--json"], capsys))
    assert Path("keys/ben.pem").stat().st_mode & 0o777 == 0o600
    for half in ("keys/ben.pem", "keys/ben.pub"):
        shown = said(["keys", "show", half], capsys)
        assert shown.splitlines()[0] == made["key_id"]
        assert shown.split("\n", maxsplit=1)[1] == Path("keys/ben.pub").read_text()
    assert "2 signatures" in said(["sign", signed, "--key", "keys/ben.pem"], capsys)
    both = ["--key", "ann.pub", "--key", "keys/ben.pub", "--threshold", "2"]
    assert "2 of the 2 given keys signed it, 2 must" in said(["verify", signed, *both], capsys)


def test_a_hostile_manifest_cannot_speak_to_the_terminal(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unsigned = release(here)
    path = Path(unsigned) / "MANIFEST.json"
    changed = {**json.loads(path.read_text()), "rows": "\x1b[2J all is well"}
    path.write_text(json.dumps({**changed, "digest": digest_of(changed)}))
    out = said(["verify", unsigned], capsys, code=3)
    assert "all is well" in out
    assert "\x1b" not in out


def by_hand(signed: str, key: Path) -> "subprocess.CompletedProcess[str]":
    """Run the block in docs/verify.md."""
    (block,) = re.findall(r"```bash\n(.*?)```", (ROOT / "docs" / "verify.md").read_text(), flags=re.DOTALL)
    return subprocess.run(
        ["bash", "-c", block],
        cwd=signed,
        env={"PATH": os.environ["PATH"], "KEY": str(key)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_documented_check_by_hand_holds_and_fails_where_it_should(here: Path) -> None:
    signed = release(here, "ann")
    done = by_hand(signed, here / "ann.pub")
    assert done.returncode == 0, done.stderr
    assert "Verified Successfully" in done.stdout
    pair(here, "eve")
    assert by_hand(signed, here / "eve.pub").returncode != 0
    card = Path(signed) / "README.md"
    good = card.read_text()
    card.write_text(good + " ")
    assert by_hand(signed, here / "ann.pub").returncode != 0
    card.write_text(good)
    (Path(signed) / "more.csv").write_text("a")
    assert by_hand(signed, here / "ann.pub").returncode != 0
    (Path(signed) / "more.csv").unlink()
    manifest = Path(signed) / "MANIFEST.json"
    manifest.write_text(manifest.read_text() + " ")
    assert by_hand(signed, here / "ann.pub").returncode != 0


def test_32_000_rows_in_15_columns_are_verified_within_five_seconds(here: Path) -> None:
    """Counted in seconds of a processor, imports included, so that a busy machine fails nobody."""
    rows, rng = 32_000, np.random.default_rng(3)
    columns = tuple(Column(name=f"c{n}", kind="numeric", decimals=2, storage="float64") for n in range(15))
    frame = pd.DataFrame({column.name: np.round(rng.lognormal(7, 0.4, rows), 2) for column in columns})
    schema = Schema(columns=columns)
    report, key = report_of(schema, rows=rows), new_key()
    write_pair(key, here / "ann", passphrase=None)
    made = publish(
        to=here,
        synthetic=Dataset(frame=frame, schema=schema),
        report=report,
        verdict=decide(report, report.policy),
        pictures=None,
        provenance=provenance_of(),
        signers=[key],
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "flows.cli", "verify", str(made), "--key", "ann.pub"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "32,000 rows in 15 columns" in done.stdout
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MOST_S

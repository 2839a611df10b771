import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from releases.errors import ReleaseInputError
from releases.manifest import FIELDS, data_digest, digest_of, file_entry
from releases.publish import publish
from releases.verify import verify
from sources.errors import UserError
from sources.schema import Schema
from tests.releases.judged_sample import provenance_of, report_of, synthetic_of
from validators.gate import decide
from validators.policy import Policy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def release(published: Callable[..., Path]) -> Path:
    return published()


def forge(release: Path, change: Callable[[dict[str, Any]], object] = dict) -> None:
    """Change the manifest as somebody who knows how it is made: all hashes and the digest fit again."""
    path = release / "MANIFEST.json"
    manifest = json.loads(path.read_text())
    manifest["files"] = {
        file.relative_to(release).as_posix(): file_entry(file)
        for file in sorted(release.rglob("*"))
        if file.is_file() and file != path
    }
    manifest["data_sha256"] = data_digest(manifest["files"])
    change(manifest)
    path.write_text(json.dumps({**manifest, "digest": digest_of(manifest)}))


def failed(release: Path) -> set[str]:
    verification = verify(release)
    assert verification.ok == all(check.ok for check in verification.checks)
    return {check.name for check in verification.checks if not check.ok}


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    plain = json.loads(path.read_text())
    change(plain)
    path.write_text(json.dumps(plain))


def test_an_untouched_release_passes_every_check(release: Path) -> None:
    verification = verify(release)
    assert verification.ok
    names = [check.name for check in verification.checks]
    first = ["manifest", "file names", "files", "hashes", "signature", "name"]
    assert names == [*first, "verdict", "data/data.csv", "data/data.parquet"]


def test_one_changed_byte_in_any_file_is_found(release: Path) -> None:
    for path in [path for path in release.rglob("*") if path.is_file() and path.name != "MANIFEST.json"]:
        good = path.read_bytes()
        for place in (0, len(good) // 2, len(good) - 1):
            path.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
            assert failed(release) == {"hashes"}, path
        path.write_bytes(good + b"\n")
        assert failed(release) == {"hashes"}, path
        path.write_bytes(good)
    assert verify(release).ok


@pytest.mark.parametrize("field", [field for field in FIELDS if field not in ("format", "format_version")])
def test_a_change_of_any_field_of_the_manifest_is_found(field: str, release: Path) -> None:
    rewrite(release / "MANIFEST.json", lambda manifest: manifest.update({field: "changed"}))
    assert "manifest" in failed(release)
    rewrite(release / "MANIFEST.json", lambda manifest: manifest.pop(field))
    assert "manifest" in failed(release)


def test_missing_and_extra_files_are_found(release: Path) -> None:
    (release / "data" / "more.csv").write_text("a\n1\n")
    assert failed(release) == {"files"}
    (release / "data" / "more.csv").unlink()
    (release / "report.html").unlink()
    assert failed(release) == {"files"}


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "data/../../x", "data//x", "./x", "C:x", "a\\b", "", "a\nb"]
)
def test_names_that_lead_out_of_the_release_are_never_opened(name: str, release: Path) -> None:
    (release.parent / "outside").write_text("not of the release")
    forge(release, lambda manifest: manifest["files"].update({name: file_entry(release.parent / "outside")}))
    assert failed(release) == {"file names"}


def test_links_and_special_files_have_no_place(release: Path) -> None:
    (release / "data" / "link.csv").symlink_to("/etc/hostname")
    assert failed(release) == {"file names"}
    (release / "data" / "link.csv").unlink()
    (release / "folder").symlink_to("/etc")
    assert failed(release) == {"file names"}
    (release / "folder").unlink()
    os.mkfifo(release / "pipe")
    assert failed(release) == {"file names"}


def test_a_forged_verdict_must_still_follow_from_the_measurements(release: Path) -> None:
    def worse(verdict: dict[str, Any]) -> None:
        one = next(one for one in verdict["measurements"] if one["name"] == "kway_1")
        one["high"] = one["limit"] * 2

    rewrite(release / "verdict.json", worse)
    forge(release)
    assert failed(release) == {"verdict"}


def dropped(verdict: dict[str, Any]) -> None:
    verdict["measurements"] = [one for one in verdict["measurements"] if one["name"] != "excess_matches"]


def loosened(verdict: dict[str, Any]) -> None:
    verdict["policy"]["limits"]["kway_1"] = 0.9
    for one in verdict["measurements"]:
        if one["name"] == "kway_1":
            one["limit"] = 0.9


def refused(verdict: dict[str, Any]) -> None:
    verdict["outcome"] = "REFUSE"


def renamed(verdict: dict[str, Any]) -> None:
    verdict["policy"]["name"] = "lenient"


def unhashable(verdict: dict[str, Any]) -> None:
    verdict["measurements"][0]["name"] = {"kway_1": 1}


@pytest.mark.parametrize("change", [dropped, loosened, refused, renamed, unhashable, lambda verdict: verdict.clear()])
def test_forgeries_of_the_verdict_are_found(change: Callable[[dict[str, Any]], None], release: Path) -> None:
    rewrite(release / "verdict.json", change)
    verdict = json.loads((release / "verdict.json").read_text())
    forge(release, lambda manifest: manifest.update({"policy": verdict.get("policy", manifest["policy"])}))
    assert failed(release) == {"verdict"}


def test_overrides_that_show_are_honest(published: Callable[..., Path], schema: Schema) -> None:
    policy = Policy.from_spec({"preset": "standard", "kway_1": 0.2, "doubt": 0.1})
    report = report_of(schema, policy=policy)
    verification = verify(published(report=report, verdict=decide(report, policy)))
    assert verification.ok
    assert "2 overrides" in next(check.words for check in verification.checks if check.name == "verdict")


def under_other_presets(release: Path, change: Callable[[dict[str, Any]], object] = dict) -> None:
    """Make the release one that another version judged: a check we do not know, a limit that is not our preset's."""

    def earlier(verdict: dict[str, Any]) -> None:
        verdict["policy"]["presets_version"] = 0
        verdict["policy"]["limits"]["kway_1"] = 0.029
        next(one for one in verdict["measurements"] if one["name"] == "kway_1").update(limit=0.029)
        change(verdict)

    rewrite(release / "verdict.json", earlier)
    policy = json.loads((release / "verdict.json").read_text())["policy"]
    forge(release, lambda manifest: manifest.update(policy=policy))


def test_a_release_judged_under_other_presets_is_held_against_its_own_limits(release: Path) -> None:
    under_other_presets(release)
    verification = verify(release)
    assert verification.ok
    assert "presets 0" in next(check.words for check in verification.checks if check.name == "verdict")


def beyond(verdict: dict[str, Any]) -> None:
    verdict["measurements"][1]["high"] = 0.9


@pytest.mark.parametrize("change", [refused, beyond, unhashable, lambda verdict: verdict.update(measurements=[])])
def test_forgeries_under_other_presets_are_found(change: Callable[[dict[str, Any]], None], release: Path) -> None:
    under_other_presets(release, change)
    assert failed(release) == {"verdict"}


def test_the_data_must_have_the_rows_and_columns_it_claims(release: Path) -> None:
    table = pd.read_csv(release / "data/data.csv")
    table.iloc[:-1].to_csv(release / "data/data.csv", index=False)
    forge(release)
    assert failed(release) == {"data/data.csv"}
    table.rename(columns={"age": "years"}).to_csv(release / "data/data.csv", index=False)
    forge(release)
    assert failed(release) == {"data/data.csv"}
    (release / "data/data.parquet").write_bytes(b"PAR1 nothing PAR1")
    forge(release)
    assert failed(release) == {"data/data.csv", "data/data.parquet"}


def test_cells_with_line_breaks_and_quotes_count_as_one_row(tmp_path: Path, schema: Schema) -> None:
    synthetic = synthetic_of(schema)
    synthetic.frame.loc[3, "group"] = 'a "quoted",\nbroken line'
    report = report_of(schema)
    path = publish(
        to=tmp_path,
        synthetic=synthetic,
        report=report,
        verdict=decide(report, report.policy),
        pictures=None,
        provenance=provenance_of(),
    )
    assert verify(path).ok


def broken_releases() -> Iterator[tuple[str, Callable[[Path], object]]]:
    """Yield what is wrong and how to make it so."""
    manifest = "MANIFEST.json"
    yield "no such folder", lambda release: release.rename(release.parent / "moved")
    yield "not a release", lambda release: (release / manifest).unlink()
    yield "no JSON", lambda release: (release / manifest).write_text("{")
    yield "no JSON", lambda release: (release / manifest).write_bytes(b"\xff\xfe{}")
    yield "no JSON", lambda release: (release / manifest).write_text('{"format": 1, "format": 2}')
    yield "no JSON", lambda release: (release / manifest).write_text("[" * 100_000)
    yield "no JSON", lambda release: rewrite(release / manifest, lambda m: m.update(rows=float("nan")))
    yield "no JSON", lambda release: (release / manifest).write_text('{"rows": 1e999}')
    yield "not the manifest", lambda release: (release / manifest).write_text("[]")
    yield "not the manifest", lambda release: rewrite(release / manifest, lambda m: m.update(format="other"))
    yield "later version", lambda release: rewrite(release / manifest, lambda m: m.update(format_version=2))
    yield "no version", lambda release: rewrite(release / manifest, lambda m: m.update(format_version=True))


@pytest.mark.parametrize(("words", "damage"), list(broken_releases()))
def test_what_is_no_release_is_one_message_with_a_remedy(
    words: str, damage: Callable[[Path], object], release: Path
) -> None:
    damage(release)
    with pytest.raises(ReleaseInputError, match=words) as caught:
        verify(release)
    assert isinstance(caught.value, UserError)
    assert caught.value.remedy


@pytest.mark.parametrize("files", [None, 3, [], {"data/data.csv": None}, {"data/data.csv": {"sha256": 1, "bytes": 2}}])
def test_a_list_of_files_of_the_wrong_shape_is_refused(files: object, release: Path) -> None:
    forge(release, lambda manifest: manifest.update(files=files))
    assert failed(release) == {"file names"}


def test_the_provenance_is_in_the_manifest_without_locations_and_keys(
    published: Callable[..., Path], tmp_path: Path
) -> None:
    spec = {
        "source": {
            "kind": "sql",
            "url": "postgresql://ann:hunter2@db.internal/people",
            "sql": "select * where n = 'Ann'",
        },
        "publish": {"to": "s3://key:hunter2@bucket/out/", "token": "hunter2"},
    }
    release = published(provenance=replace(provenance_of(), spec=spec))
    text = (release / "MANIFEST.json").read_text()
    for secret in ("hunter2", "ann", "db.internal", "Ann", "bucket", "0123456789abcdef", "ab" * 32, str(tmp_path)):
        assert secret not in text
    manifest = json.loads(text)
    assert manifest["seeds"] == {"run": 7, "judge": 3}
    assert manifest["generator"]["stopped_by"] == "early_stopping"
    assert len(manifest["lineage"]["source_hmac_sha256"]) == 64
    assert published(provenance=replace(provenance_of(), lineage_key=None)).exists()


def test_a_recipient_verifies_without_the_heavy_libraries(release: Path) -> None:
    script = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {{"torch", "prefect", "great_expectations", "sdv", "opacus", "matplotlib", "sklearn"}}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocked())
from releases.verify import verify
assert verify({str(release)!r}).ok
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

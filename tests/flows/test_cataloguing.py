"""`understudy releases …` as somebody types it, over folders and a real S3 server; and what it says to bad input."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from flows.cli import command_line
from releases.catalogue import note_unchanged
from releases.errors import ReleaseInputError
from releases.fetching import fetch
from releases.pointer import settle_latest
from releases.shelf import new_version
from releases.stores import as_store
from tests.releases.small_release import WHEN, folder_store, publish_small, write_release

Capture = pytest.CaptureFixture[str]
Case = Callable[[Path], list[str]]


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a folder with releases/wages/{1,2} the working directory."""
    monkeypatch.chdir(tmp_path)
    publish(tmp_path / "releases")
    publish(tmp_path / "releases")
    return tmp_path


def publish(to: Path, name: str = "wages") -> None:
    with new_version(to, name, versioning="number", created=WHEN) as (version, staging):
        write_release(staging, version, name)
        (staging / "schema.json").write_text(
            json.dumps({"columns": [{"name": "age", "kind": "numeric", "role": "plain"}]})
        )
        (staging / "verdict.json").write_text(json.dumps({"measurements": []}))
    settle_latest(as_store(to), name)


def test_list_shows_every_version_with_its_state(shelf: Path, capsys: Capture) -> None:
    publish(shelf / "releases", "prices")
    assert command_line(["releases", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "name",
        "version",
        "created",
        "rows",
        "columns",
        "generator",
        "verdict",
        "state",
        "signed",
    ]
    assert [line.split() for line in lines[1:]] == [
        ["prices", "1", "2026-03-04", "05:06", "1", "1", "tabular.vae", "PASS", "latest", "no"],
        ["wages", "1", "2026-03-04", "05:06", "1", "1", "tabular.vae", "PASS", "older", "no"],
        ["wages", "2", "2026-03-04", "05:06", "1", "1", "tabular.vae", "PASS", "latest", "no"],
    ]
    assert command_line(["releases", "list", "prices", "--at", "releases/", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["releases"]
    assert (one["name"], [entry["state"] for entry in one["versions"]], one["unchanged"]) == (
        "prices",
        ["latest"],
        None,
    )


def test_a_withdrawal_is_said_loudly_wherever_the_version_is_shown(shelf: Path, capsys: Capture) -> None:
    assert command_line(["releases", "withdraw", "wages/2", "--reason", "the column paid was swapped"]) == 0
    assert "wages/1" in capsys.readouterr().out.splitlines()[1]
    assert command_line(["releases", "list"]) == 0
    text = capsys.readouterr().out
    assert "WITHDRAWN" in text
    assert "the column paid was swapped" in text
    assert command_line(["releases", "show", "wages/2"]) == 0
    assert capsys.readouterr().out.startswith("WITHDRAWN     wages/2 must no longer be used\nreason ")
    assert command_line(["releases", "show", "wages"]) == 0
    assert "wages/1   latest" in capsys.readouterr().out
    assert command_line(["releases", "show", "wages/2", "--json"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["withdrawn"]["reason"] == "the column paid was swapped"
    assert plain["manifest"]["name"] == "wages"


def test_unchanged_is_shown_beside_the_version(shelf: Path, capsys: Capture) -> None:
    note_unchanged(shelf / "releases", "wages", datetime(2026, 5, 6, 7, 8, tzinfo=UTC), "2")
    note_unchanged(shelf / "releases", "wages", datetime(2026, 6, 7, 8, 9, tzinfo=UTC), "2")
    for arguments in (["list"], ["show", "wages"]):
        assert command_line(["releases", *arguments]) == 0
        assert "unchanged since 2026-05-06 07:08, last looked at 2026-06-07 08:09" in capsys.readouterr().out


def test_a_difference_is_readable(shelf: Path, capsys: Capture) -> None:
    path = shelf / "releases" / "wages" / "2" / "MANIFEST.json"
    plain = json.loads(path.read_text())
    path.write_text(json.dumps({**plain, "rows": 2, "data_sha256": "11" * 32}))
    assert command_line(["releases", "diff", "wages/1", "wages"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wages/1 -> wages/2"
    assert lines[1].split(maxsplit=1) == ["data", "other bytes"]
    assert lines[2].split() == ["rows", "rows", "1", "->", "2"]
    assert command_line(["releases", "diff", "wages/1", "wages/2", "--json"]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert changes == [{"part": "rows", "what": "", "before": 1, "after": 2}]


def test_a_hostile_catalogue_cannot_write_to_the_terminal(shelf: Path, capsys: Capture) -> None:
    evil = "\x1b[2J\x1b]0;x\x07\u202eSSAP\r\n[red]"
    path = shelf / "releases" / "wages" / "2" / "MANIFEST.json"
    plain = json.loads(path.read_text())
    plain |= {
        "verdict": evil,
        "generator": {"family": evil, "steps": evil},
        "policy": {"name": evil},
        "code": {"understudy": evil},
    }
    plain |= {"seeds": {evil: evil}, "data_sha256": evil, "this_run": {"version": "2", "created": evil}, evil: evil}
    path.write_text(json.dumps(plain))
    (shelf / "releases" / "wages" / "withdrawn-1.json").write_text(json.dumps({"reason": evil, "at": evil}))
    (shelf / "releases" / "wages" / "unchanged.json").write_text(
        json.dumps({"version": "2", "since": evil, "looked": evil})
    )
    (shelf / "releases" / "wages" / "2" / "schema.json").write_text(
        json.dumps({"columns": [{"name": evil, "kind": evil}]}).ljust(60)
    )
    for arguments in (["list"], ["show", "wages"], ["show", "wages/1"], ["diff", "wages/1", "wages/2"]):
        for more in ([], ["--json"]):
            assert command_line(["releases", *arguments, *more]) == 0
            output = capsys.readouterr()
            assert all(sign.isprintable() or sign == "\n" for sign in output.out + output.err), (arguments, more)
            assert "\nSSAP" not in output.out
    assert command_line(["releases", "list"]) == 0
    assert r"\x1b[2J" in capsys.readouterr().out


def test_a_fetched_copy_is_the_version(shelf: Path, capsys: Capture) -> None:
    assert command_line(["releases", "fetch", "wages/1", "-o", "copy"]) == 0
    assert "understudy verify copy" in capsys.readouterr().out
    assert tree(shelf / "copy") == tree(shelf / "releases" / "wages" / "1")
    assert command_line(["releases", "withdraw", "wages/1", "--reason", "wrong"]) == 0
    assert command_line(["releases", "fetch", "wages/1", "-o", "other"]) == 0
    assert "WITHDRAWN" in capsys.readouterr().out


def test_a_copy_from_a_store_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = folder_store(tmp_path)
    publish_small(store)
    monkeypatch.chdir(tmp_path)
    assert fetch(store, "wages", None, tmp_path / "copy") == "1"
    assert set(tree(tmp_path / "copy")) == {"MANIFEST.json", "README.md", "data", "data/data.csv"}
    changed = tmp_path / "bucket" / "wages" / "1" / "README.md"
    changed.write_text("# WAGES\n")
    with pytest.raises(ReleaseInputError, match="other bytes than its MANIFEST"):
        fetch(store, "wages", "1", tmp_path / "again")
    assert not [path for path in tmp_path.iterdir() if "again" in path.name]


def test_an_empty_place_has_no_releases(tmp_path: Path, capsys: Capture) -> None:
    assert command_line(["releases", "list", "--at", str(tmp_path)]) == 0
    assert "no releases" in capsys.readouterr().out


def releases_in(store: str) -> Case:
    return lambda _: ["releases", "list", "--at", store]


def spec(publish_: str) -> Case:
    def case(folder: Path) -> list[str]:
        (folder / "people.csv").write_text("a,b\n" + "1,x\n2,y\n" * 40)
        (folder / "spec.yaml").write_text(f"name: people\nsource: people.csv\npublish: {publish_}\n")
        return ["run", "spec.yaml"]

    return case


def damaged(folder: Path) -> list[str]:
    (folder / "releases" / "wages" / "1" / "README.md").unlink()
    return ["releases", "diff", "wages/1", "wages/2"]


def changed(folder: Path) -> list[str]:
    path = folder / "releases" / "wages" / "1" / "README.md"
    path.write_text(path.read_text().upper())
    return ["releases", "fetch", "wages/1", "-o", "copy"]


def withdrawn_twice(_: Path) -> list[str]:
    assert command_line(["releases", "withdraw", "wages/1", "--reason", "wrong"]) == 0
    return ["releases", "withdraw", "wages/1", "--reason", "wrong"]


KEYS = "key: $STORE_KEY, secret: $STORE_SECRET"
CASES: dict[str, tuple[Case, str]] = {
    # stores, each said before anything is trained
    "no such bucket": (
        spec(f"{{to: 's3://no-such-bucket/x', options: {{endpoint_url: ENDPOINT, {KEYS}}}}}"),
        "no such bucket",
    ),
    "wrong endpoint": (
        spec(f"{{to: 's3://bucket/x', options: {{endpoint_url: 'http://127.0.0.1:9', {KEYS}}}}}"),
        "EndpointConnectionError",
    ),
    "no credentials": (spec("{to: 's3://bucket/x', options: {endpoint_url: ENDPOINT}}"), "no credentials were found"),
    "a credential in plain text": (
        spec("{to: 's3://b/x', options: {key: AKIAPLAIN, secret: plain-9d1f}}"),
        "publish.options.key: a credential",
    ),
    "a credential deep inside": (
        spec("{to: 's3://b/x', options: {client_kwargs: {aws_session_token: plain-9d1f}}}"),
        "aws_session_token: a credential",
    ),
    "a credential in the URL": (spec("{to: 's3://AKIAPLAIN:plain-9d1f@b/x'}"), "a URL with credentials"),
    "a signature in the URL": (spec("{to: 's3://b/x?sig=plain-9d1f'}"), "a URL with credentials or a query"),
    "an unset variable": (
        spec("{to: 's3://b/x', options: {key: $NO_SUCH_NAME}}"),
        "the environment has no NO_SUCH_NAME",
    ),
    "a missing library": (spec("{to: 'gs://bucket/x'}"), "pip install -e '.[gcs]'"),
    "another missing library": (
        spec("{to: 'abfs://container@account.dfs.core.windows.net/x'}"),
        "pip install -e '.[azure]'",
    ),
    "an unknown protocol": (spec("{to: 's5://bucket/x'}"), "unknown protocol"),
    "a store that forgets": (spec("{to: 'memory://x'}"), "it ends with the program"),
    "a store that cannot be written": (spec("{to: 'https://example.com/x'}"), "it cannot be written"),
    "a chained URL": (spec("{to: 'simplecache::s3://bucket/x'}"), "chained URLs"),
    "a file URL without a folder": (spec("{to: 'file://'}"), "not a local file URL"),
    "a file URL of another machine": (spec("{to: 'file://host/folder'}"), "not a local file URL"),
    "no bucket": (spec("{to: 's3://'}"), "a URL without a bucket"),
    "a URL that leads up": (spec("{to: 's3://bucket/../other'}"), "leads up"),
    "an unknown option of a store": (
        spec(f"{{to: 's3://b/x', options: {{endpont_url: ENDPOINT, {KEYS}}}}}"),
        "correct publish.options",
    ),
    "options for a folder": (spec("{to: releases/, options: {anon: true}}"), "this is a folder"),
    "options that are no mapping": (spec("{to: releases/, options: [anon]}"), "publish.options: wrong type"),
    # the catalogue
    "no such folder": (releases_in("nowhere"), "--at: no such folder"),
    "a file for a folder": (releases_in("spec.txt"), "--at: no such folder"),
    "no such bucket to list": (
        lambda _: [
            "releases",
            "list",
            "--at",
            "s3://no-such-bucket",
            "--option",
            "endpoint_url=ENDPOINT",
            "--option",
            "key=$STORE_KEY",
            "--option",
            "secret=$STORE_SECRET",
        ],
        "no such bucket",
    ),
    "an option without a value": (lambda _: ["releases", "list", "--option", "anon"], "--option: not of the form"),
    "no such release": (lambda _: ["releases", "show", "wagez"], '(did you mean "wages"?)'),
    "no such release to list": (lambda _: ["releases", "list", "wagez"], '(did you mean "wages"?)'),
    "no such version": (lambda _: ["releases", "show", "wages/7"], "versions: 1, 2"),
    "a name that leads elsewhere": (lambda _: ["releases", "show", "../wages/1"], "not the name of a release"),
    "a version that leads elsewhere": (lambda _: ["releases", "show", "wages/../wages/1"], "not the name of a release"),
    "a control character": (lambda _: ["releases", "show", "wa\x1b[2Jges"], r"\x1b[2J"),
    "withdraw without a version": (lambda _: ["releases", "withdraw", "wages", "--reason", "x"], "which version?"),
    "withdraw without a reason": (lambda _: ["releases", "withdraw", "wages/1"], "--reason"),
    "withdraw with an empty reason": (
        lambda _: ["releases", "withdraw", "wages/1", "--reason", " \n"],
        "--reason: say why",
    ),
    "withdraw with a long reason": (
        lambda _: ["releases", "withdraw", "wages/1", "--reason", "x" * 1_001],
        "1001 characters",
    ),
    "withdraw twice": (withdrawn_twice, "withdrawn already"),
    "compare with a damaged one": (damaged, "wages/1: damaged"),
    "fetch onto something": (lambda _: ["releases", "fetch", "wages/1", "-o", "releases"], "exists already"),
    "fetch what was changed": (changed, "other bytes than its MANIFEST.json says"),
    "no command": (lambda _: ["releases"], "Missing command"),
}


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_message_with_a_remedy_and_leaves_nothing(
    name: str, shelf: Path, s3_server: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")  # nobody is asked for credentials
    case, expected = CASES[name]
    arguments = [argument.replace("ENDPOINT", s3_server) for argument in case(shelf)]
    written = shelf / "spec.yaml"
    if written.exists():
        written.write_text(written.read_text().replace("ENDPOINT", f"'{s3_server}'"))
    before = tree(shelf)
    capsys.readouterr()
    code = command_line(arguments)
    output = capsys.readouterr()
    assert code == 2, output
    assert output.err.startswith("error: ")
    assert expected in output.err
    assert "remedy: " in output.err
    assert "Traceback" not in output.err
    assert all(sign.isprintable() or sign == "\n" for sign in output.err)
    assert not any(
        secret in output.err + output.out for secret in ("plain-9d1f", "AKIAPLAIN", "planted-secret", "AKIAPLANTED")
    )
    assert tree(shelf) == before

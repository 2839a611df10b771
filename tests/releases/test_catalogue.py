import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from releases.catalogue import (
    find,
    latest_version,
    listing,
    note_unchanged,
    read_public_manifest,
    release_names,
    withdraw,
)
from releases.comparing import difference, interval
from releases.errors import ReleaseInputError
from releases.local_store import LocalStore
from releases.pointer import settle_latest
from releases.shelf import new_version
from releases.stores import Address, as_store, is_url, open_store
from releases.terminal import shown, table
from releases.verify import verify
from sources.schema import Schema
from tests.releases.judged_sample import provenance_of, report_of
from tests.releases.small_release import NAME, WHEN, folder_store, publish_small, write_release
from validators.gate import decide
from validators.policy import Policy

Published = Callable[..., Path]


def pointer(folder: Path) -> str:
    return str(json.loads((folder / NAME / "latest.json").read_text())["version"])


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def local_release(to: Path, name: str = NAME) -> str:
    with new_version(to, name, versioning="number", created=WHEN) as (version, staging):
        write_release(staging, version, name)
    settle_latest(as_store(to), name)
    return version


def test_the_catalogue_lists_what_was_published_and_points_to_the_newest(published: Published, tmp_path: Path) -> None:
    for _ in range(3):
        published()
    to = tmp_path / "releases"
    assert release_names(to) == [NAME]
    entries = listing(to, NAME).entries
    assert [(entry.version, entry.state, entry.rows, entry.columns, entry.verdict) for entry in entries] == [
        ("1", "older", 60, 5, "PASS"),
        ("2", "older", 60, 5, "PASS"),
        ("3", "latest", 60, 5, "PASS"),
    ]
    assert not entries[0].signed
    assert pointer(to) == latest_version(to, NAME) == "3"
    assert read_public_manifest(to, NAME)["this_run"]["version"] == "3"
    assert read_public_manifest(to, NAME, "1")["this_run"]["version"] == "1"


def test_a_signature_beside_the_manifest_is_told(tmp_path: Path) -> None:
    local_release(tmp_path)
    (tmp_path / NAME / "1" / "SIGNATURE.dsse").write_text("{}")
    assert listing(tmp_path, NAME).entries[0].signed


def test_a_withdrawn_version_stays_listed_with_its_reason_and_keeps_its_bytes(published: Published) -> None:
    first, second = published(), published()
    to, before = first.parents[1], bytes_below(second)
    when = datetime(2026, 5, 6, 7, 8, tzinfo=UTC)
    assert withdraw(to, NAME, "2", "the column  paid\nwas swapped", when=when) == "1"
    assert bytes_below(second) == before
    assert verify(second).ok
    assert pointer(to) == latest_version(to, NAME) == "1"
    entry = listing(to, NAME).entries[1]
    assert entry.state == "withdrawn"
    assert entry.withdrawal is not None
    assert (entry.withdrawal.reason, entry.withdrawal.at) == (
        "the column paid was swapped",
        "2026-05-06T07:08:00+00:00",
    )
    assert published().name == "3", "a withdrawn number is not used again"
    with pytest.raises(ReleaseInputError, match="withdrawn already"):
        withdraw(to, NAME, "2", "again")


def test_without_any_version_left_there_is_no_pointer(tmp_path: Path) -> None:
    local_release(tmp_path)
    assert withdraw(tmp_path, NAME, "1", "wrong") is None
    assert latest_version(tmp_path, NAME) is None
    assert not (tmp_path / NAME / "latest.json").exists()
    with pytest.raises(ReleaseInputError, match="not withdrawn"):
        read_public_manifest(tmp_path, NAME)


def test_the_pointer_never_names_a_withdrawn_or_incomplete_version_at_any_moment(tmp_path: Path) -> None:
    """Look after every write of a withdrawal and of a publish."""
    for _ in range(2):
        local_release(tmp_path)
    moments: list[tuple[str, bool]] = []

    class Watched(LocalStore):
        def replace(self, path: str, data: bytes) -> None:
            super().replace(path, data)
            now = pointer(tmp_path)
            gone = (tmp_path / NAME / f"withdrawn-{now}.json").exists()
            moments.append((now, gone or not (tmp_path / NAME / now / "MANIFEST.json").exists()))

    withdraw(Watched(root=tmp_path), NAME, "2", "wrong")
    (tmp_path / NAME / "9").mkdir()
    settle_latest(Watched(root=tmp_path), NAME)
    assert moments
    assert not any(bad for _, bad in moments), moments


def test_a_pointer_that_a_kill_left_behind_is_not_trusted_and_moved_by_the_next_write(tmp_path: Path) -> None:
    for _ in range(2):
        local_release(tmp_path)
    stale = (tmp_path / NAME / "latest.json").read_text().replace('"2', '"1')
    (tmp_path / NAME / "latest.json").write_text(stale)
    assert latest_version(tmp_path, NAME) == "2"
    note_unchanged(tmp_path, NAME, WHEN, "2")
    assert pointer(tmp_path) == "2"


def test_unchanged_keeps_the_first_moment_until_another_version_comes(tmp_path: Path) -> None:
    local_release(tmp_path)
    for day in range(3):
        note_unchanged(tmp_path, NAME, WHEN + timedelta(days=day), "1")
    note = listing(tmp_path, NAME).unchanged
    assert note is not None
    assert (note.since[:10], note.looked[:10]) == ("2026-03-04", "2026-03-06")
    local_release(tmp_path)
    assert note_unchanged(tmp_path, NAME, WHEN, "2").since[:10] == "2026-03-04"
    with pytest.raises(ReleaseInputError, match="no version"):
        note_unchanged(tmp_path, NAME, WHEN, "7")


def test_a_store_is_catalogued_like_a_folder(tmp_path: Path) -> None:
    store = folder_store(tmp_path)
    for _ in range(2):
        publish_small(store)
    assert withdraw(store, NAME, "2", "wrong") == "1"
    note_unchanged(store, NAME, WHEN, "1")
    listed = listing(store, NAME)
    assert [entry.state for entry in listed.entries] == ["latest", "withdrawn"]
    assert listed.unchanged is not None
    assert publish_small(store) == "3"
    assert latest_version(store, NAME) == "3"


def damage(folder: Path, what: str) -> None:
    release = folder / NAME / "2"
    manifest = release / "MANIFEST.json"
    plain = json.loads(manifest.read_text())
    if what == "a file is gone":
        (release / "README.md").unlink()
    elif what == "a file is cut":
        (release / "data" / "data.csv").write_text("")
    elif what == "no JSON":
        manifest.write_bytes(b"\xff{")
    elif what == "huge":
        manifest.write_bytes(b" " * (16 * 2**20 + 1))
    elif what == "deep":
        manifest.write_text("[" * 100_000)
    elif what == "of another name":
        manifest.write_text(json.dumps({**plain, "name": "prices"}))
    elif what == "of another version":
        manifest.write_text(json.dumps({**plain, "this_run": {"version": "1"}}))
    elif what == "of a later format":
        manifest.write_text(json.dumps({**plain, "format_version": 99}))
    elif what == "files of a wrong type":
        manifest.write_text(json.dumps({**plain, "files": {"README.md": 3}}))
    else:
        manifest.write_text(json.dumps({**plain, "this_run": []}))


DAMAGES = (
    "a file is gone", "a file is cut", "no JSON", "huge", "deep", "of another name", "of another version",
    "of a later format", "files of a wrong type", "a run of a wrong type",
)  # fmt: skip


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_version_is_told_and_never_the_latest(what: str, tmp_path: Path) -> None:
    for _ in range(2):
        local_release(tmp_path)
    damage(tmp_path, what)
    entries = listing(tmp_path, NAME).entries
    assert [(entry.version, entry.state) for entry in entries] == [("1", "latest"), ("2", "damaged")]
    assert entries[1].flaw
    assert latest_version(tmp_path, NAME) == "1"
    with pytest.raises(ReleaseInputError, match="damaged"):
        read_public_manifest(tmp_path, NAME, "2")


def test_links_strange_names_and_incomplete_versions_are_no_releases(tmp_path: Path) -> None:
    local_release(tmp_path)
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    local_release(elsewhere, "prices")
    (tmp_path / "prices").symlink_to(elsewhere / "prices")
    (tmp_path / NAME / "3").symlink_to(elsewhere / "prices" / "1")
    (tmp_path / NAME / "4").mkdir()
    (tmp_path / NAME / "4" / "MANIFEST.json").symlink_to(elsewhere / "prices" / "1" / "MANIFEST.json")
    (tmp_path / "a\x1b[31mb").mkdir()
    (tmp_path / NAME / "5\n6").mkdir()
    (tmp_path / NAME / ".7").mkdir()
    (tmp_path / NAME / "8").mkdir()
    assert release_names(tmp_path) == [NAME]
    assert [entry.version for entry in listing(tmp_path, NAME).entries] == ["1"]
    os.mkfifo(tmp_path / NAME / "withdrawn-1.json")
    assert listing(tmp_path, NAME).entries[0].state == "latest", "a pipe is no file, and nobody waits for it"


@pytest.mark.parametrize("record", [b"\xff", b"[]", b"{}", b" " * 70_000, b'{"reason": 3, "at": []}'])
def test_a_record_of_withdrawal_that_cannot_be_read_still_withdraws(record: bytes, tmp_path: Path) -> None:
    local_release(tmp_path)
    (tmp_path / NAME / "withdrawn-1.json").write_bytes(record)
    (entry,) = listing(tmp_path, NAME).entries
    assert entry.state == "withdrawn"
    assert latest_version(tmp_path, NAME) is None


def test_values_of_a_wrong_type_are_shown_as_unknown(tmp_path: Path) -> None:
    local_release(tmp_path)
    manifest = tmp_path / NAME / "1" / "MANIFEST.json"
    plain = json.loads(manifest.read_text())
    changes = {"rows": "\x1b[2J", "columns": True, "generator": [], "verdict": 3}
    manifest.write_text(json.dumps({**plain, **changes}))
    (entry,) = listing(tmp_path, NAME).entries
    assert (entry.rows, entry.columns, entry.generator, entry.verdict) == (None, None, None, None)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a\nb"])
def test_names_that_lead_elsewhere_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ReleaseInputError, match="cannot be a folder"):
        latest_version(tmp_path, name)


def test_a_version_that_leads_elsewhere_is_not_there(tmp_path: Path) -> None:
    local_release(tmp_path)
    with pytest.raises(ReleaseInputError, match="no version"):
        find(tmp_path, NAME, f"../{NAME}/1")


def test_a_difference_names_columns_limits_measurements_seeds_and_data(
    published: Published, schema: Schema, tmp_path: Path
) -> None:
    published()
    policy = Policy.from_spec({"preset": "standard", "c2st": [0.41, 0.59]})
    report = report_of(schema, policy=policy)
    model = replace(provenance_of().model, config={"width": 128, "dropout": 0.1})
    published(report=report, verdict=decide(report, policy), provenance=provenance_of(seed=8, model=model))
    to = tmp_path / "releases"
    found = difference(to, (NAME, "1"), (NAME, None))
    assert (found.first, found.second, found.same_data) == (f"{NAME}/1", f"{NAME}/2", True)
    changes = {(change.part, change.what): (change.before, change.after) for change in found.changes}
    assert changes["policy", "limits.c2st"] == ([0.35, 0.65], [0.41, 0.59])
    assert changes["seeds", "run"] == (7, 8)
    assert changes["generator", "config.width"] == (64, 128)
    assert interval(changes["measurement", "c2st · all rows"][0]) == "0.5 [0.46, 0.54] PASS"
    assert not any(part == "schema" for part, _ in changes)

    for version, kind in (("1", "numeric"), ("2", "categorical")):
        path = to / NAME / version / "schema.json"
        plain = json.loads(path.read_text())
        plain["columns"][0]["kind"] = kind
        if version == "2":
            plain["columns"][1]["name"] = "pay"
        text = json.dumps(plain)
        path.write_text(text)
        manifest = to / NAME / version / "MANIFEST.json"
        other = json.loads(manifest.read_text())
        other["files"]["schema.json"]["bytes"] = len(text.encode())
        manifest.write_text(json.dumps(other))
    changed = [(one.what, one.before, one.after) for one in difference(to, (NAME, "1"), (NAME, "2")).changes]
    assert ("age.kind", "numeric", "categorical") in changed
    assert ("wage", "numeric, plain", None) in changed
    assert ("pay", None, "numeric, plain") in changed


def test_a_version_does_not_differ_from_itself(published: Published, tmp_path: Path) -> None:
    published()
    found = difference(tmp_path / "releases", (NAME, "1"), (NAME, "1"))
    assert found.same_data
    assert found.changes == ()


@pytest.mark.parametrize(
    "hostile", ["\x1b[2J", "a\x07b", "\r\nPASS", "\u202egnp", "\x9b31m", "\x85", "\u2028", "\ud800", "\U000e0041"]
)
def test_nothing_that_a_terminal_obeys_gets_through(hostile: str) -> None:
    text = shown(f"wages{hostile}")
    assert text.isprintable()
    assert text.startswith("wages")
    assert text != f"wages{hostile}"


def test_long_text_is_cut_and_other_scripts_stay() -> None:
    assert shown("x" * 500, 10) == "x" * 9 + "…"
    assert shown("žluťoučký 表") == "žluťoučký 表"


def test_a_table_is_aligned() -> None:
    assert table(("a", "rows"), [("x", "1"), ("yy", "22")], right=("rows",)) == ["a   rows", "x      1", "yy    22"]


def test_an_address_joins_and_shows_like_a_path() -> None:
    address = Address(text="s3://bucket/releases") / "people" / "3"
    assert (str(address / "report.html"), address.name) == ("s3://bucket/releases/people/3/report.html", "3")


@pytest.mark.parametrize(
    ("to", "url"), [("releases/", False), ("C:\\x", False), ("/a:b/c", False), ("s3://b", True), ("zip::s3://b", True)]
)
def test_a_path_is_told_from_a_url(to: str, url: bool) -> None:  # noqa: FBT001 - a case
    assert is_url(to) == url


def test_a_file_url_is_a_local_folder(tmp_path: Path) -> None:
    store = open_store((tmp_path / "a b").as_uri())
    assert isinstance(store, LocalStore)
    assert store.root == tmp_path / "a b"

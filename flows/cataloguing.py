"""`understudy releases list | show | diff | fetch | withdraw`: what the catalogue knows, for a terminal or a program.

What is read may come from strangers: everything goes through `releases.terminal.shown`, and JSON is printed in ASCII.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.errors import Exit, FlowInputError
from releases.catalogue import (
    Entry,
    Listing,
    Unchanged,
    find,
    listing,
    release_names,
    withdraw,
)
from releases.comparing import Change, difference, interval
from releases.errors import ReleaseInputError
from releases.fetching import fetch
from releases.local_store import LocalStore
from releases.shelf import is_name
from releases.stores import Store, open_store
from releases.terminal import shown, table
from sources.errors import did_you_mean

DEFAULT_PLACE = "releases/"
HEAD = ("name", "version", "created", "rows", "columns", "generator", "verdict", "state", "signed")
LABEL_WIDTH = 13


def place_of(at: str | None, spec_file: str | None, options: Sequence[str]) -> Store:
    """Return the store that the command line names.

    Raises:
        UserError: no such folder, no store that holds releases, or a credential in plain text.

    """
    given: dict[str, Any] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key:
            raise FlowInputError("--option: not of the form key=value", remedy="write --option endpoint_url=http://…")
        given[key] = {"true": True, "false": False}.get(value, value)
    to, place = at or DEFAULT_PLACE, "--at"
    if spec_file is not None:
        from flows.spec_file import load_spec  # noqa: PLC0415 - imports pydantic, and only this option needs it

        publish = load_spec(spec_file, check_candidates=False).publish
        given = {**publish.options, **given} if at is None or at == publish.to else given
        to, place = at or publish.to, "--at" if at else f"{spec_file}: publish.to"
    store = open_store(to, options=given, place=place)
    if isinstance(store, LocalStore) and not store.root.is_dir():
        raise FlowInputError(
            f"{place}: no such folder", seen=shown(to), remedy="give the folder or the store that holds the releases"
        )
    return store


def list_command(store: Store, name: str | None, *, as_json: bool) -> Exit:
    """Print all versions of all releases, or of one.

    Raises:
        UserError: the store cannot be read, or has no such release.

    """
    names = release_names(store)
    if name is not None and name not in names:
        raise FlowInputError(
            f"{store.address}: no release of the name {shown(name)}{did_you_mean(name, names)}",
            remedy="`understudy releases list` without a name shows all",
        )
    found = [listing(store, one) for one in names if name in (None, one)]
    found = [one for one in found if one.entries or name is not None]
    if as_json:
        plain = [
            {
                "name": one.name,
                "versions": [entry.to_json() for entry in one.entries],
                "unchanged": None if one.unchanged is None else one.unchanged.__dict__,
            }
            for one in found
        ]
        _say_json({"at": store.address, "releases": plain})
        return Exit.OK
    rows = [_row(entry) for one in found for entry in one.entries]
    if not rows:
        _say(f"no releases in {shown(store.address)}")
        return Exit.OK
    for line in table(HEAD, rows, right=("rows", "columns")):
        _say(line)
    for one in found:
        for line in _notes(one):
            _say(line)
    return Exit.OK


def show_command(store: Store, release: str, *, as_json: bool) -> Exit:
    """Print what one version is.

    Raises:
        UserError: there is no such version, or the store cannot be read.

    """
    name, version = _parted(release)
    found = find(store, name, version)
    listed = listing(store, name)
    entry = next(entry for entry in listed.entries if entry.version == found.version)
    if as_json:
        unchanged = None if listed.unchanged is None else listed.unchanged.__dict__
        _say_json({"at": store.address, **entry.to_json(), "unchanged": unchanged, "manifest": dict(found.manifest)})
        return Exit.OK
    if entry.withdrawal is not None:
        _say(f"WITHDRAWN     {name}/{found.version} must no longer be used")
        _field("reason", entry.withdrawal.reason)
        _field("withdrawn", _minute(entry.withdrawal.at))
    if entry.flaw:
        _say(f"DAMAGED       {name}/{found.version}: {entry.flaw}")
    _field("release", f"{name}/{found.version}   {entry.state}   {'signed' if entry.signed else 'not signed'}")
    _field("at", f"{store.address}/{name}/{found.version}")
    _field("created", _minute(entry.created))
    _field("data", f"{_count(entry.rows)} rows × {_count(entry.columns)} columns")
    for label, value in _made(found.manifest):
        _field(label, value)
    if listed.unchanged is not None and listed.unchanged.version == found.version:
        _field("unchanged", _unchanged_words(listed.unchanged))
    _field("verify", f"understudy releases fetch {name}/{found.version} -o FOLDER; understudy verify FOLDER")
    return Exit.OK


def diff_command(store: Store, first: str, second: str, *, as_json: bool) -> Exit:
    """Print what differs between two versions.

    Raises:
        UserError: one is not there, or cannot be read.

    """
    found = difference(store, _parted(first), _parted(second))
    if as_json:
        _say_json({"at": store.address, **found.to_json()})
        return Exit.OK
    _say(f"{found.first} -> {found.second}")
    _field("data", "the same bytes" if found.same_data else "other bytes")
    if not found.changes:
        _field("otherwise", "no difference")
    for part in dict.fromkeys(change.part for change in found.changes):
        rows = [_change_row(change) for change in found.changes if change.part == part]
        widths = [max(len(row[at]) for row in rows) for at in (0, 1)]
        for position, (what, before, after) in enumerate(rows):
            label = part if position == 0 else ""
            _field(label, f"{what:<{widths[0]}}  {before:>{widths[1]}}  ->  {after}", most=400)
    return Exit.OK


def fetch_command(store: Store, release: str, output: Path, *, as_json: bool) -> Exit:
    """Copy one version into a new local folder and say how to verify it.

    Raises:
        UserError: there is no such version, the folder is there, or a file is not what the manifest says.

    """
    name, version = _parted(release)
    fetched = fetch(store, name, version, output)
    entry = next(one for one in listing(store, name).entries if one.version == fetched)
    if as_json:
        _say_json({"at": store.address, "fetched": f"{name}/{fetched}", "folder": str(output), **entry.to_json()})
        return Exit.OK
    if entry.withdrawal is not None:
        _say(f"WITHDRAWN     {name}/{fetched} must no longer be used: {shown(entry.withdrawal.reason, 1_000)}")
    _field("fetched", f"{name}/{fetched} -> {output}")
    _field("next", f"understudy verify {output}")
    return Exit.OK


def withdraw_command(store: Store, release: str, reason: str, *, as_json: bool) -> Exit:
    """Record a withdrawal and say which version is the latest now.

    Raises:
        UserError: there is no such version, it is withdrawn already, or the store cannot be written.

    """
    name, version = _parted(release)
    if version is None:
        raise FlowInputError(
            "withdraw: which version?", seen=shown(release), remedy=f"write {shown(name)}/VERSION; `list` shows them"
        )
    latest = withdraw(store, name, version, reason)
    if as_json:
        _say_json({"at": store.address, "name": name, "withdrawn": version, "latest": latest})
        return Exit.OK
    _field("withdrawn", f"{name}/{version}   its files stay as they are; tell whoever has it")
    _field("latest", f"{name}/{latest}" if latest else f"{name} has no version left that is not withdrawn")
    return Exit.OK


def _parted(release: str) -> tuple[str, str | None]:
    name, slash, version = release.strip("/").partition("/")
    if not is_name(name) or (slash and not is_name(version)):
        raise ReleaseInputError(
            "not the name of a release", seen=repr(release[:120]), remedy="write NAME or NAME/VERSION, such as people/3"
        )
    return name, version if slash else None


def _row(entry: Entry) -> list[str]:
    return [
        shown(entry.name, 40),
        shown(entry.version, 24),
        _minute(entry.created),
        _count(entry.rows),
        _count(entry.columns),
        shown(entry.generator or "?", 40),
        shown(entry.verdict or "?", 14),
        entry.state.upper() if entry.state in ("withdrawn", "damaged") else entry.state,
        "yes" if entry.signed else "no",
    ]


def _notes(listed: Listing) -> list[str]:
    lines = []
    for entry in listed.entries:
        place = f"{shown(entry.name)}/{shown(entry.version)}"
        if entry.withdrawal is not None:
            lines.append(f"{place}  withdrawn {_minute(entry.withdrawal.at)}: {shown(entry.withdrawal.reason, 1_000)}")
        if entry.flaw:
            lines.append(f"{place}  damaged: {shown(entry.flaw, 200)}")
    if listed.unchanged is not None:
        lines.append(f"{shown(listed.name)}/{shown(listed.unchanged.version)}  {_unchanged_words(listed.unchanged)}")
    return lines


def _unchanged_words(note: Unchanged) -> str:
    return f"unchanged since {_minute(note.since)}, last looked at {_minute(note.looked)}"


def _made(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how the version was made, as far as its manifest says so in the types that it should have."""
    generator, policy, code = (_mapping(manifest.get(key)) for key in ("generator", "policy", "code"))
    limits = _mapping(policy.get("overrides")) or policy.get("overrides") or []
    changed = f", limits changed: {len(limits)}" if isinstance(limits, list | dict) and limits else ""
    device = ", ".join(str(generator[key]) for key in ("device", "precision") if generator.get(key))
    lines = [
        ("generator", f"{generator.get('family', '?')}   {generator.get('steps', '?')} steps   {device}"),
        ("verdict", f"{manifest.get('verdict', '?')}   policy {policy.get('name', '?')}{changed}"),
        ("seeds", ", ".join(f"{key} {value}" for key, value in _mapping(manifest.get("seeds")).items())),
        ("code", f"understudy {code.get('understudy', '?')}   {code.get('revision') or ''}"),
        ("data sha256", str(manifest.get("data_sha256", "?"))),
    ]
    files = _mapping(manifest.get("files"))
    sizes = [f"{path} ({_count(_mapping(entry).get('bytes'))} bytes)" for path, entry in list(files.items())[:20]]
    return [*lines, *(("files" if position == 0 else "", text) for position, text in enumerate(sizes))]


def _change_row(change: Change) -> tuple[str, str, str]:
    if change.part == "measurement":
        return shown(change.what, 60), shown(interval(change.before), 60), shown(interval(change.after), 60)
    return shown(change.what or change.part, 60), _value(change.before), _value(change.after)


def _value(value: object) -> str:
    return "—" if value is None else shown(value if isinstance(value, str) else json.dumps(value), 80)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _count(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else "?"


def _minute(moment: str | None) -> str:
    """Return an ISO moment as the terminal shows it, to the minute; what is none is shown as it is."""
    return shown((moment or "?").replace("T", " ")[:16], 16)


def _field(label: str, text: str, most: int = 1_200) -> None:
    _say(f"{label:<{LABEL_WIDTH}} {shown(text, most)}".rstrip())


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _say_json(plain: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(plain, ensure_ascii=True, indent=2) + "\n")

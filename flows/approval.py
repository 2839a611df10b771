"""Approval: after a PASS the rows wait until somebody lets them out or turns them down.

    <run folder>/pending.json       what waits: digests of all that was judged, who asked, when it expires
    <run folder>/waiting/story.json what the release needs beside rows and report: schema, pictures, provenance
    <run folder>/decision.json      how the last request ended

A request is published from these files alone: nothing is trained, drawn or judged again. `pending.json` carries an
HMAC under the run root's own key, so a date or a digest that was edited by hand is refused.
"""

import fcntl
import getpass
import hashlib
import hmac
import json
import platform
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from flows.errors import FlowInputError
from flows.judging import Judgement
from flows.run_folder import RunFolder, digest_of_json, lineage_key, relative
from flows.spec import ApprovalSpec
from releases.approvals import MOST_NAME_CHARS, MOST_REASON_CHARS, same_person
from releases.keys import PublicKey
from releases.manifest import sha256_of
from releases.pointer import read_version
from releases.provenance import Provenance, code_version, dependency_versions
from releases.remote_store import RemoteStore
from releases.stores import Address, as_store, place_of
from sources.files import write_json
from sources.fingerprint import keyed
from sources.schema import Schema
from validators.pictures import Pictures

PENDING, DECISION, STORY = "pending.json", "decision.json", "waiting/story.json"
FORMAT = "understudy approval request"
RUN_AGAIN = "run the spec again: what was fitted is kept, and it asks anew"


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a release is made of beside its rows and the report on them."""

    schema: Schema
    pictures: Pictures | None
    provenance: Provenance


@dataclass(frozen=True, kw_only=True)
class Request:
    """What waits for approval.

    Args:
        request: a random id, which the release will name.
        name, candidate, rows: of the release.
        requested_by: a name, user@host unless one was given.
        account: user@host of who ran it. Private.
        requested, expires: moments, ISO 8601 in UTC.
        by: names that may approve; anybody when empty.
        other_than_requester: whether the approver must be another person.
        keys: ids of keys, one of which must sign the approval; none is needed when empty.
        sample, report: paths below the run folder.
        digests: SHA-256 of `sample`, `report`, `story`, `spec` (files) and `policy`.
        source: the keyed fingerprint of the source.
        code, dependencies: versions that judged.

    """

    request: str
    name: str
    candidate: str
    rows: int
    requested_by: str
    account: str
    requested: str
    expires: str
    by: tuple[str, ...]
    other_than_requester: bool
    keys: tuple[str, ...]
    sample: str
    report: str
    digests: Mapping[str, str]
    source: str
    code: Mapping[str, str | None]
    dependencies: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return what `--json` says of it."""
        names = ("request", "requested_by", "requested", "expires", "by", "candidate", "rows")
        return {name: value for name, value in asdict(self).items() if name in names}

    def expired(self, now: datetime) -> bool:
        """Return whether it is too late."""
        return now >= datetime.fromisoformat(self.expires)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How a request ended: `approved` with its release, or `rejected`."""

    outcome: str
    by: str
    reason: str
    at: str
    account: str
    request: Request
    release: str | None = None


_REQUEST, _STORY, _DECISION = TypeAdapter(Request), TypeAdapter(Story), TypeAdapter(Decision)


def account() -> str:
    """Return user@host of this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that no list of users names
        user = "unknown"
    return f"{user}@{platform.node() or 'unknown'}"


def check_rule(rule: ApprovalSpec, requested_by: str, keys: Sequence[PublicKey]) -> None:
    """Refuse a rule under which nobody could ever approve, before anything is trained.

    Raises:
        FlowInputError: the only names are the requester's, or a key is given twice.

    """
    if rule.other_than_requester and rule.by and all(same_person(name, requested_by) for name in rule.by):
        raise FlowInputError(
            "publish.approval.by: whoever asks is the only one who may approve",
            seen=f"asked by {requested_by}",
            remedy="name somebody else, ask as somebody else (--as), or set other_than_requester: false",
        )
    if len(set(keys)) != len(keys):
        raise FlowInputError("publish.approval.signed_by: the same key twice", remedy="name each approver's key once")


def ask(
    folder: RunFolder,
    judgement: Judgement,
    sample: Mapping[str, Any],
    provenance: Provenance,
    *,
    rule: ApprovalSpec,
    keys: Sequence[PublicKey],
    requested_by: str,
    now: datetime,
) -> Request:
    """Keep what a release of the rows in `sample` (a reference) needs, and write `pending.json` last."""
    assert judgement.evidence is not None
    assert provenance.source_fingerprint is not None
    sample_path = Path(sample["path"])
    report_path = sample_path.parent / "report.json"
    assert sha256_of(sample_path) == sample["sha256"], "the rows changed while they were judged"
    story = Story(
        schema=judgement.evidence.synthetic.schema,
        pictures=judgement.pictures(),
        provenance=replace(provenance, lineage_key=None),
    )
    write_json(folder.path / STORY, _STORY.dump_python(story, mode="json"))
    key = lineage_key(folder)
    request = Request(
        request=secrets.token_hex(16),
        name=provenance.name,
        candidate=provenance.model.family,
        rows=int(sample["rows"]),
        requested_by=requested_by,
        account=account(),
        requested=_moment(now),
        expires=_moment(now + timedelta(hours=rule.expires_hours)),
        by=rule.by,
        other_than_requester=rule.other_than_requester,
        keys=tuple(one.key_id for one in keys),
        sample=sample_path.relative_to(folder.path.resolve()).as_posix(),
        report=report_path.relative_to(folder.path.resolve()).as_posix(),
        digests={
            "sample": sample["sha256"],
            "report": sha256_of(report_path),
            "story": sha256_of(folder.path / STORY),
            "spec": sha256_of(folder.path / "spec.json"),
            "policy": digest_of_json(judgement.report.policy.to_json()),
        },
        source=keyed(provenance.source_fingerprint, key),
        code=code_version(),
        dependencies=dependency_versions(),
    )
    plain = {"format": FORMAT, **asdict(request)}
    write_json(folder.path / PENDING, {**plain, "hmac_sha256": _mac(plain, key)})
    return request


def waiting(folder: RunFolder, now: datetime) -> Request | None:
    """Return the request that waits in a run folder; None where none does or it has expired."""
    request = read_request(folder)
    if request is None or request.expired(now):
        return None
    last = decision_of(folder.path)
    return None if last is not None and last.request.request == request.request else request


def rejected(folder: RunFolder, source_fingerprint: str) -> Decision | None:
    """Return the rejection of what this spec makes of this very source, or None."""
    last = decision_of(folder.path)
    if last is None or last.outcome != "rejected":
        return None
    return last if last.request.source == keyed(source_fingerprint, lineage_key(folder)) else None


def read_request(folder: RunFolder) -> Request | None:
    """Return what stands in `pending.json`, or None where there is none.

    Raises:
        FlowInputError: it is not as it was written.

    """
    path = folder.path / PENDING
    plain = _read(path)
    if plain is None:
        return None
    if not (folder.root / "lineage.key").is_file():
        raise FlowInputError(
            f"{path}: the key of this run root is not beside the run folder, so nothing can be checked",
            seen=relative(folder.root / "lineage.key"),
            remedy="give the run folder where it was made, or put the key back",
        )
    mac = plain.pop("hmac_sha256", None) if isinstance(plain, dict) else None
    try:
        good = isinstance(mac, str) and hmac.compare_digest(mac, _mac(plain, lineage_key(folder)))
        fields = {name: value for name, value in plain.items() if name != "format"} if good else {}
        request = _REQUEST.validate_python(fields)
    except (ValidationError, ValueError, AttributeError, TypeError, OSError):
        raise FlowInputError(
            f"{path}: changed since it was written, or written elsewhere", remedy=RUN_AGAIN + " (remove this file)"
        ) from None
    return request


def decision_of(path: Path) -> Decision | None:
    """Return how the last request in the run folder `path` ended; None where none has.

    Raises:
        FlowInputError: `decision.json` cannot be read.

    """
    plain = _read(path / DECISION)
    try:
        return None if plain is None else _DECISION.validate_python(plain)
    except ValidationError:
        raise FlowInputError(
            f"{path / DECISION}: not the decision that was written there", remedy="put the file back"
        ) from None


def read_story(folder: RunFolder) -> Story:
    """Return what `ask` kept; its digest has been checked."""
    return _STORY.validate_python(_read(folder.path / STORY))


def end(folder: RunFolder, decision: Decision) -> None:
    """Write how a request ended; then nothing waits any more."""
    write_json(folder.path / DECISION, _DECISION.dump_python(decision, mode="json"))
    (folder.path / PENDING).unlink(missing_ok=True)


def published_as(releases: Path | RemoteStore, name: str, request: str) -> Path | Address | None:
    """Return the version that was published on `request`, if a killed approval got that far."""
    store = as_store(releases)
    for version in store.entries(name):
        found = read_version(store, name, version)
        approvals = [] if found is None else found.manifest.get("approvals", [])
        if any(one.get("request") == request for one in approvals):
            return place_of(releases) / name / version
    return None


@contextmanager
def decided_by_one(path: Path) -> Iterator[None]:
    """Hold the run folder `path` against runs and other deciders.

    Raises:
        FlowInputError: somebody holds it.

    """
    with (path / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FlowInputError(
                f"{path}: somebody else decides on this run just now, or it is at work",
                remedy="wait a moment, then look at how it ended",
            ) from None
        yield


def check_words(who: str, reason: str | None = None) -> None:
    """Refuse names and reasons that are empty, long, or more than a line; they become public.

    Raises:
        FlowInputError: with the option that must be changed.

    """
    for option, text, most in (("--as", who, MOST_NAME_CHARS), ("--reason", reason, MOST_REASON_CHARS)):
        if text is None:
            continue
        if not text.strip():
            raise FlowInputError(f"{option}: empty", remedy="give words: they stand in the signed statement")
        if len(text) > most or not text.isprintable():
            raise FlowInputError(
                f"{option}: not one line of at most {most} characters",
                seen=f"{len(text)} characters",
                remedy="give a short line without line breaks or control characters",
            )


def _read(path: Path) -> Any:
    """Return the JSON in a private file, None where there is no file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise FlowInputError(
            f"{path}: cannot be read", seen=type(error).__name__, remedy="look at its permissions; " + RUN_AGAIN
        ) from None


def _mac(plain: Mapping[str, Any], key: bytes) -> str:
    text = json.dumps(plain, sort_keys=True, ensure_ascii=True)
    return hmac.new(key, b"approval request\n" + text.encode(), hashlib.sha256).hexdigest()


def _moment(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="microseconds")

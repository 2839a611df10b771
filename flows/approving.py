"""`understudy approve` and `understudy reject`: a person decides on a run that waits."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from flows.approval import (
    RUN_AGAIN,
    Decision,
    Request,
    account,
    check_words,
    decided_by_one,
    decision_of,
    end,
    published_as,
    read_request,
    read_story,
)
from flows.c2pa_signer import c2pa_credential
from flows.errors import Exit, FlowInputError
from flows.judging import say_json
from flows.last_release import adopt
from flows.progress import narrator
from flows.run_folder import RunFolder, digest_of_json, folder_of, lineage_key, relative
from flows.signers import signing_keys
from flows.spec import Spec
from flows.spec_file import check_spec
from releases.approvals import Approval, plain_name, same_person
from releases.keys import SHORT, SigningKey
from releases.manifest import sha256_of
from releases.provenance import Provenance, code_version, dependency_versions
from releases.publish import publish
from releases.stores import Address
from sources.conform import conform
from sources.files import write_json
from sources.readers import read_table
from validators.gate import decide
from validators.report import Report


def approve_command(run: Path, *, who: str, reason: str, key: str | None, as_json: bool) -> Exit:
    """Publish the rows that wait in a run folder.

    Raises:
        UserError: nothing waits there, it expired or was changed, or this person may not approve it.

    """
    check_words(who, reason)
    folder, spec = _run_at(run)
    with decided_by_one(folder.path):
        request = _waiting_request(folder)
        earlier = published_as(folder.releases, request.name, request.request)
        if earlier is None:
            _check_approver(request, who)
            own = signing_keys([key], option="--key") if key is not None else ()
            _check_key(request, own)
            release = _publish(folder, spec, request, who=who, reason=reason, own=own)
        else:  # an approval was killed after it published: what it decided stands in the release
            release = earlier
        known = adopt(folder, request.name, release)
        end(folder, _decision("approved", request, who=who, reason=reason, release=release))
        _note_release(folder, release)
    if as_json:
        say_json({"outcome": "APPROVED", "exit": 0, "release": str(release), "by": who})
        return Exit.OK
    voice = narrator(quiet=False)
    voice.line("approved", f"{request.name}   by {who}, asked by {request.requested_by}")
    if earlier is not None:
        voice.line("", "it had been published before the last approval was interrupted")
    voice.line("published", f"{relative(release)}   {request.rows:,} rows · {', '.join(spec.publish.formats)}")
    voice.line("report", relative(release / "report.html"))
    if not known:
        voice.line("", "the next run will compare its source with no release: the record in waiting/ is gone")
    return Exit.OK


def reject_command(run: Path, *, who: str, reason: str, as_json: bool) -> Exit:
    """End a request for good; nothing is published.

    Raises:
        UserError: nothing waits there.

    """
    check_words(who, reason)
    folder, _ = _run_at(run)
    with decided_by_one(folder.path):
        request = _waiting_request(folder, late=True)
        earlier = published_as(folder.releases, request.name, request.request)
        if earlier is not None:
            raise FlowInputError(
                f"{run}: an approval that was interrupted has published it",
                seen=relative(earlier),
                remedy="run `understudy approve` again to finish it, then withdraw the release",
            )
        end(folder, _decision("rejected", request, who=who, reason=reason))
    if as_json:
        say_json({"outcome": "REJECTED", "exit": 0, "release": None, "by": who})
        return Exit.OK
    voice = narrator(quiet=False)
    voice.line("rejected", f"{request.name}   by {who}, asked by {request.requested_by}")
    voice.line("", "nothing was published; the same spec on the same source will not ask again")
    return Exit.OK


def _run_at(run: Path) -> tuple[RunFolder, Spec]:
    """Return the folders and the spec of a run.

    Raises:
        FlowInputError: it is not the folder of a run.

    """
    remedy = "give the folder that `understudy run` named, such as runs/<name>-<digest>"
    if not run.is_dir():
        raise FlowInputError(f"{run}: no such folder", remedy=remedy)
    path = run.absolute()
    try:
        raw = json.loads((path / "spec.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise FlowInputError(
            f"{run}: not the folder of a run, for it has no readable spec.json", remedy=remedy
        ) from None
    spec = check_spec(raw, place=str(run / "spec.json"), check_candidates=False)
    folder = folder_of(spec, path.parent.parent)
    if folder.path != path:
        raise FlowInputError(
            f"{run}: this folder was renamed, or its spec.json was changed",
            seen=f"the spec is that of {folder.path.name}",
            remedy="put it back; " + RUN_AGAIN,
        )
    return folder, spec


def _waiting_request(folder: RunFolder, *, late: bool = False) -> Request:
    """Return the request that waits; `late` also where it has expired.

    Raises:
        FlowInputError: none does, with how the last one ended.

    """
    request, last = read_request(folder), decision_of(folder.path)
    if request is not None and last is not None and last.request.request == request.request:
        request = None  # a kill came between the decision and tidying up
    if request is None:
        raise _nothing_waits(folder, last)
    if request.expired(datetime.now(UTC)) and not late:
        raise FlowInputError(
            f"{folder.path}: this request has expired",
            seen=f"asked {request.requested[:16]}, expired {request.expires[:16]} UTC",
            remedy=RUN_AGAIN,
        )
    return request


def _nothing_waits(folder: RunFolder, last: Decision | None) -> FlowInputError:
    if last is not None:
        where = f", published as {last.release}" if last.release else ""
        return FlowInputError(
            f"{folder.path}: it was {last.outcome} already{where}",
            seen=f"by {last.by} on {last.at[:16]} UTC: {last.reason}",
            remedy="a decision is final; run a changed spec to ask again"
            if last.outcome == "rejected"
            else "nothing is to be done",
        )
    try:
        outcome = json.loads((folder.path / "outcome.json").read_text(encoding="utf-8"))["outcome"]
    except (OSError, ValueError, KeyError, TypeError):
        outcome = None
    if outcome is not None and outcome != "PASS":
        return FlowInputError(
            f"{folder.path}: the gate did not let it pass, and no person can",
            seen=str(outcome)[:40],
            remedy="look at evidence.html there; a changed spec or policy makes another run",
        )
    return FlowInputError(
        f"{folder.path}: nothing waits for approval here",
        remedy="a run asks where its spec says publish: {approval: required}",
    )


def _check_approver(request: Request, who: str) -> None:
    if request.other_than_requester and same_person(who, request.requested_by):
        raise FlowInputError(
            "--as: whoever asked may not approve",
            seen=f"asked by {request.requested_by}, approved by {who}",
            remedy="let somebody else decide; what follows an @, and capitals, make nobody another person",
        )
    if request.by and plain_name(who) not in map(plain_name, request.by):
        raise FlowInputError(
            "--as: not one of those who may approve this", seen=who, remedy="one of: " + ", ".join(request.by)
        )


def _check_key(request: Request, own: tuple[SigningKey, ...]) -> None:
    wanted = ", ".join(f"{one[:SHORT]}…" for one in request.keys)
    if request.keys and not own:
        raise FlowInputError(
            "--key: this approval must be signed", seen="no key", remedy=f"give the private key of one of: {wanted}"
        )
    if request.keys and own[0].key_id not in request.keys:
        raise FlowInputError(
            "--key: not a key that may approve this", seen=f"{own[0].key_id[:SHORT]}…", remedy=f"one of: {wanted}"
        )


def _publish(
    folder: RunFolder, spec: Spec, request: Request, *, who: str, reason: str, own: tuple[SigningKey, ...]
) -> Path | Address:
    """Publish exactly what was judged.

    Raises:
        FlowInputError: a file or the program changed since.

    """
    paths = {
        "sample": folder.path / request.sample,
        "report": folder.path / request.report,
        "story": folder.path / "waiting" / "story.json",
        "spec": folder.path / "spec.json",
    }
    for what, path in paths.items():
        if not path.is_file() or sha256_of(path) != request.digests[what]:
            raise FlowInputError(
                f"{path}: {'changed' if path.is_file() else 'gone'} since the rows were judged",
                seen=f"the {what} of this request",
                remedy="nothing was published; " + RUN_AGAIN,
            )
    if (code_version(), dependency_versions()) != (dict(request.code), dict(request.dependencies)):
        raise FlowInputError(
            f"{folder.path}: it was judged by another version of this program or of its libraries",
            seen=f"{request.code.get('understudy')}, now {code_version()['understudy']}",
            remedy="approve with the version that judged it, or " + RUN_AGAIN,
        )
    report = Report.loads(paths["report"].read_text(encoding="utf-8"))
    assert digest_of_json(report.policy.to_json()) == request.digests["policy"]
    story = read_story(folder)
    signers = list(signing_keys(spec.publish.sign, option="publish.sign"))
    signers += [key for key in own if key.key_id not in {one.key_id for one in signers}]
    approval = Approval(
        request=request.request,
        requested_by=request.requested_by,
        requested=request.requested[:19] + "+00:00",
        by=who,
        approved=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=reason,
        key_id=own[0].key_id if own else None,
    )
    return publish(
        to=folder.releases,
        synthetic=conform(read_table(str(paths["sample"])), story.schema),
        report=report,
        verdict=decide(report, report.policy),
        pictures=story.pictures,
        provenance=_with_key(folder, story.provenance),
        formats=spec.publish.formats,
        signers=signers,
        approvals=[approval],
        credential=c2pa_credential(spec.publish.c2pa),
    )


def _with_key(folder: RunFolder, provenance: Provenance) -> Provenance:
    return replace(provenance, lineage_key=lineage_key(folder))


def _decision(
    outcome: str, request: Request, *, who: str, reason: str, release: Path | Address | None = None
) -> Decision:
    return Decision(
        outcome=outcome,
        by=who,
        reason=reason,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        account=account(),
        request=request,
        release=None if release is None else str(release),
    )


def _note_release(folder: RunFolder, release: Path | Address) -> None:
    """Say in `outcome.json` of the run what became of it."""
    path = folder.path / "outcome.json"
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # the run was killed after it asked; the decision says all
    more = {"exit": 0, "release": str(release), "report": str(release / "report.html"), "waiting": None}
    write_json(path, {**plain, **more})

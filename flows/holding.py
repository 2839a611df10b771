"""What holds a release back before and after a run: keys that cannot be read, a request that waits, a rejection."""

from dataclasses import dataclass
from datetime import UTC, datetime

from flows.approval import Request, account, check_rule, check_words, rejected, waiting
from flows.c2pa_signer import c2pa_credential
from flows.errors import Exit
from flows.judging import say_json
from flows.progress import Narrator
from flows.run_folder import RunFolder, relative
from flows.signers import public_keys, signing_keys
from flows.spec import Spec
from releases.c2pa_credential import Credential
from releases.keys import SigningKey


@dataclass(frozen=True, kw_only=True)
class Trust:
    """Who stands for a release: the keys that sign it, who asks for it, and who signs the manifests of pictures."""

    signers: tuple[SigningKey, ...]
    requested_by: str
    credential: Credential | None = None

    @property
    def words(self) -> str:
        """What the line on the release adds."""
        count = len(self.signers)
        signed = "" if not count else " · signed" if count == 1 else f" · signed by {count} keys"
        return signed + ("" if self.credential is None else " · C2PA")


def trust_of(spec: Spec, requested_by: str | None) -> Trust:
    """Return signers and requester, every key of the spec read and checked, the certificate of C2PA as well.

    Raises:
        UserError: a key is missing or wrong, or nobody could approve.

    """
    who = account() if requested_by is None else requested_by
    check_words(who)
    rule = spec.publish.approval
    if rule is not None:
        check_rule(rule, who, public_keys(rule.signed_by))
    return Trust(
        signers=signing_keys(spec.publish.sign, option="publish.sign"),
        requested_by=who,
        credential=c2pa_credential(spec.publish.c2pa),
    )


def held_back(folder: RunFolder, source_fingerprint: str, voice: Narrator, *, as_json: bool) -> Exit | None:
    """Say what keeps this spec from running again, and return the exit code; None where nothing does.

    While a request waits the spec makes no second one, whatever its `publish` says now. After a rejection the same
    spec would make the same rows from the same source, so it is refused until one of them changes.
    """
    request = waiting(folder, datetime.now(UTC))
    if request is not None:
        if as_json:
            plain = {"outcome": "PASS", "exit": int(Exit.WAITING), "release": None, "waiting": request.to_json()}
            say_json(plain)
        voice.line("waiting", f"{request.name} was judged already and waits for approval; nothing was done")
        say_waiting(voice, folder, request)
        return Exit.WAITING
    decision = rejected(folder, source_fingerprint)
    if decision is None:
        return None
    words = f"{decision.by} rejected these rows on {decision.at[:10]}: {decision.reason}"
    if as_json:
        say_json({"outcome": "REJECTED", "exit": int(Exit.REFUSED), "release": None, "by": decision.by})
    voice.line("rejected", words)
    voice.line("", "the same spec on the same source makes the same rows; nothing was done")
    voice.line("to try", "another seed, candidate or budget; or changed data")
    return Exit.REFUSED


def say_waiting(voice: Narrator, folder: RunFolder, request: Request) -> None:
    """Say what waits, until when, and how to decide."""
    who = "somebody else than " if request.other_than_requester else ""
    allowed = f" ({', '.join(request.by)})" if request.by else ""
    voice.line("approval", f"nothing is published before {who}{request.requested_by} approves it{allowed}")
    voice.line("", f"asked {request.requested[:16]}, expires {request.expires[:16]} UTC")
    key = " --key KEY" if request.keys else ""
    voice.line("", f"understudy approve {relative(folder.path)} --as NAME --reason TEXT{key}")
    voice.line("", f"understudy reject {relative(folder.path)} --as NAME --reason TEXT")

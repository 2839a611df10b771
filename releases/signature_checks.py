"""The checks of a release's signatures, of its approvals, and of the place where it lies."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from releases.approvals import Approval
from releases.checks import Check, Trust, shown
from releases.dsse import FILE_NAME, Envelope
from releases.errors import ReleaseInputError
from releases.keys import SHORT, PublicKey
from releases.manifest import FILE_NAME as MANIFEST
from releases.manifest import read_json
from releases.signing import read_envelope
from releases.statement import difference, statement_of
from sources.errors import UserError

MOST_NAMED = 5
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, UserError)
_VERSION = re.compile(r"[1-9][0-9]{0,8}|[0-9]{8}T[0-9]{6}Z(?:-[0-9]+)?")


def required_signatures(keys: Sequence[PublicKey], threshold: int | None) -> int:
    """Return how many of `keys` must have signed: all of them unless `threshold` says otherwise.

    Raises:
        ReleaseInputError: a threshold without keys, below 1 or above their number, or a key that is given twice.

    """
    if len(set(keys)) != len(keys):
        raise ReleaseInputError(
            "--key: the same key is given twice", seen=f"{len(keys)} keys", remedy="give each signer's key once"
        )
    if threshold is None:
        return len(keys)
    if not keys:
        raise ReleaseInputError(
            "--threshold: no key is given", seen=threshold, remedy="give --key PUB for each signer that you know"
        )
    if not 1 <= threshold <= len(keys):
        raise ReleaseInputError(
            "--threshold: not between 1 and the number of keys",
            seen=f"{threshold} of {len(keys)}",
            remedy=f"give a number from 1 to {len(keys)}, or more keys",
        )
    return threshold


def signature_checks(
    folder: Path, manifest: Mapping[str, Any], keys: Sequence[PublicKey], needed: int
) -> Iterator[Check]:
    """Yield what `SIGNATURE.dsse` is worth; every file has the hash in the manifest when this is called."""
    path = folder / FILE_NAME
    announced = manifest.get("signers", [])
    if not path.exists():
        if keys:
            words = "There is no signature, so nothing shows that this is from the holder of the key."
        elif announced:
            words = f"The manifest says that {len(announced)} keys signed, and {FILE_NAME} is gone."
        else:
            words = "Without a signature: whoever changed the files could have written a new manifest."
        yield Check(name="signature", ok=not keys and not announced, words=words)
        return
    try:
        envelope = read_envelope(path)
        expected = statement_of(manifest, (folder / MANIFEST).read_bytes(), read_json(folder / "verdict.json"))
    except (*_UNREADABLE, OSError) as error:
        words = str(error) if type(error) is ValueError else f"it cannot be read ({type(error).__name__})"
        yield Check(name="signature", ok=False, words=f"{FILE_NAME}: {shown(words)}.")
        return
    differs = difference(envelope.payload, expected)
    if differs is not None:
        yield Check(name="provenance", ok=False, words=f"What was signed is not this release: {differs}.")
    else:
        words = f"The signed statement names all {len(expected['subject'])} files and tells the manifest's story."
        yield Check(name="provenance", ok=True, words=words)
    yield _signature(envelope, announced, keys, needed)


def _signature(envelope: Envelope, announced: Any, keys: Sequence[PublicKey], needed: int) -> Check:
    valid = set(envelope.valid())
    bad = [one.key.key_id for one in envelope.signatures if one.key not in valid]
    if bad:
        return Check(name="signature", ok=False, words=f"Not a signature by the key that it names: {_ids(bad)}.")
    there = {key.key_id for key in valid}
    gone = [str(name) for name in announced if name not in there]
    if gone:
        return Check(name="signature", ok=False, words=f"Signatures by these keys are gone: {_ids(gone)}.")
    if not keys:
        words = (
            f"Whole, by {_ids(sorted(there))}. No --key was given: that shows integrity only, for anybody can make "
            "a key and sign with it."
        )
        return Check(name="signature", ok=True, words=words)
    known = [key.key_id for key in keys if key in valid]
    others = len(there) - len(known)
    rest = f" {others} more signatures are by keys that you did not give." if others else ""
    words = f"{len(known)} of the {len(keys)} given keys signed it, {needed} must: {_ids(known) or 'none'}.{rest}"
    return Check(name="signature", ok=len(known) >= needed, words=words)


def place_check(folder: Path, manifest: Mapping[str, Any], name: str | None) -> Check:
    """Return whether the release lies where it says, and is the one that was asked for."""
    own, version = str(manifest["name"]), str(manifest["this_run"]["version"])
    this = f"This is version {shown(version)} of {shown(own)!r}"
    if name is not None and name != own:
        return Check(name="name", ok=False, words=f"{this}, not of {shown(name)!r}.")
    place = folder.resolve()
    if not _VERSION.fullmatch(place.name):
        asked = "as you said" if name is not None else f"the folder {shown(place.name)!r} says nothing else"
        return Check(name="name", ok=True, words=f"{this}, {asked}.")
    wrong = place.name != version or (name is None and place.parent.name != own)
    lies = f"{shown(place.parent.name)}/{place.name}"
    if wrong:
        words = f"{this}, and it lies in {lies}: moved, or passed off as another. --name and a folder of another name "
        return Check(name="name", ok=False, words=words + "say that it is meant.")
    return Check(name="name", ok=True, words=f"{this}, and it lies in {lies}.")


def approval_checks(manifest: Mapping[str, Any]) -> Iterator[Check]:
    """Yield one check for each approval in the manifest."""
    listed = manifest.get("approvals", [])
    try:
        approvals = [Approval.from_json(one) for one in listed]
    except _UNREADABLE as error:
        yield Check(name="approval", ok=False, words=f"The approvals cannot be read ({type(error).__name__}).")
        return
    if "approvals" in manifest and not approvals:
        yield Check(name="approval", ok=False, words="The manifest has a list of approvals without one.")
    for one in approvals:
        same = " the one who asked" if one.by_requester else f" asked by {shown(one.requested_by)}"
        own = "" if one.key_id is None else f", by key {shown(one.key_id[:SHORT])}…"
        words = f"{shown(one.by)}{own},{same}, on {shown(one.approved)}: {shown(one.reason, 200)}"
        signed = one.key_id is None or one.key_id in manifest.get("signers", [])
        gone = "The key that this approval names has not signed the release: "
        yield Check(name="approval", ok=signed, words=("" if signed else gone) + words)


def trust_of(folder: Path, checks: Sequence[Check], keys: Sequence[PublicKey]) -> Trust:
    """Return what the signatures are worth to whoever gave `keys`."""
    if not (folder / FILE_NAME).exists():
        return "unsigned"
    held = {check.name for check in checks if check.ok}
    return "signed" if keys and {"provenance", "signature"} <= held else "unchecked"


def _ids(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - MOST_NAMED} more" if len(ids) > MOST_NAMED else ""
    return ", ".join(f"{shown(one[:SHORT])}…" for one in ids[:MOST_NAMED]) + more

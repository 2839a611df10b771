"""What `verify` looks at in the C2PA manifests of pictures: offline, by c2pa-python where that is installed."""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from releases.c2pa_chunks import without_manifest
from releases.c2pa_manifests import ACTION, EXPIRED, FIELD, VALID, Claim, Missing, Reading, pictures_of
from releases.checks import Check, shown
from releases.manifest import data_digest
from sources.synthetic_mark import DIGITAL_SOURCE_TYPE

_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, OSError, struct.error)


def c2pa_checks(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Check]:
    """Yield whether every picture holds the C2PA manifest that the release announces, and whether these are valid.

    The first is looked at without a library: a picture without its manifest has the bytes that are equal each time.
    The second needs c2pa-python; without it the check says that it was not made.

    Args:
        folder: of the release, whose files have the hashes that the manifest names.
        manifest: of the release; nothing is yielded where it announces none.

    """
    if FIELD not in manifest:
        return
    try:
        yield from _checks(folder, manifest)
    except _UNREADABLE as error:
        yield _wrong(f"What the release says of its C2PA manifests cannot be read ({type(error).__name__}).")


def _checks(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Check]:
    entry, pictures = manifest[FIELD], pictures_of(list(manifest["files"]))
    if not pictures:
        yield _wrong("C2PA manifests are announced, and there are no pictures.")
        return
    try:
        reading = Reading()
    except Missing:
        reading = None
    unsigned = {path: dict(one) for path, one in manifest["files"].items()}
    expired = False
    for path in pictures:
        data = (folder / path).read_bytes()
        try:
            unsigned[path]["sha256"] = hashlib.sha256(without_manifest(data)).hexdigest()
            claim = None if reading is None else reading.of(data, PurePosixPath(path).suffix)
        except (ValueError, struct.error):
            yield _wrong(f"{shown(path)!r} does not hold one C2PA manifest that can be read.")
            return
        flaw = None if claim is None else _flaw(claim, entry)
        if flaw is not None:
            yield _wrong(f"{shown(path)!r}: {flaw}")
            return
        expired = expired or (claim is not None and EXPIRED in claim.failures)
    if data_digest(unsigned) != entry["unsigned_data_sha256"]:
        yield _wrong("Without their C2PA manifests the data files are not those that the release names.")
        return
    looked = reading is not None
    yield Check(name="c2pa", ok=True, made=looked, words=_words(len(pictures), entry, looked=looked, expired=expired))


def _flaw(claim: Claim, entry: Mapping[str, Any]) -> str | None:
    """Return what is wrong with the manifest of one picture, or None."""
    failures = [code for code in claim.failures if code != EXPIRED]
    if failures or (claim.state not in VALID and not claim.failures):
        return f"its C2PA manifest is not valid ({shown(', '.join(failures) or claim.state)})."
    if claim.actions != ((ACTION, DIGITAL_SOURCE_TYPE),) or not claim.alone:
        return "its C2PA manifest says something else than that a trained model created it."
    if claim.serial != entry["serial"]:
        return "its C2PA manifest was signed by another certificate than the release names."
    return None


def _words(count: int, entry: Mapping[str, Any], *, looked: bool, expired: bool) -> str:
    if not looked:
        return (
            f"Each of {count:,} pictures holds one C2PA manifest; nobody looked whether they are valid: c2pa-python is "
            "not installed here (pip install 'understudy[c2pa]')."
        )
    who = " of ".join(shown(entry[key]) for key in ("common_name", "organisation") if entry[key]) or "no name"
    late = (
        f" The certificate has expired ({shown(entry['not_after'])}): nobody can tell by it when this was signed, and "
        "other programs call these manifests invalid."
        if expired
        else ""
    )
    return (
        f"Each of {count:,} pictures holds a valid C2PA manifest: created by a trained model, signed by {who} "
        f"(certificate {shown(entry['certificate_sha256'], 16)}); who issued that was not looked at.{late}"
    )


def _wrong(words: str) -> Check:
    return Check(name="c2pa", ok=False, words=words)

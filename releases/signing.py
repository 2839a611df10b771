"""Signing: `SIGNATURE.dsse` of a release, written before its manifest, and further signatures added to it later.

A signature that is added replaces the file by one rename. Its temporary file lies beside the release and not in it,
because a kill must not leave a file there that no manifest lists; signers of one release wait for each other.
"""

import fcntl
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from releases.checks import Verification
from releases.dsse import FILE_NAME, MOST_BYTES, Envelope, dumps, loads, sign, with_signature
from releases.errors import ReleaseInputError
from releases.keys import SHORT, SigningKey
from releases.manifest import FILE_NAME as MANIFEST
from releases.manifest import read_json, read_manifest
from releases.shelf import STAGING_PREFIX
from releases.statement import payload_of, statement_of
from sources.files import sync_folder, write_bytes

OWN_STAGING = f"{STAGING_PREFIX}sign-"


def signature_of(
    manifest: Mapping[str, Any], manifest_bytes: bytes, verdict: Mapping[str, Any], signers: Iterable[SigningKey]
) -> bytes:
    """Return the content of `SIGNATURE.dsse` for a release that is being made."""
    return dumps(sign(payload_of(statement_of(manifest, manifest_bytes, verdict)), signers))


def read_envelope(path: Path) -> Envelope:
    """Return the envelope in a file; ValueError with words when it is none."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError("it is too large")
    return loads(path.read_bytes())


def add_signature(release: Path, key: SigningKey) -> tuple[Verification, Envelope]:
    """Add the signature of `key` to a release that holds every check without a key.

    Returns:
        What was checked before, and the envelope as it now stands there.

    Raises:
        ReleaseInputError: no release, one that was changed, one that `key` has signed, or a folder that cannot be
            written.

    """
    from releases.verify import verify  # noqa: PLC0415 - that module reads envelopes by this one

    read_manifest(release)
    try:
        with _alone(release):
            found = verify(release)
            bad = [check for check in found.checks if not check.ok]
            if bad:
                raise ReleaseInputError(
                    f"{release}: not what was published, so there is nothing to sign",
                    seen=f"{bad[0].name}: {bad[0].words}",
                    remedy="get the release again; `understudy verify` lists every check",
                )
            path = release / FILE_NAME
            envelope = read_envelope(path) if path.exists() else Envelope(payload=_payload(release), signatures=())
            if any(one.key == key.public for one in envelope.signatures):
                raise ReleaseInputError(
                    f"{release}: this key has signed it already",
                    seen=f"key {key.key_id[:SHORT]}…",
                    remedy="nothing is to be done; to add another signature give another key",
                )
            envelope = with_signature(envelope, key)
            _replace(path, dumps(envelope))
    except OSError as error:
        raise ReleaseInputError(
            f"{release}: the signature could not be written, the release is as it was",
            seen=error.strerror or type(error).__name__,
            remedy="look at the rights of this folder and of the one it lies in, and at the space",
        ) from error
    return found, envelope


def _payload(release: Path) -> bytes:
    manifest_bytes = (release / MANIFEST).read_bytes()
    return payload_of(statement_of(read_manifest(release), manifest_bytes, read_json(release / "verdict.json")))


@contextmanager
def _alone(release: Path) -> Iterator[None]:
    """Hold the release against other signers, and its shelf against publishers, who tidy up there."""
    with ExitStack() as stack:
        shelf = release.resolve().parent / ".lock"
        for path, mode in ((shelf, "a"), (release / MANIFEST, "rb")):
            if path.is_file():
                fcntl.flock(stack.enter_context(path.open(mode)), fcntl.LOCK_EX)
        yield


def _replace(path: Path, data: bytes) -> None:
    """Put `data` into `path` by one rename from beside the release."""
    release = path.parent.resolve()
    prefix = f"{OWN_STAGING}{release.name}-"
    for dead in release.parent.glob(f"{prefix}*"):  # of a signer who was killed: whoever lives waits for our lock
        shutil.rmtree(dead)
    staging = release.parent / f"{prefix}{secrets.token_hex(6)}"
    staging.mkdir()
    try:
        write_bytes(staging / path.name, data)
        (staging / path.name).replace(path)
        sync_folder(release)
    finally:
        shutil.rmtree(staging, ignore_errors=True)

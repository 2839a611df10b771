"""C2PA manifests in the pictures of a release: each says, signed, that a trained model created it, and nothing else.

The library is c2pa-python, an extra. It is told to ask no time-stamp authority, no OCSP responder and no other host.
It salts every manifest at random, so a picture has other bytes each time it is published; without its manifest it has
the same (`releases.c2pa_chunks`), which is what `unsigned_data_sha256` of the release's manifest says.
"""

import importlib.metadata
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from releases.c2pa_chunks import without_manifest
from releases.c2pa_credential import PURPOSES, Credential
from releases.contact_sheet import FILE_NAME as SHEET
from releases.data_files import is_picture
from releases.errors import ReleaseError, ReleaseInputError
from releases.manifest import data_digest, file_entry
from releases.provenance import code_version
from sources.images import png
from sources.synthetic_mark import DIGITAL_SOURCE_TYPE, XMP

DISTRIBUTION = "c2pa-python"
FIELD = "c2pa"
"""Of the release's manifest."""
ACTION = "c2pa.created"
VALID = ("Valid", "Trusted")
EXPIRED = "signingCredential.expired"
_TYPES = {".png": "image/png", ".webp": "image/webp"}
_SETTINGS = {
    "version": 1,
    "core": {"allowed_network_hosts": []},
    "trust": {"trust_config": "\n".join(PURPOSES)},
    "verify": {
        "ocsp_fetch": False,
        "remote_manifest_fetch": False,
        "verify_after_sign": False,
        "verify_trust": False,
        "verify_timestamp_trust": False,
    },
    "builder": {"thumbnail": {"enabled": False}},
}


class Missing(Exception):
    """c2pa-python is not installed here, or its native part cannot be loaded."""


def pictures_of(paths: Sequence[str]) -> list[str]:
    """Return those files of a release that hold a C2PA manifest where there is a certificate, in order."""
    return sorted(path for path in paths if is_picture(path) or path == SHEET)


def embedded(folder: Path, credential: Credential) -> dict[str, Any]:
    """Put a signed manifest into each picture below `folder`, and return what the release's manifest says of it.

    The files are written in place and plainly: the folder is one that is made whole elsewhere and then renamed.

    Args:
        folder: of a release that is being made.
        credential: who signs.

    Raises:
        ReleaseInputError: the certificate has expired meanwhile, or c2pa-python is gone.

    """
    credential.check_time(datetime.now(UTC))
    seal = _Seal(credential)
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    unsigned = data_digest({name: file_entry(path) for name, path in files.items()})
    for name in pictures_of(list(files)):
        path = files[name]
        path.write_bytes(seal.signed(path.read_bytes(), path.suffix))
    return {
        "library": f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}",
        "unsigned_data_sha256": unsigned,
        **credential.public,
    }


def try_out(credential: Credential) -> None:
    """Sign one picture and read it back, so that whatever the library dislikes shows before anything is trained.

    Raises:
        ReleaseInputError: it does not sign by this certificate, or does not take what it signed; or is not installed.

    """
    picture = png(np.zeros((1, 1, 1), dtype=np.uint8), xmp=XMP)
    signed = _Seal(credential).signed(picture, ".png")
    found = Reading().of(signed, ".png")
    if found.state not in VALID or without_manifest(signed) != picture:
        raise ReleaseInputError(
            f"{credential.place}: C2PA manifests that are signed by this certificate are not valid",
            seen=", ".join(found.failures) or found.state,
            remedy="ask its issuer for a certificate for signing C2PA claims",
        )


class _Seal:
    """Signs pictures by one credential."""

    def __init__(self, credential: Credential) -> None:
        try:
            self._library = _library()
        except Missing as error:
            raise ReleaseInputError(
                "publish.c2pa: c2pa-python is not installed here",
                seen=str(error),
                remedy="pip install 'understudy[c2pa]', or take publish.c2pa out",
            ) from None
        self._place = credential.place
        generator = {"name": "understudy", "version": code_version()["understudy"] or "unknown"}
        action = {"action": ACTION, "digitalSourceType": DIGITAL_SOURCE_TYPE}
        claim = {"label": "c2pa.actions.v2", "created": True, "data": {"actions": [action]}}
        self._claim = json.dumps({"claim_generator_info": [generator], "assertions": [claim]})
        try:
            self._context = self._library.Context.from_dict(_SETTINGS)
            algorithm = credential.algorithm.encode()
            info = self._library.C2paSignerInfo(algorithm, credential.chain, credential.private_pem, None)
            self._signer = self._library.Signer.from_info(info)
        except self._library.C2paError as error:
            raise self._refused(error) from None

    def signed(self, data: bytes, suffix: str) -> bytes:
        sink = io.BytesIO()
        try:
            with self._library.Builder(self._claim, context=self._context) as builder:
                builder.sign(self._signer, _TYPES[suffix], io.BytesIO(data), sink)
        except self._library.C2paError as error:
            raise self._refused(error) from None
        return sink.getvalue()

    def _refused(self, error: Exception) -> ReleaseError:
        words = " ".join(str(error).split())
        return ReleaseInputError(
            f"{self._place}: c2pa-python does not sign by this certificate",
            seen=type(error).__name__ if "-----" in words else words[:200],
            remedy="ask its issuer for a certificate for signing C2PA claims",
        )


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What the library reads in one picture.

    Args:
        state: `Valid`, `Trusted` or `Invalid`, in the library's words.
        failures: codes of the specification, such as `assertion.dataHash.mismatch`.
        actions: each with its digital source type, or None.
        serial: of the signer's certificate, decimal.
        alone: whether it names no earlier manifest and no ingredient.

    """

    state: str
    failures: tuple[str, ...]
    actions: tuple[tuple[str, str | None], ...]
    serial: str
    alone: bool

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "Claim":
        """Return the parts that are looked at; KeyError and the like where a hostile report lacks one."""
        active = plain["manifests"][plain["active_manifest"]]
        listed = [one["data"]["actions"] for one in active["assertions"] if one["label"].startswith("c2pa.actions")]
        return cls(
            state=str(plain["validation_state"]),
            failures=tuple(str(one["code"]) for one in plain["validation_results"]["activeManifest"]["failure"]),
            actions=tuple((one["action"], one.get("digitalSourceType")) for actions in listed for one in actions),
            serial=str(active["signature_info"]["cert_serial_number"]),
            alone=len(plain["manifests"]) == 1 and not active.get("ingredients"),
        )


class Reading:
    """Reads and validates manifests.

    Raises:
        Missing: c2pa-python is not there.

    """

    def __init__(self) -> None:
        """Load the library."""
        self._library = _library()
        self._context = self._library.Context.from_dict(_SETTINGS)

    def of(self, data: bytes, suffix: str) -> Claim:
        """Return what the manifest in a picture says; ValueError where there is none that can be read."""
        try:
            with self._library.Reader(_TYPES[suffix], io.BytesIO(data), context=self._context) as reader:
                return Claim.from_json(json.loads(reader.json()))
        except self._library.C2paError as error:
            raise ValueError(type(error).__name__) from None


def _library() -> Any:
    try:
        import c2pa  # noqa: PLC0415 - an extra, 0.1 s
    except (ImportError, OSError, RuntimeError) as error:
        raise Missing(type(error).__name__) from None
    return c2pa

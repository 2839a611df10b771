"""Where the certificate and the key of C2PA manifests come from: files or the environment, the key also a secret.

    publish: {c2pa: true}                                      $UNDERSTUDY_C2PA_CERTIFICATE, $UNDERSTUDY_C2PA_KEY
    publish: {c2pa: {certificate: chain.pem, key: env:OURS}}   a path; PEM text or a path in a variable; block:NAME

Both are read, checked and tried before anything is trained. A spec names them and never holds them.
"""

import os
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from flows.errors import FlowInputError
from flows.signers import BLOCK, ENVIRONMENT, block_text
from flows.spec import C2PA_KEY, C2paSpec
from releases.c2pa_credential import Credential, credential_of
from releases.c2pa_manifests import try_out
from releases.keys import MOST_BYTES, PASSPHRASE_SUFFIX, PEM_HEAD

OPTION = "publish.c2pa"
COMMON_PASSPHRASE = C2PA_KEY.removeprefix(ENVIRONMENT) + PASSPHRASE_SUFFIX
_OPEN_TO_OTHERS = stat.S_IRWXO | stat.S_IWGRP
_MOST_PATH_CHARS = 4096


def c2pa_credential(spec: C2paSpec | None, *, environment: Mapping[str, str] | None = None) -> Credential | None:
    """Return the credential that a spec names, checked and tried; None where it names none.

    Args:
        spec: `publish.c2pa`.
        environment: of the process when None.

    Raises:
        UserError: certificate or key is missing, cannot be read, is not what C2PA takes or is not valid now;
            everybody can read the key; c2pa-python is not installed.

    """
    if spec is None:
        return None
    environment = os.environ if environment is None else environment
    certificates, place, _ = _text_at(spec.certificate, environment, f"{OPTION}.certificate")
    key, key_place, variable = _text_at(spec.key, environment, f"{OPTION}.key", private=True)
    passphrase = environment.get(variable + PASSPHRASE_SUFFIX) if variable else None
    credential = credential_of(
        certificates,
        key,
        place=place,
        key_place=key_place,
        passphrase=passphrase or environment.get(COMMON_PASSPHRASE) or None,
        now=datetime.now(UTC),
    )
    try_out(credential)
    return credential


def _text_at(
    place: str, environment: Mapping[str, str], option: str, *, private: bool = False
) -> tuple[bytes, str, str | None]:
    """Return the PEM text at a place, words for the place, and the variable that it comes from."""
    if place.startswith(BLOCK):
        name = place.removeprefix(BLOCK)
        return block_text(name, environment, option).encode(), f"{option}: {place}", None
    if not place.startswith(ENVIRONMENT):
        return _file(Path(place), f"{option}: {place}", private=private), f"{option}: {place}", None
    name = place.removeprefix(ENVIRONMENT)
    value = environment.get(name, "")
    words = f"{option}: ${name}"
    if PEM_HEAD in value:
        return value.encode(), words, name
    what = "private key" if private else "certificate chain"
    if not value.strip():
        raise FlowInputError(
            f"{option}: the environment has no {what} in {name}",
            remedy=f"export {name}=PATH of a PEM file, or its text",
        )
    if len(value) > _MOST_PATH_CHARS or not value.isprintable() or not Path(value).is_file():
        raise FlowInputError(  # the value is not shown: it may be a key that lost its first line
            f"{words} names no file and is no PEM text",
            seen=f"{len(value)} characters",
            remedy=f"give the path of a {what}, or its PEM text with the line breaks",
        )
    return _file(Path(value), words, private=private), words, name


def _file(path: Path, words: str, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
    except (OSError, ValueError) as error:
        raise FlowInputError(
            f"{words}: cannot be read",
            seen=getattr(error, "strerror", None) or type(error).__name__,
            remedy="give the path of a PEM file that this account may read",
        ) from None
    if len(data) > MOST_BYTES:
        raise FlowInputError(f"{words}: too large", seen=f"over {MOST_BYTES} bytes", remedy="give a PEM file")
    if private and mode & _OPEN_TO_OTHERS:
        raise FlowInputError(
            f"{words}: everybody on this machine can read or change this key",
            seen=f"mode {mode:04o}",
            remedy="chmod 600 it; if others may have read it, have the certificate revoked and take a new one",
        )
    return data

"""Where signing keys come from: a file, the environment, or a secret of Prefect; read before anything is trained.

    publish: {sign: true}                                     the key in $UNDERSTUDY_SIGNING_KEY: PEM text or a path
    publish: {sign: [ann.pem, "env:BEN_KEY", "block:board"]}  several signers: all of them sign

A spec names keys and never holds one. What is read here goes to `releases.publish` and nowhere else.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flows.errors import FlowInputError
from releases.keys import (
    KEY_VARIABLE,
    PEM_HEAD,
    SHORT,
    PublicKey,
    SigningKey,
    parse_signing_key,
    passphrase_in,
    read_public_key,
    read_signing_key,
)

ENVIRONMENT, BLOCK = "env:", "block:"


def signing_keys(
    places: Sequence[str], *, option: str, environment: Mapping[str, str] | None = None
) -> tuple[SigningKey, ...]:
    """Return the keys at `places`, each checked.

    Args:
        places: paths of PEM files, `env:NAME`, `block:NAME`.
        option: what names them, for messages.
        environment: of the process when None.

    Raises:
        UserError: one is missing, cannot be read, is no Ed25519 private key, or is given twice.

    """
    environment = os.environ if environment is None else environment
    keys: dict[str, str] = {}
    found = []
    for place in places:
        key = _key_at(place, environment, option)
        if key.key_id in keys:
            raise FlowInputError(
                f"{option}: two places hold the same key",
                seen=f"{keys[key.key_id]} and {place}: key {key.key_id[:SHORT]}…",
                remedy="name each signer's key once",
            )
        keys[key.key_id] = place
        found.append(key)
    return tuple(found)


def public_keys(paths: Sequence[str]) -> tuple[PublicKey, ...]:
    """Return the public keys in PEM files; raises as `releases.keys.read_public_key` does."""
    return tuple(read_public_key(Path(path)) for path in paths)


def _key_at(place: str, environment: Mapping[str, str], option: str) -> SigningKey:
    readers: dict[str, Callable[[str], SigningKey]] = {
        ENVIRONMENT: lambda name: _in_environment(name, environment, option),
        BLOCK: lambda name: _in_block(name, environment, option),
    }
    for prefix, read in readers.items():
        if place.startswith(prefix):
            return read(place.removeprefix(prefix))
    if PEM_HEAD in place:
        raise FlowInputError(
            f"{option}: a key itself, where the place of one is wanted",
            remedy="never write a key into a spec or a command line; put it into a file or a variable, and replace it",
        )
    return read_signing_key(Path(place), passphrase=passphrase_in(environment))


def _in_environment(name: str, environment: Mapping[str, str], option: str) -> SigningKey:
    value = environment.get(name, "")
    if not value.strip():
        raise FlowInputError(
            f"{option}: the environment has no signing key in {name}",
            remedy=f"export {name}=PATH of a private key, or its PEM text; `understudy keys new` makes a pair",
        )
    passphrase = passphrase_in(environment, name)
    if PEM_HEAD in value:
        return parse_signing_key(value.encode(), place=f"${name}", passphrase=passphrase)
    if len(value) > 4096 or "\n" in value or not value.isprintable():  # noqa: PLR2004 - longer than any path
        raise FlowInputError(
            f"{option}: ${name} holds neither a path nor PEM text",
            seen=f"{len(value)} characters",
            remedy="keep the line breaks of the PEM, or give a path",
        )
    if not Path(value).exists():  # the value is not shown: it may be a key that lost its first line
        raise FlowInputError(
            f"{option}: ${name} names no file and is no PEM text",
            seen=f"{len(value)} characters",
            remedy="give the path of a private key, or its PEM text with the line breaks",
        )
    return read_signing_key(Path(value), passphrase=passphrase)


def _in_block(name: str, environment: Mapping[str, str], option: str) -> SigningKey:
    value = block_text(name, environment, option)
    return parse_signing_key(value.encode(), place=f"{BLOCK}{name}", passphrase=passphrase_in(environment))


def block_text(name: str, environment: Mapping[str, str], option: str) -> str:
    """Return the text in a `Secret` block of the Prefect server that the environment names.

    Raises:
        FlowInputError: no server is named, or it has no such block of text.

    """
    if not environment.get("PREFECT_API_URL"):
        raise FlowInputError(
            f"{option}: {BLOCK}{name} is kept by a Prefect server, and none is named",
            remedy=f"export PREFECT_API_URL, or give the key as a path or {ENVIRONMENT}{KEY_VARIABLE}",
        )
    from prefect.blocks.system import Secret  # noqa: PLC0415 - Prefect is imported where a block is asked for alone

    try:
        block: Any = Secret.load(name)  # no coroutine where no event loop runs
        value = block.get()
    except Exception as error:  # noqa: BLE001 - whatever a server or the way to it does, the user must look there
        raise FlowInputError(
            f"{option}: no Secret block {name!r} could be loaded from the Prefect server",
            seen=type(error).__name__,
            remedy="look at its name and at PREFECT_API_URL; `prefect block ls` lists what is there",
        ) from None
    if not isinstance(value, str):
        raise FlowInputError(
            f"{option}: the Secret block {name!r} holds no text", seen=type(value).__name__, remedy="store PEM text"
        )
    return value

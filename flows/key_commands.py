"""`understudy keys new`, `understudy keys show` and `understudy sign`: the keys of signers and what they sign."""

import json
import os
import sys
from pathlib import Path
from typing import Any

from flows.errors import Exit
from flows.progress import narrator
from flows.signers import signing_keys
from flows.verifying import say_checks
from releases.errors import ReleaseInputError
from releases.keys import (
    KEY_VARIABLE,
    PASSPHRASE_VARIABLE,
    SHORT,
    new_key,
    passphrase_in,
    read_public_key,
    read_signing_key,
    write_pair,
)
from releases.signing import add_signature

DEFAULT_BASE = Path("understudy-signing")


def new_command(base: Path, *, as_json: bool) -> Exit:
    """Make a pair of keys.

    Raises:
        UserError: a file is there already, or the folder cannot be written.

    """
    passphrase = passphrase_in(os.environ)
    key = new_key()
    private, public = write_pair(key, base, passphrase=passphrase)
    if as_json:
        _print({"key_id": key.key_id, "private": str(private), "public": str(public), "encrypted": bool(passphrase)})
        return Exit.OK
    voice = narrator(quiet=False)
    how = "encrypted" if passphrase else f"not encrypted (export {PASSPHRASE_VARIABLE} first to have it so)"
    voice.line("key", key.key_id)
    voice.line("private", f"{private}   readable by you alone, {how}; keep it")
    voice.line("public", f"{public}   give it to your recipients by another way than the releases")
    voice.line("to use", f"publish: {{sign: [{private}]}} in a spec, or export {KEY_VARIABLE}={private} and sign: true")
    return Exit.OK


def show_command(path: Path, *, as_json: bool) -> Exit:
    """Print id and public half of a key, private or public.

    Raises:
        UserError: it is no key, or needs a passphrase.

    """
    try:
        key = read_public_key(path)
    except ReleaseInputError as error:
        if "a private key" not in error.what:
            raise
        key = read_signing_key(path, passphrase=passphrase_in(os.environ)).public
    if as_json:
        _print({"key_id": key.key_id, "public": key.pem})
    else:
        sys.stdout.write(f"{key.key_id}\n{key.pem}")
    return Exit.OK


def sign_command(release: Path, *, place: str, as_json: bool) -> Exit:
    """Add a signature to a release that is on this machine.

    Raises:
        UserError: it is none, was changed, or is signed by this key already; the key is none.

    """
    (key,) = signing_keys([place], option="--key")
    found, envelope = add_signature(release, key)
    ids = [one.key.key_id for one in envelope.signatures]
    if as_json:
        _print({"outcome": "SIGNED", "exit": 0, "key_id": key.key_id, "signers": ids})
        return Exit.OK
    say_checks(found)
    voice = narrator(quiet=False)
    voice.line("signed", f"{found.name} {found.version}   by key {key.key_id[:SHORT]}…   {release}")
    voice.line("", f"{len(ids)} signature{'s' if len(ids) > 1 else ''}: " + ", ".join(f"{one[:SHORT]}…" for one in ids))
    return Exit.OK


def _print(plain: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(plain, ensure_ascii=False, indent=2) + "\n")

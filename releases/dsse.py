"""DSSE: signatures over a payload and its type (Dead Simple Signing Envelope v1, secure-systems-lab/dsse).

What is signed is the pre-authentication encoding of type and payload, so a payload can never be read as another type.
Each signature also carries its public key (the standard lets readers ignore further fields): with it everybody can see
that a signature is whole. Whose key it is, only a recipient who has the key from elsewhere can tell.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from releases.keys import PublicKey, SigningKey, public_key_of_der

FILE_NAME = "SIGNATURE.dsse"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
MOST_BYTES = 64 * 2**20
MOST_SIGNATURES = 64
_SIGNATURE_BYTES = 64
_FIELDS = ["payloadType", "payload", "signatures"]
_SIGNATURE_FIELDS = ["keyid", "publicKey", "sig"]


@dataclass(frozen=True, kw_only=True)
class Signature:
    """One signature and the key that it says it was made with."""

    key: PublicKey
    value: bytes


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """A payload of type `PAYLOAD_TYPE` and its signatures, one a key, in the order of the keys' ids."""

    payload: bytes
    signatures: tuple[Signature, ...]

    def valid(self) -> tuple[PublicKey, ...]:
        """Return the keys whose signatures hold."""
        message = encoding(PAYLOAD_TYPE, self.payload)
        return tuple(one.key for one in self.signatures if one.key.verifies(one.value, message))


def encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding (PAE), which is what a signature covers.

    >>> encoding("http://example.com/HelloWorld", b"hello world")
    b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'
    """
    kind = payload_type.encode()
    return b" ".join([b"DSSEv1", str(len(kind)).encode(), kind, str(len(payload)).encode(), payload])


def sign(payload: bytes, keys: Iterable[SigningKey]) -> Envelope:
    """Return an envelope of `payload` signed by `keys`; a key that is given twice signs once."""
    envelope = Envelope(payload=payload, signatures=())
    for key in keys:
        envelope = with_signature(envelope, key)
    return envelope


def with_signature(envelope: Envelope, key: SigningKey) -> Envelope:
    """Return `envelope` with the signature of `key` in its place."""
    own = Signature(key=key.public, value=key.sign(encoding(PAYLOAD_TYPE, envelope.payload)))
    others = [one for one in envelope.signatures if one.key != key.public]
    return replace(envelope, signatures=tuple(sorted([*others, own], key=lambda one: one.key.key_id)))


def dumps(envelope: Envelope) -> bytes:
    """Return the one way to write this envelope as JSON."""
    plain = {
        "payloadType": PAYLOAD_TYPE,
        "payload": b64encode(envelope.payload).decode(),
        "signatures": [
            {
                "keyid": one.key.key_id,
                "publicKey": b64encode(one.key.der).decode(),
                "sig": b64encode(one.value).decode(),
            }
            for one in envelope.signatures
        ],
    }
    return (json.dumps(plain, indent=2) + "\n").encode()


def loads(data: bytes) -> Envelope:
    """Return the envelope in a file that may be hostile; only what `dumps` writes is accepted, byte for byte.

    Raises:
        ValueError: anything else, with what is wrong in words.

    """
    if len(data) > MOST_BYTES:
        raise ValueError("it is too large")
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not isinstance(plain, dict) or list(plain) != _FIELDS or plain["payloadType"] != PAYLOAD_TYPE:
        raise ValueError("it is no envelope of an in-toto statement")
    listed = plain["signatures"]
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_SIGNATURES:
        raise ValueError(f"it does not hold 1 to {MOST_SIGNATURES} signatures")
    envelope = Envelope(payload=_decoded(plain["payload"]), signatures=tuple(_signature(one) for one in listed))
    ids = [one.key.key_id for one in envelope.signatures]
    if ids != sorted(set(ids)):
        raise ValueError("its signatures are not one a key, in the order of the keys' ids")
    if dumps(envelope) != data:
        raise ValueError("it is not written the way such files are")
    return envelope


def _signature(plain: Any) -> Signature:
    if not isinstance(plain, dict) or list(plain) != _SIGNATURE_FIELDS:
        raise ValueError("a signature does not have the fields of one")
    key = public_key_of_der(_decoded(plain["publicKey"]))
    value = _decoded(plain["sig"])
    if plain["keyid"] != key.key_id or len(value) != _SIGNATURE_BYTES:
        raise ValueError("a signature does not fit its key")
    return Signature(key=key, value=value)


def _decoded(text: Any) -> bytes:
    if not isinstance(text, str):
        raise ValueError("a field is not base64")  # noqa: TRY004 - hostile content, not a caller's mistake
    try:
        return b64decode(text, validate=True)
    except ValueError:
        raise ValueError("a field is not base64") from None

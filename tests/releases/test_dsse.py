import json
import os
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest

from releases import dsse
from releases.keys import new_key

KEY, OTHER = new_key(), new_key()
GOOD = dsse.dumps(dsse.sign(b'{"a":1}', [KEY, OTHER, KEY]))


def test_the_encoding_is_that_of_the_standard() -> None:
    assert dsse.encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert dsse.encoding("ř", b"") == b"DSSEv1 2 \xc5\x99 0 "  # lengths count bytes


def test_an_envelope_comes_back_and_names_the_keys_that_hold() -> None:
    envelope = dsse.loads(GOOD)
    assert envelope.payload == b'{"a":1}'
    assert set(envelope.valid()) == {KEY.public, OTHER.public}
    assert dsse.dumps(envelope) == GOOD
    changed = dsse.Envelope(payload=b'{"a":2}', signatures=envelope.signatures)
    assert changed.valid() == ()


def test_the_order_of_signing_leaves_no_trace() -> None:
    one = dsse.with_signature(dsse.sign(b"x", [KEY]), OTHER)
    two = dsse.with_signature(dsse.sign(b"x", [OTHER]), KEY)
    assert dsse.dumps(one) == dsse.dumps(two)
    assert dsse.with_signature(one, KEY) == one


def edited(change: Callable[[dict[str, Any]], object]) -> bytes:
    plain = json.loads(GOOD)
    change(plain)
    return (json.dumps(plain, indent=2) + "\n").encode()


HOSTILE = {
    "empty": b"",
    "no JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "nested": b"[" * 100_000,
    "a list": b"[]",
    "another type": edited(lambda plain: plain.update(payloadType="text/plain")),
    "a further field": edited(lambda plain: plain.update(more=1)),
    "no signatures": edited(lambda plain: plain.update(signatures=[])),
    "signatures that are none": edited(lambda plain: plain.update(signatures=[None])),
    "very many": edited(lambda plain: plain.update(signatures=plain["signatures"] * 40)),
    "one twice": edited(lambda plain: plain.update(signatures=plain["signatures"][:1] * 2)),
    "out of order": edited(lambda plain: plain["signatures"].reverse()),
    "another key's id": edited(lambda plain: plain["signatures"][0].update(keyid="00" * 32)),
    "a number for a key": edited(lambda plain: plain["signatures"][0].update(publicKey=3)),
    "a key of another kind": edited(
        lambda plain: plain["signatures"][0].update(publicKey=b64encode(b"0" * 44).decode())
    ),
    "a short signature": edited(lambda plain: plain["signatures"][0].update(sig=b64encode(b"0" * 63).decode())),
    "no base64": edited(lambda plain: plain.update(payload="*")),
    "loose base64": GOOD.replace(b'"payload": "', b'"payload": " '),
    "a blank more": GOOD + b" ",
    "no indent": json.dumps(json.loads(GOOD)).encode(),
    "a key twice": GOOD.replace(b'"payload"', b'"payload": "",\n  "payload"', 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_the_program_would_not_write_is_refused_with_words(name: str) -> None:
    with pytest.raises(ValueError, match=r"^(it|its|a signature|a field) "):
        dsse.loads(HOSTILE[name])


def test_a_file_that_is_too_large_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dsse, "MOST_BYTES", 100)
    with pytest.raises(ValueError, match="too large"):
        dsse.loads(os.urandom(101))

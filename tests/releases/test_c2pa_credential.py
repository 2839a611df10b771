import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from releases.c2pa_credential import Credential
from releases.c2pa_manifests import try_out
from releases.errors import ReleaseInputError
from tests.releases.c2pa_certificates import (
    CLAIMS,
    DOCUMENTS,
    EMAIL,
    KINDS,
    TLS,
    Chain,
    certificate,
    new_chain,
    new_key,
)

GOOD = new_chain()


def self_signed() -> Credential:
    key = new_key("es256")
    alone = certificate("Alone", key, "Alone", key, purposes=[EMAIL])
    return Chain(signer=alone, root=GOOD.root, key=key).credential()


def authority() -> Credential:
    root, key = new_key("es256"), new_key("es256")
    middle = certificate("Middle", key, "Root", root, authority=True, purposes=[EMAIL])
    return Chain(signer=middle, root=GOOD.root, key=key).credential()


@pytest.mark.parametrize("kind", KINDS)
def test_every_algorithm_of_c2pa_is_known_by_its_key_and_signs(kind: str) -> None:
    credential = new_chain(kind).credential()
    assert credential.algorithm == kind
    try_out(credential)


@pytest.mark.parametrize("purpose", [EMAIL, CLAIMS, DOCUMENTS])
def test_every_purpose_that_c2pa_takes_signs(purpose: str) -> None:
    try_out(new_chain(purposes=[purpose]).credential())


def test_the_root_is_left_out_and_the_signer_may_stand_alone() -> None:
    whole = GOOD.credential()
    alone = GOOD.credential(certificates=GOOD.pem[: GOOD.pem.index(b"-----END") + 26])
    assert whole.chain == alone.chain
    assert whole.chain.count(b"BEGIN CERTIFICATE") == 1
    assert whole.public == alone.public
    assert (whole.common_name, whole.organisation) == ("Signer of tests", "Tests")
    assert whole.serial == str(GOOD.signer.serial_number)


def test_keys_of_older_forms_with_parameters_in_front_and_encrypted_ones_are_read() -> None:
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    same = {
        GOOD.credential(key=key, passphrase=passphrase).private_pem
        for key, passphrase in (
            (GOOD.key_pem(), None),
            (parameters + GOOD.key_pem(old=True), None),
            (GOOD.key_pem(b"open"), "open"),
            (GOOD.key_pem(b"open", old=True), "open"),
        )
    }
    assert len(same) == 1


def test_neither_repr_nor_public_part_nor_messages_show_the_key() -> None:
    credential = GOOD.credential()
    body = GOOD.key_pem().splitlines()[1].decode()
    number = str(GOOD.key.private_numbers().private_value)
    said = [repr(credential), str(credential.public)]
    for bad in (GOOD.key_pem()[:-70], GOOD.key_pem().replace(body.encode(), b"AAAA")):
        with pytest.raises(ReleaseInputError) as caught:
            GOOD.credential(key=bad)
        said.append(str(caught.value))
    assert [one for one in said if body in one or number in one or body[:40] in one] == []


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no PEM": (lambda: GOOD.credential(certificates=b"hello"), "chain.pem: no certificates in PEM"),
    "a damaged certificate": (
        lambda: GOOD.credential(certificates=GOOD.pem.replace(GOOD.pem[60:90], b"A" * 30)),
        "chain.pem: no certificates in PEM",
    ),
    "a key for a chain": (lambda: GOOD.credential(certificates=GOOD.key_pem()), "a private key, where certificates"),
    "a chain for a key": (lambda: GOOD.credential(key=GOOD.pem), "key.pem: a certificate or a public key"),
    "no key": (lambda: GOOD.credential(key=b""), "key.pem: no private key in PEM"),
    "a key of somebody else": (
        lambda: GOOD.credential(key=new_chain().key_pem()),
        "key.pem: not the private key of the first certificate in chain.pem.*of none of 2",
    ),
    "a chain in the wrong order": (
        lambda: GOOD.credential(certificates=GOOD.pem[GOOD.pem.rindex(b"-----BEGIN") :] + GOOD.pem),
        "not the private key of the first certificate.*it is that of certificate 2",
    ),
    "another root": (
        lambda: GOOD.credential(certificates=Chain(signer=GOOD.signer, root=new_chain().root, key=GOOD.key).pem),
        "certificate 1 was not issued by certificate 2",
    ),
    "an encrypted key without a passphrase": (
        lambda: GOOD.credential(key=GOOD.key_pem(b"open")),
        "this key is encrypted, and no passphrase.*UNDERSTUDY_C2PA_KEY_PASSPHRASE",
    ),
    "an older encrypted key without a passphrase": (
        lambda: GOOD.credential(key=GOOD.key_pem(b"open", old=True)),
        "this key is encrypted, and no passphrase",
    ),
    "another passphrase": (
        lambda: GOOD.credential(key=GOOD.key_pem(b"open"), passphrase="shut"),  # noqa: S106
        "the passphrase does not open this key",
    ),
    "expired": (lambda: new_chain(days=(-9, -1)).credential(), "chain.pem: expired.*valid until 20"),
    "not valid yet": (lambda: new_chain(days=(1, 9)).credential(), "chain.pem: not valid yet.*valid from 20"),
    "for web servers": (lambda: new_chain(purposes=[TLS]).credential(), rf"for other purposes.*{TLS}.*{CLAIMS}"),
    "for no purpose": (lambda: new_chain(purposes=[]).credential(), "for other purposes.*none"),
    "for no signatures": (lambda: new_chain(usage=False).credential(), "may not make digital signatures"),
    "self-signed": (self_signed, "the first certificate is self-signed"),
    "an authority": (authority, "the first certificate is that of an authority"),
    "another curve": (lambda: new_chain("secp256k1").credential(), "C2PA signs by no such key.*the curve secp256k1"),
    "a short RSA key": (lambda: new_chain("rsa1024").credential(), "no such key.*RSA of 1024 bits"),
    "any purpose, beside a good one": (
        lambda: try_out(new_chain(purposes=[EMAIL, "2.5.29.37.0"]).credential()),
        "c2pa-python does not sign by this certificate",
    ),
}


@pytest.mark.parametrize(("make", "words"), WRONG.values(), ids=WRONG.keys())
def test_what_c2pa_does_not_take_is_one_clear_error(make: Callable[[], Any], words: str) -> None:
    with pytest.raises(ReleaseInputError) as caught:
        make()
    text = str(caught.value).replace("\n", " ")
    assert re.search(words, text), text
    assert caught.value.remedy
    assert "-----" not in text


def test_a_certificate_that_expires_while_models_train_signs_no_more() -> None:
    credential = GOOD.credential()
    credential.check_time(datetime.now(UTC))
    with pytest.raises(ReleaseInputError, match="expired"):
        credential.check_time(datetime.now(UTC) + timedelta(days=366))

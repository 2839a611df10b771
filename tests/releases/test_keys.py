import hashlib
import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from releases.errors import ReleaseInputError
from releases.keys import (
    new_key,
    parse_public_key,
    parse_signing_key,
    passphrase_in,
    public_key_of_der,
    read_public_key,
    read_signing_key,
    write_pair,
)

PEM, PKCS8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
PASSPHRASE = "planted passphrase 7c1"  # noqa: S105 - of this test alone


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return write_pair(new_key(), tmp_path / "ann", passphrase=None)


def rsa_pem() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(PEM, PKCS8, serialization.NoEncryption())


def test_a_pair_comes_back_from_its_files(pair: tuple[Path, Path]) -> None:
    private, public = pair
    key = read_signing_key(private, passphrase=None)
    assert read_public_key(public) == key.public
    assert key.public.verifies(key.sign(b"rows"), b"rows")
    assert not key.public.verifies(key.sign(b"rows"), b"other rows")
    assert not new_key().public.verifies(key.sign(b"rows"), b"rows")
    assert (stat.S_IMODE(private.stat().st_mode), stat.S_IMODE(public.stat().st_mode) & 0o400) == (0o600, 0o400)


def test_signatures_are_those_of_rfc_8032() -> None:
    secret = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")  # section 7.1, test 1
    pem = ed25519.Ed25519PrivateKey.from_private_bytes(secret).private_bytes(PEM, PKCS8, serialization.NoEncryption())
    key = parse_signing_key(pem, place="RFC 8032", passphrase=None)
    assert key.public.raw.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert key.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155")


def test_the_id_is_the_hash_of_the_public_key_as_openssl_writes_it(pair: tuple[Path, Path]) -> None:
    _, public = pair
    done = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", str(public), "-outform", "DER"], capture_output=True, check=True
    )
    assert hashlib.sha256(done.stdout).hexdigest() == read_public_key(public).key_id
    assert public_key_of_der(done.stdout) == read_public_key(public)


def test_a_passphrase_opens_what_it_closed(tmp_path: Path) -> None:
    key = new_key()
    private, _ = write_pair(key, tmp_path / "ann", passphrase=PASSPHRASE)
    assert "ENCRYPTED" in private.read_text()
    assert read_signing_key(private, passphrase=PASSPHRASE).public == key.public
    assert passphrase_in({"A_PASSPHRASE": "own", "UNDERSTUDY_SIGNING_KEY_PASSPHRASE": "common"}, "A") == "own"
    assert passphrase_in({"UNDERSTUDY_SIGNING_KEY_PASSPHRASE": "common"}, "A") == "common"
    assert passphrase_in({}) is None


def test_nothing_shows_the_private_half(pair: tuple[Path, Path]) -> None:
    key = read_signing_key(pair[0], passphrase=None)
    body = pair[0].read_text().splitlines()[1]
    assert body not in repr(key) + str(key)
    assert key.key_id not in body


def test_files_that_exist_are_never_overwritten(tmp_path: Path) -> None:
    for suffix in (".pem", ".pub"):
        base = tmp_path / f"other{suffix}"
        base.with_name(base.name + suffix).write_text("mine")
        with pytest.raises(ReleaseInputError, match="exists already") as caught:
            write_pair(new_key(), base, passphrase=None)
        assert caught.value.remedy
        assert [path.read_text() for path in tmp_path.glob(f"{base.name}*")] == ["mine"]


def missing(folder: Path) -> Path:
    return folder / "none.pem"


def open_to_all(folder: Path) -> Path:
    path, _ = write_pair(new_key(), folder / "open", passphrase=None)
    path.chmod(0o644)
    return path


def public(folder: Path) -> Path:
    return write_pair(new_key(), folder / "half", passphrase=None)[1]


def encrypted(folder: Path) -> Path:
    return write_pair(new_key(), folder / "closed", passphrase="another")[0]  # noqa: S106


def written(data: bytes) -> Callable[[Path], Path]:
    def case(folder: Path) -> Path:
        path = folder / "key.pem"
        path.write_bytes(data)
        path.chmod(0o600)
        return path

    return case


def damaged(folder: Path) -> Path:
    path, _ = write_pair(new_key(), folder / "damaged", passphrase=None)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-8], lines[2]]) + "\n")
    return path


SIGNING_CASES: dict[str, tuple[Callable[[Path], Path], str | None, str]] = {
    "missing": (missing, None, "no such file"),
    "a folder": (lambda folder: folder, None, "a folder"),
    "open to others": (open_to_all, None, "everybody on this machine"),
    "public for private": (public, None, "a public key, which cannot sign"),
    "no passphrase": (encrypted, None, "no passphrase is given"),
    "wrong passphrase": (encrypted, PASSPHRASE, "does not open this key"),
    "RSA": (written(rsa_pem()), None, "not an Ed25519 key"),
    "empty": (written(b""), None, "no private key in PKCS#8 PEM"),
    "binary": (written(bytes(range(256))), None, "no private key in PKCS#8 PEM"),
    "a certificate": (written(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), None, "no private"),
    "OpenSSH's own form": (written(b"-----BEGIN OPENSSH PRIVATE KEY-----\nAA\n"), None, "no private key in PKCS#8"),
    "damaged": (damaged, None, "damaged"),
    "large": (written(b"a" * 70_000), None, "too large"),
}


@pytest.mark.parametrize("name", SIGNING_CASES)
def test_what_is_no_signing_key_is_one_message_with_a_remedy(name: str, tmp_path: Path) -> None:
    case, passphrase, expected = SIGNING_CASES[name]
    path = case(tmp_path)
    with pytest.raises(ReleaseInputError, match=expected) as caught:
        read_signing_key(path, passphrase=passphrase)
    assert caught.value.remedy
    text = path.read_text(errors="replace") if path.is_file() else ""
    assert PASSPHRASE not in str(caught.value)
    assert not any(line in str(caught.value) for line in text.splitlines() if len(line) > 20)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_key_that_cannot_be_read_is_the_users(pair: tuple[Path, Path]) -> None:
    pair[0].chmod(0o000)
    with pytest.raises(ReleaseInputError, match="cannot be read"):
        read_signing_key(pair[0], passphrase=None)


def test_a_private_key_is_no_public_one_and_is_not_shown(pair: tuple[Path, Path]) -> None:
    with pytest.raises(ReleaseInputError, match="a private key, where a public one is wanted") as caught:
        read_public_key(pair[0])
    assert pair[0].read_text().splitlines()[1] not in str(caught.value)
    with pytest.raises(ReleaseInputError, match="no public key"):
        parse_public_key(b"nothing", place="here")
    with pytest.raises(ReleaseInputError, match="damaged"):
        parse_public_key(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", place="here")
    public_rsa = serialization.load_pem_private_key(rsa_pem(), None).public_key()
    pem = public_rsa.public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(ReleaseInputError, match="not an Ed25519 key"):
        parse_public_key(pem, place="here")

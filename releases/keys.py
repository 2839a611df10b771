"""Keys of signers: Ed25519 (RFC 8032), private ones as PKCS#8 PEM, public ones as SubjectPublicKeyInfo PEM (RFC 8410).

The id of a key is the SHA-256 of its public half in DER, so anybody can work it out by hand:
`openssl pkey -pubin -in A.pub -outform DER | sha256sum`. Nothing here puts key material into a message or a repr.
"""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from releases.errors import ReleaseInputError
from sources.files import sync_folder

KEY_VARIABLE = "UNDERSTUDY_SIGNING_KEY"
PASSPHRASE_SUFFIX = "_PASSPHRASE"  # noqa: S105 - of a variable's name
PASSPHRASE_VARIABLE = KEY_VARIABLE + PASSPHRASE_SUFFIX
MOST_BYTES = 65_536
PEM_HEAD = "-----BEGIN"
NEW_KEY = "`understudy keys new` makes a pair"
SHORT = 16
"""Characters of an id that tables and sentences show."""
_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")  # RFC 8410, section 4: the 32 bytes of the key follow
_RAW_BYTES = 32
_OPEN_TO_OTHERS = stat.S_IRWXO | stat.S_IWGRP


@dataclass(frozen=True, kw_only=True)
class PublicKey:
    """The half that is given away; `raw` are its 32 bytes."""

    raw: bytes

    @property
    def der(self) -> bytes:
        """The key as SubjectPublicKeyInfo."""
        return _DER_PREFIX + self.raw

    @property
    def key_id(self) -> str:
        """SHA-256 (hex) of `der`."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def pem(self) -> str:
        """The key as PEM text."""
        from base64 import b64encode  # noqa: PLC0415 - one use

        return f"-----BEGIN PUBLIC KEY-----\n{b64encode(self.der).decode()}\n-----END PUBLIC KEY-----\n"

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Return whether `signature` was made over `message` with the private half."""
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - 0.1 s
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, kw_only=True)
class SigningKey:
    """A whole pair; neither its repr nor its JSON shows the private half."""

    public: PublicKey
    _private: Any = field(repr=False, compare=False)

    @property
    def key_id(self) -> str:
        """The id of the pair."""
        return self.public.key_id

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature, which are the same each time (RFC 8032)."""
        return bytes(self._private.sign(message))

    def private_pem(self, passphrase: str | None) -> bytes:
        """Return the private half as PKCS#8 PEM, encrypted where a passphrase is given."""
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if passphrase:
            encryption = serialization.BestAvailableEncryption(passphrase.encode())
        return bytes(
            self._private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        )


def new_key() -> SigningKey:
    """Return a new pair from the operating system's randomness."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    return _pair(Ed25519PrivateKey.generate())


def write_pair(key: SigningKey, base: Path, *, passphrase: str | None) -> tuple[Path, Path]:
    """Write `<base>.pem` (0600) and `<base>.pub`; existing files are never touched.

    Raises:
        ReleaseInputError: one of them exists, or the folder cannot be written.

    """
    private, public = base.with_name(base.name + ".pem"), base.with_name(base.name + ".pub")
    remedy = "give another -o DIR/NAME; whoever loses a key can never sign with it again, so none is overwritten"
    made: list[Path] = []
    try:
        base.parent.mkdir(parents=True, exist_ok=True)
        for path, data, mode in (
            (public, key.public.pem.encode(), 0o644),
            (private, key.private_pem(passphrase), 0o600),
        ):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
            made.append(path)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        sync_folder(base.parent)
    except OSError as error:
        for path in made:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise ReleaseInputError(f"{error.filename}: exists already", remedy=remedy) from None
        raise ReleaseInputError(
            f"{base}: no key can be written there", seen=error.strerror, remedy="give another -o DIR/NAME"
        ) from None
    return private, public


def read_signing_key(path: Path, *, passphrase: str | None) -> SigningKey:
    """Return the pair in a file that nobody else can read.

    Raises:
        ReleaseInputError: missing, unreadable, open to others, or not such a key.

    """
    key = parse_signing_key(_bytes_of(path, "signing key"), place=str(path), passphrase=passphrase)
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OPEN_TO_OTHERS:
        raise ReleaseInputError(
            f"{path}: everybody on this machine can read or change this signing key",
            seen=f"mode {mode:04o}",
            remedy=f"chmod 600 {path}; if others may have read it, make a new one and say so to your recipients",
        )
    return key


def parse_signing_key(data: bytes, *, place: str, passphrase: str | None) -> SigningKey:
    """Return the pair in PEM text.

    Args:
        data: the PEM.
        place: where it comes from, for messages.
        passphrase: tried where the PEM is encrypted.

    Raises:
        ReleaseInputError: a public key, a certificate, another algorithm, no or a wrong passphrase, or no PEM.

    """
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    label = _label(data)
    if label == "PUBLIC KEY":
        raise ReleaseInputError(
            f"{place}: a public key, which cannot sign", remedy="give the private key of the pair, its .pem file"
        )
    encrypted = label == "ENCRYPTED PRIVATE KEY"
    if label != "PRIVATE KEY" and not encrypted:
        raise ReleaseInputError(f"{place}: no private key in PKCS#8 PEM", seen=_seen(label), remedy=NEW_KEY)
    if encrypted and not passphrase:
        raise ReleaseInputError(
            f"{place}: this key is encrypted, and no passphrase is given",
            remedy=f"export {PASSPHRASE_VARIABLE}, or for a key from the variable NAME: NAME{PASSPHRASE_SUFFIX}",
        )
    try:
        private = load_pem_private_key(data, passphrase.encode() if encrypted and passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if encrypted:
            raise ReleaseInputError(
                f"{place}: the passphrase does not open this key, or the file is damaged",
                remedy=f"look at {PASSPHRASE_VARIABLE}; the passphrase itself is never shown",
            ) from None
        raise ReleaseInputError(f"{place}: this private key is damaged", remedy=NEW_KEY) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ReleaseInputError(
            f"{place}: not an Ed25519 key", seen=type(private).__name__.removesuffix("PrivateKey"), remedy=NEW_KEY
        )
    return _pair(private)


def read_public_key(path: Path) -> PublicKey:
    """Return the public key in a PEM file.

    Raises:
        ReleaseInputError: missing, unreadable, a private key, another algorithm, or no PEM.

    """
    return parse_public_key(_bytes_of(path, "public key"), place=str(path))


def parse_public_key(data: bytes, *, place: str) -> PublicKey:
    """Return the public key in PEM text; raises as `read_public_key` does."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    label = _label(data)
    if label.endswith("PRIVATE KEY"):
        raise ReleaseInputError(
            f"{place}: a private key, where a public one is wanted",
            remedy=f"give the .pub file of the pair; `understudy keys show {place}` prints it",
        )
    if label != "PUBLIC KEY":
        raise ReleaseInputError(f"{place}: no public key in PEM", seen=_seen(label), remedy="ask the publisher for it")
    try:
        public = serialization.load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm):
        raise ReleaseInputError(f"{place}: this public key is damaged", remedy="ask the publisher for it") from None
    if not isinstance(public, Ed25519PublicKey):
        raise ReleaseInputError(
            f"{place}: not an Ed25519 key",
            seen=type(public).__name__.removesuffix("PublicKey"),
            remedy="ask the publisher for the key that releases are signed with",
        )
    return PublicKey(
        raw=public.public_bytes(encoding=serialization.Encoding.Raw, format=serialization.PublicFormat.Raw)
    )


def public_key_of_der(der: bytes) -> PublicKey:
    """Return the Ed25519 key in SubjectPublicKeyInfo; ValueError when it is none."""
    raw = der.removeprefix(_DER_PREFIX)
    if len(raw) != _RAW_BYTES or der != _DER_PREFIX + raw:
        raise ValueError("a field is no Ed25519 public key")
    return PublicKey(raw=raw)


def passphrase_in(environment: Mapping[str, str], variable: str = KEY_VARIABLE) -> str | None:
    """Return the passphrase for the key that `variable` holds, or the common one, or None."""
    return environment.get(variable + PASSPHRASE_SUFFIX) or environment.get(PASSPHRASE_VARIABLE) or None


def _pair(private: Any) -> SigningKey:
    return SigningKey(public=PublicKey(raw=private.public_key().public_bytes_raw()), _private=private)


def _bytes_of(path: Path, what: str) -> bytes:
    """Return the content of a small file; every way in which that fails is the user's."""
    try:
        if path.is_dir():
            raise ReleaseInputError(f"{path}: a folder, not a {what}", remedy="give the PEM file itself")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ReleaseInputError(f"{path}: no such file, a {what} was expected there", remedy=NEW_KEY) from None
    except (OSError, ValueError) as error:
        raise ReleaseInputError(
            f"{path}: this {what} cannot be read",
            seen=getattr(error, "strerror", None) or type(error).__name__,
            remedy="look at the path and its permissions",
        ) from None
    if len(data) > MOST_BYTES:
        raise ReleaseInputError(f"{path}: too large for a {what}", seen=f"over {MOST_BYTES} bytes", remedy=NEW_KEY)
    return data


def _label(data: bytes) -> str:
    """Return what the first PEM block says it is (RFC 7468), or an empty string."""
    for line in data.decode("ascii", "replace").splitlines():
        if line.startswith(PEM_HEAD) and line.rstrip().endswith("-----"):
            return line.rstrip()[len(PEM_HEAD) : -5].strip()
    return ""


def _seen(label: str) -> str:
    return f"PEM of {label[:40]!r}" if label.isprintable() and label else "no PEM"

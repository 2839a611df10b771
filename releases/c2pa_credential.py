"""Who signs C2PA manifests: a certificate chain and the private key of its first certificate, checked and never shown.

What such a certificate must be: C2PA Technical Specification, chapter on the trust model, X.509 certificate profile.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from releases.errors import ReleaseInputError

PURPOSES: Mapping[str, str] = {
    "1.3.6.1.4.1.62558.2.1": "C2PA claim signing",
    "1.3.6.1.5.5.7.3.36": "document signing",
    "1.3.6.1.5.5.7.3.4": "e-mail protection",
}
"""Extended key usages that C2PA takes for signers of claims."""
LEAST_RSA_BITS = 2048
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_PRIVATE = re.compile(rb"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.+?-----END \1-----", re.DOTALL)
_CERTIFICATES = "a certificate chain in PEM: the signer's certificate first, then who issued it"
_TRADITIONAL = b"Proc-Type: 4,ENCRYPTED"  # RFC 1421: an encrypted key of OpenSSL's older form


@dataclass(frozen=True, kw_only=True)
class Credential:
    """A certificate and its key; neither repr nor `public` shows the private half.

    Args:
        algorithm: C2PA's name of it, such as `es256`.
        chain: PEM, the signer's certificate first, without the root.
        sha256: of the signer's certificate in DER, hex.
        serial: of this certificate, decimal.
        common_name, organisation: of its subject; empty where it has none.
        not_before, not_after: moments between which all certificates of the chain are valid, UTC.
        place: where the certificate comes from, for messages.
        private_pem: the key, not encrypted.

    """

    algorithm: str
    chain: bytes
    sha256: str
    serial: str
    common_name: str
    organisation: str
    not_before: datetime
    not_after: datetime
    place: str
    private_pem: bytes = field(repr=False, compare=False)

    @property
    def public(self) -> dict[str, Any]:
        """What a release says of its signer, plain JSON values."""
        return {
            "algorithm": self.algorithm,
            "certificate_sha256": self.sha256,
            "serial": self.serial,
            "common_name": self.common_name,
            "organisation": self.organisation,
            "not_after": self.not_after.isoformat(timespec="seconds"),
        }

    def check_time(self, now: datetime) -> None:
        """Refuse to sign outside the time for which the certificates are valid.

        Raises:
            ReleaseInputError: it is too early or too late.

        """
        if not self.not_before <= now <= self.not_after:
            late = now > self.not_after
            day = self.not_after if late else self.not_before
            raise ReleaseInputError(
                f"{self.place}: {'expired' if late else 'not valid yet'}, so C2PA manifests cannot be signed by it",
                seen=f"valid {'until' if late else 'from'} {day:%Y-%m-%d %H:%M} UTC, now {now:%Y-%m-%d %H:%M}",
                remedy="get a new certificate from its issuer, or take publish.c2pa out",
            )


def credential_of(
    certificates: bytes, key: bytes, *, place: str, key_place: str, passphrase: str | None, now: datetime
) -> Credential:
    """Return the credential in two PEM texts.

    Args:
        certificates: the chain.
        key: the private key: PKCS#8, or OpenSSL's older forms.
        place: where the chain comes from, for messages.
        key_place: where the key does.
        passphrase: tried where the key is encrypted.
        now: the moment at which the chain must be valid.

    Raises:
        ReleaseInputError: no certificates, no key, a key that is encrypted or of another certificate, an algorithm or
            a purpose that C2PA does not take, a chain that is out of order, or one that is not valid now.

    """
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415 - 0.1 s

    chain = _chain(certificates, place)
    private = _private(key, key_place, passphrase)
    first, public = chain[0], _spki(private.public_key())
    fitting = [position for position, one in enumerate(chain) if _spki(one.public_key()) == public]
    if 0 not in fitting:
        raise ReleaseInputError(
            f"{key_place}: not the private key of the first certificate in {place}",
            seen=f"it is that of certificate {fitting[0] + 1}" if fitting else f"of none of {len(chain)}",
            remedy="give the key of the signer's certificate, and put this one first in the chain",
        )
    algorithm = _algorithm(private, key_place)
    _check_purpose(first, place)
    _check_order(chain, place)
    if len(chain) > 1 and chain[-1].subject == chain[-1].issuer:  # who verifies brings the root
        chain = chain[:-1]
    credential = Credential(
        algorithm=algorithm,
        chain=b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain),
        sha256=first.fingerprint(hashes.SHA256()).hex(),
        serial=str(first.serial_number),
        common_name=_named(first, "2.5.4.3"),
        organisation=_named(first, "2.5.4.10"),
        not_before=max(one.not_valid_before_utc for one in chain),
        not_after=min(one.not_valid_after_utc for one in chain),
        place=place,
        private_pem=private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
    credential.check_time(now.astimezone(UTC))
    return credential


def _chain(data: bytes, place: str) -> list[Any]:
    from cryptography import x509  # noqa: PLC0415

    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        key = b"PRIVATE KEY-----" in data and b"BEGIN CERTIFICATE" not in data
        raise ReleaseInputError(
            f"{place}: {'a private key, where certificates are wanted' if key else 'no certificates in PEM'}",
            remedy=f"give {_CERTIFICATES}",
        ) from None


def _private(data: bytes, place: str, passphrase: str | None) -> Any:
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    found = _PRIVATE.search(data)
    if found is None:
        wrong = "a certificate or a public key, which cannot sign" if b"-----BEGIN" in data else "no private key in PEM"
        raise ReleaseInputError(f"{place}: {wrong}", remedy="give the private key of the signer's certificate, in PEM")
    encrypted = found[1] == b"ENCRYPTED PRIVATE KEY" or _TRADITIONAL in found[0]
    if encrypted and not passphrase:
        raise ReleaseInputError(
            f"{place}: this key is encrypted, and no passphrase is given",
            remedy="export UNDERSTUDY_C2PA_KEY_PASSPHRASE, or for a key from the variable NAME: NAME_PASSPHRASE",
        )
    try:
        return load_pem_private_key(found[0], passphrase.encode() if encrypted and passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        words = "the passphrase does not open this key, or the file is damaged" if encrypted else "damaged"
        raise ReleaseInputError(
            f"{place}: {words}", remedy="look at the key and its passphrase; neither is ever shown"
        ) from None


def _algorithm(private: Any, place: str) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: PLC0415

    seen = type(private).__name__.lstrip("_").removesuffix("PrivateKey")
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(private, ec.EllipticCurvePrivateKey):
        if private.curve.name in _CURVES:
            return _CURVES[private.curve.name]
        seen = f"the curve {private.curve.name}"
    if isinstance(private, rsa.RSAPrivateKey):
        if private.key_size >= LEAST_RSA_BITS:
            return "ps256"
        seen = f"RSA of {private.key_size} bits"
    raise ReleaseInputError(
        f"{place}: C2PA signs by no such key",
        seen=seen,
        remedy=f"take one on the curve P-256, P-384 or P-521, Ed25519, or RSA of {LEAST_RSA_BITS} bits and more",
    )


def _check_purpose(first: Any, place: str) -> None:
    from cryptography import x509  # noqa: PLC0415

    if first.subject == first.issuer:
        raise ReleaseInputError(
            f"{place}: the first certificate is self-signed, which C2PA does not take",
            remedy="give a certificate that an authority has issued, your own one for a start",
        )
    try:
        basic = _extension(first, x509.BasicConstraints)
        usage = _extension(first, x509.KeyUsage)
        purposes = [one.dotted_string for one in _extension(first, x509.ExtendedKeyUsage) or ()]
    except ValueError:
        raise ReleaseInputError(
            f"{place}: the first certificate has extensions that cannot be read", remedy="ask its issuer for another"
        ) from None
    if basic is not None and basic.ca:
        raise ReleaseInputError(
            f"{place}: the first certificate is that of an authority", remedy=f"give {_CERTIFICATES}"
        )
    if usage is None or not usage.digital_signature:
        raise ReleaseInputError(
            f"{place}: the first certificate may not make digital signatures (its key usage)",
            remedy="ask its issuer for one whose key usage is digitalSignature",
        )
    if not set(purposes) & set(PURPOSES):
        named = ", ".join(f"{oid} ({words})" for oid, words in PURPOSES.items())
        raise ReleaseInputError(
            f"{place}: the first certificate is for other purposes than signing claims (its extended key usage)",
            seen=", ".join(purposes) or "none",
            remedy=f"ask its issuer for one of: {named}",
        )


def _check_order(chain: Sequence[Any], place: str) -> None:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

    for position, (one, issuer) in enumerate(pairwise(chain), start=1):
        try:
            one.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            raise ReleaseInputError(
                f"{place}: certificate {position} was not issued by certificate {position + 1}",
                seen=f"{len(chain)} certificates",
                remedy=f"give {_CERTIFICATES}, and so on",
            ) from None


def _extension(certificate: Any, kind: Any) -> Any:
    from cryptography import x509  # noqa: PLC0415

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _named(certificate: Any, oid: str) -> str:
    from cryptography import x509  # noqa: PLC0415

    found = certificate.subject.get_attributes_for_oid(x509.ObjectIdentifier(oid))
    return str(found[0].value) if found else ""


def _spki(public: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization  # noqa: PLC0415

    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).digest()

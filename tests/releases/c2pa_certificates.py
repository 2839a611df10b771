"""A small authority for tests: chains and keys of the kinds that C2PA takes, and of those that it does not."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from releases.c2pa_credential import Credential, credential_of

EMAIL, CLAIMS, DOCUMENTS = "1.3.6.1.5.5.7.3.4", "1.3.6.1.4.1.62558.2.1", "1.3.6.1.5.5.7.3.36"
TLS = "1.3.6.1.5.5.7.3.1"
PEM = serialization.Encoding.PEM
KINDS = ("es256", "es384", "es512", "ed25519", "ps256")


@dataclass(frozen=True, kw_only=True)
class Chain:
    """A signer's certificate, the root that issued it, and the signer's key."""

    signer: Any
    root: Any
    key: Any

    @property
    def pem(self) -> bytes:
        """Both certificates, the signer's first."""
        return bytes(self.signer.public_bytes(PEM) + self.root.public_bytes(PEM))

    def key_pem(self, passphrase: bytes | None = None, *, old: bool = False) -> bytes:
        """Return the private key."""
        form = serialization.PrivateFormat.TraditionalOpenSSL if old else serialization.PrivateFormat.PKCS8
        encryption: Any = serialization.NoEncryption()
        if passphrase is not None:
            encryption = serialization.BestAvailableEncryption(passphrase)
        return bytes(self.key.private_bytes(PEM, form, encryption))

    def credential(self, **changes: Any) -> Credential:
        """Return what `releases.c2pa_credential` makes of it."""
        arguments: dict[str, Any] = {
            "certificates": self.pem,
            "key": self.key_pem(),
            "place": "chain.pem",
            "key_place": "key.pem",
            "passphrase": None,
            "now": datetime.now(UTC),
        }
        return credential_of(**(arguments | changes))


def new_key(kind: str) -> Any:
    """Return a private key: one of `KINDS`, a curve that C2PA does not take, or a short RSA key."""
    curves = {"es256": ec.SECP256R1(), "es384": ec.SECP384R1(), "es512": ec.SECP521R1(), "secp256k1": ec.SECP256K1()}
    if kind in curves:
        return ec.generate_private_key(curves[kind])
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65_537, key_size=1024 if kind == "rsa1024" else 2048)


def new_chain(
    kind: str = "es256",
    *,
    purposes: Sequence[str] = (EMAIL,),
    days: tuple[float, float] = (-1, 365),
    usage: bool = True,
    serial: int | None = None,
    keys: tuple[Any, Any] | None = None,
) -> Chain:
    """Return a chain of two.

    Args:
        kind: of the signer's key.
        purposes: extended key usages of the signer's certificate.
        days: from now, between which it is valid.
        usage: whether the signer may make digital signatures.
        serial: of the signer's certificate; random when None.
        keys: of the root and of the signer; new ones when None.

    """
    root_key, key = keys or (new_key("es256"), new_key(kind))
    now = datetime.now(UTC)
    span = (now + timedelta(days=days[0]), now + timedelta(days=days[1]))
    root = certificate("Root of tests", root_key, "Root of tests", root_key, authority=True)
    signer = certificate(
        "Signer of tests", key, "Root of tests", root_key, purposes=purposes, span=span, usage=usage, serial=serial
    )
    return Chain(signer=signer, root=root, key=key)


def certificate(
    name: str,
    key: Any,
    issuer: str,
    issuer_key: Any,
    *,
    authority: bool = False,
    purposes: Sequence[str] = (),
    span: tuple[datetime, datetime] | None = None,
    usage: bool = True,
    serial: int | None = None,
) -> Any:
    """Return a certificate; see `new_chain`."""
    now = datetime.now(UTC)
    span = span or (now - timedelta(days=9), now + timedelta(days=900))
    purposed = [x509.ExtendedKeyUsage([x509.ObjectIdentifier(oid) for oid in purposes])] if purposes else []
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(span[0])
        .not_valid_after(span[1])
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(_usage(authority=authority, signs=usage and not authority), critical=True)
    )
    for extension in purposed:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(issuer_key, None if isinstance(issuer_key, ed25519.Ed25519PrivateKey) else hashes.SHA256())


def _usage(*, authority: bool, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signs,
        content_commitment=False,
        key_encipherment=not (signs or authority),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common: str) -> x509.Name:
    oids = x509.oid.NameOID
    return x509.Name(
        [
            x509.NameAttribute(oids.ORGANIZATION_NAME, "Tests"),
            x509.NameAttribute(oids.COMMON_NAME, common),
        ]
    )

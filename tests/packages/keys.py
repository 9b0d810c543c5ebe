"""Keys and certificates of a small PKI: an authority, and vendors that it, another one or nobody vouches for."""

from __future__ import annotations

import datetime
from functools import cache
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Holder(NamedTuple):
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        encryption = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def issued(
    name: str,
    issuer: Holder | None = None,
    *,
    authority: bool = False,
    days: tuple[int, int] = (-1, 30),
    key: Key | None = None,
    serial: int | None = None,
) -> Holder:
    """A new certificate, valid from and to so many days from now; its own issuer if there is none."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    by = (issuer.certificate.subject, issuer.key) if issuer else (_name(name), key)
    serial = serial or x509.random_serial_number()
    return Holder(_certificate(name, key.public_key(), *by, serial, days, authority=authority), key)


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    name: str,
    public_key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey,
    issuer: x509.Name,
    key: Key,
    serial: int,
    days: tuple[int, int],
    *,
    authority: bool,
) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(authority, None), critical=True)
    )
    return builder.sign(key, hashes.SHA256())


@cache
def root() -> Holder:
    """The authority that operators trust."""
    return issued("Root", authority=True)


@cache
def vendor() -> Holder:
    """A vendor whom the authority vouches for."""
    return issued("Vendor", root())


@cache
def impostor() -> Holder:
    """Who names the vendor and its serial number, with another key."""
    return issued("Vendor", root(), serial=vendor().certificate.serial_number)


def issued_for(public_key: ed25519.Ed25519PublicKey, serial: int, issuer: Holder) -> bytes:
    """A certificate in PEM for a key of somebody else."""
    return _certificate(
        "Vendor", public_key, issuer.certificate.subject, issuer.key, serial, (-1, 30), authority=False
    ).public_bytes(serialization.Encoding.PEM)

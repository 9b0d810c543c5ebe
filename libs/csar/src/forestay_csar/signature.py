"""CMS signatures (RFC 5652, signed-data): made, and verified against trust anchors.

Rules of this module:

* What is signed is known by its digest, so that a file of any size can be.
* A signature is good when the digest that it holds is that of the content, when the signer's key made it over the signed
  attributes, when the certificate is valid today, and when it leads to a trust anchor. Without anchors the last two cannot be
  judged: the package is whole, but of unknown origin.
* MD5 and SHA-1 are refused. The signing time that a signer claims proves nothing and is not looked at.

Use in packages: ETSI GS NFV-SOL 004 clause 5.1.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import msgspec
from asn1crypto import algos, cms, core, pem
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509 import verification

from forestay_csar.findings import PackageInvalid

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_MALFORMED = (ValueError, TypeError, KeyError, OverflowError, RecursionError, UnsupportedAlgorithm)
_NO_KNOWLEDGE = verification.ExtensionPolicy.permit_all()


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator asks of packages.

    :ivar signature_required: refuse packages without a signature.
    :ivar trust_anchors: certificates of authorities, or of signers themselves, in PEM; none: signers are not verified.
    """

    signature_required: bool = False
    trust_anchors: str = ""

    def anchors(self) -> list[x509.Certificate]:
        """:raises ValueError: the text is not empty and no PEM of certificates."""
        return x509.load_pem_x509_certificates(self.trust_anchors.encode()) if self.trust_anchors.strip() else []


Digest = Callable[[str], Iterable[bytes]]
"""Given a hash algorithm's name, the digests that the content may have (texts: with either kind of line end)."""


def verify(
    signature: bytes, file: str, digest: Digest, certificates: Sequence[x509.Certificate]
) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The signer's certificate, whose key has signed this content, and all that are known. :func:`trust` judges it.

    :param signature: CMS in PEM or DER. :param file: the member that holds it.
    :param certificates: where the signer's may be, beside those in the signature.
    :raises PackageInvalid: the signature is not good, or not understood.
    """
    try:
        signer, content_type, enclosed = _signer(signature)
    except _MALFORMED as error:
        raise PackageInvalid("signature-form", f"{file} has no readable CMS signature: {error}.", file=file) from error
    known = [*enclosed, *certificates]
    certificate = next((each for each in known if _is_of(signer["sid"], each)), None)
    if certificate is None:
        raise PackageInvalid(
            "certificate-missing", f"{file}: the signer's certificate is not in the package.", file=file
        )
    algorithm = str(signer["digest_algorithm"]["algorithm"].native)
    if algorithm not in _HASHES:
        raise PackageInvalid("signature-algorithm", f"{file} is signed with {algorithm}.", file=file)
    attributes = signer["signed_attrs"]
    try:
        digests = list(digest(algorithm))
        if attributes:
            if _attribute(attributes, "content_type") != content_type:
                raise ValueError("the signed content type is another")
            if _attribute(attributes, "message_digest") not in digests:
                raise PackageInvalid("signature-digest", f"{file}: the signature is of another content.", file=file)
            digests = [hashlib.new(algorithm, attributes.untag().dump()).digest()]
        if not any(_is_signed(certificate, signer, algorithm, each) for each in digests):
            raise PackageInvalid(
                "signature-wrong", f"{file}: the signature is not of its certificate's key.", file=file
            )
    except _MALFORMED as error:
        raise PackageInvalid(
            "signature-algorithm", f"{file} is signed in an unknown way: {error}.", file=file
        ) from error
    return certificate, known


def trust(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    at: datetime.datetime,
) -> None:
    """Whether a signer's certificate is valid and leads to a trust anchor.

    :param others: certificates that may be on the way. :param at: the time now.
    :raises PackageInvalid: ``certificate-expired`` or ``certificate-untrusted``.
    """
    name = certificate.subject.rfc4514_string()
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        message = f"The certificate of {name} is valid from {since:%Y-%m-%d} to {until:%Y-%m-%d}."
        raise PackageInvalid("certificate-expired", message)
    is_authority = _NO_KNOWLEDGE.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, _authority)
    builder = verification.PolicyBuilder().store(verification.Store(list(anchors))).time(at)
    verifier = builder.extension_policies(ca_policy=is_authority, ee_policy=_NO_KNOWLEDGE).build_client_verifier()
    try:
        verifier.verify(certificate, list(others))
    except (verification.VerificationError, *_MALFORMED) as error:
        message = f"The certificate of {name} leads to no trust anchor: {error}."
        raise PackageInvalid("certificate-untrusted", message) from error


def certificates_in(content: bytes, file: str) -> list[x509.Certificate]:
    """The certificates of a file, in PEM or DER. :raises PackageInvalid: ``certificate-form``."""
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except _MALFORMED as error:
        raise PackageInvalid("certificate-form", f"{file} is no X.509 certificate: {error}.", file=file) from error


def sign(digest: bytes, key_pem: bytes, certificate_pem: bytes) -> bytes:
    """A detached CMS signature in PEM over a content with this SHA-256 digest; the certificate is not in it.

    :raises ValueError: the key and certificate are no PEM, of an unknown kind, or do not belong together.
    """
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    key: Any = serialization.load_pem_private_key(key_pem, None)
    if key.public_key() != certificate.public_key():
        raise ValueError("the key does not belong to the certificate")
    attributes = cms.CMSAttributes(
        [
            {"type": "content_type", "values": ["data"]},
            {"type": "message_digest", "values": [digest]},
            {
                "type": "signing_time",
                "values": [cms.Time({"utc_time": core.UTCTime(datetime.datetime.now(datetime.UTC))})],
            },
        ]
    )
    signature, algorithm = _sign(key, attributes.dump())
    issuer = asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
    sid = cms.IssuerAndSerialNumber({"issuer": issuer.issuer, "serial_number": certificate.serial_number})
    sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
    signer = {
        "version": "v1",
        "sid": cms.SignerIdentifier({"issuer_and_serial_number": sid}),
        "digest_algorithm": sha256,
        "signed_attrs": attributes,
        "signature_algorithm": {"algorithm": algorithm},
        "signature": signature,
    }
    content = {"version": "v1", "digest_algorithms": [sha256], "encap_content_info": {"content_type": "data"}}
    signed = cms.SignedData({**content, "signer_infos": [signer]})
    return pem.armor("CMS", cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump())


def _sign(key: Any, content: bytes) -> tuple[bytes, str]:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(content, padding.PKCS1v15(), hashes.SHA256()), "sha256_rsa"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(content, ec.ECDSA(hashes.SHA256())), "sha256_ecdsa"
    raise ValueError("the key is neither RSA nor of an elliptic curve")


def _signer(signature: bytes) -> tuple[Any, str, list[x509.Certificate]]:
    """The only signer, the type of the content, and the certificates that the signature encloses; parsed to the leaves."""
    der = cast("tuple[Any, Any, bytes]", pem.unarmor(signature))[2] if pem.detect(signature) else signature
    info: Any = cms.ContentInfo.load(der)
    if info["content_type"].native != "signed_data":
        raise ValueError("it is not signed-data")
    signed = info["content"]
    if len(signed["signer_infos"]) != 1:
        raise ValueError("it does not have one signer")
    signer = signed["signer_infos"][0]
    for member in ("sid", "digest_algorithm", "signed_attrs", "signature_algorithm", "signature"):
        signer[member].native  # noqa: B018 - parsing is lazy
    enclosed = [x509.load_der_x509_certificate(each.chosen.dump()) for each in signed["certificates"] or ()]
    return signer, signed["encap_content_info"]["content_type"].native, enclosed


def _is_of(sid: Any, certificate: x509.Certificate) -> bool:
    if sid.name == "subject_key_identifier":
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        except (x509.ExtensionNotFound, ValueError):
            return False
        return extension.value.digest == sid.native
    same_issuer = sid.chosen["issuer"].dump() == certificate.issuer.public_bytes()
    return same_issuer and sid.chosen["serial_number"].native == certificate.serial_number


def _attribute(attributes: Any, name: str) -> Any:
    return next((each["values"][0].native for each in attributes if each["type"].native == name), None)


def _is_signed(certificate: x509.Certificate, signer: Any, algorithm: str, digest: bytes) -> bool:
    """:raises ValueError: the kind of key or padding is not known."""
    key, signature, hash_ = certificate.public_key(), signer["signature"].native, _HASHES[algorithm]
    prehashed = utils.Prehashed(hash_)
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, _padding(signer["signature_algorithm"], hash_), prehashed)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, digest, ec.ECDSA(prehashed))
        else:
            raise ValueError("the key is neither RSA nor of an elliptic curve")
    except InvalidSignature:
        return False
    return True


def _padding(algorithm: Any, hash_: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    if algorithm["algorithm"].native != "rsassa_pss":
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(hash_), algorithm["parameters"]["salt_length"].native)


def _authority(_: verification.Policy, __: x509.Certificate, constraints: x509.BasicConstraints) -> None:
    if not constraints.ca:
        raise ValueError("a certificate on the way is not an authority's")

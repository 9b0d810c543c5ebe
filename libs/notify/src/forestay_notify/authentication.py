"""How a subscriber wants Forestay to authenticate when it delivers (SubscriptionAuthentication, SOL013 8.3.4).

Rules: what is listed in ``authType`` needs its parameters in full, since nothing is provisioned out of band. Of several types
the strongest for the ``Authorization`` header is used: OAUTH2_CLIENT_CERT, OAUTH2_CLIENT_CREDENTIALS, BASIC. TLS_CERT is no
header and goes with any of them. OAUTH2_CLIENT_CERT is Tacker's extension of the standard (wire section 5.1).
"""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal

from forestay_events.errors import Permanent, Rejected
from forestay_sol.types import Sol
from msgspec import Meta, field

AuthType = Literal["BASIC", "OAUTH2_CLIENT_CREDENTIALS", "OAUTH2_CLIENT_CERT", "TLS_CERT"]
Uri = Annotated[str, Meta(max_length=255)]


class ParamsBasic(Sol, frozen=True, kw_only=True):
    """Credentials for HTTP Basic."""

    user_name: str
    password: str


class ParamsOauth2ClientCredentials(Sol, frozen=True, kw_only=True):
    """Credentials for the client credentials grant (RFC 6749 4.4)."""

    client_id: str
    client_password: str
    token_endpoint: Uri


class CertificateRef(Sol, frozen=True, kw_only=True):
    """Which certificate: base64url of the SHA-256 of its DER form (RFC 8705 3.1)."""

    type: Literal["x5t#S256"]
    value: str


class ParamsOauth2ClientCert(Sol, frozen=True, kw_only=True):
    """For the client credentials grant with a client that is known by its TLS certificate (RFC 8705 2)."""

    client_id: str
    certificate_ref: CertificateRef
    token_endpoint: Uri


class SubscriptionAuthentication(Sol, frozen=True, kw_only=True):
    """The data type of SOL013 8.3.4."""

    auth_type: Annotated[tuple[AuthType, ...], Meta(min_length=1)]
    params_basic: ParamsBasic | None = None
    params_oauth2_client_credentials: ParamsOauth2ClientCredentials | None = field(
        default=None, name="paramsOauth2ClientCredentials"
    )
    params_oauth2_client_cert: ParamsOauth2ClientCert | None = field(default=None, name="paramsOauth2ClientCert")


_PARAMETERS: Mapping[AuthType, tuple[str, Callable[[SubscriptionAuthentication], Sol | None]]] = {
    "BASIC": ("paramsBasic", lambda given: given.params_basic),
    "OAUTH2_CLIENT_CREDENTIALS": (
        "paramsOauth2ClientCredentials",
        lambda given: given.params_oauth2_client_credentials,
    ),
    "OAUTH2_CLIENT_CERT": ("paramsOauth2ClientCert", lambda given: given.params_oauth2_client_cert),
}


def check(given: SubscriptionAuthentication, thumbprint: str | None) -> None:
    """Refuse what could never work.

    :param thumbprint: of the client certificate that Forestay presents, ``None`` if it has none.
    :raises Rejected: 400, parameters are missing, or a certificate is asked for that Forestay does not have.
    """
    for kind in given.auth_type:
        name, parameters = _PARAMETERS.get(kind, ("", None))
        if parameters is not None and parameters(given) is None:
            raise Rejected(400, f"{name} must be specified.", pointer=f"/authentication/{name}")
    if "TLS_CERT" in given.auth_type and thumbprint is None:
        raise Rejected(
            400,
            "TLS_CERT is not possible: Forestay has no client certificate (FORESTAY_NOTIFY_CLIENT_CERT_FILE).",
            pointer="/authentication/authType",
        )
    certificate = given.params_oauth2_client_cert
    if "OAUTH2_CLIENT_CERT" in given.auth_type and certificate and certificate.certificate_ref.value != thumbprint:
        raise Rejected(
            400,
            "certificateRef is not the thumbprint of the client certificate of Forestay.",
            pointer="/authentication/paramsOauth2ClientCert/certificateRef/value",
        )


def thumbprint_of(certificate: Path) -> str:
    """The ``x5t#S256`` thumbprint of the first certificate of a PEM file.

    :raises Permanent: the file cannot be read or holds no certificate.
    """
    try:
        text = certificate.read_text("ascii")
        begin, end = text.index(ssl.PEM_HEADER), text.index(ssl.PEM_FOOTER) + len(ssl.PEM_FOOTER)
    except (OSError, ValueError) as error:
        raise Permanent(f"{certificate} holds no certificate that can be used: {error}") from error
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[begin:end])).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")

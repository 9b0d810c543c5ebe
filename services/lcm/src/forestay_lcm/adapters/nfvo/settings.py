"""What an operator can set about grants: environment variables ``FORESTAY_NFVO_*``, for :func:`forestay_events.config.load`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from forestay_events.config import ConfigError
from forestay_events.sealing import mask
from msgspec import Meta

_NEEDED = {
    "none": (),
    "basic": ("nfvo_username", "nfvo_password"),
    "oauth2": ("nfvo_token_endpoint", "nfvo_client_id"),
}


class NfvoSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who grants, and how to log in there. Times are seconds, sizes bytes. Its text form masks secrets.

    Without ``nfvo_endpoint`` the embedded NFVO grants. A client certificate is shown to the NFVO and to its token server,
    whatever ``nfvo_auth`` says; OAuth2 without ``nfvo_client_secret`` authenticates the client by it (RFC 8705).
    """

    nfvo_endpoint: Annotated[
        str, Meta(pattern="^(https?://.+)?$", description="root of the NFVO's APIs; empty: the embedded NFVO")
    ] = ""
    nfvo_auth: Annotated[
        Literal["none", "basic", "oauth2"], Meta(description="how Forestay logs in at the NFVO, SOL013 clause 8.3")
    ] = "none"
    nfvo_username: str = ""
    nfvo_password: str = ""
    nfvo_token_endpoint: Annotated[
        str, Meta(pattern="^(https?://.+)?$", description="URL that gives OAuth2 tokens")
    ] = ""
    nfvo_client_id: str = ""
    nfvo_client_secret: str = ""
    nfvo_scope: str = ""
    nfvo_verify: Annotated[bool, Meta(description="verify the NFVO's certificate")] = True
    nfvo_ca_file: Annotated[Path | None, Meta(description="PEM file of CAs to trust instead of the system's")] = None
    nfvo_client_certificate: Annotated[Path | None, Meta(description="PEM file of a client certificate")] = None
    nfvo_client_key: Annotated[Path | None, Meta(description="PEM file of its key, if it is another file")] = None
    nfvo_timeout: Annotated[float, Meta(gt=0, description="seconds for a whole call")] = 60.0
    nfvo_poll_interval: Annotated[float, Meta(gt=0, description="seconds between looks for a grant")] = 5.0
    nfvo_grant_version: Annotated[str, Meta(description="API version of SOL003 grants")] = "1.4.0"
    nfvo_package_version: Annotated[str, Meta(description="API version of SOL003 VNF packages")] = "2.1.0"
    nfvo_package_limit: Annotated[int, Meta(ge=1, description="bytes that a VNF package may have")] = 64 << 30
    nfvo_best_effort: Annotated[bool, Meta(description="fallbackBestEffort of placement constraints")] = False
    nfvo_zones: Annotated[
        tuple[str, ...], Meta(description="availability zones that the embedded NFVO places into")
    ] = ("nova",)

    def __post_init__(self) -> None:
        """Check that the members for ``nfvo_auth`` are there (``ConfigError``)."""
        for member in _NEEDED[self.nfvo_auth]:
            if not getattr(self, member):
                raise ConfigError(f"FORESTAY_{member.upper()} is not set, but FORESTAY_NFVO_AUTH is {self.nfvo_auth}.")
        if self.nfvo_auth == "oauth2" and not (self.nfvo_client_secret or self.nfvo_client_certificate):
            raise ConfigError(
                "OAuth2 needs FORESTAY_NFVO_CLIENT_SECRET, or FORESTAY_NFVO_CLIENT_CERTIFICATE to do without one."
            )

    @property
    def is_external(self) -> bool:
        return bool(self.nfvo_endpoint)

    def __repr__(self) -> str:
        members = mask(msgspec.structs.asdict(self))
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in members.items())})"

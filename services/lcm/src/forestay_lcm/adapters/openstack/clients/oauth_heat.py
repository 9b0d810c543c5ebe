"""A Heat that takes tokens of OAuth 2.0: from a token server that knows its client by a certificate (RFC 8705 clause 2).

Tacker has it as ``use_oauth2_mtls_for_heat``: the token server is ``interfaceInfo.tokenEndpoint``, Heat is not the catalog's but
``interfaceInfo.heatEndpoint``, and the client is the user. The other services are logged in to as ever.

The certificate is the operator's, and who gives a VIM connection need know no secret of it: so the operator says which project of
Forestay may use it, and where.
"""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from urllib.parse import urlencode

import msgspec
from forestay_events.config import ConfigError
from forestay_events.errors import Permanent

from forestay_lcm.adapters.openstack.clients.keeping import Kept
from forestay_lcm.adapters.openstack.clients.sharing import Shared
from forestay_lcm.adapters.openstack.clients.transport import Transport, Unauthorized
from forestay_lcm.adapters.openstack.settings import OpenStackSettings

_EARLY = 30.0
"""Seconds before its end at which a token is renewed, at most a tenth of its life."""


class OAuthHeat(msgspec.Struct, frozen=True, kw_only=True):
    """Where Heat and its token server are, and who the client is."""

    endpoint: str
    token_endpoint: str
    client_id: str


class HeatClient(msgspec.Struct, frozen=True, kw_only=True):
    """What the certificate is good for.

    :ivar tls: with the certificate, for token servers and for Heats.
    :ivar permitted: ``PROJECT=URL`` for each endpoint that a project of Forestay may use it with.
    """

    tls: ssl.SSLContext
    permitted: frozenset[str]

    def check(self, project: str, heat: OAuthHeat) -> None:
        """:raises Permanent: 422, the operator does not let the project use it there."""
        for url in (heat.token_endpoint, heat.endpoint):
            if f"{project}={url.rstrip('/')}" not in self.permitted:
                detail = (
                    f"Project {project!r} must not use the certificate of Forestay with {url}: "
                    "FORESTAY_OPENSTACK_HEAT_CLIENT_PERMITTED does not name them."
                )
                raise Permanent(detail, status=422, title="Heat needs another login")


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = 300.0


class HeatTokens:
    """Gives tokens. One for the process, shared by all clouds.

    :param tls: with the client's certificate, for the token server and for Heat.
    """

    def __init__(self, transport: Transport, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self._transport = transport
        self._tokens: Kept[OAuthHeat, str] = Kept()
        self._asking: Shared[OAuthHeat, _Answer] = Shared()

    async def token(self, heat: OAuthHeat, *, refused: str | None = None) -> str:
        """A token that is good for a while. :raises Permanent: 401, there is none for this client; else as of a call."""
        value = self._tokens.get(heat)
        if value is not None and value != refused:
            return value
        given = await self._asking.result(heat, lambda: self._fetched(heat))
        until = time.monotonic() + given.expires_in - min(_EARLY, given.expires_in / 10)
        self._tokens.put(heat, given.access_token, until)
        return given.access_token

    async def _fetched(self, heat: OAuthHeat) -> _Answer:
        form = urlencode({"grant_type": "client_credentials", "client_id": heat.client_id}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            reply = await self._transport.request("POST", heat.token_endpoint, headers=headers, tls=self.tls, body=form)
            return msgspec.convert(reply.body, _Answer)
        except msgspec.ValidationError as error:
            reason = f"its answer is no token: {error}"
        except Unauthorized as error:
            reason = str(error)
        title = "VIM authentication failed"
        raise Permanent(
            f"{heat.token_endpoint} gives client {heat.client_id!r} no token: {reason}", status=401, title=title
        )


def heat_client(settings: OpenStackSettings) -> HeatClient | None:
    """The client's certificate, if there is one. :raises ConfigError: a file cannot be used."""
    certificate: Path | None = settings.openstack_heat_client_certificate
    if certificate is None:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.openstack_heat_ca_file)
        context.load_cert_chain(certificate)
    except OSError as error:  # ssl.SSLError is one
        names = "FORESTAY_OPENSTACK_HEAT_CLIENT_CERTIFICATE, FORESTAY_OPENSTACK_HEAT_CA_FILE"
        raise ConfigError(f"The TLS files for Heat ({names}) cannot be used: {error}") from error
    permitted = frozenset(each.rstrip("/") for each in settings.openstack_heat_client_permitted)
    return HeatClient(tls=context, permitted=permitted)

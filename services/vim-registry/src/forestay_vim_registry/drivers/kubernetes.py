"""Kubernetes by the asynchronous half of the ``kubernetes`` package.

The one read call that tries the credentials is the list of namespaces. ``ssl_ca_cert`` is the PEM text of the CA; the
string ``None`` switches the check of the certificate off, as in Tacker; without it the system's CAs decide.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, Any

import aiohttp
from forestay_sol.egress import Egress

from forestay_vim_registry.domain.login import Login
from forestay_vim_registry.domain.refusals import VimUnauthorized, VimUnreachable
from forestay_vim_registry.drivers import permitted, words

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

_LIMIT = 500
_REFUSED = (401, 403)


class KubernetesDriver:
    """:class:`~forestay_vim_registry.drivers.Driver` for any Kubernetes API server.

    :param patience: seconds for the whole of a login.
    :param egress: where VIMs may be.
    """

    def __init__(self, patience: float, egress: Egress) -> None:
        self._patience = patience
        self._egress = egress

    async def discover(self, login: Login) -> list[str]:
        # The package has some thousand modules: imported once, and not while the loop should turn.
        await asyncio.to_thread(__import__, "kubernetes.aio.client")
        permitted(self._egress, login.auth_url)
        try:
            async with asyncio.timeout(self._patience):
                return await _namespaces(await _configuration(login, self._egress), self._egress)
        except TimeoutError:
            detail = f"Kubernetes at {login.auth_url} did not answer within {self._patience:g} s."
            raise VimUnreachable(detail) from None
        except aiohttp.ClientSSLError as error:
            raise VimUnreachable(f"The TLS certificate of {login.auth_url} is not trusted: {words(error)}") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise VimUnreachable(f"Kubernetes at {login.auth_url} cannot be used: {words(error)}") from error

    def close(self) -> None:
        """Nothing is held: every connection ends with its call."""


async def _namespaces(configuration: Configuration, egress: Egress) -> list[str]:
    from kubernetes.aio.client import ApiClient, ApiException, CoreV1Api
    from kubernetes.aio.client.rest import RESTClientObject

    class Guarded(RESTClientObject):
        def _create_pool_manager(self) -> aiohttp.ClientSession:  # theirs trusts proxies of the environment
            connector = aiohttp.TCPConnector(ssl=self.ssl_context, socket_factory=egress.open_socket)
            return aiohttp.ClientSession(connector=connector)

    async with ApiClient(configuration) as api:
        api.rest_client = Guarded(configuration)
        try:
            found = await CoreV1Api(api).list_namespace(limit=_LIMIT)
        except ApiException as error:
            detail = (
                f"Kubernetes at {configuration.host} answers {error.status} {error.reason} to a list of namespaces."
            )
            raise VimUnauthorized(detail) if error.status in _REFUSED else VimUnreachable(detail) from error
    return [item.metadata.name for item in found.items if item.metadata and item.metadata.name]


async def _configuration(login: Login, egress: Egress) -> Configuration:
    from kubernetes.aio.client import Configuration

    configuration = Configuration(host=login.auth_url)
    ca: Any = login.auth_cred.get("ssl_ca_cert")
    configuration.verify_ssl = ca != "None"
    if ca and ca != "None":
        configuration.ca_cert_data = ca
    cred = login.auth_cred
    if "oidc_token_url" in cred:
        configuration.api_key = {"BearerToken": f"Bearer {await _oidc_token(login, configuration, egress)}"}
    elif "bearer_token" in cred:
        configuration.api_key = {"BearerToken": f"Bearer {cred['bearer_token']}"}
    else:
        basic = aiohttp.encode_basic_auth(cred["username"], cred["password"])
        configuration.api_key = {"BearerToken": basic}
    return configuration


async def _oidc_token(login: Login, configuration: Configuration, egress: Egress) -> str:
    """An ID token by the resource owner password grant (RFC 6749 4.3, OpenID Connect Core 3.1.3.3).

    :raises VimUnauthorized: the OpenID provider refuses.
    """
    cred = login.auth_cred
    form = {"grant_type": "password", "scope": "openid"}
    form |= {name: cred[name] for name in ("client_id", "client_secret", "username", "password") if cred.get(name)}
    trust: ssl.SSLContext | bool = configuration.verify_ssl
    if configuration.ca_cert_data:
        trust = ssl.create_default_context(cadata=str(configuration.ca_cert_data))
    permitted(egress, cred["oidc_token_url"])
    connector = aiohttp.TCPConnector(ssl=trust, socket_factory=egress.open_socket)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.post(cred["oidc_token_url"], data=form) as answer,
    ):
        if answer.status in (400, *_REFUSED):
            raise VimUnauthorized(f"The OpenID provider {cred['oidc_token_url']} refuses user {cred['username']}.")
        answer.raise_for_status()
        token: dict[str, Any] = await answer.json(content_type=None)
    if not token.get("id_token"):
        raise VimUnreachable(f"The OpenID provider {cred['oidc_token_url']} gave no id_token.")
    return str(token["id_token"])

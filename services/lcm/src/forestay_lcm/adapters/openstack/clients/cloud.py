"""A cloud: one OpenStack as one user of one project sees it, with a client for each service that Forestay talks to.

``Clouds`` is the one object of the process that owns connections and tokens; a ``Cloud`` is cheap, make one for a job.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache, partial
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

from forestay_events.errors import Permanent
from forestay_sol.egress import Egress
from forestay_sol.vnflcm import VimConnectionInfo

from forestay_lcm.adapters.openstack.clients.cinder import Cinder
from forestay_lcm.adapters.openstack.clients.credentials import Credential, credential
from forestay_lcm.adapters.openstack.clients.heat import SERVICE as HEAT
from forestay_lcm.adapters.openstack.clients.heat import Heat
from forestay_lcm.adapters.openstack.clients.keystone import Keystone, Token
from forestay_lcm.adapters.openstack.clients.neutron import Neutron
from forestay_lcm.adapters.openstack.clients.nova import Nova
from forestay_lcm.adapters.openstack.clients.oauth_heat import HeatClient, HeatTokens
from forestay_lcm.adapters.openstack.clients.pace import Pace
from forestay_lcm.adapters.openstack.clients.transport import ANYWHERE, Reply, ServerError, Transport, Unauthorized

T = TypeVar("T")
Query = Mapping[str, str | int | Sequence[str]]

_ALIASES: Mapping[str, tuple[str, ...]] = {"block-storage": ("volumev3",)}
"""Service types under which older catalogs have a service."""

_NO_TRUSTS = (
    "Heat makes a trust for each stack, and Keystone lets this application credential make none. Give the VIM connection a "
    "username and password, or have the operator of the OpenStack set [security_compliance] "
    "allow_insecure_application_credential_trust_escalation in keystone.conf."
)


class Clouds:
    """The clouds of this process: async context manager; see :class:`Transport` for the parameters.

    :param heat_client: for those whose Heat takes tokens of OAuth 2.0.
    """

    def __init__(
        self,
        *,
        limit: int = 150,
        timeout: float = 60,
        connect_timeout: float = 10,
        egress: Egress = ANYWHERE,
        heat_client: HeatClient | None = None,
    ) -> None:
        self._transport = Transport(limit=limit, timeout=timeout, connect_timeout=connect_timeout, egress=egress)
        self._keystone = Keystone(self._transport)
        self._heat_tokens = HeatTokens(self._transport, heat_client.tls) if heat_client else None
        self._heat_client = heat_client
        self._paces = lru_cache(maxsize=1024)(_new_pace)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()

    def cloud(self, connection: VimConnectionInfo, project: str = "") -> Cloud:
        """The cloud behind a VIM connection whose secrets are open; nothing is called yet.

        :param project: of Forestay, whose connection it is.
        :raises Permanent: 422, the connection lacks a member, has one that is not what it has to be, or one that is not for this
            project.
        """
        known = credential(connection)
        if known.heat and self._heat_client:
            self._heat_client.check(project, known.heat)
        pace = self._paces(known.auth_url, known.region)
        return Cloud(self._transport, self._keystone, known, pace, self._heat_tokens)


def _new_pace(*_: str | None) -> Pace:
    return Pace()


class Cloud:
    """An OpenStack project. ``heat``, ``neutron``, ``nova`` and ``cinder`` are its services; ``pace`` is that of all who wait
    for the same OpenStack."""

    def __init__(
        self,
        transport: Transport,
        keystone: Keystone,
        credential: Credential,
        pace: Pace,
        heat_tokens: HeatTokens | None = None,
    ) -> None:
        self.pace = pace
        self._heat_tokens = heat_tokens
        self._transport = transport
        self._keystone = keystone
        self._credential = credential
        self.heat = Heat(self)
        self.neutron = Neutron(self)
        self.nova = Nova(self)
        self.cinder = Cinder(self)

    @property
    def credential(self) -> Credential:
        """How it is logged in to: clouds with the same credential are the same."""
        return self._credential

    async def token(self) -> Token:
        """A token that is good for a while, with what Keystone says about the project."""
        return await self._keystone.token(self._credential)

    async def request(
        self,
        service: str,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: Any = None,
        acts: bool = False,
        version: str | None = None,
    ) -> Reply:
        """Call a service of the catalog with a token; a token that it refuses is renewed once.

        :param service: service type, such as ``orchestration``.
        :param path: below the endpoint of the catalog, with its leading slash.
        :param version: the microversion to ask for, such as ``volume 3.40``.
        :raises Permanent: the catalog has no such service, or the service refused; else as :meth:`Transport.request`.
        """
        target = path + (f"?{urlencode(query, doseq=True)}" if query else "")
        send = partial(self._transport.request, method, body=body, acts=acts)
        heat, heat_tokens = self._credential.heat, self._heat_tokens
        if service == HEAT and heat and heat_tokens:
            url, tls = f"{heat.endpoint}{target}", heat_tokens.tls
            return await _with_token(
                lambda refused: heat_tokens.token(heat, refused=refused),
                lambda token: send(url, headers={"Authorization": f"Bearer {token}"}, tls=tls),
            )

        async def sent(token: Token) -> Reply:
            headers = {"X-Auth-Token": token.id, **({"OpenStack-API-Version": version} if version else {})}
            try:
                return await send(self._url(token, service, target), headers=headers, tls=self._credential.tls)
            except ServerError as error:
                if service == HEAT and await self._keystone.forbids_trusts(self._credential, token):
                    raise Permanent(f"{error} {_NO_TRUSTS}", status=422, title="Heat needs another login") from error
                raise

        return await _with_token(lambda refused: self._keystone.token(self._credential, refused=refused), sent)

    def _url(self, token: Token, service: str, target: str) -> str:
        service = next((name for name in (service, *_ALIASES.get(service, ())) if name in token.endpoints), service)
        if service not in token.endpoints:
            where = f"region {self._credential.region!r}" if self._credential.region else "any region"
            raise Permanent(
                f"The catalog of {self._credential.auth_url} has no {self._credential.interface} endpoint of type "
                f"{service!r} in {where}.",
                status=422,
                title="VIM lacks a service",
            )
        # A catalog may name the service with its version or without.
        return token.endpoints[service].removesuffix(f"/{target.split('/', 2)[1]}") + target


async def _with_token(token: Callable[[T | None], Awaitable[T]], sent: Callable[[T], Awaitable[Reply]]) -> Reply:
    """The answer to a call with a token; one that the service refuses is renewed once."""
    given = await token(None)
    try:
        return await sent(given)
    except Unauthorized:
        return await sent(await token(given))

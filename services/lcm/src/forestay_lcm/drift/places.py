"""Which clouds are to be compared with the log, and which VNF instances live in each.

Rules of this module:

* A place is a project in a region of an OpenStack, whoever logs in there and however: findings are named for it, and a
  project's id is its own. A Keystone speaks for itself only: two with the same projects are two VIMs.
* They are those of registered VIMs, of VNF instances that are instantiated, and of INSTANTIATE operations that have failed:
  one may have left something there, though its VNF instance has no connection any more.
* Each credential is used once, however many VNF instances have it, and those of one VIM wait for no other VIM.
* A VNF instance is looked at with its own credential. Of one that cannot log in it is not known where it lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec
from forestay_events.database import answering
from forestay_events.freshness import caught_up_with_all
from forestay_events.platform import Platform
from forestay_sol.vnflcm import VimConnectionInfo

from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.clients.credentials import Credential
from forestay_lcm.adapters.openstack.connections import living_in
from forestay_lcm.catalogue import SCHEMA, Catalogue, brings_access
from forestay_lcm.domain.plan import DRIVERS
from forestay_lcm.domain.state import Vnf
from forestay_lcm.drift.breaker import CircuitBreaker, passing_over
from forestay_lcm.projections.catalogue import KnownVim, decode_vim
from forestay_lcm.projections.instances import decode_state
from forestay_lcm.reads import STREAM

_BATCH = 100
_OPENSTACK = next(kind for kind, driver in DRIVERS.items() if driver == "openstack")


@dataclass(frozen=True)
class Login:
    """A credential; ``projects`` are those of Forestay that have it, ``vnfs`` the instances that live where it leads to."""

    cloud: Cloud
    projects: list[str] = field(default_factory=list[str])
    vnfs: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Place:
    """A cloud.

    :ivar name: how findings call it.
    :ivar projects: those of Forestay that may log in to it: what it shows says nothing of another's VNF instances.
    :ivar vnfs: the instances that live in it, each with its own way there.
    """

    name: str
    cloud: Cloud
    projects: list[str] = field(default_factory=list[str])
    vnfs: dict[str, Cloud] = field(default_factory=dict[str, Cloud])


@dataclass(frozen=True)
class Locations:
    """Where VNF instances live.

    :ivar vims: the credentials of each VIM, by its authentication URL.
    :ivar elsewhere: the VNF instances that live in no OpenStack.
    :ivar unknown: those of which it is not known where they live.
    :ivar silent: how the URLs of those VIMs begin that not everybody could log in to.
    """

    vims: dict[str, dict[Credential, Login]] = field(default_factory=dict[str, dict[Credential, Login]])
    elsewhere: set[str] = field(default_factory=set[str])
    unknown: set[str] = field(default_factory=set[str])
    silent: set[str] = field(default_factory=set[str])

    async def places(self, vim: str, breaker: CircuitBreaker) -> list[Place]:
        """The places of a VIM, after having logged in to it. :raises Unavailable: as :meth:`CircuitBreaker.call`."""
        logins = self.vims[vim].values()
        names = await asyncio.gather(
            *(breaker.call(lambda it=it: _name(it.cloud), project=it.projects[0]) for it in logins)
        )
        places: dict[str, Place] = {}
        for login, name in zip(logins, names, strict=True):
            if name is None:
                self.silent.add(vim)
                self.unknown.update(login.vnfs)
            else:
                place = places.setdefault(name, Place(name, login.cloud))
                place.projects.extend(login.projects)
                place.vnfs.update(dict.fromkeys(login.vnfs, login.cloud))
        return list(places.values())


async def _name(cloud: Cloud) -> str:
    token = await cloud.token()
    where = (cloud.credential.auth_url, token.project, token.project_id, token.region)
    return " ".join(filter(None, where))


class Directory:
    """Finds out from the copy of the log who lives where. No VIM is called."""

    def __init__(self, platform: Platform, catalogue: Catalogue, clouds: Clouds) -> None:
        self._platform = platform
        self._catalogue = catalogue
        self._clouds = clouds

    async def locations(self) -> Locations:
        """:raises Unavailable: the log or the copy does not answer, or the copy is behind."""
        locations = Locations()
        for stream in ("VIM", STREAM):
            await caught_up_with_all(self._platform, SCHEMA, stream)
        registered: dict[tuple[str, str | None], Login | None] = {}
        for vim in await self._registered():
            info = VimConnectionInfo(vim_id=vim.id, vim_type=_OPENSTACK)
            login = registered[vim.project, vim.id] = await self._login(locations, vim.project, "", vim.name, info)
            if login is None:
                locations.silent.add(vim.auth_url.rstrip("/"))
        async for vnf in self._vnfs():
            logins = [await self._login_of(locations, registered, vnf, key, info) for key, info in _connections(vnf)]
            if vnf.instantiation_state != "INSTANTIATED":
                continue
            if not logins:
                locations.elsewhere.add(vnf.id)
            for login in logins:
                (login.vnfs.append if login else locations.unknown.add)(vnf.id)
        return locations

    async def _login_of(
        self,
        locations: Locations,
        registered: dict[tuple[str, str | None], Login | None],
        vnf: Vnf,
        key: str,
        info: VimConnectionInfo,
    ) -> Login | None:
        if brings_access(info):
            return await self._login(locations, vnf.project, vnf.id, key, info)
        whose = (vnf.project, info.vim_id)
        if whose not in registered:
            registered[whose] = await self._login(locations, vnf.project, vnf.id, key, info)
        return registered[whose]

    async def _login(
        self, locations: Locations, project: str, vnf_id: str, key: str, info: VimConnectionInfo
    ) -> Login | None:
        """The login of a connection, one for each credential; ``None`` if its secrets cannot be had, or make no credential."""

        async def known() -> Login:
            connection = await self._catalogue.open_connection(project, vnf_id, key, info)
            cloud = self._clouds.cloud(connection, project)
            logins = locations.vims.setdefault(cloud.credential.auth_url, {})
            login = logins.setdefault(cloud.credential, Login(cloud))
            if project not in login.projects:
                login.projects.append(project)
            return login

        return await passing_over(known, vnf=vnf_id, vim=key)

    async def _registered(self) -> Iterable[KnownVim]:
        with answering():
            rows = await self._platform.pool.fetch("SELECT model FROM lcm.vim ORDER BY id")
        return [vim for vim in (decode_vim(row["model"]) for row in rows) if vim.vim_type == "openstack"]

    async def _vnfs(self) -> AsyncIterator[Vnf]:
        after = ""
        while True:
            with answering():
                rows = await self._platform.pool.fetch(
                    "SELECT id, state FROM lcm.vnf WHERE NOT deleted AND id > $1 ORDER BY id LIMIT $2", after, _BATCH
                )
            for row in rows:
                yield decode_state(row["state"])
            if len(rows) < _BATCH:
                return
            after = rows[-1]["id"]


def _connections(vnf: Vnf) -> Iterator[tuple[str, VimConnectionInfo]]:
    """The connections to OpenStack that lead to what there is of a VNF instance, or may be."""
    places: dict[str, VimConnectionInfo] = {}
    if vnf.instantiation_state == "INSTANTIATED":
        home = living_in(vnf)
        places = {home: vnf.vim_connections[home]} if home in vnf.vim_connections else {}
    elif vnf.operation and (vnf.operation.operation, vnf.operation.state) == ("INSTANTIATE", "FAILED"):
        given = vnf.operation.params.get("vimConnectionInfo") or {}
        places = msgspec.convert(given, dict[str, VimConnectionInfo])
    return ((key, info) for key, info in places.items() if info.vim_type == _OPENSTACK)

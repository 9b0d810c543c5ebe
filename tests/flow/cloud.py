"""A cloud as a test's user sees it: how to log in, and the networks that VNFs are connected to.

The same for the simulator and for a real OpenStack, so that one flow runs on both.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_sol.vnflcm import VimConnectionInfo

Json = dict[str, Any]

#: The networks that are there before any VNF.
FIRST_DAY = {"public", "mgmt", "private"}


@dataclass(frozen=True)
class TestCloud:
    """Access of one user to one project."""

    __test__ = False

    auth_url: str
    username: str
    password: str
    project: str

    @property
    def connection(self) -> VimConnectionInfo:
        return VimConnectionInfo(
            vim_type="ETSINFV.OPENSTACK_KEYSTONE.V_3",
            interface_info={"endpoint": self.auth_url},
            access_info={
                "username": self.username,
                "password": self.password,
                "project": self.project,
                "userDomain": "Default",
                "projectDomain": "Default",
                "region": "RegionOne",
            },
        )

    def vim(self, name: str = "cloud", **members: Any) -> Json:
        """Body of POST /v1.0/vims."""
        vim = {
            "name": name,
            "type": "openstack",
            "auth_url": self.auth_url,
            "auth_cred": {"username": self.username, "password": self.password, "user_domain_name": "Default"},
            "vim_project": {"name": self.project, "project_domain_name": "Default"},
            "is_default": True,
        }
        return {"vim": vim | members}

    async def login(self) -> tuple[str, Json]:
        """A token, and what Keystone says of it: members ``user`` and ``project`` with their ids, among others."""
        domain = {"name": "Default"}
        user = {"name": self.username, "password": self.password, "domain": domain}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": self.project, "domain": domain}}
        body = {"auth": {"identity": identity, "scope": scope}}
        async with aiohttp.ClientSession() as session, session.post(f"{self.auth_url}/auth/tokens", json=body) as reply:
            reply.raise_for_status()
            return reply.headers["X-Subject-Token"], (await reply.json())["token"]

    @asynccontextmanager
    async def application_credential(self, name: str) -> AsyncGenerator[Json]:
        """An application credential, deleted when the context ends."""
        token, seen = await self.login()
        url = f"{self.auth_url}/users/{seen['user']['id']}/application_credentials"
        body = {"application_credential": {"name": name}}
        async with aiohttp.ClientSession(headers={"X-Auth-Token": token}, raise_for_status=True) as session:
            async with session.post(url, json=body) as reply:
                made: Json = (await reply.json())["application_credential"]
            yield made
            await session.delete(f"{url}/{made['id']}")

    async def resources(self, *requests: tuple[str, str, str]) -> list[list[Json]]:
        """Lists of the cloud: (service type, path, member) each."""
        async with Clouds() as clouds:
            cloud = clouds.cloud(self.connection)
            return [await _list(cloud, *request) for request in requests]

    async def network(self, name: str) -> tuple[str, str]:
        """Ids of a network and of its subnet."""
        [networks] = await self.resources(("network", f"/v2.0/networks?name={name}", "networks"))
        return networks[0]["id"], networks[0]["subnets"][0]

    async def leftovers(self) -> list[str]:
        """The project's stacks, servers, ports, volumes, groups, private images...: what a terminated VNF must not leave."""
        stacks, servers, groups, volumes, snapshots, ports, networks, ips, security, images = await self.resources(
            ("orchestration", "/stacks", "stacks"),
            ("compute", "/servers", "servers"),
            ("compute", "/os-server-groups", "server_groups"),
            ("volumev3", "/volumes", "volumes"),
            ("volumev3", "/snapshots", "snapshots"),
            ("network", "/v2.0/ports", "ports"),
            ("network", "/v2.0/networks", "networks"),
            ("network", "/v2.0/floatingips", "floatingips"),
            ("network", "/v2.0/security-groups", "security_groups"),
            ("image", "/v2/images", "images"),
        )
        ours = [
            # Heat lists a stack that is deleted for a moment longer.
            *(stack for stack in stacks if stack["stack_status"] != "DELETE_COMPLETE"),
            *(port for port in ports if not port["device_owner"].startswith("network:")),
            *(network for network in networks if network["name"] not in FIRST_DAY),
            *(group for group in security if group["name"] != "default"),
            *(image for image in images if image["visibility"] == "private"),
        ]
        return sorted(item["id"] for item in (*servers, *groups, *volumes, *snapshots, *ips, *ours))


async def _list(cloud: Cloud, service: str, path: str, member: str) -> list[Json]:
    reply = await cloud.request(service, "GET", path)
    found: list[Json] = reply.body[member]
    return found

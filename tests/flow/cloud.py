"""A cloud as a test's user sees it: how to log in, and the networks that VNFs are connected to.

The same for the simulator and for a real OpenStack, so that one flow runs on both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forestay_lcm.adapters.openstack.cloud import Cloud, Clouds
from forestay_sol.vnflcm import VimConnectionInfo

Json = dict[str, Any]


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
        """Stacks, servers, ports of servers and volumes of the project: what a terminated VNF must not leave."""
        stacks, servers, ports, volumes = await self.resources(
            ("orchestration", "/stacks", "stacks"),
            ("compute", "/servers", "servers"),
            ("network", "/v2.0/ports", "ports"),
            ("volumev3", "/volumes", "volumes"),
        )
        owned = [port for port in ports if str(port["device_owner"]).startswith("compute:")]
        return [f"{item['id']}" for item in (*stacks, *servers, *owned, *volumes)]


async def _list(cloud: Cloud, service: str, path: str, member: str) -> list[Json]:
    reply = await cloud.request(service, "GET", path)
    found: list[Json] = reply.body[member]
    return found

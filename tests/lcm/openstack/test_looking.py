"""A VNF is gone only where it was: who looks for it elsewhere is told so."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from forestay_events.errors import Permanent
from forestay_lcm.adapters.openstack.clients.cloud import Cloud, Clouds
from forestay_lcm.adapters.openstack.looking import look
from forestay_simvim import OpenStackSimulator
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo
from msgspec.structs import replace

from .conftest import connection
from .stepping import asg_order, instantiate, terminate


@pytest_asyncio.fixture
async def other() -> AsyncIterator[OpenStackSimulator]:
    """A cloud with projects of the same names."""
    async with OpenStackSimulator().serve() as sim:
        yield sim


@pytest.fixture
async def gone(cloud: Cloud, asg: Flavour) -> InstantiatedVnfInfo:
    """What was read back of a VNF that is not there any more."""
    info, _ = await instantiate(cloud, await asg_order(cloud, asg))
    await terminate(cloud)
    return info


async def test_what_is_gone_from_its_project_is_gone(cloud: Cloud, asg: Flavour, gone: InstantiatedVnfInfo) -> None:
    assert (await look(cloud, gone, asg, "vim1")).info is None


async def test_a_project_of_the_same_name_is_another_one(
    other: OpenStackSimulator, clouds: Clouds, asg: Flavour, gone: InstantiatedVnfInfo
) -> None:
    with pytest.raises(Permanent, match="the VNF was made in project"):
        await look(clouds.cloud(connection(other)), gone, asg, "vim1")


async def test_of_what_was_read_back_long_ago_the_name_is_known(
    sim: OpenStackSimulator, cloud: Cloud, clouds: Clouds, asg: Flavour, gone: InstantiatedVnfInfo
) -> None:
    old = replace(gone, metadata={key: value for key, value in (gone.metadata or {}).items() if key != "tenant_id"})
    assert (await look(cloud, old, asg, "vim1")).info is None
    admin = sim.cloud.config.accounts[1]
    elsewhere = connection(sim, username=admin.name, password=admin.password, project=admin.project)
    with pytest.raises(Permanent, match=f"Project {admin.project} has no stack"):
        await look(clouds.cloud(elsewhere), old, asg, "vim1")

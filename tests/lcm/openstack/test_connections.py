"""Where a VNF lives when it has several VIM connections, and how Forestay logs in there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from forestay_events.errors import Permanent, UnknownOutcome
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.connections import connection_of
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.domain.plan import Step
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.executor import Failed
from forestay_simvim import OpenStackSimulator, SimConfig
from forestay_simvim.faults import CallFault
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, VimConnectionInfo

from .conftest import connection
from .stepping import VNF, asg_order, confirmed, finish, instantiate, job, operation

CONNECTIONS = {name: VimConnectionInfo(vim_type="ETSINFV.OPENSTACK_KEYSTONE.V_3") for name in ("north", "south")}


def vnf(info: InstantiatedVnfInfo | None = None) -> Vnf:
    text = dict.fromkeys(("provider", "product_name", "software_version", "vnfd_version"), "1")
    return Vnf(id=VNF, project="p", vnfd_id="v", vim_connections=CONNECTIONS, instantiated_vnf_info=info, **text)


def asked(grant: dict[str, Any] | None = None, **params: Any) -> Operation:
    run = StepRun(
        step=Step(name="grant", executor="engine", timeout=1), status="CONFIRMED", result={"grant": grant or {}}
    )
    return msgspec.structs.replace(operation("op1", "PROCESSING"), params=params, plan=(run,))


def link(key: str) -> list[dict[str, str]]:
    return [{"id": "vl", "resourceId": "net", "vimConnectionId": key}]


def living_in(key: str) -> InstantiatedVnfInfo:
    handle = {"vimConnectionId": key, "resourceId": "s"}
    vnfc = {"id": "s", "vduId": "VDU1", "computeResource": handle}
    info = {"flavourId": "f", "vnfState": "STARTED", "vnfcResourceInfo": [vnfc]}
    return msgspec.convert(info, InstantiatedVnfInfo)


def test_what_exists_then_the_grant_then_the_links_then_the_first() -> None:
    added = {"addResources": [{"resourceDefinitionId": "r", "vimConnectionId": "south"}]}
    assert connection_of(vnf(), asked()) == "north"
    assert connection_of(vnf(), asked(extVirtualLinks=link("south"))) == "south"
    assert connection_of(vnf(), asked(added)) == "south"
    assert connection_of(vnf(living_in("south")), asked()) == "south"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (asked(extVirtualLinks=link("west")), "west is not in"),
        (asked(extManagedVirtualLinks=link("west")), "west is not in"),
        (asked({"extVirtualLinks": link("south")}, extVirtualLinks=link("north")), "in north, south"),
    ],
)
def test_a_connection_that_cannot_be_used_is_named(told: Operation, words: str) -> None:
    with pytest.raises(Permanent, match=words) as refused:
        connection_of(vnf(), told)
    assert refused.value.status == 422


def test_a_vnf_cannot_be_connected_to_a_network_of_another_cloud() -> None:
    with pytest.raises(Permanent, match="in north, south"):
        connection_of(vnf(living_in("south")), asked(extVirtualLinks=link("north")))


async def application_credential(sim: OpenStackSimulator, clouds: Clouds) -> VimConnectionInfo:
    user = sim.cloud.identity.users.find(name=sim.openrc()["OS_USERNAME"])[0]
    body = {"application_credential": {"name": "forestay"}}
    path = f"/v3/users/{user['id']}/application_credentials"
    reply = await clouds.cloud(connection(sim)).request("identity", "POST", path, body=body)
    made = reply.body["application_credential"]
    access = {"applicationCredentialId": made["id"], "applicationCredentialSecret": made["secret"]}
    return msgspec.structs.replace(connection(sim), access_info=access)


async def test_an_application_credential_makes_a_vnf(sim: OpenStackSimulator, clouds: Clouds, asg: Flavour) -> None:
    sim.settings.trusts["application_credential"] = 1
    cloud = clouds.cloud(await application_credential(sim, clouds))
    info, _ = await instantiate(cloud, await asg_order(cloud, asg))
    assert (info.metadata or {})["tenant"] == sim.openrc()["OS_PROJECT_NAME"]


async def test_where_it_may_make_no_trusts_that_is_said_at_once(
    sim: OpenStackSimulator, clouds: Clouds, asg: Flavour
) -> None:
    cloud = clouds.cloud(await application_credential(sim, clouds))
    failed = await finish(cloud, job("create-stack", await asg_order(cloud, asg)))
    assert isinstance(failed, Failed)
    assert (failed.title, failed.status) == ("Heat needs another login", 422)
    assert "500: The server has either erred" in failed.detail
    assert "(RemoteError)" in failed.detail
    assert "allow_insecure_application_credential_trust_escalation" in failed.detail


@pytest.mark.parametrize(("heat", "trusts"), [(500, 404), (500, 401), (500, 503), (500, 500), (502, None), (504, None)])
async def test_whether_it_may_make_trusts_is_not_guessed(
    sim: OpenStackSimulator, clouds: Clouds, asg: Flavour, heat: int, trusts: int | None
) -> None:
    """Keystone may have no trusts, or be away; and what stands before Heat knows nothing of it."""
    cloud = clouds.cloud(await application_credential(sim, clouds))
    step = job("create-stack", await asg_order(cloud, asg))
    sim.faults.add(CallFault(service="heat", method="POST", path="/stacks$", status=heat))
    if trusts is not None:
        sim.faults.add(CallFault(service="keystone", path="/OS-TRUST/trusts", status=trusts))
    with pytest.raises(UnknownOutcome):
        await take(cloud, step)


async def test_where_heat_fails_for_another_reason_it_is_tried_again(
    sim: OpenStackSimulator, clouds: Clouds, asg: Flavour
) -> None:
    sim.settings.trusts["application_credential"] = 1
    cloud = clouds.cloud(await application_credential(sim, clouds))
    sim.faults.add(CallFault(service="heat", method="POST", path="/stacks$", status=500))
    step = job("create-stack", await asg_order(cloud, asg))
    with pytest.raises(UnknownOutcome):
        await take(cloud, step)
    assert await confirmed(cloud, step)


async def test_one_that_is_revoked_is_named_but_not_its_secret(sim: OpenStackSimulator, clouds: Clouds) -> None:
    given = await application_credential(sim, clouds)
    access = given.access_info or {}
    sim.cloud.identity.application_credentials.remove(access["applicationCredentialId"])
    with pytest.raises(Permanent, match=access["applicationCredentialId"]) as refused:
        await clouds.cloud(given).heat.find("vnf-1")
    assert (refused.value.status, access["applicationCredentialSecret"] in str(refused.value)) == (401, False)


async def test_what_is_missing_is_named(clouds: Clouds, sim: OpenStackSimulator) -> None:
    lacking = msgspec.structs.replace(connection(sim), access_info={"applicationCredentialId": "a"})
    with pytest.raises(Permanent, match=r"accessInfo\.applicationCredentialSecret"):
        clouds.cloud(lacking)


async def test_another_region_has_no_services(sim: OpenStackSimulator, clouds: Clouds) -> None:
    elsewhere = clouds.cloud(connection(sim, region="RegionTwo"))
    for look in (elsewhere.heat.find("vnf-1"), elsewhere.nova.servers(["s"]), elsewhere.neutron.ports(["p"])):
        with pytest.raises(Permanent, match="in region 'RegionTwo'"):
            await look


async def test_each_connection_is_its_own_cloud(sim: OpenStackSimulator, clouds: Clouds, asg: Flavour) -> None:
    async with OpenStackSimulator(SimConfig()).serve() as other:
        cloud = clouds.cloud(connection(other))
        await instantiate(cloud, await asg_order(cloud, asg))
        assert await clouds.cloud(connection(sim)).heat.find(f"vnf-{VNF}") is None

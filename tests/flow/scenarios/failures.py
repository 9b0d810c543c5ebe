"""What goes wrong in a cloud, and what becomes of the operation: retried, rolled back, failed, cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import yaml
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_standalone.rest import RestApi

from tests.flow.clouds import ScenarioCloud
from tests.flow.life import SCALE_OUT, Life, born
from tests.flow.scenario import GROUP, NUMBERED, PAIR, start
from tests.flow.scenarios.access import connection, modified

Json = dict[str, Any]
Edit = Callable[[Json, Path], None]
ANYWHERE: Json = {
    "cpProtocolData": [
        {
            "layerProtocol": "IP_OVER_ETHERNET",
            "ipOverEthernet": {"ipAddresses": [{"type": "IPV4", "numDynamicAddresses": 1}]},
        }
    ]
}


async def wrong_image(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Heat's reason names the image; rolled back."""
    life = await born(api, cloud, directory, GROUP)
    failed = await life.done("instantiate", life.request | nfv("vcImageId", "no-such-image"), "FAILED_TEMP")
    assert "no-such-image" in failed["error"]["detail"]
    await life.handled(failed, "rollback", "ROLLED_BACK")
    await life.gone()


async def wrong_flavour(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A retry fails in the same way; rolled back."""
    life = await born(api, cloud, directory, GROUP)
    failed = await life.done("instantiate", life.request | nfv("computeFlavourId", "no-such-flavour"), "FAILED_TEMP")
    assert "no-such-flavour" in failed["error"]["detail"]
    again = await life.handled(failed, "retry", "FAILED_TEMP")
    assert "no-such-flavour" in again["error"]["detail"]
    await life.handled(failed, "rollback", "ROLLED_BACK")
    await life.gone()


async def exceeded_quota(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """An instantiation that the quota forbids is retried when it allows it; such a scaling out is taken back."""
    life = await born(api, cloud, directory, GROUP)
    async with cloud.limited(instances=0):
        failed = await life.done("instantiate", life.request, "FAILED_TEMP")
        assert "uota exceeded" in failed["error"]["detail"]
    await life.handled(failed, "retry", "COMPLETED")
    before = await life.vnfcs()
    async with cloud.limited(instances=1):
        failed = await life.done("scale", SCALE_OUT, "FAILED_TEMP")
        assert "uota exceeded" in told_of("VDU1 (OS::Nova::Server)", failed)
        await life.handled(failed, "rollback", "ROLLED_BACK")
    assert (await life.vnfcs()).keys() == before.keys()
    await life.ends()


async def slow_server(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Heat is asked again when it is silent for long: it goes on with what it is at, or makes it anew; nothing is there twice."""
    life = await born(api, cloud, directory, GROUP, edit=delayed(2 * cloud.slowness))
    operation = await start(api, life.uri, "instantiate", life.request)
    async with asyncio.timeout(cloud.patience):
        while not (seen := {server["id"] for server in await servers(cloud)}):
            await asyncio.sleep(0.1)
    await api.until(operation, "operationState", {"COMPLETED"}, {"FAILED_TEMP"}, patience=cloud.patience)
    there = {server["id"] for server in await servers(cloud)}
    assert (await life.vnfcs()).keys() == there
    assert len(there) == len(seen)
    await life.ends()


async def stubborn_server(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A server that cannot be deleted the first time: the termination says which, and does it when it is retried."""
    life = await born(api, cloud, directory, GROUP, edit=noted_on("VDU1", lab_fault="destroy"))
    await life.instantiated()
    failed = await life.done("terminate", {"terminationType": "FORCEFUL"}, "FAILED_TEMP")
    assert "ERROR" in told_of("VDU1 (OS::Nova::Server)", failed)
    await life.handled(failed, "retry", "COMPLETED")
    await life.gone()


async def volume_in_error(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A volume that cannot be made: rolled back."""
    life = await born(api, cloud, directory, NUMBERED, edit=noted_on("VDU1_Storage", lab_fault="create"))
    failed = await life.done("instantiate", life.request, "FAILED_TEMP")
    assert "Went to status error" in told_of("VDU1_Storage (OS::Cinder::Volume)", failed)
    await life.handled(failed, "rollback", "ROLLED_BACK")
    await life.gone()


async def unbindable_port(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A port that no host can bind: rolled back."""
    life = await born(api, cloud, directory, GROUP)
    async with own_network(cloud, "lab-unbindable") as network:
        links = [link | {"resourceId": network} for link in life.request["extVirtualLinks"]]
        for link in links:
            link["extCps"] = [{"cpdId": cp["cpdId"], "cpConfig": {"VDU1_CP1": ANYWHERE}} for cp in link["extCps"]]
        failed = await life.done("instantiate", life.request | {"extVirtualLinks": links}, "FAILED_TEMP")
        assert "ERROR" in told_of("VDU1 (OS::Nova::Server)", failed)
        await life.handled(failed, "rollback", "ROLLED_BACK")
    await life.gone()


async def network_that_is_gone(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Given up with what Heat has left of it; the next instantiation clears that away."""
    life = await born(api, cloud, directory, PAIR)
    gone = await lost_network(cloud)
    links = [link | {"resourceId": gone} for link in life.request["extVirtualLinks"]]
    failed = await life.done("instantiate", life.request | {"extVirtualLinks": links}, "FAILED_TEMP")
    assert gone in failed["error"]["detail"]
    await life.handled(failed, "fail", "FAILED")
    await life.instantiated()
    await life.ends()


async def engine_killed(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Heat's engine dies in mid-create and forgets its work: an operator cancels, all is rolled back, the next try works."""
    life = await born(api, cloud, directory, GROUP, edit=delayed(cloud.slowness))
    cancelled = await abandoned(life, await start(api, life.uri, "instantiate", life.request))
    await life.handled(cancelled, "rollback", "ROLLED_BACK")
    await life.instantiated()
    await life.ends()


async def engine_killed_unnoticed(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Heat's engine dies in mid-create; nobody does anything about it, and the VNF is instantiated."""
    life = await born(api, cloud, directory, GROUP, edit=delayed(cloud.slowness))
    operation = await start(api, life.uri, "instantiate", life.request)
    await killed(cloud)
    await api.until(operation, "operationState", {"COMPLETED"}, {"FAILED_TEMP"}, patience=cloud.patience)
    assert [server["status"] for server in await life.servers()] == ["ACTIVE"]
    await life.ends()


async def engine_killed_in_mid_update(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Heat's engine dies in mid-update, and an operator cancels: what is scaled out is rolled back, or is done when it is
    retried; so is what is healed."""
    life = await born(api, cloud, directory, GROUP, edit=delayed(cloud.slowness))
    await life.instantiated()
    first = await life.vnfcs()
    cancelled = await abandoned(life, await start(api, life.uri, "scale", SCALE_OUT))
    await life.handled(cancelled, "rollback", "ROLLED_BACK")
    assert (await life.vnfcs()).keys() == first.keys()
    cancelled = await abandoned(life, await start(api, life.uri, "scale", SCALE_OUT))
    await life.handled(cancelled, "retry", "COMPLETED")
    two = await life.vnfcs()
    assert two.keys() > first.keys()
    heal = {"vnfcInstanceId": await life.of_vdu("VDU1")}
    cancelled = await abandoned(life, await start(api, life.uri, "heal", heal))
    await life.handled(cancelled, "rollback", "ROLLED_BACK")
    assert len(await life.vnfcs()) == 2
    assert [server["status"] for server in await life.servers()] == ["ACTIVE"] * 2
    await life.ends()


async def login_without_trusts(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Heat makes a trust for each stack, which an application credential may not: that is said within seconds. The VNF is made
    with a password; then that login does for all the rest."""
    life = await born(api, cloud, directory, GROUP)
    password = dict(cloud.connection.access_info or {})
    async with cloud.application_credential(f"scenario-{uuid4()}") as made:
        login = {"applicationCredentialId": made["id"], "applicationCredentialSecret": made["secret"]}
        request = life.request | {"vimConnectionInfo": {"vim": connection(cloud, login)}}
        async with asyncio.timeout(60):
            failed = await life.done("instantiate", request, "FAILED_TEMP")
        assert "allow_insecure_application_credential_trust_escalation" in failed["error"]["detail"]
        await life.handled(failed, "rollback", "ROLLED_BACK")
        await life.instantiated(vimConnectionInfo={"vim": connection(cloud, password)})
        await modified(life, dict.fromkeys(password) | login)
        first = await life.vnfcs()
        await life.done("scale", SCALE_OUT)
        assert (await life.vnfcs()).keys() > first.keys()
        await life.done("heal", {"vnfcInstanceId": await life.of_vdu("VDU1")})
        assert not (await life.vnfcs()).keys() & first.keys()
        await life.ends()


async def abandoned(life: Life, uri: str) -> Json:
    """The engine is killed when Nova makes a server; an operator who has waited long enough cancels the operation."""
    await killed(life.cloud)
    await life.api.send("POST", f"{uri}/cancel", {"cancelMode": "FORCEFUL"})
    return await life.api.until(uri, "operationState", {"FAILED_TEMP"}, {"COMPLETED"}, patience=life.cloud.patience)


async def killed(cloud: ScenarioCloud) -> None:
    """Heat's engine, when Nova makes a server: whether Heat has noted its id already, is chance."""
    async with asyncio.timeout(cloud.patience):
        while "BUILD" not in [server["status"] for server in await servers(cloud)]:
            await asyncio.sleep(0.05)
    await cloud.kill_engine()


def told_of(resource: str, failed: Json) -> str:
    """What an operation's error says of a resource, deep in the stack: ``<name> (<type>)``."""
    parts = {part.partition(": ")[0]: part for part in failed["error"]["detail"].split("; ")}
    assert resource in parts, failed["error"]["detail"]
    return parts[resource]


async def servers(cloud: ScenarioCloud) -> list[Json]:
    return (await cloud.resources(("compute", "/servers/detail", "servers")))[0]


def delayed(seconds: int) -> Edit:
    """Servers of the group that take so long."""
    return noted_on("VDU1", lab_delay=seconds)


def noted_on(node: str, **metadata: Any) -> Edit:
    """An edit: metadata of a resource of the nested template, which ask for trouble."""

    def edit(_: Json, tree: Path) -> None:
        template = tree / "BaseHOT" / "simple" / "nested" / "VDU1.yaml"
        content = yaml.safe_load(template.read_text())
        content["resources"][node]["properties"]["metadata"] = {name: str(value) for name, value in metadata.items()}
        template.write_text(yaml.safe_dump(content, sort_keys=False))

    return edit


def nfv(name: str, value: str) -> Json:
    """``additionalParams`` that say otherwise what VDU1 is made of."""
    return {"additionalParams": {"nfv": {"VDU": {"VDU1": {name: value}}}}}


@asynccontextmanager
async def own_network(cloud: ScenarioCloud, name: str) -> AsyncGenerator[str]:
    """The id of a network with a subnet, as long as the context lasts."""
    async with Clouds() as clouds:
        own = clouds.cloud(cloud.connection)
        made: Json = (await own.request("network", "POST", "/v2.0/networks", body={"network": {"name": name}})).body[
            "network"
        ]
        subnet = {"network_id": made["id"], "ip_version": 4, "cidr": "10.77.0.0/24"}
        await own.request("network", "POST", "/v2.0/subnets", body={"subnet": subnet})
        yield made["id"]
        await own.request("network", "DELETE", f"/v2.0/networks/{made['id']}")


async def lost_network(cloud: ScenarioCloud) -> str:
    """The id of a network that was."""
    async with Clouds() as clouds:
        own = clouds.cloud(cloud.connection)
        body = {"network": {"name": "lost"}}
        made: Json = (await own.request("network", "POST", "/v2.0/networks", body=body)).body["network"]
        await own.request("network", "DELETE", f"/v2.0/networks/{made['id']}")
    return made["id"]

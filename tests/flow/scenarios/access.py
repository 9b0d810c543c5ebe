"""How a cloud is logged in to, and what is kept of a VNF beside its stack."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import uuid4

from forestay_standalone.rest import RestApi
from yarl import URL

from tests.flow.clouds import ScenarioCloud
from tests.flow.life import Life, born
from tests.flow.scenario import GROUP, PAIR

Json = dict[str, Any]
SNAPSHOTS = "/vnflcm/v2/vnf_snapshots"


async def application_credential(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """A VNF gets another login, which is no password, and is stopped and started with it.

    Not more: Heat makes a trust for each stack, and a Keystone of today lets no application credential do that.
    """
    life = await born(api, cloud, directory, GROUP)
    password = dict(cloud.connection.access_info or {})
    await life.instantiated(vimConnectionInfo={"vim": connection(cloud, password)})
    async with cloud.application_credential(f"scenario-{uuid4()}") as made:
        login = {"applicationCredentialId": made["id"], "applicationCredentialSecret": made["secret"]}
        await modified(life, dict.fromkeys(password) | login)
        assert made["secret"] not in str(await life.shown())
        for state, status in (("STOPPED", "SHUTOFF"), ("STARTED", "ACTIVE")):
            await life.done("operate", {"changeStateTo": state})
            assert [server["status"] for server in await life.servers()] == [status]
        await modified(life, dict.fromkeys(login) | password)
    await life.ends()


async def modified(life: Life, access: Json) -> None:
    """Change the VNF's login (RFC 7396)."""
    changed = await life.api.send("PATCH", life.uri, {"vimConnectionInfo": {"vim": {"accessInfo": access}}})
    await life.api.until(URL(changed["location"]).path, "operationState", {"COMPLETED"}, {"FAILED_TEMP"})


async def another_region(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Nothing is made outside the region that is named: one without services fails; rolled back."""
    life = await born(api, cloud, directory, GROUP)
    access = dict(cloud.connection.access_info or {}) | {"region": "RegionTwo"}
    request = life.request | {"vimConnectionInfo": {"vim": connection(cloud, access)}}
    failed = await life.done("instantiate", request, "FAILED_TEMP")
    assert "RegionTwo" in failed["error"]["detail"]
    await life.handled(failed, "fail", "FAILED")
    await life.instantiated()
    await life.ends()


async def snapshots(api: RestApi, cloud: ScenarioCloud, directory: Path) -> None:
    """Of a server and of a volume: taken, reverted to, though the server is another one since; deleted."""
    for sample, kind in ((GROUP, "computeSnapshotResource"), (PAIR, "storageSnapshotResources")):
        life = await born(api, cloud, directory, sample)
        await life.instantiated()
        before = (await life.vnfcs()).keys()
        snapshot = (await api.send("POST", SNAPSHOTS, {}))["id"]
        await life.done("create_snapshot", {"vnfSnapshotInfoId": snapshot})
        shown = (await api.send("GET", f"{SNAPSHOTS}/{snapshot}"))["vnfSnapshot"]
        assert any(kind in vnfc for vnfc in shown["vnfcSnapshots"])
        if sample is GROUP:
            await life.done("revert_to_snapshot", {"vnfSnapshotInfoId": snapshot})
            assert (await life.vnfcs()).keys() == before
            await life.done("heal", {})
            healed = (await life.vnfcs()).keys()
            assert not healed & before
            await life.done("revert_to_snapshot", {"vnfSnapshotInfoId": snapshot})
            [part] = shown["vnfcSnapshots"]
            [server] = await life.servers()
            assert server["image"]["id"] == part["computeSnapshotResource"]["resourceId"]
            assert (await life.vnfcs()).keys() == healed
        await api.send("DELETE", f"{SNAPSHOTS}/{snapshot}")
        await life.ends()


def connection(cloud: ScenarioCloud, access: Json) -> Json:
    """``vimConnectionInfo`` with another login."""
    known = cloud.connection
    return {"vimType": known.vim_type, "interfaceInfo": known.interface_info, "accessInfo": access}

"""The unmodified clients: openstacksdk in a thread, the ``openstack`` command and the simulator as processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

import openstack
import pytest
from aiohttp import ClientSession
from forestay_simvim import OpenStackSimulator
from openstack import exceptions as sdk_exceptions

from tests.simvim.conftest import SERVER
from tests.simvim.test_nested import FILES, TOP, nfv

OPENSTACK = Path(sys.executable).with_name("openstack")


def _connect(sim: OpenStackSimulator) -> Any:
    env = sim.openrc()
    return openstack.connect(  # pyright: ignore[reportPrivateImportUsage]
        auth_url=env["OS_AUTH_URL"], username=env["OS_USERNAME"], password=env["OS_PASSWORD"],
        project_name=env["OS_PROJECT_NAME"], user_domain_name="Default", project_domain_name="Default",
        region_name="RegionOne",
    )  # fmt: skip


def _with_sdk(sim: OpenStackSimulator) -> None:
    cloud = _connect(sim)
    heat = cloud.orchestration
    made = heat.create_stack(name="vnf-1", template=TOP, files=FILES, parameters=nfv(2))
    stack = heat.wait_for_status(made, "CREATE_COMPLETE", interval=0.05, wait=10)
    assert heat.find_stack("vnf-1").id == stack.id
    assert heat.find_stack("vnf-2") is None
    assert {each.name for each in heat.stacks()} == {"vnf-1"}
    assert {each.name for each in heat.resources(stack)} == {"VDU1_scale_group", "VDU1_scale_out"}
    found = heat.get(f"/stacks/vnf-1/{stack.id}/resources?nested_depth=2").json()["resources"]
    servers = {each["physical_resource_id"] for each in found if each["resource_type"] == "OS::Nova::Server"}
    assert {server.id for server in cloud.compute.servers()} == servers
    for server in cloud.compute.servers():
        (port,) = cloud.network.ports(device_id=server.id)
        assert server.addresses["private"][0]["addr"] == port.fixed_ips[0]["ip_address"]
        assert (server.status, server.flavor.original_name, port.status) == ("ACTIVE", "m1.tiny", "ACTIVE")
    with pytest.raises(sdk_exceptions.ConflictException):
        heat.create_stack(name="vnf-1", template=SERVER)
    assert {zone.name for zone in cloud.compute.availability_zones(details=True)} == {"nova"}
    assert {image.name for image in cloud.image.images()} == {"cirros", "vnf-image"}
    assert cloud.image.find_image("cirros").status == "active"
    assert {net.name for net in cloud.network.networks()} == {"public", "mgmt", "private"}
    assert cloud.block_storage.create_volume(size=1, name="v").name == "v"
    assert [volume.name for volume in cloud.block_storage.volumes()] == ["v"]
    assert cloud.identity.find_project("demo").name == "demo"
    heat.delete_stack(stack)
    heat.wait_for_delete(stack, interval=0.05, wait=10)
    assert list(cloud.compute.servers()) == []


async def test_openstacksdk(sim: OpenStackSimulator) -> None:
    await asyncio.to_thread(_with_sdk, sim)


async def _openstack(sim: OpenStackSimulator, *commands: str) -> tuple[list[Any], str]:
    """Run the commands in one ``openstack`` process; the JSON documents it prints, and its complaints."""
    env, pipe = {**os.environ, **sim.openrc()}, asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(OPENSTACK, env=env, stdin=pipe, stdout=pipe, stderr=pipe)
    out, err = await process.communicate("".join(f"{command}\n" for command in commands).encode())
    documents: list[Any] = []
    # A command that waits may tell what happens meanwhile, a line for each event.
    text = re.sub(r"(?m)^\d{4}-.*$", "", out.decode()).strip()
    while text:
        document, end = json.JSONDecoder().raw_decode(text)
        documents.append(document)
        text = text[end:].strip()
    return documents, err.decode()


async def test_the_openstack_command(sim: OpenStackSimulator, tmp_path: Path) -> None:
    (tmp_path / "top.yaml").write_text(TOP)
    (tmp_path / "VDU1.yaml").write_text(FILES["VDU1.yaml"])
    (tmp_path / "env.yaml").write_text(json.dumps({"parameters": nfv(1)}))
    create = f"stack create -f json -t {tmp_path}/top.yaml -e {tmp_path}/env.yaml s"
    lists = [f"{kind} list -f json" for kind in ("stack", "server", "network", "image")]
    found, err = await _openstack(
        sim, create, "token issue -f json", *lists, "stack show -f json s", create, "stack delete --yes --wait s",
        "server list -f json",
    )  # fmt: skip
    assert "The Stack (s) already exists." in err
    created, token, stacks, servers, networks, images, shown, servers_left = found
    assert token["project_id"]
    assert [row["ID"] for row in stacks] == [created["id"]]
    assert [row["Status"] for row in servers] == ["ACTIVE"]
    assert {row["Name"] for row in networks} == {"public", "mgmt", "private"}
    assert {row["Name"] for row in images} == {"cirros", "vnf-image"}
    assert (shown["stack_status"], shown["id"]) == ("CREATE_COMPLETE", created["id"])
    assert servers_left == []
    assert sim.cloud.counts()["stacks"] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_says_where_it_is_and_stops_at_once(number: signal.Signals) -> None:
    command = [sys.executable, "-m", "forestay_simvim", "--port", "0", "--tacker-endpoint", "http://127.0.0.1:1/"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    ready = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
    async with ClientSession() as session:
        fault = {"on": "call", "service": "keystone", "effect": "hang", "times": None}
        async with session.post(f"{ready['url']}/_sim/faults", json=fault) as reply:
            assert reply.status == 201
        hanging = asyncio.ensure_future(session.get(ready["auth_url"]))
        await asyncio.sleep(0.1)
        process.send_signal(number)
        assert await asyncio.wait_for(process.wait(), 30) == 0, "aiohttp would wait a minute for the one that hangs"
        await asyncio.gather(hanging, return_exceptions=True)

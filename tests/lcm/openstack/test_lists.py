"""What OpenStack shows page by page, and what of it is asked for one by one."""

from __future__ import annotations

from typing import Any

import pytest
from forestay_lcm.adapters.openstack.clients import glance, nova, picking
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.snapshots import PROPERTY, find, image_name
from forestay_simvim import OpenStackSimulator

from .stepping import network


async def servers(cloud: Cloud, count: int, name: str = "s") -> list[str]:
    """The ids of new servers, the oldest first; ``{}`` in their name is their number."""
    flavors = (await cloud.request("compute", "GET", "/flavors")).body["flavors"]
    images = (await cloud.request("image", "GET", "/v2/images")).body["images"]
    server = {"flavorRef": flavors[0]["id"], "imageRef": images[0]["id"], "networks": "none"}
    bodies = [{"server": {"name": name.format(number), **server}} for number in range(count)]
    made = [await cloud.request("compute", "POST", "/servers", body=body) for body in bodies]
    return [reply.body["server"]["id"] for reply in made]


def looks(sim: OpenStackSimulator, service: str) -> list[str]:
    """The paths of the requests since the last call."""
    seen = [entry.path for entry in sim.cloud.journal.entries() if entry.service == service and entry.method == "GET"]
    sim.cloud.journal.clear()
    return seen


async def test_many_servers_are_read_from_lists(
    sim: OpenStackSimulator, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await servers(cloud, 30)
    looks(sim, "nova")
    found = await cloud.nova.servers([*ids, "gone"])
    assert (set(found), len(looks(sim, "nova"))) == (set(ids), 2), "one list, and the one that is not in it"
    single = await cloud.nova.servers(ids[:4])
    assert (single, len(looks(sim, "nova"))) == ({server: found[server] for server in ids[:4]}, 4)
    monkeypatch.setattr(picking, "PAGE", 10)
    assert await cloud.nova.servers(ids[20:]) == {server: found[server] for server in ids[20:]}
    assert len(looks(sim, "nova")) == 1, "the newest come first"
    assert set(await cloud.nova.servers(ids[:10])) == set(ids[:10])
    assert len(looks(sim, "nova")) == 3
    sim.cloud.settings.page["nova"] = 6
    assert set(await cloud.nova.servers(ids)) == set(ids)


async def test_a_few_old_servers_among_many_new_ones_are_asked_for_one_by_one(
    sim: OpenStackSimulator, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picking, "PAGE", 40)
    old, new = await servers(cloud, 6), await servers(cloud, 120)
    looks(sim, "nova")
    assert set(await cloud.nova.servers(old)) == set(old)
    assert len(looks(sim, "nova")) == 1 + len(old)
    assert set(await cloud.nova.servers([*old, *new])) == {*old, *new}
    assert len(looks(sim, "nova")) == 3 + len(old), "of many, page after page"


async def test_many_volumes_are_read_from_lists(sim: OpenStackSimulator, cloud: Cloud) -> None:
    body = {"volume": {"size": 1}}
    made = [await cloud.request("block-storage", "POST", "/volumes", body=body) for _ in range(30)]
    ids = [reply.body["volume"]["id"] for reply in made]
    looks(sim, "cinder")
    found = await cloud.cinder.volumes([*ids, "gone"])
    assert (set(found), len(looks(sim, "cinder"))) == (set(ids), 2), "one list, and the one that is not in it"
    assert await cloud.cinder.volumes(ids[:4]) == {volume: found[volume] for volume in ids[:4]}
    assert len(looks(sim, "cinder")) == 4
    sim.cloud.settings.page["cinder"] = 12
    assert await cloud.cinder.volumes(ids) == found
    assert len(looks(sim, "cinder")) == 3


async def test_what_neutron_shows_page_by_page_is_read_to_the_end(sim: OpenStackSimulator, cloud: Cloud) -> None:
    private = (await network(cloud, "private"))["id"]
    body: dict[str, Any] = {"port": {"network_id": private}}
    made = [(await cloud.request("network", "POST", "/v2.0/ports", body=body)).body["port"]["id"] for _ in range(7)]
    sim.cloud.settings.page["neutron"] = 3
    assert {port.id for port in await cloud.neutron.ports(made)} == set(made)


async def test_servers_are_found_by_many_names_at_once(
    sim: OpenStackSimulator, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is in the names."""
    ids = await servers(cloud, 12, "vnf-(1)-VDU-{}-x")
    await servers(cloud, 3, "vnf-2-VDU-{}-x")
    looks(sim, "nova")
    names = [f"vnf-(1)-VDU-{number}-x" for number in range(10)]
    assert set(await cloud.nova.named(names)) == set(ids[:10])
    assert len(looks(sim, "nova")) == 1
    assert await cloud.nova.named(names[:1]) == ids[:1]
    assert await cloud.nova.named([]) == []
    assert await cloud.nova.named(["vnf-(1)-VDU", "vnf-(1)-VDU-"]) == []
    monkeypatch.setattr(nova, "PAGE", 5)
    looks(sim, "nova")
    assert set(await cloud.nova.named([*names, "another"])) == set(ids[:10])
    assert len(looks(sim, "nova")) == 3


async def test_volumes_are_found_by_many_names_at_once(sim: OpenStackSimulator, cloud: Cloud) -> None:
    bodies = [{"volume": {"size": 1, "name": f"v{number}"}} for number in range(9)]
    made = [await cloud.request("block-storage", "POST", "/volumes", body=body) for body in bodies]
    ids = [reply.body["volume"]["id"] for reply in made]
    looks(sim, "cinder")
    assert set(await cloud.cinder.named([f"v{number}" for number in range(8)])) == set(ids[:8])
    assert len(looks(sim, "cinder")) == 1
    assert set(await cloud.cinder.named(["v1", "v2", "gone"])) == set(ids[1:3])
    assert len(looks(sim, "cinder")) == 3
    sim.cloud.settings.page["cinder"] = 4
    assert set(await cloud.cinder.named([f"v{number}" for number in range(8)])) == set(ids[:8])


async def test_all_parts_of_a_snapshot_are_found(
    sim: OpenStackSimulator, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.cloud.settings.page["cinder"] = 2
    monkeypatch.setattr(glance, "PAGE", 2)
    volume = (await cloud.request("block-storage", "POST", "/volumes", body={"volume": {"size": 1}})).body["volume"]
    names = [image_name("v", "s", str(number)) for number in range(5)]
    for name in names:
        await glance.Glance(cloud).create(name=name, tags=(), **{PROPERTY: "s"})
        await cloud.cinder.snapshot(volume["id"], name, {PROPERTY: "s"})
    found = await find(cloud, "v", "s")
    assert sorted(image.name or "" for image in found.images) == names
    assert sorted(part.name or "" for part in found.volumes) == names


async def test_nobody_asks_heat_for_outputs(sim: OpenStackSimulator, cloud: Cloud) -> None:
    template = {"heat_template_version": "2018-08-31", "outputs": {"a": {"value": "b"}}}
    stack_id = await cloud.heat.create("s", {"template": template})
    sim.cloud.journal.clear()
    stack = await cloud.heat.show("s", stack_id)
    assert stack is not None
    (entry,) = sim.cloud.journal.entries()
    assert "resolve_outputs=false" in entry.path

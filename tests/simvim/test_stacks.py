"""Heat's stacks over HTTP: life cycle, redirects, lists, updates, failures and their words."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession
from forestay_simvim import OpenStackSimulator, ResourceFault, SimConfig

from tests.simvim.conftest import SERVER, Api


def _hot(resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"heat_template_version": "2021-04-16", "resources": resources, **more}


async def test_create_show_delete(api: Api, sim: OpenStackSimulator) -> None:
    before = sim.cloud.counts()
    path = await api.create("a", tags="x,y", timeout_mins=5)
    stack = await api.settle(path, "CREATE_COMPLETE")
    assert stack["stack_status_reason"] == "Stack CREATE completed successfully"
    assert (stack["tags"], stack["timeout_mins"]) == (["x", "y"], 5)
    (server,) = await api.servers()
    assert server["addresses"]["private"][0]["addr"] == stack["outputs"][0]["output_value"]
    assert (await api.heat("DELETE", path))[0] == 204
    await api.settle(path, "DELETE_COMPLETE")
    assert (await api.heat("GET", "/stacks/a"))[0] == 404
    after = sim.cloud.counts()
    kinds = ("servers", "ports", "stacks")
    assert {kind: after[kind] for kind in kinds} == {kind: before[kind] for kind in kinds}


async def test_a_second_stack_of_that_name_is_409_until_the_first_is_gone(api: Api, sim: OpenStackSimulator) -> None:
    path = await api.made("a")
    status, body = await api.heat("POST", "/stacks", {"stack_name": "a", "template": SERVER})
    assert (status, body["title"], body["error"]["type"]) == (409, "Conflict", "StackExists")
    assert body["error"]["message"] == "The Stack (a) already exists."
    assert len(sim.journal.effects("stack created")) == 1
    await api.heat("DELETE", path)
    await api.settle(path, "DELETE_COMPLETE")
    await api.made("a")


async def test_a_name_redirects_to_the_stack(api: Api, sim: OpenStackSimulator) -> None:
    path = await api.made("a")
    url = f"{sim.url}/heat-api/v1/{api.project}/stacks/a?x=1"
    async with api.session.get(url, headers={"X-Auth-Token": api.token}, allow_redirects=False) as reply:
        assert reply.status == 302
        assert reply.headers["Location"] == f"{sim.url}/heat-api/v1/{api.project}{path}?x=1"
    assert (await api.heat("GET", f"/stacks/{path.rsplit('/', 1)[1]}"))[1]["stack"]["stack_name"] == "a"
    assert (await api.heat("GET", "/stacks/a/resources"))[1]["resources"]
    status, body = await api.heat("GET", "/stacks/nope")
    assert (status, body["error"]["message"]) == (404, "The Stack (nope) could not be found.")


async def test_lists_page_and_filter(api: Api) -> None:
    for number in range(5):
        await api.made(f"s{number}", _hot({}), tags=["odd"] if number % 2 else ["even", "first"])
    names: list[str] = []
    path = "/stacks?limit=2"
    while path:
        _, body = await api.heat("GET", path)
        names += [stack["stack_name"] for stack in body["stacks"]]
        following = [link["href"] for link in body.get("links", []) if link["rel"] == "next"]
        path = "/stacks" + following[0].split("/stacks")[1] if following else ""
    assert names == ["s4", "s3", "s2", "s1", "s0"]
    _, body = await api.heat("GET", "/stacks?tags=even&with_count=true")
    assert ([s["stack_name"] for s in body["stacks"]], body["count"]) == (["s4", "s2", "s0"], 3)
    _, body = await api.heat("GET", "/stacks?name=s1&status=COMPLETE")
    assert [s["stack_name"] for s in body["stacks"]] == ["s1"]
    assert (await api.heat("GET", "/stacks?status=FAILED"))[1]["stacks"] == []


async def test_patch_keeps_what_it_does_not_name_and_put_does_not(api: Api) -> None:
    path = await api.made("a", parameters={"image": "vnf-image"})
    (before,) = await api.servers()
    assert (await api.heat("PATCH", path, {"parameters": {"flavor": "m1.small"}}))[0] == 202
    stack = await api.settle(path, "UPDATE_COMPLETE")
    assert (stack["parameters"]["flavor"], stack["parameters"]["image"]) == ("m1.small", "vnf-image")
    (after,) = await api.servers()
    assert (after["id"], after["flavor"]["id"]) == (before["id"], "2")
    assert (await api.heat("PUT", path, {"parameters": {}}))[0] == 400
    assert (await api.heat("PUT", path, {"template": SERVER}))[0] == 202
    stack = await api.settle(path, "UPDATE_COMPLETE")
    assert (stack["parameters"]["flavor"], stack["parameters"]["image"]) == ("m1.tiny", "cirros")


async def test_an_update_replaces_adds_and_removes(api: Api, sim: OpenStackSimulator) -> None:
    net = {"type": "OS::Neutron::Net"}
    subnet = {"type": "OS::Neutron::Subnet", "properties": {"network": {"get_resource": "net"}, "cidr": "10.1.0.0/24"}}
    port: dict[str, Any] = {"type": "OS::Neutron::Port", "depends_on": "subnet",
            "properties": {"network": {"get_resource": "net"}, "fixed_ips": [{"ip_address": "10.1.0.9"}]}}  # fmt: skip
    path = await api.made(
        "a", _hot({"net": net, "subnet": subnet, "port": port, "old": {"type": "OS::Heat::RandomString"}})
    )
    before = {each["resource_name"]: each["physical_resource_id"] for each in await api.resources(path)}
    moved = {**port, "properties": {**port["properties"], "mac_address": "fa:16:3e:ff:ff:ff"}}
    new = _hot(
        {"net": net, "subnet": subnet, "port": moved, "new": {"type": "OS::Heat::Value", "properties": {"value": 1}}}
    )
    await api.heat("PUT", path, {"template": new})
    await api.settle(path, "UPDATE_COMPLETE")
    after = {each["resource_name"]: each["physical_resource_id"] for each in await api.resources(path)}
    assert after.keys() == {"net", "subnet", "port", "new"}
    assert after["net"] == before["net"]
    assert after["port"] != before["port"]
    row = sim.cloud.neutron.ports.get(after["port"])
    assert row is not None
    assert row["fixed_ips"][0]["ip_address"] == "10.1.0.9"
    assert sim.cloud.neutron.ports.get(before["port"]) is None


async def test_a_marked_resource_is_replaced_and_nothing_else(api: Api) -> None:
    path = await api.made("a")
    before = {each["resource_name"]: each["physical_resource_id"] for each in await api.resources(path)}
    mark = {"mark_unhealthy": True, "resource_status_reason": "heal"}
    assert (await api.heat("PATCH", f"{path}/resources/{before['vdu']}", mark))[0] == 200
    _, body = await api.heat("GET", f"{path}/resources/vdu")
    assert (body["resource"]["resource_status"], body["resource"]["resource_status_reason"]) == ("CHECK_FAILED", "heal")
    await api.heat("PATCH", path, {})
    await api.settle(path, "UPDATE_COMPLETE")
    after = {each["resource_name"]: each["physical_resource_id"] for each in await api.resources(path)}
    assert after["cp"] == before["cp"]
    assert after["vdu"] != before["vdu"]
    assert [server["id"] for server in await api.servers()] == [after["vdu"]]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"flavor": "x"}, "vdu.properties.flavor: Error validating value 'x': No Flavor matching {'name': 'x'}. (HTTP 404)"),
        ({"image": "x"}, "resources.vdu.properties.image: Error validating value 'x': No images matching {'name': 'x'}."),
        ({"wrong": 1}, "The Parameter (wrong) was not defined in template."),
    ],
)  # fmt: skip
async def test_what_validation_refuses_makes_no_stack(api: Api, parameters: dict[str, Any], words: str) -> None:
    status, body = await api.heat("POST", "/stacks", {"stack_name": "a", "template": SERVER, "parameters": parameters})
    assert status == 400
    assert words in body["error"]["message"]
    assert (await api.heat("GET", "/stacks/a"))[0] == 404


async def test_quota_fails_in_novas_words(api: Api, sim: OpenStackSimulator) -> None:
    sim.settings.quota["instances"] = 0
    path = await api.create("a")
    stack = await api.settle(path, "CREATE_FAILED")
    words = "Quota exceeded for instances: Requested 1, but already used 0 of 0 instances (HTTP 403)"
    assert stack["stack_status_reason"].startswith(f"Resource CREATE failed: Forbidden: resources.vdu: {words}")


async def test_no_valid_host(api: Api) -> None:
    member = {"type": "OS::Nova::Server", "properties": {
        "flavor": "m1.tiny", "image": "cirros", "networks": [{"network": "private"}],
        "scheduler_hints": {"group": {"get_resource": "apart"}}}}  # fmt: skip
    group = {"type": "OS::Heat::ResourceGroup", "properties": {"count": 6, "resource_def": member}}
    apart = {"type": "OS::Nova::ServerGroup", "properties": {"policies": ["anti-affinity"]}}
    stack = await api.settle(await api.create("a", _hot({"apart": apart, "group": group})), "CREATE_FAILED")
    reason = stack["stack_status_reason"]
    assert reason.startswith("Resource CREATE failed: ResourceInError: resources.group.resources[")
    assert 'Went to status ERROR due to "Message: No valid host was found.' in reason


async def test_rollback_of_a_create_and_of_an_update(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(ResourceFault(name="vdu", times=2))
    path = await api.create("a", disable_rollback=False)
    stack = await api.settle(path, "ROLLBACK_COMPLETE")
    assert stack["stack_status_reason"] == "Stack ROLLBACK completed successfully"
    assert (await api.resources(path), await api.servers()) == ([], [])
    sim.faults.clear()
    path = await api.made("b", disable_rollback=False)
    sim.faults.add(ResourceFault(name="vdu", action="UPDATE", error="BadRequest", reason="no resize"))
    await api.heat("PATCH", path, {"parameters": {"flavor": "m1.small"}})
    stack = await api.settle(path, "ROLLBACK_COMPLETE")
    assert stack["parameters"]["flavor"] == "m1.tiny"


async def test_a_delete_stops_a_create(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(ResourceFault(name="vdu", effect="stuck", times=None))
    path = await api.create("a")
    await asyncio.sleep(0.02)
    await api.settle(path, "CREATE_IN_PROGRESS")
    await api.heat("DELETE", path)
    await api.settle(path, "DELETE_COMPLETE")
    _, body = await api.heat("GET", f"{path}/events")
    assert "CREATE aborted" in {event["resource_status_reason"] for event in body["events"]}


async def test_suspend_resume_check_and_cancel(api: Api, sim: OpenStackSimulator) -> None:
    path = await api.made("a")
    for action, server_status in (("suspend", "SUSPENDED"), ("resume", "ACTIVE"), ("check", "ACTIVE")):
        assert (await api.heat("POST", f"{path}/actions", {action: None}))[0] == 200
        await api.settle(path, f"{action.upper()}_COMPLETE")
        assert [server["status"] for server in await api.servers()] == [server_status]
    (server,) = await api.servers()
    await api.call("DELETE", f"/compute/v2.1/servers/{server['id']}")
    await api.heat("POST", f"{path}/actions", {"check": None})
    stack = await api.settle(path, "CHECK_FAILED")
    assert "NotFound: resources.vdu: Instance" in stack["stack_status_reason"]
    assert (await api.heat("POST", f"{path}/actions", {"cancel_update": None}))[0] == 400


async def test_cancel_update_rolls_back(api: Api, sim: OpenStackSimulator) -> None:
    path = await api.made("a")
    sim.faults.add(ResourceFault(name="vdu", action="UPDATE", effect="stuck"))
    await api.heat("PATCH", path, {"parameters": {"flavor": "m1.small"}})
    await asyncio.sleep(0.02)
    assert (await api.heat("POST", f"{path}/actions", {"cancel_update": None}))[0] == 200
    stack = await api.settle(path, "ROLLBACK_COMPLETE")
    assert stack["parameters"]["flavor"] == "m1.tiny"


async def test_conditions_choose_resources(api: Api) -> None:
    template = _hot(
        {
            "a": {"type": "OS::Heat::Value", "condition": "big", "properties": {"value": "A"}},
            "b": {
                "type": "OS::Heat::Value",
                "properties": {"value": {"if": ["big", {"get_attr": ["a", "value"]}, "small"]}},
            },
        },
        parameters={"size": {"type": "string", "default": "small"}},
        conditions={"big": {"equals": [{"get_param": "size"}, "big"]}},
        outputs={"v": {"value": {"get_attr": ["b", "value"]}}},
    )
    path = await api.made("a", template)
    assert [each["resource_name"] for each in await api.resources(path)] == ["b"]
    await api.heat("PATCH", path, {"parameters": {"size": "big"}})
    stack = await api.settle(path, "UPDATE_COMPLETE")
    assert stack["outputs"][0]["output_value"] == "A"


async def test_independent_resources_are_made_at_the_same_time(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(ResourceFault(type="OS::Heat::RandomString", effect="delay", delay=2.0, times=None))
    names = [f"r{number}" for number in range(20)]
    path = await api.create("a", _hot({name: {"type": "OS::Heat::RandomString"} for name in names}))
    await api.settle(path, "CREATE_COMPLETE", within=20)


async def test_template_files_environment_outputs_validate(api: Api) -> None:
    path = await api.made("a", files={"x": "y"}, environment={"parameters": {"flavor": "m1.medium"}})
    assert (await api.heat("GET", f"{path}/template"))[1]["heat_template_version"] == "2021-04-16"
    assert (await api.heat("GET", f"{path}/files"))[1] == {"x": "y"}
    assert (await api.heat("GET", f"{path}/environment"))[1]["parameters"] == {"flavor": "m1.medium"}
    assert (await api.heat("GET", f"{path}/outputs/ip"))[1]["output"]["output_value"].startswith("10.10.0.")
    assert (await api.heat("GET", f"{path}/outputs/no"))[0] == 404
    status, body = await api.heat("POST", "/validate", {"template": SERVER})
    assert (status, body["Parameters"]["flavor"]["Type"]) == (200, "String")
    assert (await api.heat("POST", "/validate", {"template": "resources: {}"}))[0] == 400
    assert (await api.heat("POST", "/stacks", {"template": SERVER}))[0] == 400
    _, body = await api.heat("POST", "/stacks/preview", {"stack_name": "p", "template": SERVER})
    assert {each["resource_name"] for each in body["stack"]["resources"]} == {"cp", "vdu"}
    assert (await api.heat("GET", "/stacks/p"))[0] == 404


async def test_a_stack_times_out() -> None:
    async with OpenStackSimulator(SimConfig(minute=0.02)).serve() as sim, ClientSession() as session:
        api = Api(sim, session)
        await api.login()
        sim.faults.add(ResourceFault(name="vdu", effect="stuck"))
        path = await api.create("a", timeout_mins=1)
        stack = await api.settle(path, "CREATE_FAILED")
        assert stack["stack_status_reason"] == "Timed out"
        await api.heat("DELETE", path)
        await api.settle(path, "DELETE_COMPLETE")


async def test_cancel_without_rollback_stops_where_it_is(api: Api, sim: OpenStackSimulator) -> None:
    sim.faults.add(ResourceFault(name="vdu", effect="stuck"))
    path = await api.create("a")
    await asyncio.sleep(0.02)
    assert (await api.heat("POST", f"{path}/actions", {"cancel_without_rollback": None}))[0] == 200
    stack = await api.settle(path, "CREATE_FAILED")
    assert stack["stack_status_reason"] == "Stack CREATE cancelled"


async def test_external_and_retained_resources_outlive_the_stack(api: Api, sim: OpenStackSimulator) -> None:
    public = sim.cloud.neutron.networks.find(name="public")[0]["id"]
    template = _hot(
        {
            "given": {"type": "OS::Neutron::Net", "external_id": public},
            "kept": {"type": "OS::Neutron::Net", "deletion_policy": "Retain", "properties": {"name": "kept"}},
            "gone": {"type": "OS::Neutron::Net", "properties": {"name": "gone"}},
        },
        outputs={
            "name": {"value": {"get_attr": ["given", "name"]}},
            "off": {"value": 1, "condition": {"equals": ["a", "b"]}},
        },
    )
    path = await api.made("a", template)
    _, body = await api.heat("GET", path)
    assert [each["output_value"] for each in body["stack"]["outputs"]] == ["public", None]
    await api.heat("DELETE", path)
    await api.settle(path, "DELETE_COMPLETE")
    assert {row["name"] for row in sim.cloud.neutron.networks} == {"public", "mgmt", "private", "kept"}


async def test_a_delete_that_fails_can_be_repeated(api: Api, sim: OpenStackSimulator) -> None:
    path = await api.made("a")
    sim.faults.add(ResourceFault(name="vdu", action="DELETE", error="Conflict", reason="not now"))
    await api.heat("DELETE", path)
    stack = await api.settle(path, "DELETE_FAILED")
    assert stack["stack_status_reason"] == "Resource DELETE failed: Conflict: resources.vdu: not now"
    await api.heat("DELETE", path)
    await api.settle(path, "DELETE_COMPLETE")
    assert sim.cloud.counts()["ports"] == 0


async def test_an_unknown_resource_type_or_property_is_refused(api: Api) -> None:
    bad = {
        "The Resource Type (OS::No::Such) could not be found.": {"type": "OS::No::Such"},
        "Property error: resources.x.properties: Unknown Property colour": {
            "type": "OS::Neutron::Net", "properties": {"colour": "red"},
        },
        "Property error: resources.x.properties: Property network not assigned": {"type": "OS::Neutron::Port"},
    }  # fmt: skip
    for words, definition in bad.items():
        status, body = await api.heat("POST", "/stacks", {"stack_name": "a", "template": _hot({"x": definition})})
        assert (status, body["error"]["type"], body["error"]["message"]) == (400, "StackValidationFailed", words)


async def test_a_value_of_the_wrong_shape_fails_its_resource(api: Api) -> None:
    net = {"type": "OS::Neutron::Net"}
    late = {"type": "OS::Heat::RandomString", "properties": {"length": {"get_attr": ["net", "name"]}}}
    stack = await api.settle(await api.create("a", _hot({"net": net, "late": late})), "CREATE_FAILED")
    assert stack["stack_status_reason"].startswith(
        "Resource CREATE failed: ValueError: resources.late: invalid literal"
    )
    split = {
        "type": "OS::Heat::Value",
        "properties": {"value": {"str_split": ["-", {"get_attr": ["net", "name"]}, 99]}},
    }
    stack = await api.settle(await api.create("b", _hot({"net": net, "split": split})), "CREATE_FAILED")
    assert (
        stack["stack_status_reason"] == "Resource CREATE failed: IndexError: resources.split: list index out of range"
    )
    subnet = {"type": "OS::Neutron::Subnet", "properties": {"network": "private", "cidr": "bad"}}
    stack = await api.settle(await api.create("c", _hot({"s": subnet})), "CREATE_FAILED")
    assert "BadRequest: resources.s: Invalid input for cidr." in stack["stack_status_reason"]

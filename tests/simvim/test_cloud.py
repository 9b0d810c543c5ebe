"""Nova, Neutron, Glance and Cinder where Heat does not hide them."""

from __future__ import annotations

from forestay_simvim import Account, OpenStackSimulator

from tests.simvim.conftest import Api


async def _network(api: Api, cidr: str) -> tuple[str, str]:
    _, net = await api.call("POST", "/networking/v2.0/networks", {"network": {"name": "n"}})
    given = {"network_id": net["network"]["id"], "cidr": cidr}
    _, subnet = await api.call("POST", "/networking/v2.0/subnets", {"subnet": given})
    return net["network"]["id"], subnet["subnet"]["id"]


async def test_ports_take_addresses_and_give_them_back(api: Api) -> None:
    net, subnet = await _network(api, "10.5.0.0/29")
    ports: list[str] = []
    for number in range(2, 7):
        status, body = await api.call("POST", "/networking/v2.0/ports", {"port": {"network_id": net}})
        assert (status, body["port"]["fixed_ips"][0]["ip_address"]) == (201, f"10.5.0.{number}")
        ports.append(body["port"]["id"])
    status, body = await api.call("POST", "/networking/v2.0/ports", {"port": {"network_id": net}})
    assert (status, body["NeutronError"]["type"]) == (409, "IpAddressGenerationFailure")
    wanted = {"port": {"network_id": net, "fixed_ips": [{"ip_address": "10.5.0.3"}]}}
    assert (await api.call("POST", "/networking/v2.0/ports", wanted))[1]["NeutronError"][
        "type"
    ] == "IpAddressAlreadyAllocated"
    assert (await api.call("DELETE", f"/networking/v2.0/networks/{net}"))[0] == 409
    assert (await api.call("DELETE", f"/networking/v2.0/ports/{ports[1]}"))[0] == 204
    assert (await api.call("POST", "/networking/v2.0/ports", wanted))[0] == 201
    _, body = await api.call("GET", f"/networking/v2.0/ports?network_id={net}&fixed_ips=ip_address%3D10.5.0.3")
    assert len(body["ports"]) == 1
    assert (await api.call("DELETE", f"/networking/v2.0/subnets/{subnet}"))[0] == 409


async def test_a_router_and_a_floating_ip(api: Api, sim: OpenStackSimulator) -> None:
    net, subnet = await _network(api, "10.6.0.0/24")
    public = sim.cloud.neutron.networks.find(name="public")[0]["id"]
    _, body = await api.call("POST", "/networking/v2.0/routers", {"router": {"name": "r"}})
    router = body["router"]["id"]
    status, done = await api.call(
        "PUT", f"/networking/v2.0/routers/{router}/add_router_interface", {"subnet_id": subnet}
    )
    assert (status, done["subnet_id"]) == (200, subnet)
    assert (await api.call("DELETE", f"/networking/v2.0/routers/{router}"))[0] == 409
    _, body = await api.call("POST", "/networking/v2.0/ports", {"port": {"network_id": net}})
    given = {"floatingip": {"floating_network_id": public, "port_id": body["port"]["id"]}}
    status, body = await api.call("POST", "/networking/v2.0/floatingips", given)
    assert (status, body["NeutronError"]["type"]) == (404, "ExternalGatewayForFloatingIPNotFound")
    gateway = {"router": {"external_gateway_info": {"network_id": public}}}
    await api.call("PUT", f"/networking/v2.0/routers/{router}", gateway)
    _, body = await api.call("POST", "/networking/v2.0/floatingips", given)
    assert body["floatingip"]["fixed_ip_address"] == "10.6.0.2"
    assert body["floatingip"]["floating_ip_address"].startswith("172.24.4.")


async def test_a_port_stays_as_long_as_a_trunk_has_it(api: Api) -> None:
    net, _ = await _network(api, "10.7.0.0/24")
    ports: list[str] = []
    for _ in range(2):
        _, body = await api.call("POST", "/networking/v2.0/ports", {"port": {"network_id": net}})
        ports.append(body["port"]["id"])
    parent, sub = ports
    subports = [{"port_id": sub, "segmentation_id": 7, "segmentation_type": "vlan"}]
    given = {"trunk": {"port_id": parent, "sub_ports": subports}}
    status, made = await api.call("POST", "/networking/v2.0/trunks", given)
    assert (status, made["trunk"]["sub_ports"]) == (201, subports)
    _, shown = await api.call("GET", f"/networking/v2.0/ports/{parent}")
    assert shown["port"]["trunk_details"]["sub_ports"][0].items() >= subports[0].items()
    refused = {port: (await api.call("DELETE", f"/networking/v2.0/ports/{port}"))[1]["NeutronError"] for port in ports}
    assert refused[parent]["type"] == "PortInUseAsTrunkParent"
    assert refused[sub]["type"] == "PortInUseAsSubPort"
    assert (await api.call("POST", "/networking/v2.0/trunks", {"trunk": {"port_id": sub}}))[0] == 409
    assert (await api.call("DELETE", f"/networking/v2.0/trunks/{made['trunk']['id']}"))[0] == 204
    assert [(await api.call("DELETE", f"/networking/v2.0/ports/{port}"))[0] for port in ports] == [204, 204]


async def test_microversions(api: Api) -> None:
    await api.made("a")
    (old,) = await api.servers()
    assert "id" in old["flavor"]
    headers = {"OpenStack-API-Version": "compute 2.47"}
    _, body = await api.call("GET", "/compute/v2.1/servers/detail", headers=headers)
    assert body["servers"][0]["flavor"]["original_name"] == "m1.tiny"
    assert (await api.call("GET", "/compute/v2.1/servers", headers={"OpenStack-API-Version": "compute 2.999"}))[
        0
    ] == 406


async def test_images_are_queued_uploaded_tagged_and_deleted(api: Api, sim: OpenStackSimulator) -> None:
    given = {"name": "mine", "disk_format": "qcow2", "container_format": "bare", "vnf": "x"}
    status, image = await api.call("POST", "/image/v2/images", given)
    assert (status, image["status"], image["vnf"]) == (201, "queued", "x")
    path = f"/image/v2/images/{image['id']}"
    headers = {"X-Auth-Token": api.token, "Content-Type": "application/octet-stream"}
    async with api.session.put(f"{sim.url}{path}/file", data=b"abc", headers=headers) as reply:
        assert reply.status == 204
    assert (await api.call("PUT", f"{path}/tags/t"))[0] == 204
    _, shown = await api.call("GET", path)
    assert (shown["status"], shown["size"], shown["tags"]) == ("active", 3, ["t"])
    assert [each["name"] for each in (await api.call("GET", "/image/v2/images?tag=t"))[1]["images"]] == ["mine"]
    assert (await api.call("DELETE", path))[0] == 204
    assert (await api.call("GET", path))[0] == 404


async def test_a_volume_in_use_is_not_deleted(api: Api, sim: OpenStackSimulator) -> None:
    volume = {"type": "OS::Cinder::Volume", "properties": {"size": 1, "image": "cirros"}}
    mapping = {"volume_id": {"get_resource": "root"}, "boot_index": 0, "delete_on_termination": False}
    server = {"type": "OS::Nova::Server", "properties": {
        "flavor": "m1.tiny", "networks": [{"network": "private"}], "block_device_mapping_v2": [mapping]}}  # fmt: skip
    template = {"heat_template_version": "2021-04-16", "resources": {"root": volume, "vdu": server}}
    path = await api.made("a", template)
    _, body = await api.call("GET", f"/volume/v3/{api.project}/volumes/detail")
    (row,) = body["volumes"]
    assert (row["status"], row["bootable"]) == ("in-use", "true")
    vdu = (await api.heat("GET", f"{path}/resources/vdu"))[1]["resource"]
    [attached] = vdu["attributes"]["os-extended-volumes:volumes_attached"]
    assert attached["id"] == row["id"], "what Heat shows of a server is what Nova shows"
    assert (await api.call("DELETE", f"/volume/v3/{api.project}/volumes/{row['id']}"))[0] == 400
    await api.heat("DELETE", path)
    await api.settle(path, "DELETE_COMPLETE")
    assert len(sim.cloud.cinder.volumes) == 0


async def test_another_project_sees_nothing(api: Api, sim: OpenStackSimulator) -> None:
    path = await api.made("a")
    (server,) = await api.servers()
    sim.cloud.identity.add_project("other")
    user = sim.cloud.identity.add_user("o", "o")
    other = sim.cloud.identity.project_named("other")
    assert other is not None
    sim.cloud.identity.grant(user["id"], other["id"], "member")
    await api.login(Account("o", "o", "other"))
    assert await api.servers() == []
    assert (await api.call("GET", f"/compute/v2.1/servers/{server['id']}"))[0] == 404
    assert (await api.heat("GET", path))[0] == 404
    _, body = await api.call("GET", "/networking/v2.0/networks")
    assert {net["name"] for net in body["networks"]} == {"public", "mgmt"}
    await api.made("a", {"heat_template_version": "2021-04-16", "resources": {}})


async def test_no_two_volume_types_have_one_name(api: Api, sim: OpenStackSimulator) -> None:
    await api.login(sim.cloud.config.accounts[1])
    kind = {"type": "OS::Cinder::VolumeType", "properties": {"name": "shared"}}
    await api.made("first", {"heat_template_version": "2021-04-16", "resources": {"kind": kind}})
    path = await api.create("second", {"heat_template_version": "2021-04-16", "resources": {"kind": kind}})
    stack = await api.settle(path, "CREATE_FAILED")
    assert "Volume Type shared already exists. (HTTP 409)" in stack["stack_status_reason"]

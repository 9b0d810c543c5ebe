"""What a request says of external connection points, and what it leaves as it is (SOL003 clause 4.4.1.10)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from forestay_lcm.adapters.openstack.template.connectivity import ext_links, managed_by_others
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    ExtLinkPortInfo,
    ExtManagedVirtualLinkInfo,
    ExtVirtualLinkData,
    ExtVirtualLinkInfo,
    InstantiatedVnfInfo,
    ResourceHandle,
    VnfExtCpData,
)
from msgspec.structs import replace

from .conftest import ext_link
from .stepping import order_for

CPD = "VDU1_CP1"
GIVEN = {"linkPortId": "port-of-b"}
PORTS = {"port-of-b": "neutron-port"}


def address(fixed: str) -> dict[str, Any]:
    ip = {"type": "IPV4", "fixedAddresses": [fixed]}
    return {"cpProtocolData": [{"layerProtocol": "IP_OVER_ETHERNET", "ipOverEthernet": {"ipAddresses": [ip]}}]}


A, B, C = map(address, ("10.0.0.1", "10.0.0.2", "10.0.0.3"))


def connected(config: dict[str, Any], ports: dict[str, str] | None = None) -> InstantiatedVnfInfo:
    """A VNF whose CP is on ``net-1`` with these entries of ``cpConfig``."""
    link = msgspec.convert(ext_link({"cpdId": CPD, "cpConfig": config}, ports=ports), ExtVirtualLinkData)
    has = ExtVirtualLinkInfo(
        id=link.id,
        resource_handle=ResourceHandle(resource_id=link.resource_id),
        ext_link_ports=tuple(ExtLinkPortInfo(id=p.id, resource_handle=p.resource_handle) for p in link.ext_link_ports),
        current_vnf_ext_cp_data=link.ext_cps,
    )
    return InstantiatedVnfInfo(flavour_id="simple", vnf_state="STARTED", ext_virtual_link_info=(has,))


@pytest.mark.parametrize(
    ("had", "said", "then"),
    [
        ({"a": A, "b": B}, {"b": C}, {"a": A, "b": C}),
        ({"a": A, "b": B}, {"b": C, "c": B}, {"a": A, "b": C, "c": B}),
        ({"a": A, "b": GIVEN}, {"a": C}, {"a": C, "b": GIVEN}),
        ({"a": A, "b": GIVEN}, {"b": C}, {"a": A, "b": C}),
        ({"a": A}, {"of another name": B}, {"of another name": B}),
    ],
)
def test_an_entry_that_is_named_changes(
    asg: Flavour, had: dict[str, Any], said: dict[str, Any], then: dict[str, Any]
) -> None:
    """By position an entry is that of a VNFC: the order stays, too."""
    request = ext_link({"cpdId": CPD, "cpConfig": said})
    before = connected(had, PORTS)
    [link] = ext_links(order_for("CHANGE_EXT_CONN", before, asg, extVirtualLinks=[request]), before)
    [cp] = link.ext_cps
    assert list(cp.cp_config) == list(then)
    assert cp == msgspec.convert({"cpdId": CPD, "cpConfig": then}, VnfExtCpData)
    assert [port.id for port in link.ext_link_ports] == (["port-of-b"] if GIVEN in then.values() else [])


def test_on_another_network_only_what_is_said_of_it_counts(asg: Flavour) -> None:
    before = connected({"a": A, "b": B})
    request = ext_link({"cpdId": CPD, "cpConfig": {"b": C}}, network="net-2")
    [link] = ext_links(order_for("CHANGE_EXT_CONN", before, asg, extVirtualLinks=[request]), before)
    assert (link.resource_id, list(link.ext_cps[0].cp_config)) == ("net-2", ["b"])


def test_what_another_flavour_does_not_have_is_not_connected(two_vdus: Flavour) -> None:
    [inside] = two_vdus.virtual_links
    managed = ExtManagedVirtualLinkInfo(
        id="m", vnf_virtual_link_desc_id=inside, network_resource=ResourceHandle(resource_id="n")
    )
    before = replace(connected({"a": A}), ext_managed_virtual_link_info=(managed,))
    small = replace(two_vdus, id="small", cps={}, ext_cps={}, vip_cps={}, virtual_links={})
    order = order_for("CHANGE_FLAVOUR", before, two_vdus, old=two_vdus, newFlavourId="small")
    assert [cp.cpd_id for link in ext_links(order, before) for cp in link.ext_cps] == [CPD]
    assert list(managed_by_others(order, before)) == [inside]
    order = replace(order, flavour=small)
    assert ext_links(order, before) == ()
    assert managed_by_others(order, before) == {}

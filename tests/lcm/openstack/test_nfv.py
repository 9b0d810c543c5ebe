"""The ``nfv`` parameter holds what the template asks for, from the right source; what is missing is named."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import yaml
from forestay_events.errors import Permanent
from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.adapters.openstack.template.blueprint import Blueprint, blueprint_after
from forestay_lcm.adapters.openstack.template.parsing import parsed_text
from forestay_lcm.domain.merge_patch import merge_patch
from forestay_sol.vnfd import BaseHot, Flavour
from forestay_sol.vnflcm import Grant

from .conftest import ext_cp, ext_link, order_of

BOTH = ext_link(ext_cp("VDU1_CP1", fixed="10.10.0.7", subnet="sub-1"), ext_cp("VDU2_CP1"))


def _made(order: Order, **grant: Any) -> Blueprint:
    merged = msgspec.convert(msgspec.to_builtins(order.grant) | grant, Grant)
    return blueprint_after(msgspec.structs.replace(order, grant=merged), None)


def _with_template(flavour: Flavour, *leaves: list[Any], **more: Any) -> Flavour:
    resources = {f"R{at}": {"properties": {"x": {"get_param": ["nfv", *leaf]}}} for at, leaf in enumerate(leaves)}
    template = {"parameters": {"nfv": {"type": "json"}}, "resources": resources} | more
    return msgspec.structs.replace(flavour, base_hot=BaseHot(path="t.yaml", template=yaml.safe_dump(template)))


def test_all_leaves_of_the_samples_are_filled(asg: Flavour, two_vdus: Flavour) -> None:
    link = ext_link(ext_cp("VDU1_CP1"))
    made = _made(order_of(asg, extVirtualLinks=[link]))
    assert set(made.files) == {"VDU1.yaml"}
    assert asg.base_hot
    assert made.template == parsed_text(asg.base_hot.template)
    assert made.parameters == {
        "nfv": {
            "VDU": {
                "VDU1": {
                    "desired_capacity": asg.count("VDU1"),
                    "computeFlavourId": "m1.tiny",
                    "vcImageId": "cirros",
                    "locationConstraints": "nova",
                }
            },
            "CP": {"VDU1_CP1": {"network": "net-1"}},
        }
    }
    assert _made(order_of(two_vdus, extVirtualLinks=[BOTH])).parameters == {
        "nfv": {
            "VDU": {
                "VDU1": {"computeFlavourId": "m1.tiny", "vcImageId": "cirros", "locationConstraints": "nova"},
                "VDU2": {"computeFlavourId": "m1.small", "locationConstraints": "nova"},
                "VDU2_Storage": {"vcImageId": "cirros"},
            },
            "CP": {
                "VDU1_CP1": {"network": "net-1", "fixed_ips": [{"subnet": "sub-1", "ip_address": "10.10.0.7"}]},
                "VDU2_CP1": {"network": "net-1"},
            },
        }
    }


def test_the_grant_comes_before_the_request_and_overlays_come_last(two_vdus: Flavour) -> None:
    order = order_of(
        two_vdus,
        extVirtualLinks=[BOTH],
        additionalParams={"nfv": {"VDU": {"VDU1": {"computeFlavourId": "huge", "vcImageId": "mine"}}}},
    )
    made = _made(
        order,
        extVirtualLinks=[BOTH | {"resourceId": "net-grant"}],
        vimAssets={"softwareImages": [{"vnfdSoftwareImageId": "VDU2_Storage", "vimSoftwareImageId": "img-7"}]},
        additionalParams={"nfv": {"VDU": {"VDU1": {"computeFlavourId": "granted"}}}},
    )
    nfv = made.parameters["nfv"]
    assert nfv["VDU"]["VDU1"] == {"computeFlavourId": "granted", "vcImageId": "mine", "locationConstraints": "nova"}
    assert nfv["VDU"]["VDU2_Storage"] == {"vcImageId": "img-7"}
    assert nfv["VDU"]["VDU2"]["computeFlavourId"] == "m1.small"  # the VNFD's, the grant names none
    assert nfv["CP"]["VDU2_CP1"] == {"network": "net-grant"}


@pytest.mark.parametrize(
    ("leaf", "named"),
    [
        (["CP", "VDU9_CP1", "network"], "CP/VDU9_CP1/network"),
        (["VDU", "VDU9", "computeFlavourId"], "VDU/VDU9/computeFlavourId"),
        (["VDU", "VDU1", "own_leaf"], "VDU/VDU1/own_leaf"),
        (["CP", "VDU1_CP1", "fixed_ips", 1, "subnet"], "CP/VDU1_CP1/fixed_ips/1/subnet"),
    ],
)
def test_a_leaf_without_a_source_is_named(two_vdus: Flavour, leaf: list[Any], named: str) -> None:
    flavour = _with_template(two_vdus, leaf)
    with pytest.raises(Permanent, match=f"No value for {named} ") as caught:
        _made(order_of(flavour, extVirtualLinks=[BOTH]))
    assert caught.value.status == 422


def test_an_overlay_can_fill_or_take_away_a_leaf(two_vdus: Flavour) -> None:
    flavour = _with_template(two_vdus, ["VDU", "VDU1", "own_leaf"], ["VDU", "VDU9", "computeFlavourId"])
    order = order_of(flavour, additionalParams={"nfv": {"VDU": {"VDU1": {"own_leaf": 7}, "VDU9": None}}})
    assert _made(order).parameters == {"nfv": {"VDU": {"VDU1": {"own_leaf": 7}}}}


def test_half_an_address_is_enough_and_the_other_half_leaves_the_template(two_vdus: Flavour) -> None:
    link = ext_link(ext_cp("VDU1_CP1", subnet="sub-2"), ext_cp("VDU2_CP1"))
    made = _made(order_of(two_vdus, extVirtualLinks=[link]))
    assert made.parameters["nfv"]["CP"]["VDU1_CP1"]["fixed_ips"] == [{"subnet": "sub-2", "ip_address": None}]
    fixed_ips = made.template["resources"]["VDU1_CP1"]["properties"]["fixed_ips"]
    assert fixed_ips == [{"subnet": {"get_param": ["nfv", "CP", "VDU1_CP1", "fixed_ips", 0, "subnet"]}}]


def test_a_port_gets_as_many_addresses_as_are_asked_for(two_vdus: Flavour) -> None:
    cp = ext_cp("VDU2_CP1")
    [layer] = cp["cpConfig"]["cfg-VDU2_CP1"]["cpProtocolData"]
    layer["ipOverEthernet"]["ipAddresses"] = [
        {"type": "IPV4", "subnetId": "s4", "fixedAddresses": ["10.0.0.7", "10.0.0.8"]},
        {"type": "IPV6", "subnetId": "s6", "numDynamicAddresses": 2},
        {"type": "IPV4", "subnetId": "one of it"},
    ]
    order = order_of(
        msgspec.structs.replace(two_vdus, base_hot=None), extVirtualLinks=[ext_link(ext_cp("VDU1_CP1"), cp)]
    )
    fixed = [{"subnet": "s4", "ip_address": "10.0.0.7"}, {"subnet": "s4", "ip_address": "10.0.0.8"}]
    asked = blueprint_after(order, None).parameters["nfv"]["CP"]["VDU2_CP1"]["fixed_ips"]
    assert asked == [*fixed, {"subnet": "s6"}, {"subnet": "s6"}, {"subnet": "one of it"}]


def test_a_zone_that_nobody_chose_is_the_vims_choice(two_vdus: Flavour, asg: Flavour) -> None:
    order = order_of(two_vdus, extVirtualLinks=[BOTH])
    server = _made(order, zones=[]).template["resources"]["VDU1"]["properties"]
    assert "availability_zone" not in server
    assert server["flavor"] == {"get_param": ["nfv", "VDU", "VDU1", "computeFlavourId"]}
    # A nested template gets all of its parameters: it may have no default for the one that is null.
    grouped = order_of(asg, extVirtualLinks=[ext_link(ext_cp("VDU1_CP1"))])
    assert asg.base_hot is not None
    assert _made(grouped, zones=[]).template == parsed_text(asg.base_hot.template)


def test_other_parameters_need_a_default(two_vdus: Flavour) -> None:
    flavour = _with_template(two_vdus, parameters={"key": {"type": "string"}, "x": {"type": "string", "default": ""}})
    with pytest.raises(Permanent, match=r"parameter key of t\.yaml"):
        _made(order_of(flavour))


def test_a_port_of_the_requester_is_filled_in_or_missed(two_vdus: Flavour) -> None:
    """A template that asks for ``port`` has no other; one that asks for ``link_port`` can do without."""
    flavour = _with_template(two_vdus, ["CP", "VDU1_CP1", "port"], ["CP", "VDU1_CP1", "link_port"])
    given = ext_link(ext_cp("VDU1_CP1", port="p1"), ports={"p1": "port-7"})
    nfv = _made(order_of(flavour, extVirtualLinks=[given])).parameters["nfv"]
    assert nfv["CP"]["VDU1_CP1"] == {"port": "port-7", "link_port": "port-7"}
    with pytest.raises(Permanent, match="No value for CP/VDU1_CP1/port of"):
        _made(order_of(flavour, extVirtualLinks=[BOTH]))


def test_a_template_that_is_none_says_so(two_vdus: Flavour) -> None:
    hot = BaseHot(path="BaseHOT/simple/top.yaml", template="[1, 2]")
    with pytest.raises(Permanent, match="BaseHOT/simple"):
        _made(order_of(msgspec.structs.replace(two_vdus, base_hot=hot)))


def test_an_externally_managed_link_leaves_the_template(two_vdus: Flavour) -> None:
    managed = {"id": "m", "vnfVirtualLinkDescId": "internalVL1", "resourceId": "net-9"}
    made = _made(order_of(two_vdus, extVirtualLinks=[BOTH], extManagedVirtualLinks=[managed]))
    resources = made.template["resources"]
    assert not {"internalVL1", "internalVL1_subnet"} & set(resources)
    assert resources["VDU1_CP2"]["properties"]["network"] == "net-9"
    assert resources["VDU1_CP2"]["depends_on"] == []
    assert "internalVL1" not in str(resources)


@pytest.mark.parametrize(
    ("target", "patch", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "foo"}, None, None),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch_is_rfc_7396(target: Any, patch: Any, merged: Any) -> None:
    before = msgspec.json.encode(target)
    assert merge_patch(target, patch) == merged
    assert msgspec.json.encode(target) == before

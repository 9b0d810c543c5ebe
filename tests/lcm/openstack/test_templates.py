"""Templates as Heat reads them; what is none is refused, whatever shape it has."""

from __future__ import annotations

import pytest
from forestay_events.errors import Permanent
from forestay_lcm.adapters.openstack.template.blueprint import blueprint_after
from forestay_lcm.adapters.openstack.template.parsing import parsed_text
from forestay_lcm.adapters.openstack.template.wanted import stack_after
from forestay_sol.vnfd import BaseHot, Flavour
from msgspec.structs import replace

from .conftest import order_of
from .stepping import job

MANAGED = {"id": "m", "vnfVirtualLinkDescId": "internalVL1", "resourceId": "net-9"}
BOMB = "a0: &a0 {x: y}\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))


def flavour_with(flavour: Flavour, resources: str) -> Flavour:
    head = "heat_template_version: 2021-04-16\nparameters: {nfv: {type: json}}\n"
    return replace(flavour, base_hot=BaseHot(path="top.yaml", template=f"{head}resources: {resources}\n"))


def test_dates_and_keys_are_text() -> None:
    read = parsed_text("heat_template_version: 2021-04-16\nresources: {a: {properties: {7: 2021-04-16, on: yes}}}")
    assert read == {
        "heat_template_version": "2021-04-16",
        "resources": {"a": {"properties": {"7": "2021-04-16", "true": True}}},
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: [",
        "resources",
        "resources: &r {g: {properties: *r}}",
        f"resources: {{}}\n{BOMB}",
        "[" * 100_000,
        "{" * 100_000,
    ]
    + [f"resources: {odd}" for odd in ("", "[1]", "{a: 5}", "{a: null}", "{a: {properties: [1]}}", "{a: {type: [x]}}")]
    + [f"resources: {{}}\nparameters: {odd}" for odd in ("[1]", "{a: 5}")],
    ids=lambda text: text[:40],
)
def test_what_is_no_template_is_refused(asg: Flavour, text: str) -> None:
    with pytest.raises(Permanent) as refused:
        parsed_text(text, "top.yaml")
    assert (refused.value.status, "top.yaml" in str(refused.value)) == (422, True)
    said = {"template": text, "parameters": {}}
    order = order_of(asg, additionalParams={"lcm-operation-user-data": "x.py", "lcm-operation-user-data-class": "Y"})
    with pytest.raises(Permanent, match="user data"):
        stack_after(job("create-stack", order, results={"user-data": said}))


@pytest.mark.parametrize("index", [-1, 64, 10**9])
def test_an_index_far_out_in_a_list_is_refused(asg: Flavour, index: int) -> None:
    leaf = f"{{get_param: [nfv, CP, VDU1_CP1, fixed_ips, {index}, subnet]}}"
    odd = flavour_with(asg, f"{{p: {{type: OS::Neutron::Port, properties: {{a: {leaf}}}}}}}")
    with pytest.raises(Permanent, match=f"{index} in the path CP/VDU1_CP1/fixed_ips"):
        blueprint_after(order_of(odd), None)


def test_a_subnet_of_an_odd_network_stays(asg: Flavour) -> None:
    odd = flavour_with(asg, "{s: {type: OS::Neutron::Subnet, properties: {network: [1]}}}")
    made = blueprint_after(order_of(odd, extManagedVirtualLinks=[MANAGED]), None).template
    assert made["resources"]["s"]["properties"] == {"network": [1]}

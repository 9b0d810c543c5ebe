"""Grant requests name exactly what will be made or removed, and the embedded NFVO answers each of them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from forestay_events.errors import Rejected
from forestay_lcm.domain import local_nfvo
from forestay_lcm.domain.grants import instantiate_grant_request, terminate_grant_request
from forestay_lcm.domain.images import with_images
from forestay_sol.vnfd import AffinityRule, Flavour
from forestay_sol.vnflcm import InstantiatedVnfInfo, InstantiateVnfRequest, ResourceDefinition

from .conftest import asking, ext_cp, ext_link, numbers, order_of


def _listed(definitions: tuple[ResourceDefinition, ...]) -> list[tuple[str, str, str]]:
    return [(item.type, item.resource_template_id, item.id) for item in definitions]


def test_instantiate_asks_for_every_vnfc_and_internal_link(two_vdus: Flavour) -> None:
    asked = order_of(two_vdus).grant_request
    assert _listed(asked.add_resources) == [
        ("COMPUTE", "VDU1", "r1"),
        ("LINKPORT", "VDU1_CP1", "VDU1_CP1-r1"),
        ("LINKPORT", "VDU1_CP2", "VDU1_CP2-r1"),
        ("COMPUTE", "VDU2", "r2"),
        ("LINKPORT", "VDU2_CP1", "VDU2_CP1-r2"),
        ("LINKPORT", "VDU2_CP2", "VDU2_CP2-r2"),
        ("STORAGE", "VDU2_Storage", "VDU2_Storage-r2"),
        ("VL", "internalVL1", "r3"),
    ]
    constraint = asked.placement_constraints[0]
    assert (constraint.affinity_or_anti_affinity, constraint.scope) == ("AFFINITY", "ZONE")
    assert [item.resource_id for item in constraint.resource] == ["r1", "r2"]


def test_the_level_counts(asg: Flavour) -> None:
    level = next(level for level in asg.instantiation_levels.values() if level.vdu_counts["VDU1"] > 1)
    order = order_of(asg, instantiationLevelId=level.id)
    computes = [item for item in order.grant_request.add_resources if item.type == "COMPUTE"]
    assert len(computes) == level.vdu_counts["VDU1"]
    with pytest.raises(Rejected, match="instantiationLevelId 'none'"):
        order_of(asg, instantiationLevelId="none")


def test_given_ports_and_networks_are_not_asked_for(two_vdus: Flavour) -> None:
    asked = order_of(
        two_vdus,
        extVirtualLinks=[ext_link(ext_cp("VDU1_CP1", port="lp"), ports={"lp": "port-9"})],
        extManagedVirtualLinks=[{"id": "m", "vnfVirtualLinkDescId": "internalVL1", "resourceId": "net-9"}],
    ).grant_request
    templates = {item.resource_template_id for item in asked.add_resources}
    assert templates == {"VDU1", "VDU1_CP2", "VDU2", "VDU2_CP1", "VDU2_CP2", "VDU2_Storage"}


def test_the_embedded_nfvo_grants_zone_image_and_flavour(two_vdus: Flavour) -> None:
    order = order_of(two_vdus)
    grant, asked = order.grant, order.grant_request
    assert [item.resource_definition_id for item in grant.add_resources] == [item.id for item in asked.add_resources]
    assert [(zone.id, zone.zone_id) for zone in grant.zones] == [("g1", "nova")]
    assert {item.resource_definition_id for item in grant.add_resources if item.zone_id == "g1"} == {"r1", "r2"}
    assert grant.vim_assets is not None
    images = {item.vnfd_software_image_id: item.vim_software_image_id for item in grant.vim_assets.software_images}
    assert images == {"VDU1": "cirros", "VDU2_Storage": "cirros"}
    flavours = grant.vim_assets.compute_resource_flavours
    assert [(item.vnfd_virtual_compute_desc_id, item.vim_flavour_id) for item in flavours] == [
        ("VDU1", "m1.tiny"),
        ("VDU2", "m1.small"),
    ]


def test_anti_affine_vnfcs_take_zones_in_turn(two_vdus: Flavour) -> None:
    apart = AffinityRule(id="apart", kind="ANTI_AFFINITY", scope="zone", targets=("VDU1", "VDU2"))
    flavour = msgspec.structs.replace(two_vdus, affinity_rules=(apart,))
    asked = order_of(flavour).grant_request
    grant = local_nfvo.answer(asked, new_id=numbers("g"), flavour=flavour, zones=["az1", "az2"])
    names = {zone.id: zone.zone_id for zone in grant.zones}
    zones = {item.resource_definition_id: names[item.zone_id] for item in grant.add_resources if item.zone_id}
    assert zones == {"r1": "az1", "r2": "az2"}


def test_the_same_input_gives_the_same_request(two_vdus: Flavour) -> None:
    request = InstantiateVnfRequest(flavour_id="simple")

    def ask() -> Any:
        return instantiate_grant_request(asking(), flavour=two_vdus, request=request)

    assert ask() == ask()


def test_terminate_asks_for_all_that_is_ours() -> None:
    handle = {"resourceId": "x"}
    info = msgspec.convert(
        {
            "flavourId": "simple",
            "vnfState": "STARTED",
            "vnfcResourceInfo": [
                {
                    "id": "s1",
                    "vduId": "VDU1",
                    "computeResource": {"resourceId": "s1"},
                    "storageResourceIds": ["vol1"],
                    "vnfcCpInfo": [
                        {"id": "a", "cpdId": "CP1", "vnfExtCpId": "cp-p1"},
                        {"id": "b", "cpdId": "CP2", "vnfLinkPortId": "p2"},
                        {"id": "c", "cpdId": "CP3", "vnfExtCpId": "cp-p3"},
                        {"id": "d", "cpdId": "CP4", "vnfLinkPortId": "req-p4"},
                    ],
                }
            ],
            "virtualStorageResourceInfo": [{"id": "vol1", "virtualStorageDescId": "St", "storageResource": handle}],
            "vnfVirtualLinkResourceInfo": [
                {
                    "id": "n1",
                    "vnfVirtualLinkDescId": "VL1",
                    "networkResource": handle,
                    "vnfLinkPorts": [
                        {"id": "p2", "resourceHandle": handle},
                        {"id": "req-p4", "resourceHandle": handle},
                    ],
                }
            ],
            "extVirtualLinkInfo": [
                {
                    "id": "e",
                    "resourceHandle": handle,
                    "currentVnfExtCpData": [ext_cp("CP1"), ext_cp("CP3", port="p3")],
                    "extLinkPorts": [
                        {"id": "p1", "resourceHandle": handle, "cpInstanceId": "cp-p1"},
                        {"id": "p3", "resourceHandle": handle, "cpInstanceId": "cp-p3"},
                    ],
                }
            ],
        },
        InstantiatedVnfInfo,
    )
    asked = terminate_grant_request(asking(), info=info)
    assert _listed(asked.remove_resources) == [
        ("COMPUTE", "VDU1", "r1"),
        ("LINKPORT", "CP1", "CP1-r1"),
        ("LINKPORT", "CP2", "CP2-r1"),
        ("STORAGE", "St", "St-r1"),
        ("VL", "VL1", "r2"),
    ]
    assert all(item.resource for item in asked.remove_resources)
    grant = local_nfvo.answer(asked, new_id=numbers("g"))
    assert len(grant.remove_resources) == 5
    assert (grant.zones, grant.vim_assets) == ((), None)


def test_uploaded_images_take_the_place_of_their_names(two_vdus: Flavour) -> None:
    grant = with_images(order_of(two_vdus).grant, {"VDU1": "image-1"})
    assert grant.vim_assets is not None
    images = {item.vnfd_software_image_id: item.vim_software_image_id for item in grant.vim_assets.software_images}
    assert images == {"VDU1": "image-1", "VDU2_Storage": "cirros"}

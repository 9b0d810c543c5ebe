"""What an operation changed is told with the definitions of the grant request that it was asked for by."""

from __future__ import annotations

from typing import Any

import msgspec
from forestay_lcm.domain.granted_changes import with_definitions
from forestay_lcm.domain.resource_changes import resource_changes
from forestay_sol.vnflcm import Grant, GrantRequest, InstantiatedVnfInfo, ResourceChanges

Json = dict[str, Any]


def info(*vnfcs: tuple[str, str, str]) -> InstantiatedVnfInfo:
    """A VNF of VNFCs of VDU1: server, zone and volume of each, with a port on the link outside."""
    link = {"id": "outside", "resourceHandle": {"resourceId": "net"}, "currentVnfExtCpData": []}
    return msgspec.convert(
        {
            "flavourId": "simple",
            "vnfState": "STARTED",
            "vnfcResourceInfo": [
                {
                    "id": server,
                    "vduId": "VDU1",
                    "zoneId": zone,
                    "computeResource": {"resourceId": server},
                    "storageResourceIds": [volume],
                    "vnfcCpInfo": [{"id": f"CP1-{server}", "cpdId": "CP1", "vnfExtCpId": f"cp-{server}"}],
                }
                for server, zone, volume in vnfcs
            ],
            "virtualStorageResourceInfo": [
                {"id": volume, "virtualStorageDescId": "DISK", "storageResource": {"resourceId": volume}}
                for _, _, volume in vnfcs
            ],
            "extVirtualLinkInfo": [
                link
                | {
                    "extLinkPorts": [
                        {
                            "id": f"p-{server}",
                            "resourceHandle": {"resourceId": f"p-{server}"},
                            "cpInstanceId": f"cp-{server}",
                        }
                        for server, _, _ in vnfcs
                    ]
                }
            ],
        },
        InstantiatedVnfInfo,
    )


def compute(key: str, server: str | None = None) -> list[Json]:
    """The definitions of a VNFC: to be made, or (``server``) one that exists, with its volume and port."""

    def one(key: str, kind: str, node: str, resource: str) -> Json:
        return {"id": key, "type": kind, "resourceTemplateId": node} | (
            {"resource": {"resourceId": resource}} if server else {}
        )

    return [
        one(key, "COMPUTE", "VDU1", f"{server}"),
        one(f"CP1-{key}", "LINKPORT", "CP1", f"p-{server}"),
        one(f"DISK-{key}", "STORAGE", "DISK", f"{server}".replace("s", "v")),
    ]


def told(
    before: InstantiatedVnfInfo | None, after: InstantiatedVnfInfo, zones: Json | None = None, **resources: list[Json]
) -> dict[str, dict[str, str | None]]:
    """By kind of resource: the definition of each change by the resource's id."""
    asked = {"vnfInstanceId": "vnf", "vnfLcmOpOccId": "op", "vnfdId": "vnfd", "operation": "SCALE"}
    request = msgspec.convert(asked | {"isAutomaticInvocation": False} | resources, GrantRequest)
    places = zones or {}
    grant = msgspec.convert(
        {
            "id": "grant",
            "vnfInstanceId": "vnf",
            "vnfLcmOpOccId": "op",
            "zones": [{"id": zone, "zoneId": zone} for zone in sorted(set(places.values()))],
            "addResources": [{"resourceDefinitionId": key, "zoneId": zone} for key, zone in places.items()],
        },
        Grant,
    )
    changes: ResourceChanges = with_definitions(resource_changes(before, after), after, request, grant)
    kinds = (changes.affected_vnfcs, changes.affected_virtual_storages, changes.affected_ext_link_ports)
    return {
        kind: {each.id: each.resource_definition_id for each in found}
        for kind, found in zip(("VNFC", "storage", "port"), kinds, strict=True)
    }


def test_what_is_made_goes_by_vdu_and_zone_and_takes_its_own_along() -> None:
    made = info(("s1", "west", "v1"), ("s2", "east", "v2"))
    found = told(None, made, {"a": "east", "b": "west"}, addResources=[*compute("a"), *compute("b")])
    assert found == {
        "VNFC": {"s1": "b", "s2": "a"},
        "storage": {"v1": "DISK-b", "v2": "DISK-a"},
        "port": {"p-s1": "CP1-b", "p-s2": "CP1-a"},
    }


def test_what_is_removed_goes_by_its_id() -> None:
    two = info(("s1", "west", "v1"), ("s2", "west", "v2"))
    found = told(two, info(("s1", "west", "v1")), removeResources=compute("old", "s2"))
    assert found == {"VNFC": {"s2": "old"}, "storage": {"v2": "DISK-old"}, "port": {"p-s2": "CP1-old"}}


def test_a_vnfc_that_stays_is_what_was_to_come_in_its_place() -> None:
    """A change of the package asks for other VNFCs; Heat may change the ones that are there."""
    before, after = info(("s1", "west", "v1")), info(("s1", "west", "v9"))
    found = told(before, after, removeResources=compute("old", "s1"), addResources=compute("new"))
    assert found == {"VNFC": {"s1": "new"}, "storage": {"v9": "DISK-new", "v1": "DISK-old"}, "port": {}}


def test_what_nobody_was_asked_for_has_none() -> None:
    before, after = info(("s1", "west", "v1")), info(("s1", "west", "v9"))
    assert told(before, after)["storage"] == {"v9": None, "v1": None}

"""What an operation says to have changed is the difference between the VNF before it and behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]


def assert_changes(before: Json, after: Json, operation: Json) -> None:
    """Whether an operation that has ended well tells neither more nor less.

    :param before: the VNF's ``instantiatedVnfInfo``, empty when it had none.
    """
    was, now, told = dict(_resources(before)), dict(_resources(after)), list(_told(operation))
    for kind in was:
        for change, ids in (("ADDED", now[kind] - was[kind]), ("REMOVED", was[kind] - now[kind])):
            found = [key for of, how, key in told if (of, how) == (kind, change)]
            assert sorted(found) == sorted(ids), f"{operation['operation']}: {kind} {change}: {found}, not {ids}"
    stay = {key for kind in was for key in was[kind] & now[kind]}
    assert {key for _, how, key in told if how == "MODIFIED"} <= stay
    former = {vnfc["id"]: vnfc for vnfc in before.get("vnfcResourceInfo", ())}
    present = {vnfc["id"]: vnfc for vnfc in after.get("vnfcResourceInfo", ())}
    for vnfc in operation.get("resourceChanges", {}).get("affectedVnfcs", ()):
        own = (former | present)[vnfc["id"]]
        assert "resourceDefinitionId" in vnfc, f"{operation['operation']}: not granted: {vnfc}"
        cps = {cp["id"] for info in (former, present) for cp in info.get(vnfc["id"], {}).get("vnfcCpInfo", ())}
        assert set(vnfc.get("affectedVnfcCpIds", ())) <= cps
        assert vnfc["changeType"] == "MODIFIED" or set(vnfc["affectedVnfcCpIds"]) == cps
        assert set(vnfc.get("addedStorageResourceIds", ())) <= set(own.get("storageResourceIds", ()))
        assert (vnfc["vduId"], vnfc["computeResource"], vnfc.get("zoneId")) == (
            own["vduId"],
            own["computeResource"],
            own.get("zoneId"),
        )


def _resources(info: Json) -> Iterator[tuple[str, set[str]]]:
    """The ids of each kind of resource."""
    links = [*info.get("vnfVirtualLinkResourceInfo", ()), *info.get("extManagedVirtualLinkInfo", ())]
    outside = info.get("extVirtualLinkInfo", ())
    yield "VNFC", {each["id"] for each in info.get("vnfcResourceInfo", ())}
    yield "storage", {each["id"] for each in info.get("virtualStorageResourceInfo", ())}
    yield "link", {each["id"] for each in info.get("vnfVirtualLinkResourceInfo", ())}
    yield "link port", {port["id"] for link in links for port in link.get("vnfLinkPorts", ())}
    yield "external link port", {port["id"] for link in outside for port in link.get("extLinkPorts", ())}
    yield "VIP", {each["cpInstanceId"] for each in info.get("vipCpInfo", ())}


def _told(operation: Json) -> Iterator[tuple[str, str, str]]:
    """Kind, change and id of each change that is told."""
    changes = operation.get("resourceChanges", {})
    for kind, member in (
        ("VNFC", "affectedVnfcs"),
        ("storage", "affectedVirtualStorages"),
        ("external link port", "affectedExtLinkPorts"),
    ):
        yield from ((kind, each["changeType"], each["id"]) for each in changes.get(member, ()))
    for link in changes.get("affectedVirtualLinks", ()):
        change = link["changeType"].removeprefix("LINK_PORT_")
        yield from (("link port", change, port) for port in link.get("vnfLinkPortIds", ()))
        if change == link["changeType"]:
            yield "link", change, link["id"]
    yield from (("VIP", each["changeType"], each["cpInstanceId"]) for each in operation.get("affectedVipCps", ()))

"""Trunks: a parent port, which a server has, carries the traffic of other ports, its subports.

Rules as Neutron's: a port is the parent of one trunk or a subport of one, and is not deleted as long as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from forestay_simvim.errors import NetworkError
from forestay_simvim.table import Row

if TYPE_CHECKING:
    from forestay_simvim.neutron.network import Networking


def checked_parent(net: Networking, port_id: str) -> Row:
    """The port, which may become a parent."""
    port = net.get("ports", port_id)
    if net.trunks.find(port_id=port["id"]) or _carrier(net, port["id"]):
        message = f"Port {port['id']} is currently in use and is not eligible for use as a parent port."
        raise NetworkError("ParentPortInUse", 409, message)
    return port


def checked_subports(net: Networking, given: list[Row], trunk_id: str) -> list[Row]:
    """The subports of a trunk as it shows them."""
    tags: set[Any] = set()
    for each in given:
        port = net.get("ports", each["port_id"])
        carrier = _carrier(net, port["id"])
        if port["device_id"] or (carrier and carrier["id"] != trunk_id):
            raise NetworkError("PortInUse", 409, f"Port {port['id']} is currently in use.")
        if each.get("segmentation_id") in tags:
            message = (
                f"segmentation_type {each.get('segmentation_type')} and segmentation_id {each.get('segmentation_id')} "
                f"already in use as subport on trunk {trunk_id}."
            )
            raise NetworkError("DuplicateSubPort", 409, message)
        tags.add(each.get("segmentation_id"))
    return [{"segmentation_type": "vlan", **each} for each in given]


def keep_ports_of_trunks(net: Networking, port_id: str) -> None:
    """Refuse to delete a port that is part of a trunk."""
    for trunk in net.trunks.find(port_id=port_id):
        message = f"Port {port_id} is currently a parent port for trunk {trunk['id']}."
        raise NetworkError("PortInUseAsTrunkParent", 409, message)
    if carrier := _carrier(net, port_id):
        message = f"Port {port_id} is currently a subport for trunk {carrier['id']}."
        raise NetworkError("PortInUseAsSubPort", 409, message)


def trunk_details(net: Networking, port_id: str) -> Row:
    """What a port shows of the trunk whose parent it is; nothing for other ports."""
    for trunk in net.trunks.find(port_id=port_id):
        subs = [each | {"mac_address": net.get("ports", each["port_id"])["mac_address"]} for each in trunk["sub_ports"]]
        return {"trunk_details": {"trunk_id": trunk["id"], "sub_ports": subs}}
    return {}


def _carrier(net: Networking, port_id: str) -> Row | None:
    return next((trunk for trunk in net.trunks if any(sub["port_id"] == port_id for sub in trunk["sub_ports"])), None)

"""Floating IPs: a router has to connect a port's subnet to the external network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from forestay_simvim.errors import NetworkError
from forestay_simvim.table import Row

if TYPE_CHECKING:
    from forestay_simvim.neutron.network import Networking


def reachable_address(net: Networking, outside: str, port: Row, wanted: str | None) -> str | None:
    """The port's address that a floating IP of the network *outside* leads to; ``None`` if it has none."""
    found = next((ip for ip in port["fixed_ips"] if wanted in (None, ip["ip_address"])), None)
    if found and not _is_routed(net, outside, found["subnet_id"]):
        message = (
            f"External network {outside} is not reachable from subnet {found['subnet_id']}.  Therefore, cannot associate "
            f"Port {port['id']} with a Floating IP."
        )
        raise NetworkError("ExternalGatewayForFloatingIPNotFound", 404, message)
    return found["ip_address"] if found else None


def _is_routed(net: Networking, outside: str, subnet: str) -> bool:
    """Whether a router of the external network is in the subnet."""
    gateways = {row["id"]: (row["external_gateway_info"] or {}).get("network_id") for row in net.routers}
    return any(
        gateways[router] == outside and subnet in [ip["subnet_id"] for ip in port["fixed_ips"]]
        for router in gateways
        for port in net.ports.find(device_id=router)
    )

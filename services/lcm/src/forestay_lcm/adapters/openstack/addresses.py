"""Addresses of connection points: what was asked for, what a port really has, and which request a port fulfils.

Rules of this module: pure. A floating address comes first, because others reach the port there, and it has no subnet. What the
VIM says wins; the request only tells which addresses were its choice
(``isDynamic`` false, SOL003 clause 4.4.1.10b) and fills in for a port that the VIM did not show.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from ipaddress import ip_address, ip_network
from itertools import chain
from typing import Literal

from forestay_sol.vnflcm import (
    CpProtocolInfo,
    IpAddressData,
    IpAddressInfo,
    IpOverEthernetAddressData,
    IpOverEthernetAddressInfo,
    IpVersion,
    VnfExtCpConfig,
)

from forestay_lcm.adapters.openstack.clients.neutron import Port

_VERSIONS: Mapping[int, IpVersion] = {4: "IPV4", 6: "IPV6"}
_LAYER: Literal["IP_OVER_ETHERNET"] = "IP_OVER_ETHERNET"


def cp_protocol_info(port: Port | None, config: VnfExtCpConfig | None = None) -> tuple[CpProtocolInfo, ...]:
    """The addresses of a connection point.

    :param port: the port as Neutron shows it, ``None`` when it does not.
    :param config: what was asked for, for an external connection point.
    """
    if port is None:
        return tuple(_asked(config)) if config else ()
    chosen = _chosen(config)
    alike: dict[tuple[str, IpVersion, bool], list[str]] = {}
    for address in port.fixed_ips:
        version, is_dynamic = (
            _VERSIONS[ip_address(address.ip_address).version],
            _normal(address.ip_address) not in chosen,
        )
        alike.setdefault((address.subnet_id, version, is_dynamic), []).append(address.ip_address)
    infos = tuple(
        IpAddressInfo(type=version, addresses=tuple(found), is_dynamic=is_dynamic, subnet_id=subnet)
        for (subnet, version, is_dynamic), found in alike.items()
    )
    ethernet = IpOverEthernetAddressInfo(mac_address=port.mac_address, ip_addresses=(*_floating(port), *infos))
    return (CpProtocolInfo(layer_protocol=_LAYER, ip_over_ethernet=ethernet),)


def fulfilled_configs(
    configs: Mapping[str, VnfExtCpConfig], ports: Sequence[tuple[str, Port | None]]
) -> dict[str, str]:
    """Which cpConfigId each port (id and details) fulfils.

    A port goes to the config that names one of its addresses, else to one that leaves the choice to the VIM; more
    ports than configs share the first.
    """
    free = [config_id for config_id, config in configs.items() if not config.link_port_id]
    fulfilled: dict[str, str] = {}
    for port_id, port in ports:
        has = _owned(port)
        named = [config_id for config_id in free if _chosen(configs[config_id]) & has]
        dynamic = [config_id for config_id in free if not _chosen(configs[config_id])]
        fulfilled[port_id] = config_id = next(iter((*named, *dynamic, *free, *configs)))
        if config_id in free:
            free.remove(config_id)
    return fulfilled


def first_address(port: Port) -> str | None:
    """The address under which to reach a port: a floating one, else the first of its own."""
    floating = (ip.floating_ip_address for ip in port.floating_ips)
    return next(chain(floating, (ip.ip_address for ip in port.fixed_ips)), None)


def admits(port: Port, other: Port) -> bool:
    """Whether a port may use an address of another one."""
    pairs = [ip_network(pair.ip_address, strict=False) for pair in port.allowed_address_pairs]
    return any(ip_address(ip.ip_address) in pair for ip in other.fixed_ips for pair in pairs)


def _floating(port: Port) -> Iterator[IpAddressInfo]:
    for ip in port.floating_ips:
        version = _VERSIONS[ip_address(ip.floating_ip_address).version]
        yield IpAddressInfo(type=version, addresses=(ip.floating_ip_address,), is_dynamic=True)


def _normal(address: str) -> str:
    return str(ip_address(address))


def _owned(port: Port | None) -> set[str]:
    if port is None:
        return set()
    return {_normal(address.ip_address) for address in port.fixed_ips} | {(port.mac_address or "").lower()}


def _chosen(config: VnfExtCpConfig | None) -> set[str]:
    """The addresses that a config names."""
    chosen = {_normal(address) for item in _items(config) for address in item.fixed_addresses or ()}
    return chosen | {layer.mac_address.lower().replace("-", ":") for layer in _layers(config) if layer.mac_address}


def _asked(config: VnfExtCpConfig) -> Iterator[CpProtocolInfo]:
    for layer in _layers(config):
        infos = tuple(
            IpAddressInfo(
                type=item.type,
                addresses=item.fixed_addresses or (),
                is_dynamic=item.fixed_addresses is None,
                address_range=item.address_range,
                subnet_id=item.subnet_id,
            )
            for item in layer.ip_addresses or ()
        )
        ethernet = IpOverEthernetAddressInfo(mac_address=layer.mac_address, ip_addresses=infos)
        yield CpProtocolInfo(layer_protocol=_LAYER, ip_over_ethernet=ethernet)


def _layers(config: VnfExtCpConfig | None) -> list[IpOverEthernetAddressData]:
    data = config.cp_protocol_data if config else ()
    return [layer.ip_over_ethernet for layer in data if layer.ip_over_ethernet]


def _items(config: VnfExtCpConfig | None) -> list[IpAddressData]:
    return [item for layer in _layers(config) for item in layer.ip_addresses or ()]

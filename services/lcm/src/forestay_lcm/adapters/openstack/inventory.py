"""What differs between a VNF as the log has it and as its VIM shows it.

Rules of this module: pure. What the VIM shows is read back as after an operation, and compared with what was read back after
the last one, so both mean the same; and the services are asked for each resource, as a stack names also what is gone.

A HEAL mends servers that are gone or in error, and makes anew a stack that is gone, or has failed to be created or deleted. After
any other failure the servers of a stack run on, and nobody wants to lose them for it. A HEAL makes no single port, volume or
network anew, and a server that somebody has stopped, or moved, is none that it would have to replace.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
from forestay_sol.resource_types import NET, PORT, SERVER, STACK, VOLUME
from forestay_sol.streams.drift import Finding, Healing, Kind
from forestay_sol.vnflcm import CpProtocolInfo, InstantiatedVnfInfo

from forestay_lcm.domain.connection_points import GIVEN_PORT, given_link_ports

_LOST = ("CREATE_FAILED", "DELETE_FAILED")


class Found(Protocol):
    """Makes a finding."""

    def __call__(
        self, kind: Kind, resource_type: str, resource_id: str, detail: str, healing: Healing | None = None
    ) -> Finding: ...


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What a VIM shows of a VNF.

    :ivar info: what is read back now, ``None`` when its stack is gone.
    :ivar stack_state: the stack's, such as ``UPDATE_COMPLETE``.
    :ivar in_motion: Heat was busy with the stack at the beginning or the end of the look: what it shows does not fit together.
    :ivar gone: ids of resources that their service does not know.
    :ivar broken: faults of servers in error, by id.
    """

    info: InstantiatedVnfInfo | None
    stack_state: str = ""
    in_motion: bool = False
    gone: frozenset[str] = frozenset()
    broken: dict[str, str] = {}


def resources_of(info: InstantiatedVnfInfo) -> dict[str, str]:
    """The resources that were made for a VNF: their types by id."""
    given = {port for link in info.ext_virtual_link_info for port in given_link_ports(link.current_vnf_ext_cp_data)}
    links = (*info.vnf_virtual_link_resource_info, *info.ext_managed_virtual_link_info)
    ports = [port for link in info.ext_virtual_link_info for port in link.ext_link_ports if port.id not in given]
    inner = [port for link in links for port in link.vnf_link_ports if not port.id.startswith(GIVEN_PORT)]
    return {
        **{vnfc.compute_resource.resource_id: SERVER for vnfc in info.vnfc_resource_info},
        **{item.storage_resource.resource_id: VOLUME for item in info.virtual_storage_resource_info},
        **{item.network_resource.resource_id: NET for item in info.vnf_virtual_link_resource_info},
        **{port.resource_handle.resource_id: PORT for port in (*ports, *inner)},
    }


def differences(
    vim: str, recorded: InstantiatedVnfInfo, seen: Seen, *, after: str | None = None
) -> tuple[Finding, ...]:
    """The findings about a VNF.

    :param after: the VNF instance's latest operation.
    """
    vnfcs = {vnfc.vnfc_resource_info_id: vnfc.id for vnfc in recorded.vnfc_info}

    def found(kind: Kind, resource_type: str, resource_id: str, detail: str, healing: Healing | None = None) -> Finding:
        return Finding(
            kind=kind,
            vim=vim,
            resource_type=resource_type,
            resource_id=resource_id,
            detail=detail,
            vnfc_instance_id=vnfcs.get(resource_id),
            healing=healing,
            after=after,
        )

    if seen.info is None:
        stack = str((recorded.metadata or {}).get("stack_id", ""))
        return (found("MISSING", STACK, stack.rpartition("/")[2], f"The stack {stack} is gone.", "ALL"),)
    checks = (_stack, _resources, _vnfcs, _addresses)
    return tuple(finding for check in checks for finding in check(recorded, seen, seen.info, found))


def _stack(recorded: InstantiatedVnfInfo, seen: Seen, now: InstantiatedVnfInfo, found: Found) -> Iterator[Finding]:
    path = str((now.metadata or {}).get("stack_id", ""))
    if seen.stack_state.endswith("_FAILED"):
        healing = "ALL" if seen.stack_state in _LOST else None
        yield found("CHANGED", STACK, path.rpartition("/")[2], f"The stack {path} is {seen.stack_state}.", healing)


def _resources(recorded: InstantiatedVnfInfo, seen: Seen, now: InstantiatedVnfInfo, found: Found) -> Iterator[Finding]:
    known, present = resources_of(recorded), resources_of(now)
    for resource, kind in known.items():
        if resource in seen.gone:
            healing = "VNFC" if kind == SERVER else None
            yield found("MISSING", kind, resource, f"{kind} {resource} is gone.", healing)
        elif resource not in present:
            yield found("CHANGED", kind, resource, f"{kind} {resource} is not in the VNF's stack any more.")
    for resource, kind in present.items():
        if resource not in known and resource not in seen.gone:
            yield found(
                "ORPHANED", kind, resource, f"{kind} {resource} is in the VNF's stack, but no operation told of it."
            )


def _vnfcs(recorded: InstantiatedVnfInfo, seen: Seen, now: InstantiatedVnfInfo, found: Found) -> Iterator[Finding]:
    states = {vnfc.vnfc_resource_info_id: vnfc.vnfc_state for vnfc in now.vnfc_info}
    zones = {vnfc.id: vnfc.zone_id for vnfc in now.vnfc_resource_info}
    was_in = {vnfc.id: vnfc.zone_id for vnfc in recorded.vnfc_resource_info}
    for vnfc in recorded.vnfc_info:
        server = vnfc.vnfc_resource_info_id
        if server is None or server not in states or server in seen.gone:
            continue
        if server in seen.broken:
            yield found("CHANGED", SERVER, server, f"VNFC {vnfc.id} is in error: {seen.broken[server]}", "VNFC")
        elif states[server] != vnfc.vnfc_state:
            yield found(
                "CHANGED", SERVER, server, f"VNFC {vnfc.id} is {states[server]}, it was left {vnfc.vnfc_state}."
            )
        if zones.get(server) != was_in.get(server):
            yield found(
                "CHANGED",
                SERVER,
                server,
                f"VNFC {vnfc.id} is in zone {zones.get(server)}, it was in {was_in.get(server)}.",
            )


def _addresses(recorded: InstantiatedVnfInfo, seen: Seen, now: InstantiatedVnfInfo, found: Found) -> Iterator[Finding]:
    present = {cp: _words(protocols) for cp, _, protocols in _cps(now)}
    for cp, port, protocols in _cps(recorded):
        was = _words(protocols)
        if cp in present and present[cp] != was and port not in seen.gone:
            detail = f"Connection point {cp} has {present[cp] or 'no address'}, it had {was or 'none'}."
            yield found("CHANGED", PORT, port, detail)


def _cps(info: InstantiatedVnfInfo) -> Iterator[tuple[str, str, Sequence[CpProtocolInfo]]]:
    """Connection points with their port, if it is known, and what they have; of one that is exposed, the external CP."""
    yield from ((cp.id, cp.id.removeprefix("cp-"), cp.cp_protocol_info) for cp in info.ext_cp_info)
    for vip in info.vip_cp_info:
        if vip.vnf_ext_cp_id is None:
            yield vip.cp_instance_id, vip.cp_instance_id.removeprefix(f"{vip.cpd_id}-"), vip.cp_protocol_info
    for cp in (cp for vnfc in info.vnfc_resource_info for cp in vnfc.vnfc_cp_info if cp.cp_protocol_info):
        yield cp.id, cp.id, cp.cp_protocol_info


def _words(protocols: Sequence[CpProtocolInfo]) -> str:
    """Addresses, in a fixed order."""
    layers = [data.ip_over_ethernet for data in protocols if data.ip_over_ethernet]
    ips = [address for layer in layers for item in layer.ip_addresses or () for address in item.addresses or ()]
    return ", ".join(sorted([*ips, *(layer.mac_address for layer in layers if layer.mac_address)]))

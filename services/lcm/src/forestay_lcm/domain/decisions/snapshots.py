"""CREATE_SNAPSHOT and REVERT_TO_SNAPSHOT of a VNF instance (SOL003 clauses 5.4.21 and 5.4.22).

What is decided here is decided again by the VNF snapshot's own log when the operation claims it
(:mod:`forestay_lcm.domain.vnf_snapshot`): that somebody else was faster is found then, before anything is touched.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from forestay_events.aggregate import Context, Decision
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import RevertToSnapshot, TakeSnapshot
from forestay_lcm.domain.decisions.guards import has, instantiated
from forestay_lcm.domain.decisions.starting import start
from forestay_lcm.domain.events import VnfEvent
from forestay_lcm.domain.state import Vnf
from forestay_lcm.domain.vnf_snapshot import VnfSnapshot, fillable, revertible
from forestay_sol import vnflcm
from forestay_sol.vnflcm import InstantiatedVnfInfo

Decided = Decision[VnfEvent]


def take(vnf: Vnf, command: TakeSnapshot, ctx: Context) -> Decided:
    """Fill a VNF snapshot that is empty."""
    info = instantiated(vnf)
    has(vnf, command.vnfd)
    fillable(command.snapshot)
    flavour = command.vnfd.flavour(info.flavour_id)
    reason = f"VNF snapshot {command.snapshot.id} requested"
    return start(vnf, ctx, "CREATE_SNAPSHOT", command.request, reason, flavour=flavour)


def revert(vnf: Vnf, command: RevertToSnapshot, ctx: Context) -> Decided:
    """Bring the VNF back to a snapshot of it, if it has the same VNFCs as then."""
    info = instantiated(vnf)
    has(vnf, command.vnfd)
    revertible(command.snapshot, command.ended)
    if fault := next(_faults(vnf, info, command.snapshot), None):
        raise Rejected(409, f"VnfInstance {vnf.id} cannot be reverted to VnfSnapshot {command.snapshot.id}: {fault}.")
    flavour = command.vnfd.flavour(info.flavour_id)
    reason = f"revert to VNF snapshot {command.snapshot.id} requested"
    return start(vnf, ctx, "REVERT_TO_SNAPSHOT", command.request, reason, flavour=flavour)


def _faults(vnf: Vnf, info: InstantiatedVnfInfo, snapshot: VnfSnapshot) -> Iterator[str]:
    """Why the VNF instance is not what the snapshot was taken of."""
    then = msgspec.convert(snapshot.content, vnflcm.VnfSnapshot)
    if then.vnf_instance_id != vnf.id:
        yield f"it was taken of vnfInstance {then.vnf_instance_id}"
        return
    if then.vnfd_id != vnf.vnfd_id:
        yield f"that has VNFD {then.vnfd_id}, the VNF now has {vnf.vnfd_id}"
    flavour_id = then.vnf_instance.get("instantiatedVnfInfo", {}).get("flavourId")
    if flavour_id != info.flavour_id:
        yield f"that has flavour {flavour_id!r}, the VNF now has {info.flavour_id!r}"
    now, saved = ({vnfc.id for vnfc in info.vnfc_resource_info}, {vnfc.id for vnfc in then.vnfc_snapshots})
    if others := sorted(now ^ saved):
        yield f"the VNF has been scaled or healed since, {', '.join(others)} of its VNFCs are not the same"
    if on_volumes := sorted(vnfc.id for vnfc in then.vnfc_snapshots if vnfc.compute_snapshot_resource is None):
        yield f"{', '.join(on_volumes)} boots from a volume, which cannot be reverted while the server has it"

"""CREATE_SNAPSHOT and REVERT_TO_SNAPSHOT of a VNF instance (SOL003 clauses 5.4.21 and 5.4.22).

What is decided here is decided again by the VNF snapshot's own log when the operation claims it
(:mod:`forestay_lcm.domain.vnf_snapshot`): that somebody else was faster is found then, before anything is touched.
"""

from __future__ import annotations

from forestay_events.aggregate import Context, Decision
from forestay_events.errors import Rejected
from forestay_lcm.domain.commands import RevertToSnapshot, TakeSnapshot
from forestay_lcm.domain.decisions.guards import instantiated
from forestay_lcm.domain.decisions.starting import Accepted, start
from forestay_lcm.domain.events import VnfEvent
from forestay_lcm.domain.reverting import reverting
from forestay_lcm.domain.state import Vnf
from forestay_lcm.domain.vnf_snapshot import fillable, revertible

Decided = Decision[VnfEvent]


def take(vnf: Vnf, command: TakeSnapshot, ctx: Context) -> Decided:
    """Fill a VNF snapshot that is empty."""
    info = instantiated(vnf, command.vnfd)
    fillable(command.snapshot)
    accepted = Accepted(
        operation="CREATE_SNAPSHOT",
        request=command.request,
        reason=f"VNF snapshot {command.snapshot.id} requested",
        flavour=command.vnfd.flavour(info.flavour_id),
    )
    return start(vnf, ctx, accepted)


def revert(vnf: Vnf, command: RevertToSnapshot, ctx: Context) -> Decided:
    """Bring the VNF back to a snapshot of it, if it consists of the same VNFCs as then, whichever servers they have."""
    info = instantiated(vnf, command.vnfd)
    revertible(command.snapshot, command.ended)
    parts, fault = reverting(vnf.id, vnf.vnfd_id, info, command.snapshot.content or {})
    if fault:
        raise Rejected(409, f"VnfInstance {vnf.id} cannot be reverted to VnfSnapshot {command.snapshot.id}: {fault}.")
    accepted = Accepted(
        operation="REVERT_TO_SNAPSHOT",
        request=command.request,
        reason=f"revert to VNF snapshot {command.snapshot.id} requested",
        flavour=command.vnfd.flavour(info.flavour_id),
        vnfc_snapshots={vnfc: part.id for vnfc, part in parts.items()},
    )
    return start(vnf, ctx, accepted)

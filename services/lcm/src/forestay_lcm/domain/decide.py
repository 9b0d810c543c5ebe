"""Decides what a command leads to. Pure: state and command in, events out, a sentence that says why.

A request that the state does not allow is ``Rejected`` with the status and the words that Tacker's clients know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.errors import Rejected
from forestay_lcm.domain import commands
from forestay_lcm.domain.decisions import handling, operations, package_change, reports, resource, snapshots
from forestay_lcm.domain.events import CODEC, VnfEvent
from forestay_lcm.domain.state import Vnf, evolve

_DECISIONS: Mapping[type[commands.VnfCommand], Callable[[Vnf, Any, Context], Decision[VnfEvent]]] = {
    commands.DeleteVnf: resource.delete,
    commands.Modify: resource.modify,
    commands.Instantiate: operations.instantiate,
    commands.Terminate: operations.terminate,
    commands.Scale: operations.scale,
    commands.ScaleToLevel: operations.scale_to_level,
    commands.Heal: operations.heal,
    commands.ChangeExtConn: operations.change_ext_conn,
    commands.ChangeFlavour: operations.change_flavour,
    commands.ChangeVnfPkg: package_change.change_vnfpkg,
    commands.Operate: operations.operate,
    commands.TakeSnapshot: snapshots.take,
    commands.RevertToSnapshot: snapshots.revert,
    commands.Handle: handling.handle,
    commands.Cancel: handling.cancel,
    commands.ReportStep: reports.report,
}


def decide(vnf: Vnf | None, command: commands.VnfCommand, ctx: Context) -> Decision[VnfEvent]:
    """:raises Rejected: the command is not possible now."""
    if isinstance(command, commands.CreateVnf):
        return resource.create(vnf, command)
    if vnf is None or vnf.deleted or vnf.project != ctx.origin.project:
        raise Rejected(404, "VnfInstance not found.")
    return _DECISIONS[type(command)](vnf, command, ctx)


VNF: Definition[Vnf, commands.VnfCommand, VnfEvent] = Definition("LCM", "vnf", CODEC, decide, evolve)

"""What a request would do (``?dry_run=true``, an addition to SOL003): the operation as it would stand, its steps to come, the
resources that it would ask a grant for.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

import msgspec
from forestay_events.aggregate import Decision
from forestay_lcm.domain.events import OperationStarted, VnfEvent
from forestay_lcm.domain.grants import Asking
from forestay_lcm.domain.grants.operations import asked_for
from forestay_lcm.domain.state import Operation, StepRun, Vnf
from forestay_lcm.projections.representation import shown_params
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import ResourceDefinition

Json = dict[str, Any]


def shown_plan(decision: Decision[VnfEvent], vnf: Vnf, operation: Operation, vnfd: Vnfd) -> Json:
    """
    :param vnf: as it would be behind the decision; ``operation`` is its latest.
    :param vnfd: the one that the operation leads to.
    :raises Rejected: there is no grant to ask for what is wanted.
    """
    plan: Json = {
        "operation": operation.operation,
        "operationState": operation.state,
        "reason": decision.reason,
        "operationParams": shown_params(operation.params),
        "steps": [_step(run) for run in _to_come(operation)],
    }
    if operation.scale_status:
        plan["scaleStatus"] = msgspec.to_builtins(operation.scale_status)
    if operation.changed_info:
        plan["changedInfo"] = shown_params(operation.changed_info)
    begins = any(isinstance(event, OperationStarted) for event in decision.events)
    asks = any(run.step.kind == "grant" for run in operation.plan)
    return plan | (_resources(vnf, operation, vnfd) if begins and asks else {})


def _to_come(operation: Operation) -> Iterable[StepRun]:
    """The present step and those behind it, which a pending cancellation leaves out."""
    if operation.current is None:
        return ()
    at = operation.runs.index(operation.current)
    return operation.runs[at : at + 1] if operation.cancel_mode else operation.runs[at:]


def _step(run: StepRun) -> Json:
    step = run.step
    shown: Json = {"name": step.name, "executor": step.executor, "timeout": step.timeout}
    flags = {"undo": step.undo, "final": step.final, "optional": step.optional}
    return shown | {name: value for name, value in flags.items() if value}


def _resources(vnf: Vnf, operation: Operation, vnfd: Vnfd) -> Json:
    numbers = count(1)
    asking = Asking(vnf_id=vnf.id, op_id=operation.id, vnfd_id=vnf.vnfd_id, new_id=lambda: f"{next(numbers)}")
    request, _ = asked_for(vnf, operation, vnfd, asking)
    return {
        "addResources": _definitions(request.add_resources),
        "removeResources": _definitions(request.remove_resources),
        "updateResources": _definitions(request.update_resources),
    }


def _definitions(definitions: Iterable[ResourceDefinition]) -> list[Json]:
    return [msgspec.to_builtins(definition) for definition in definitions]

"""The plan of an operation that is only thought of (``?dry_run=true``): an addition to SOL003."""

from __future__ import annotations

from typing import Any

import msgspec
from forestay_events.aggregate import Decision
from forestay_lcm.domain.events import OperationStarted, VnfEvent
from forestay_lcm.projections.representation import shown_params

Json = dict[str, Any]


def shown_plan(decision: Decision[VnfEvent]) -> Json:
    """What a decision would start: operation, its steps with their compensations and time limits, where it leads."""
    started = next(event for event in decision.events if isinstance(event, OperationStarted))
    plan: Json = {
        "operation": started.operation,
        "reason": decision.reason,
        "operationParams": shown_params(started.params),
        "steps": [_step(msgspec.structs.asdict(step)) for step in started.steps],
    }
    if started.scale_status:
        plan["scaleStatus"] = msgspec.to_builtins(started.scale_status)
    return plan


def _step(step: Json) -> Json:
    shown = {"name": step["name"], "executor": step["executor"], "timeout": step["timeout"]}
    return shown | ({"undo": step["undo"]} if step["undo"] else {}) | ({"final": True} if step["final"] else {})

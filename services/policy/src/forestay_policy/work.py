"""The work of the policy service, and what it asks of LCM.

Work names things, it does not describe them: who takes it looks how they stand then.
"""

from __future__ import annotations

import msgspec
from forestay_events.work import Work
from forestay_sol.streams.requests import EXECUTOR, LcmRequest, RetryRequest

ALARMS = "policy-alarms"
ACTIONS = "policy-actions"

ACTOR = "forestay:policy"


class DueAction(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of the work of executor ``policy-actions``: the time has come to do what a policy has decided."""

    policy_id: str
    alarm_id: str


def look_at_alarm(alarm_id: str) -> Work:
    """Let the policies of its project decide about an alarm."""
    return Work(executor=ALARMS, lane="alarm", key=alarm_id, body=msgspec.Raw(b"{}"))


def due_action(policy_id: str, alarm_id: str) -> Work:
    """Do what a policy has decided about an alarm."""
    body = msgspec.json.encode(DueAction(policy_id=policy_id, alarm_id=alarm_id))
    return Work(executor=ACTIONS, lane="action", key=f"{policy_id}_{alarm_id}", body=msgspec.Raw(body))


def asked_of_lcm(request: LcmRequest) -> Work:
    """Ask LCM for something. What is asked replaces what was asked about the same and has not been looked at."""
    about = request.op_id if isinstance(request, RetryRequest) else request.vnf_id
    return Work(executor=EXECUTOR, lane="policy", key=about, body=msgspec.Raw(msgspec.json.encode(request)))

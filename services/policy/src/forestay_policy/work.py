"""The work of the policy service, and what it asks of LCM.

Work names things, it does not describe them: who takes it looks how they stand then.
"""

from __future__ import annotations

import msgspec
from forestay_events.work import Work
from forestay_sol.streams.alarm import AlarmRaised

ALARMS = "policy-alarms"
ACTIONS = "policy-actions"
LCM_REQUESTS = "lcm-requests"

ACTOR = "forestay:policy"


class DueAction(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of the work of executor ``policy-actions``: the time has come to do what a policy has decided."""

    policy_id: str
    alarm_id: str


class LcmRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of the work of executor ``lcm-requests``.

    :ivar alarm_id: the alarm for which it is asked: one request per policy and alarm.
    :ivar cause: the commit in which the operation failed, ``lcm.vnf.<id>@<version>``: if the instance has another version by
        now, the request is late.
    """

    op_id: str
    vnf_id: str
    how: str = "retry"
    actor: str = ACTOR
    project: str
    policy_id: str
    alarm_id: str
    cause: str


def look_at_alarm(alarm_id: str) -> Work:
    """Let the policies of its project decide about an alarm."""
    return Work(executor=ALARMS, lane="alarm", key=alarm_id, body=msgspec.Raw(b"{}"))


def due_action(policy_id: str, alarm_id: str) -> Work:
    """Do what a policy has decided about an alarm."""
    body = msgspec.json.encode(DueAction(policy_id=policy_id, alarm_id=alarm_id))
    return Work(executor=ACTIONS, lane="action", key=f"{policy_id}_{alarm_id}", body=msgspec.Raw(body))


def retry_request(project: str, policy_id: str, alarm_id: str, alarm: AlarmRaised) -> Work:
    """Ask LCM to retry the operation that an alarm is about."""
    assert alarm.op_id is not None, "only alarms about operations lead to a retry"  # noqa: S101
    request = LcmRequest(
        op_id=alarm.op_id,
        vnf_id=alarm.managed_object_id,
        project=project,
        policy_id=policy_id,
        alarm_id=alarm_id,
        cause=alarm.cause,
    )
    body = msgspec.Raw(msgspec.json.encode(request))
    return Work(executor=LCM_REQUESTS, lane="policy", key=alarm.op_id, body=body)

"""From alarms to actions: one worker lets the policies decide about an alarm, another does what they have decided.

Both look at how things stand when they come to it. An alarm that is cleared before a policy's delay is over, or a policy that is
deleted by then, leads to nothing. A heal is for all the alarms of the VNF instance that the policy has decided about and that
stand: what came within the delay is healed together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import structlog
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.database import answering
from forestay_events.freshness import caught_up_with_all
from forestay_events.platform import Platform
from forestay_events.work import Work
from forestay_events.worker import Worker
from forestay_sol.streams.requests import HealRequest, LcmRequest, RetryRequest

from forestay_policy.domain.events import PolicyEvent
from forestay_policy.domain.policy import POLICY, Drop, Policy, PolicyCommand, React
from forestay_policy.projections import SCHEMA
from forestay_policy.projections.alarms import StandingAlarm, standing_alarms
from forestay_policy.projections.policies import active_policies
from forestay_policy.work import ACTIONS, ACTOR, ALARMS, DueAction, asked_of_lcm

log = structlog.get_logger(__name__)

Policies = Aggregates[Policy, PolicyCommand, PolicyEvent]

#: Alarms that are decided about at once: the policies are few, and their commits wait for one another.
_AT_ONCE = 8


class Reactions:
    """Runs in every replica; they may do the same twice.

    :ivar alarms: lets the policies decide.
    :ivar actions: does what they have decided.
    """

    def __init__(self, platform: Platform, policies: Policies) -> None:
        self._platform = platform
        self._policies = policies
        self.alarms = Worker(
            platform.nats, platform.queue, ALARMS, self.decide, given_up=self.given_up, lane_limit=_AT_ONCE
        )
        self.actions = Worker(platform.nats, platform.queue, ACTIONS, self.act, given_up=self.given_up)

    async def decide(self, work: Work) -> None:
        """Let each active policy of its project decide about an alarm that stands."""
        # A policy that was created before the alarm was raised must not be overlooked.
        await caught_up_with_all(self._platform, SCHEMA, POLICY.stream)
        standing = await self._standing(work.key)
        if not standing:
            return
        [alarm] = standing
        with answering():
            async with self._platform.pool.acquire() as connection:
                policies = await active_policies(connection, alarm.project)
        for policy_id in policies:
            origin = Origin(
                command_id=f"{policy_id}/{alarm.id}",
                project=alarm.project,
                actor=ACTOR,
                correlation_id=alarm.raised.op_id,
                causation_id=alarm.commit_id,
            )
            await self._policies.execute(policy_id, React(alarm.id, alarm.raised), origin)

    async def act(self, work: Work) -> None:
        """Ask LCM for what the policy has decided, if the alarm still stands and the policy is still wanted."""
        due = msgspec.json.decode(work.body, type=DueAction)
        policy = (await self._policies.load(due.policy_id)).state
        if policy is None or not policy.active:
            log.info("policy.action_dropped", policy=due.policy_id, alarm=due.alarm_id)
            return
        await caught_up_with_all(self._platform, SCHEMA, "MON")
        alarms = {alarm.id: alarm for alarm in await self._standing(*_decided_with(policy, due.alarm_id))}
        if due.alarm_id not in alarms:
            origin = Origin(
                command_id=f"{policy.id}/{due.alarm_id}/dropped",
                project=policy.project,
                actor=ACTOR,
                causation_id=due.alarm_id,
            )
            await self._policies.execute(policy.id, Drop(due.alarm_id), origin)
            return
        request = _REQUESTS[policy.rule.do](policy, alarms.pop(due.alarm_id), list(alarms.values()))
        await self._platform.queue.put(asked_of_lcm(request))
        log.info("policy.requested", policy=policy.id, alarm=due.alarm_id, vnf=request.vnf_id, what=policy.rule.do)

    async def given_up(self, work: Work, reason: str) -> None:
        log.error("policy.work_given_up", executor=work.executor, key=work.key, reason=reason)

    async def _standing(self, *alarm_ids: str) -> list[StandingAlarm]:
        with answering():
            async with self._platform.pool.acquire() as connection:
                return await standing_alarms(connection, alarm_ids)


def _decided_with(policy: Policy, alarm_id: str) -> tuple[str, ...]:
    """The alarms of the same managed object that the policy has decided about."""
    return next((tally.alarms for tally in policy.tallies.values() if alarm_id in tally.alarms), (alarm_id,))


def _retry(policy: Policy, alarm: StandingAlarm, _: Sequence[StandingAlarm]) -> RetryRequest:
    assert alarm.raised.op_id is not None, "only alarms about operations lead to a retry"  # noqa: S101
    return RetryRequest(**_because(policy, alarm), op_id=alarm.raised.op_id, cause=alarm.raised.cause)


def _heal(policy: Policy, alarm: StandingAlarm, others: Sequence[StandingAlarm]) -> HealRequest:
    lost = [each.raised for each in (alarm, *others)]
    return HealRequest(
        **_because(policy, alarm),
        vnfc_instance_ids=tuple(
            dict.fromkeys(vnfc for each in lost if each.healing for vnfc in each.vnfc_instance_ids)
        ),
        all=any(each.healing == "ALL" for each in lost),
    )


def _because(policy: Policy, alarm: StandingAlarm) -> dict[str, str]:
    """The members that requests have in common."""
    return {
        "vnf_id": alarm.raised.managed_object_id,
        "project": policy.project,
        "actor": ACTOR,
        "policy_id": policy.id,
        "alarm_id": alarm.id,
    }


_REQUESTS: Mapping[str, Callable[[Policy, StandingAlarm, Sequence[StandingAlarm]], LcmRequest]] = {
    "retry": _retry,
    "heal": _heal,
}

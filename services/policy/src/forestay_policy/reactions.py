"""From alarms to actions: one worker lets the policies decide about an alarm, another does what they have decided.

Both look at how things stand when they come to it. An alarm that is cleared before a policy's delay is over, or a policy that is
deleted by then, leads to nothing.
"""

from __future__ import annotations

import msgspec
import structlog
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.database import answering
from forestay_events.platform import Platform
from forestay_events.work import Work
from forestay_events.worker import Worker

from forestay_policy.domain.events import PolicyEvent
from forestay_policy.domain.policy import POLICY, Policy, PolicyCommand, React
from forestay_policy.projections import SCHEMA
from forestay_policy.projections.alarms import StandingAlarm, standing_alarm
from forestay_policy.projections.policies import active_policies
from forestay_policy.work import ACTIONS, ACTOR, ALARMS, DueAction, retry_request

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
        await self._up_to_date(POLICY.stream)
        alarm = await self._standing(work.key)
        if alarm is None:
            return
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
        """Ask LCM for the retry, if the alarm still stands and the policy is still wanted."""
        due = msgspec.json.decode(work.body, type=DueAction)
        policy = (await self._policies.load(due.policy_id)).state
        await self._up_to_date("MON")
        alarm = await self._standing(due.alarm_id)
        if policy is None or not policy.active or alarm is None:
            log.info("policy.action_dropped", policy=due.policy_id, alarm=due.alarm_id, alarm_stands=alarm is not None)
            return
        await self._platform.queue.put(retry_request(policy.project, policy.id, alarm.id, alarm.raised))
        log.info("policy.retry_requested", policy=policy.id, alarm=alarm.id, op=alarm.raised.op_id)

    async def given_up(self, work: Work, reason: str) -> None:
        log.error("policy.work_given_up", executor=work.executor, key=work.key, reason=reason)

    async def _standing(self, alarm_id: str) -> StandingAlarm | None:
        with answering():
            async with self._platform.pool.acquire() as connection:
                return await standing_alarm(connection, alarm_id)

    async def _up_to_date(self, stream: str) -> None:
        """:raises Unavailable: the read model does not get to the head of the stream."""
        await self._platform.positions.wait(SCHEMA, stream, await self._platform.store.head(stream))

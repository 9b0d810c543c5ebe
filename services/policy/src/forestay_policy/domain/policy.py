"""A policy: state, commands, decisions. Pure.

Attempts are counted per managed object and begin anew with its next operation. Which alarms were decided about is remembered,
so an alarm that comes twice leads to nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.commit import Commit
from forestay_events.errors import Rejected
from forestay_sol.streams.alarm import AlarmRaised

from forestay_policy.domain.events import (
    CODEC,
    Action,
    PolicyCreated,
    PolicyDeleted,
    PolicyEvent,
    PolicySkipped,
    PolicyTriggered,
    Rule,
    When,
)

Decided = Decision[PolicyEvent]

#: How many alarms of one managed object are remembered: far more than can be under way at once.
_REMEMBERED = 32


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the policy did about one managed object: attempts for operation ``op_id``, and the latest alarms, oldest first."""

    op_id: str | None = None
    attempts: int = 0
    alarms: tuple[str, ...] = ()


class LastReaction(msgspec.Struct, frozen=True, kw_only=True):
    """The latest decision, for people who look at the policy."""

    at: datetime
    event: PolicyTriggered | PolicySkipped


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A policy as its events add up. ``tallies`` by managed object."""

    id: str
    project: str
    rule: Rule
    tallies: dict[str, Tally] = {}
    last: LastReaction | None = None
    deleted: bool = False

    @property
    def active(self) -> bool:
        return self.rule.enabled and not self.deleted


@dataclass(frozen=True)
class CreatePolicy:
    """POST policies."""

    rule: Rule


@dataclass(frozen=True)
class DeletePolicy:
    """DELETE policies/{policy_id}."""

    policy_id: str


@dataclass(frozen=True)
class React:
    """An alarm of the policy's project was raised."""

    alarm_id: str
    alarm: AlarmRaised


PolicyCommand = CreatePolicy | DeletePolicy | React


def decide(policy: Policy | None, command: PolicyCommand, ctx: Context) -> Decided:
    """:raises Rejected: 404."""
    if isinstance(command, CreatePolicy):
        return Decided([] if policy else [PolicyCreated(rule=command.rule)], f"policy {command.rule.name} requested")
    if isinstance(command, DeletePolicy):
        if policy is None or policy.deleted or policy.project != ctx.origin.project:
            raise not_found(command.policy_id)
        return Decided([PolicyDeleted()], "deletion requested")
    if policy is None or not policy.active or policy.project != ctx.origin.project:
        return Decided([])
    return _react(policy, command)


def not_found(policy_id: str) -> Rejected:
    return Rejected(404, f"Policy {policy_id[:80]} not found.")


def _react(policy: Policy, command: React) -> Decided:
    alarm = command.alarm
    tally = policy.tallies.get(alarm.managed_object_id, Tally())
    if command.alarm_id in tally.alarms or not matches(policy.rule.when, alarm):
        return Decided([])
    event = _ACTIONS[policy.rule.do](policy.rule, command, tally.attempts if tally.op_id == alarm.op_id else 0)
    return Decided([event], event.reason)


def matches(when: When, alarm: AlarmRaised) -> bool:
    """Tell whether an alarm is one of those that a policy is about."""
    wanted = (
        (when.event_types, alarm.event_type),
        (when.probable_causes, alarm.probable_cause),
        (when.managed_object_ids, alarm.managed_object_id),
    )
    return all(not values or value in values for values, value in wanted)


def _notify(rule: Rule, command: React, attempts: int) -> PolicyTriggered:
    return _triggered(rule, command, attempts + 1, 0.0, f"{_what(command.alarm)}: noted.")


def _retry(rule: Rule, command: React, attempts: int) -> PolicyTriggered | PolicySkipped:
    alarm = command.alarm
    if alarm.op_id is None:
        return _skipped(command, f"{_what(alarm)}: it is about no operation, so there is nothing to retry.")
    if attempts >= rule.max_attempts:
        used = f"all {rule.max_attempts} attempts for operation {alarm.op_id} are used up"
        return _skipped(command, f"{_what(alarm)}: {used}; somebody has to retry, roll back or fail it.")
    what = f"retry operation {alarm.op_id} in {rule.delay:g} s, attempt {attempts + 1} of {rule.max_attempts}"
    return _triggered(rule, command, attempts + 1, rule.delay, f"{_what(alarm)}: {what}.")


_ACTIONS: Mapping[Action, Callable[[Rule, React, int], PolicyTriggered | PolicySkipped]] = {
    "retry": _retry,
    "notify": _notify,
}


def _what(alarm: AlarmRaised) -> str:
    return f"{alarm.perceived_severity} alarm '{alarm.probable_cause}' of {alarm.managed_object_kind} {alarm.managed_object_id}"


def _triggered(rule: Rule, command: React, attempt: int, delay: float, reason: str) -> PolicyTriggered:
    return PolicyTriggered(
        alarm_id=command.alarm_id,
        managed_object_id=command.alarm.managed_object_id,
        op_id=command.alarm.op_id,
        reason=reason,
        action=rule.do,
        attempt=attempt,
        delay=delay,
    )


def _skipped(command: React, reason: str) -> PolicySkipped:
    return PolicySkipped(
        alarm_id=command.alarm_id,
        managed_object_id=command.alarm.managed_object_id,
        op_id=command.alarm.op_id,
        reason=reason,
    )


def evolve(policy: Policy | None, event: PolicyEvent, commit: Commit) -> Policy:
    if isinstance(event, PolicyCreated):
        return Policy(id=commit.aggregate_id, project=commit.project, rule=event.rule)
    if policy is None:
        raise ValueError(f"{type(event).__name__} happened to policy {commit.aggregate_id}, which does not exist")
    if isinstance(event, PolicyDeleted):
        return msgspec.structs.replace(policy, deleted=True, tallies={})
    return msgspec.structs.replace(policy, **_reacted(policy, event, commit))


def _reacted(policy: Policy, event: PolicyTriggered | PolicySkipped, commit: Commit) -> dict[str, Any]:
    before = policy.tallies.get(event.managed_object_id, Tally())
    kept = before.attempts if before.op_id == event.op_id else 0
    tally = Tally(
        op_id=event.op_id,
        attempts=event.attempt if isinstance(event, PolicyTriggered) else kept,
        alarms=(*before.alarms, event.alarm_id)[-_REMEMBERED:],
    )
    tallies = policy.tallies | {event.managed_object_id: tally}
    return {"tallies": tallies, "last": LastReaction(at=commit.at, event=event)}


POLICY: Definition[Policy, PolicyCommand, PolicyEvent] = Definition("POL", "policy", CODEC, decide, evolve)

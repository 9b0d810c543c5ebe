"""A policy: state, commands, decisions. Pure.

Attempts are counted per managed object. Those to retry an operation begin anew with the next operation; those to heal, a day
after the last one: a heal that does not help is repeated within hours, as its drift is found anew, and what breaks every day
needs more than healing. An attempt that was not made, because its alarms were cleared before, does not count. Which alarms were
decided about is remembered, so an alarm that comes twice leads to nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
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


#: Time after which attempts to heal begin anew.
_ANEW = timedelta(days=1)


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the policy did about one managed object.

    :ivar op_id: the operation that was retried; ``None``: it was healed.
    :ivar attempts: for that.
    :ivar due: when the latest attempt was or will be made.
    :ivar pending: the alarms that the latest attempt is for.
    :ivar alarms: the latest alarms that were decided about, oldest first.
    """

    op_id: str | None = None
    attempts: int = 0
    due: datetime | None = None
    pending: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()

    def counted(self, op_id: str | None, now: datetime) -> int:
        """The attempts that count for what an alarm is about now."""
        over = op_id is None and self.due is not None and now - self.due >= _ANEW
        return 0 if over or op_id != self.op_id else self.attempts


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


@dataclass(frozen=True)
class Drop:
    """The alarm was cleared before the policy did what it had decided."""

    alarm_id: str


PolicyCommand = CreatePolicy | DeletePolicy | React | Drop


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
    return _drop(policy, command) if isinstance(command, Drop) else _react(policy, command, ctx.now)


def not_found(policy_id: str) -> Rejected:
    return Rejected(404, f"Policy {policy_id[:80]} not found.")


def _react(policy: Policy, command: React, now: datetime) -> Decided:
    alarm = command.alarm
    tally = policy.tallies.get(alarm.managed_object_id, Tally())
    if command.alarm_id in tally.alarms or not matches(policy.rule.when, alarm):
        return Decided([])
    event = _ACTIONS[policy.rule.do](policy.rule, command, tally, now)
    return Decided([event], event.reason)


def _drop(policy: Policy, command: Drop) -> Decided:
    whose = next((whose for whose, tally in policy.tallies.items() if command.alarm_id in tally.pending), None)
    if whose is None:
        return Decided([])
    event = PolicySkipped(
        alarm_id=command.alarm_id,
        managed_object_id=whose,
        op_id=policy.tallies[whose].op_id,
        reason="The alarm was cleared before the delay was over.",
    )
    return Decided([event], event.reason)


def matches(when: When, alarm: AlarmRaised) -> bool:
    """Tell whether an alarm is one of those that a policy is about."""
    wanted = (
        (when.event_types, alarm.event_type),
        (when.probable_causes, alarm.probable_cause),
        (when.managed_object_ids, alarm.managed_object_id),
    )
    return all(not values or value in values for values, value in wanted)


def _notify(rule: Rule, command: React, tally: Tally, now: datetime) -> PolicyTriggered:
    attempt = tally.counted(command.alarm.op_id, now) + 1
    return _triggered(rule, command, attempt, 0.0, f"{_what(command.alarm)}: noted.")


def _retry(rule: Rule, command: React, tally: Tally, now: datetime) -> PolicyTriggered | PolicySkipped:
    alarm = command.alarm
    if alarm.op_id is None:
        return _skipped(command, f"{_what(alarm)}: it is about no operation, so there is nothing to retry.")
    attempts = tally.counted(alarm.op_id, now)
    if attempts >= rule.max_attempts:
        used = f"all {rule.max_attempts} attempts for operation {alarm.op_id} are used up"
        return _skipped(command, f"{_what(alarm)}: {used}; somebody has to retry, roll back or fail it.")
    what = f"retry operation {alarm.op_id} in {rule.delay:g} s, attempt {attempts + 1} of {rule.max_attempts}"
    return _triggered(rule, command, attempts + 1, rule.delay, f"{_what(alarm)}: {what}.")


def _heal(rule: Rule, command: React, tally: Tally, now: datetime) -> PolicyTriggered | PolicySkipped:
    alarm = command.alarm
    if alarm.healing is None:
        return _skipped(command, f"{_what(alarm)}: no heal mends that; somebody has to look.")
    attempts, delay = tally.counted(None, now), rule.delay
    if tally.pending and tally.due and alarm.raised_at <= tally.due:
        # It was there when the latest attempt was not made yet, and is healed with it.
        delay = max(0.0, (tally.due - now).total_seconds())
    elif attempts < rule.max_attempts:
        attempts += 1
    else:
        used = f"all {rule.max_attempts} attempts to heal it are used up"
        return _skipped(command, f"{_what(alarm)}: {used}; somebody has to look.")
    whom = "the whole VNF" if alarm.healing == "ALL" else f"{len(alarm.vnfc_instance_ids)} VNFCs"
    what = f"heal {whom} in {delay:.3g} s, attempt {attempts} of {rule.max_attempts}"
    return _triggered(rule, command, attempts, delay, f"{_what(alarm)}: {what}.")


_ACTIONS: Mapping[Action, Callable[[Rule, React, Tally, datetime], PolicyTriggered | PolicySkipped]] = {
    "retry": _retry,
    "heal": _heal,
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
    tally = _attempted(before, event, commit.at) if isinstance(event, PolicyTriggered) else _dropped(before, event)
    alarms = tuple(dict.fromkeys((*before.alarms, event.alarm_id)))[-_REMEMBERED:]
    tallies = policy.tallies | {event.managed_object_id: msgspec.structs.replace(tally, alarms=alarms)}
    return {"tallies": tallies, "last": LastReaction(at=commit.at, event=event)}


def _attempted(before: Tally, event: PolicyTriggered, at: datetime) -> Tally:
    if event.attempt == before.counted(event.op_id, at):
        return msgspec.structs.replace(before, pending=(*before.pending, event.alarm_id))
    due = at + timedelta(seconds=event.delay)
    return Tally(op_id=event.op_id, attempts=event.attempt, due=due, pending=(event.alarm_id,))


def _dropped(before: Tally, event: PolicySkipped) -> Tally:
    if event.alarm_id not in before.pending:
        return before
    pending = tuple(alarm_id for alarm_id in before.pending if alarm_id != event.alarm_id)
    return msgspec.structs.replace(before, pending=pending, attempts=before.attempts - (not pending))


POLICY: Definition[Policy, PolicyCommand, PolicyEvent] = Definition("POL", "policy", CODEC, decide, evolve)

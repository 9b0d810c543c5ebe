"""Alarms of drift meet policies that heal: whom LCM is asked to heal, how often, and when there is nothing to be done."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
from forestay_events.aggregate import Context, Origin
from forestay_events.commit import Commit
from forestay_events.platform import Platform
from forestay_policy.domain.events import PolicyCreated, PolicyEvent, PolicySkipped, PolicyTriggered, Rule
from forestay_policy.domain.policy import POLICY, Drop, Policy, PolicyCommand, React
from forestay_policy.work import due_action
from forestay_sol.streams.alarm import AlarmRaised

from tests.monitor.facts import Comparisons, Vnfs, difference, lost
from tests.policy.conftest import Requests, Serve

BEGIN = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Story:
    """A policy that heals, and the time of day."""

    def __init__(self, **members: Any) -> None:
        self.now = BEGIN
        self.policy: Policy | None = None
        rule: dict[str, Any] = {"name": "p", "do": "heal", "max_attempts": 2} | members
        self._happened(PolicyCreated(rule=Rule(**rule)))

    def raised(self, alarm_id: str, *, ago: timedelta = timedelta(seconds=1), **members: Any) -> PolicyEvent:
        """What the policy decides about an alarm that was raised a moment ago."""
        given: dict[str, Any] = {
            "healing": "VNFC",
            "vnfc_instance_ids": ("c",),
            "probable_cause": "VNFC lost",
        } | members
        alarm = AlarmRaised(
            cause="lcm.drift.vnf@1", managed_object_kind="VNF", managed_object_id="vnf", event_type="EQUIPMENT_ALARM",
            perceived_severity="CRITICAL", fault_type="VNF_DRIFT", raised_at=self.now - ago, **given,
        )  # fmt: skip
        [event] = self._asked(React(alarm_id, alarm))
        return event

    def cleared(self, alarm_id: str) -> list[PolicyEvent]:
        return self._asked(Drop(alarm_id))

    def attempt(self, alarm_id: str, **members: Any) -> int:
        event = self.raised(alarm_id, **members)
        assert isinstance(event, PolicyTriggered), event
        return event.attempt

    def _asked(self, command: PolicyCommand) -> list[PolicyEvent]:
        origin = Origin(command_id=str(uuid4()), project="p", actor="a")
        events = list(POLICY.decide(self.policy, command, Context(self.now, origin)).events)
        self._happened(*events)
        return events

    def _happened(self, *events: PolicyEvent) -> None:
        commit = Commit(
            id="c", stream="POL", kind="policy", aggregate_id="policy", version=1, at=self.now, project="p", actor="a",
            reason="", events=(),
        )  # fmt: skip
        for event in events:
            # As it is stored and read again.
            self.policy = msgspec.json.decode(
                msgspec.json.encode(POLICY.evolve(self.policy, event, commit)), type=Policy
            )


def test_heals_that_do_not_help_come_to_an_end_and_begin_anew_a_day_later() -> None:
    story = Story()
    assert story.attempt("a") == 1
    story.now += HOUR
    assert story.attempt("b") == 2
    story.now += HOUR
    skipped = story.raised("c")
    assert isinstance(skipped, PolicySkipped)
    assert "all 2 attempts to heal it are used up; somebody has to look" in skipped.reason
    story.now += 24 * HOUR
    assert story.attempt("d") == 1


def test_what_comes_within_the_delay_is_the_same_attempt() -> None:
    story = Story(delay=60)
    assert story.attempt("a") == 1
    story.now += timedelta(seconds=20)
    joined = story.raised("b")
    assert isinstance(joined, PolicyTriggered)
    assert (joined.attempt, joined.delay) == (1, 40)
    story.now += timedelta(seconds=60)
    assert story.attempt("late", ago=timedelta(seconds=50)) == 1, "the monitor was slow to tell of it"
    assert story.attempt("c") == 2


def test_alarms_of_the_same_comparison_are_one_attempt_without_a_delay_too() -> None:
    story = Story()
    assert story.attempt("a") == 1
    assert story.attempt("b", healing="ALL", vnfc_instance_ids=()) == 1


def test_what_passes_by_itself_is_no_attempt() -> None:
    story = Story(delay=60)
    for alarm_id in ("a", "b", "c"):
        assert story.attempt(alarm_id) == 1
        story.now += timedelta(seconds=60)
        [skipped] = story.cleared(alarm_id)
        assert isinstance(skipped, PolicySkipped)
        assert story.cleared(alarm_id) == [], "told once"
        story.now += HOUR


def test_an_attempt_counts_if_one_of_its_alarms_stood() -> None:
    story = Story(delay=60)
    assert [story.attempt("a"), story.attempt("b")] == [1, 1]
    story.now += timedelta(seconds=60)
    assert len(story.cleared("a")) == 1
    story.now += HOUR
    assert story.attempt("c") == 2


def test_other_alarms_do_not_give_attempts_back() -> None:
    story = Story()
    assert story.attempt("a") == 1
    story.now += HOUR
    assert story.attempt("b") == 2
    failed = story.raised("failed", healing=None, op_id="the heal", probable_cause="Stack failed")
    assert isinstance(failed, PolicySkipped)
    assert "no heal mends that" in failed.reason
    story.now += HOUR
    assert isinstance(story.raised("c"), PolicySkipped)


async def test_lost_vnfcs_are_asked_to_be_healed(serve: Serve, platform: Platform, requests: Requests) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    async with serve() as server:
        policy_id = await server.create(do="heal", when={"probableCauses": ["VNFC lost"]})
        vnf_id = await vnfs.instantiated()
        await comparisons.find(
            vnf_id, lost("s1", "c1"), lost("s2", "c2"), difference("MISSING", "OS::Neutron::Port", "p")
        )
        asked = await requests.next()
        [triggered] = await server.until(PolicyTriggered, 1)
        assert asked == {
            "vnfId": vnf_id,
            "vnfcInstanceIds": ["c1", "c2"],
            "all": False,
            "how": "heal",
            "actor": "forestay:policy",
            "project": "default",
            "policyId": policy_id,
            "alarmId": triggered.alarm_id,
        }
        assert triggered.reason == (f"CRITICAL alarm 'VNFC lost' of VNF {vnf_id}: heal 2 VNFCs in 0 s, attempt 1 of 3.")
        await server.settle()
        assert requests.arrived.empty()


async def test_all_that_is_lost_within_the_delay_is_healed_together(
    serve: Serve, platform: Platform, requests: Requests
) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    async with serve() as server:
        policy_id = await server.create(do="heal", delay=3600)
        vnf_id = await vnfs.instantiated()
        await comparisons.find(vnf_id, lost("s1", "c1"))
        await server.until(PolicyTriggered, 1)
        await comparisons.find(vnf_id, lost("s1", "c1"), lost("s2", "c2"))
        triggered = await server.until(PolicyTriggered, 2)
        assert [event.attempt for event in triggered] == [1, 1]
        for event in triggered:  # the delay is over; LCM knows that both ask for the same
            await platform.queue.put(due_action(policy_id, event.alarm_id))
            assert sorted((await requests.next())["vnfcInstanceIds"]) == ["c1", "c2"]


async def test_a_stack_that_is_gone_is_asked_to_be_made_anew(
    serve: Serve, platform: Platform, requests: Requests
) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    async with serve() as server:
        await server.create(do="heal")
        vnf_id = await vnfs.instantiated()
        await comparisons.find(vnf_id, difference("MISSING", "OS::Heat::Stack", "stack", healing="ALL"))
        asked = await requests.next()
        assert (asked["all"], asked["vnfcInstanceIds"]) == (True, [])


async def test_what_no_heal_mends_is_skipped_with_the_reason(
    serve: Serve, platform: Platform, requests: Requests
) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    async with serve() as server:
        await server.create(do="heal")
        vnf_id = await vnfs.instantiated()
        await comparisons.find(
            vnf_id,
            difference("ORPHANED", "OS::Nova::Server", "o"),
            difference("CHANGED", "OS::Nova::Server", "s", vnfc="c"),
        )
        skipped = await server.until(PolicySkipped, 2)
        assert all("no heal mends that; somebody has to look" in event.reason for event in skipped)
        await server.settle()
        assert requests.arrived.empty()


async def test_a_wobble_that_is_shorter_than_the_delay_is_let_pass(
    serve: Serve, platform: Platform, requests: Requests
) -> None:
    vnfs, comparisons = Vnfs(platform), Comparisons(platform)
    async with serve() as server:
        policy_id = await server.create(do="heal", delay=3600)
        vnf_id = await vnfs.instantiated()
        await comparisons.find(vnf_id, lost("s", "c"))
        [triggered] = await server.until(PolicyTriggered, 1)
        await comparisons.find(vnf_id)
        async with asyncio.timeout(60):
            while await platform.store.head("MON") < 2:
                await asyncio.sleep(0.03)
        await platform.queue.put(due_action(policy_id, triggered.alarm_id))
        [skipped] = await server.until(PolicySkipped, 1)
        assert skipped.reason == "The alarm was cleared before the delay was over."
        last = (await server.show(policy_id))["lastReaction"]
        assert (last["outcome"], last["reason"]) == ("SKIPPED", skipped.reason)
        assert requests.arrived.empty()

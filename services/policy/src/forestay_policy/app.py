"""Composition of the policy service: the policies, the alarms that it follows, and the workers between them."""

from __future__ import annotations

from forestay_events.aggregate import Aggregates
from forestay_events.archive import Projector
from forestay_events.outbox import Outbox
from forestay_events.platform import Platform
from forestay_sol.service import Service

from forestay_policy.api.policies import PolicyApi
from forestay_policy.domain.policy import POLICY
from forestay_policy.projections import SCHEMA
from forestay_policy.projections.alarms import AlarmProjection
from forestay_policy.projections.policies import PolicyProjection
from forestay_policy.reactions import Reactions


def projectors(platform: Platform, *, dispatch: bool = True) -> list[Projector]:
    """The read models of the policy service; the first one keeps the verified copy of stream POL.

    :param dispatch: put work that follows from commits on the queue; off to rebuild from old commits.
    """
    return [
        platform.projector(SCHEMA, POLICY.stream, [PolicyProjection(dispatch=dispatch)]),
        platform.projector(SCHEMA, "MON", [AlarmProjection(dispatch=dispatch)], archive=False),
    ]


async def build(platform: Platform) -> Service:
    """Make the service."""
    both = projectors(platform)
    for projector in both:
        await projector.prepare()
    policies = Aggregates(platform.store, POLICY, platform.clock, broken=both[0].read_only)
    reactions = Reactions(platform, policies)
    return Service(
        name="policy",
        routes=PolicyApi(platform, policies).routes(),
        background={
            **{f"projector-{projector.stream}": projector.run for projector in both},
            **{f"outbox-{projector.stream}": Outbox(projector, platform.queue).run for projector in both},
            "alarms": reactions.alarms.run,
            "actions": reactions.actions.run,
        },
        checks={
            **{f"policy.projector-{projector.stream}": projector.check for projector in both},
            "policy.alarms": reactions.alarms.check,
            "policy.actions": reactions.actions.check,
        },
    )

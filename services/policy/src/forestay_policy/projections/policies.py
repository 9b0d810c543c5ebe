"""Folds stream POL into table ``policy``, and puts what a policy has decided to do on the outbox, with its delay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Stored
from forestay_events.folding import folded
from forestay_events.outbox import OUTBOX_TABLE, post
from forestay_events.work import Work
from forestay_sol.types import Identifier, Link, Sol, rfc3339
from msgspec import UNSET, UnsetType

from forestay_policy.domain.events import CODEC, PolicyTriggered, Rule
from forestay_policy.domain.policy import POLICY, LastReaction, Policy
from forestay_policy.projections import SCHEMA
from forestay_policy.work import due_action

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.policy (
    id text PRIMARY KEY, project text NOT NULL, deleted boolean NOT NULL, active boolean NOT NULL, state bytea NOT NULL,
    doc jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS policy_project ON {schema}.policy (project, id) WHERE NOT deleted;
"""

encode_state = msgspec.json.Encoder().encode
decode_state = msgspec.json.Decoder(Policy).decode


class PolicyProjection:
    """Writes table ``policy``.

    :param dispatch: put work into the outbox; off while a read model is rebuilt from old commits.
    """

    tables = OUTBOX_TABLE + TABLES

    def __init__(self, *, dispatch: bool = True) -> None:
        self._dispatch = dispatch

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        policies = await folded(connection, f"{schema}.policy", POLICY, decode_state, commits)
        await connection.executemany(
            f"INSERT INTO {schema}.policy VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET"
            " deleted = excluded.deleted, active = excluded.active, state = excluded.state, doc = excluded.doc",
            [
                (policy.id, policy.project, policy.deleted, policy.active, encode_state(policy), document(policy))
                for policy in policies
            ],
        )
        if self._dispatch:
            await post(connection, schema, [item for stored in commits for item in _due(stored)])


def _due(stored: Stored) -> list[tuple[Work, float]]:
    return [
        (due_action(stored.commit.aggregate_id, event.alarm_id), event.delay)
        for event in CODEC.decode(stored.commit)
        if isinstance(event, PolicyTriggered) and event.action != "notify"
    ]


class ShownReaction(Sol, frozen=True, kw_only=True):
    """The latest reaction of a policy, as the API shows it; ``attempt`` if it was triggered."""

    at: str
    alarm_id: Identifier
    managed_object_id: Identifier
    outcome: Literal["TRIGGERED", "SKIPPED"]
    reason: str
    attempt: int | None = None


class ShownPolicy(Rule, frozen=True, kw_only=True):
    """A policy as the API shows it."""

    id: Identifier
    last_reaction: ShownReaction | None = None
    links: dict[str, Link] | UnsetType = msgspec.field(name="_links", default=UNSET)


def document(policy: Policy) -> str:
    """A policy as the API shows it, without links, as JSON text."""
    rule: dict[str, Any] = msgspec.to_builtins(policy.rule)
    last = {"lastReaction": _shown(policy.last)} if policy.last else {}
    return msgspec.json.encode({"id": policy.id} | rule | last).decode()


def _shown(last: LastReaction) -> ShownReaction:
    event = last.event
    triggered = isinstance(event, PolicyTriggered)
    return ShownReaction(
        at=rfc3339(last.at),
        alarm_id=event.alarm_id,
        managed_object_id=event.managed_object_id,
        outcome="TRIGGERED" if triggered else "SKIPPED",
        reason=event.reason,
        attempt=event.attempt if triggered else None,
    )


async def active_policies(connection: Connection, project: str) -> list[str]:
    """The ids of the policies of a project that may react."""
    rows = await connection.fetch(f"SELECT id FROM {SCHEMA}.policy WHERE project = $1 AND active ORDER BY id", project)
    return [row["id"] for row in rows]

"""Follows stream MON into table ``alarm``: the alarms that stand, and puts looking at each new one on the outbox."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Stored
from forestay_events.outbox import OUTBOX_TABLE, post
from forestay_sol.streams.alarm import CODEC, AlarmCleared, AlarmRaised

from forestay_policy.projections import SCHEMA
from forestay_policy.work import look_at_alarm

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.alarm (
    id text PRIMARY KEY, project text NOT NULL, commit_id text NOT NULL, raised bytea NOT NULL);
"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AlarmRaised).decode


class StandingAlarm(msgspec.Struct, frozen=True):
    """An alarm that was raised (by commit ``commit_id``) and not cleared."""

    id: str
    project: str
    commit_id: str
    raised: AlarmRaised


class AlarmProjection:
    """Writes table ``alarm``.

    :param dispatch: put work into the outbox; off while a read model is rebuilt from old commits.
    """

    tables = OUTBOX_TABLE + TABLES

    def __init__(self, *, dispatch: bool = True) -> None:
        self._dispatch = dispatch

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        raised: dict[str, StandingAlarm] = {}
        cleared: set[str] = set()
        for commit in (stored.commit for stored in commits):
            for event in CODEC.decode(commit):
                if isinstance(event, AlarmRaised):
                    alarm = StandingAlarm(commit.aggregate_id, commit.project, commit.id, event)
                    raised[alarm.id] = alarm
                elif isinstance(event, AlarmCleared):
                    raised.pop(commit.aggregate_id, None)
                    cleared.add(commit.aggregate_id)
        await connection.execute(f"DELETE FROM {schema}.alarm WHERE id = ANY($1)", list(cleared))
        await connection.executemany(
            f"INSERT INTO {schema}.alarm VALUES ($1, $2, $3, $4)",
            [(alarm.id, alarm.project, alarm.commit_id, _encode(alarm.raised)) for alarm in raised.values()],
        )
        if self._dispatch:
            await post(connection, schema, [(look_at_alarm(alarm_id), 0.0) for alarm_id in raised])


async def standing_alarms(connection: Connection, alarm_ids: Sequence[str]) -> list[StandingAlarm]:
    """Those of some alarms that stand, in the order in which they were raised."""
    rows = await connection.fetch(f"SELECT * FROM {SCHEMA}.alarm WHERE id = ANY($1)", alarm_ids)
    found = [StandingAlarm(row["id"], row["project"], row["commit_id"], _decode(row["raised"])) for row in rows]
    return sorted(found, key=lambda alarm: (alarm.raised.raised_at, alarm.id))

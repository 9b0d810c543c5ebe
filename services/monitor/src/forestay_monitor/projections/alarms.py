"""Folds stream MON into table ``alarm``: the folded state, and its SOL003 representation for queries.

The representation's link to the managed object is a path; the edge knows the address that goes before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec
from forestay_events.archive import Connection
from forestay_events.commit import Stored
from forestay_events.folding import folded
from forestay_sol.streams.alarm import FaultyResource, ManagedObjectKind
from forestay_sol.types import Link, rfc3339
from forestay_sol.vnffm import Alarm as AlarmDocument
from forestay_sol.vnffm import FaultyResourceInfo
from forestay_sol.vnflcm import ResourceHandle

from forestay_monitor.domain.alarm import ALARM, Alarm

TABLES = """
CREATE TABLE IF NOT EXISTS {schema}.alarm (
    id text PRIMARY KEY, project text NOT NULL, cleared boolean NOT NULL, state bytea NOT NULL, doc jsonb NOT NULL);
CREATE INDEX IF NOT EXISTS alarm_project ON {schema}.alarm (project, id);
"""

PATHS: Mapping[ManagedObjectKind, str] = {"VNF": "/vnflcm/v2/vnf_instances", "VIM": "/v1.0/vims"}

encode_state = msgspec.json.Encoder().encode
decode_state = msgspec.json.Decoder(Alarm).decode


class AlarmProjection:
    """Writes table ``alarm``."""

    tables = TABLES

    async def apply(self, connection: Connection, schema: str, commits: Sequence[Stored]) -> None:
        alarms = await folded(connection, f"{schema}.alarm", ALARM, decode_state, commits)
        await connection.executemany(
            f"INSERT INTO {schema}.alarm VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO UPDATE SET"
            " cleared = excluded.cleared, state = excluded.state, doc = excluded.doc",
            [
                (alarm.id, alarm.project, alarm.cleared is not None, encode_state(alarm), document(alarm))
                for alarm in alarms
            ],
        )


def document(alarm: Alarm) -> str:
    """Alarm (SOL003 7.5.2.4) as JSON text. Clearing leaves the severity as it was, as in Tacker (wire section 13)."""
    raised, cleared = alarm.raised, alarm.cleared
    content = AlarmDocument(
        id=alarm.id,
        managed_object_id=raised.managed_object_id,
        vnfc_instance_ids=raised.vnfc_instance_ids,
        root_cause_faulty_resource=_faulty(raised.faulty_resource) if raised.faulty_resource else None,
        alarm_raised_time=rfc3339(raised.raised_at),
        alarm_cleared_time=rfc3339(cleared.cleared_at) if cleared else None,
        alarm_acknowledged_time=rfc3339(alarm.acknowledged_at) if alarm.acknowledged_at else None,
        ack_state=alarm.ack_state,
        perceived_severity=raised.perceived_severity,
        event_time=rfc3339(raised.raised_at),
        event_type=raised.event_type,
        fault_type=raised.fault_type,
        probable_cause=raised.probable_cause,
        is_root_cause=False,
        fault_details=raised.fault_details,
        links={"objectInstance": Link(href=f"{PATHS[raised.managed_object_kind]}/{raised.managed_object_id}")},
    )
    return msgspec.json.encode(content).decode()


def _faulty(resource: FaultyResource) -> FaultyResourceInfo:
    handle = ResourceHandle(resource_id=resource.resource_id, vim_level_resource_type=resource.vim_level_resource_type)
    return FaultyResourceInfo(faulty_resource=handle, faulty_resource_type=resource.faulty_resource_type)

"""The timeline of an instance, and that of an operation across the streams."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from forestay_events.commit import Commit, EventCodec
from forestay_events.config import BaseConfig
from forestay_events.telemetry import configure_tracing, span
from forestay_lcm.domain.vnf_snapshot import VNF_SNAPSHOT, SnapshotCreated
from forestay_sol.streams import alarm

from tests.lcm.history.site import Json, Site, site
from tests.lcm.samples import PROJECT, confirmed, failed, handle, instantiate, terminate


async def failing(here: Site) -> tuple[str, str]:
    """An instance whose stack could not be created; returns its id and that of its operation."""
    vnf_id = await here.created()
    vnf = await here.do(vnf_id, instantiate(), confirmed, failed, actor="alice")
    assert vnf.operation is not None
    return vnf_id, vnf.operation.id


async def test_who_when_why_and_what(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id, op_id = await failing(here)
        entries: list[Json] = await here.get(f"/vnf_instances/{vnf_id}/timeline", order="oldest")
        assert [entry["version"] for entry in entries] == [1, 2, 3, 4]
        assert [event["type"] for event in entries[1]["events"]] == ["OperationStarted", "StepIntended"]
        assert "vnfLcmOpOccId" not in entries[0]
        started, last = entries[1], entries[-1]
        assert started["events"][0]["steps"] == ["grant", "create-stack", "await-stack", "read-back"]
        assert last["actor"] == "alice"
        assert (last["vnfInstanceId"], last["vnfLcmOpOccId"]) == (vnf_id, op_id)
        assert started["correlationId"] == op_id
        assert last["events"][0]["error"]["detail"] == "No valid host was found."
        assert all(entry["reason"] for entry in entries)
        assert datetime.fromisoformat(last["at"]) <= datetime.now(UTC)


async def test_what_a_step_has_seen_of_the_instance_is_told_by_the_instance(bare: BaseConfig) -> None:
    async with site(bare) as here:
        entries: list[Json] = await here.get(f"/vnf_instances/{await here.instantiated()}/timeline", order="oldest")
        events = [event for entry in entries for event in entry["events"]]
        [seen] = [event for event in events if (event["type"], event.get("step")) == ("StepConfirmed", "read-back")]
        assert "instantiated_vnf_info" not in seen.get("result", {})


async def test_pages_lead_through_the_whole_timeline_in_both_orders(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id = await here.instantiated()
        oldest = await here.pages(f"/vnf_instances/{vnf_id}/timeline", order="oldest", limit="2")
        newest = await here.pages(f"/vnf_instances/{vnf_id}/timeline", limit="4")
        versions = [entry["version"] for page in oldest for entry in page]
        assert versions == list(range(1, len(versions) + 1))
        assert [entry["version"] for page in newest for entry in page] == versions[::-1]
        assert [len(page) for page in oldest[:-1]] == [2] * (len(oldest) - 1)
        assert len(newest) > 1


async def test_the_timeline_of_one_operation_of_the_instance(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id = await here.instantiated()
        vnf = await here.do(vnf_id, terminate())
        assert vnf.operation is not None
        all_of_it = await here.get(f"/vnf_instances/{vnf_id}/timeline")
        op_id = vnf.operation.id
        of_operation = await here.get(f"/vnf_instances/{vnf_id}/timeline", vnfLcmOpOccId=op_id)
        assert of_operation == [entry for entry in all_of_it if entry.get("vnfLcmOpOccId") == op_id]
        assert 0 < len(of_operation) < len(all_of_it)
        assert await here.get(f"/vnf_instances/{await here.created()}/timeline", vnfLcmOpOccId=op_id) == []


async def test_what_makes_no_sense_is_refused(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id, op_id = await failing(here)
        for path in (f"/vnf_instances/{vnf_id}/timeline", f"/vnf_lcm_op_occs/{op_id}/timeline"):
            await here.get(path, 400, order="random")
            await here.get(path, 400, limit="0")
            for marker in ("x", "0", "1.LCM", "-1.LCM.1"):
                await here.get(path, 400, nextpage_opaque_marker=marker)


async def test_markers_at_the_ends_of_time(bare: BaseConfig) -> None:
    async with site(bare) as here:
        _, op_id = await failing(here)
        path = f"/vnf_lcm_op_occs/{op_id}/timeline"
        assert await here.get(path, nextpage_opaque_marker="0.LCM.0") == []
        whole = await here.get(path)
        assert await here.get(path, nextpage_opaque_marker=f"{'9' * 17}.LCM.{'9' * 18}") == whole


async def tell(here: Site, stream: str, kind: str, codec: EventCodec[Any], event: Any, **members: Any) -> Commit:
    """Append the first commit of an aggregate of another service."""
    commit = Commit(
        id=str(uuid4()), stream=stream, kind=kind, aggregate_id=str(uuid4()), version=1, at=datetime.now(UTC),
        actor=f"forestay:{stream.lower()}", reason="because", events=codec.encode([event]),
        **({"project": PROJECT} | members),
    )  # fmt: skip
    await here.platform.store.append(commit, after=0)
    return commit


def raised(vnf_id: str, op_id: str) -> alarm.AlarmRaised:
    return alarm.AlarmRaised(
        cause=f"lcm.vnf.{vnf_id}@4", managed_object_kind="VNF", managed_object_id=vnf_id, op_id=op_id,
        event_type="PROCESSING_ERROR_ALARM", perceived_severity="MAJOR", probable_cause="VIM unavailable",
        fault_type="x", raised_at=datetime.now(UTC),
    )  # fmt: skip


async def test_an_operation_is_told_with_the_alarm_that_came_of_it(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id, op_id = await failing(here)
        event = raised(vnf_id, op_id)
        told = await tell(here, "MON", "alarm", alarm.CODEC, event, correlation_id=op_id, causation_id=event.cause)
        await tell(here, "MON", "alarm", alarm.CODEC, event, correlation_id=op_id, project="other")
        await tell(here, "MON", "alarm", alarm.CODEC, raised(vnf_id, str(uuid4())))
        await here.do(vnf_id, handle("retry"), confirmed)
        async with asyncio.timeout(60):
            while len(entries := await here.get(f"/vnf_lcm_op_occs/{op_id}/timeline", order="oldest")) < 6:
                await asyncio.sleep(0.02)
        assert [entry["stream"] for entry in entries] == ["LCM", "LCM", "LCM", "MON", "LCM", "LCM"]
        found = entries[3]
        assert found["subject"] == told.subject
        assert found["causationId"] == event.cause
        assert found["events"][0]["probable_cause"] == "VIM unavailable"
        pages = await here.pages(f"/vnf_lcm_op_occs/{op_id}/timeline", limit="1")
        assert [page[0] for page in pages] == entries[::-1]


async def test_an_operation_is_told_with_the_snapshot_that_it_makes(bare: BaseConfig) -> None:
    async with site(bare) as here:
        vnf_id, op_id = await failing(here)
        told = await tell(here, "LCM", "snapshot", VNF_SNAPSHOT.codec, SnapshotCreated(), correlation_id=op_id)
        await here.do(vnf_id, handle("retry"))
        entries = await here.get(f"/vnf_lcm_op_occs/{op_id}/timeline")
        assert [entry["subject"] for entry in entries[:2]] == [f"lcm.vnf.{vnf_id}", told.subject]
        assert "vnfInstanceId" not in entries[1]


async def test_an_operation_that_is_not_ours(bare: BaseConfig) -> None:
    async with site(bare) as here:
        _, op_id = await failing(here)
        await here.get(f"/vnf_lcm_op_occs/{op_id}/timeline")
        await here.get(f"/vnf_lcm_op_occs/{uuid4()}/timeline", 404)
        vnf_id = await here.created("other")
        vnf = await here.do(vnf_id, instantiate(), project="other")
        assert vnf.operation is not None
        await here.get(f"/vnf_lcm_op_occs/{vnf.operation.id}/timeline", 404)


async def test_the_trace_in_which_it_was_decided(bare: BaseConfig) -> None:
    flush = configure_tracing("test")
    async with site(bare) as here:
        with span("asked") as current:
            vnf_id = await here.created()
            trace_id = f"{current.get_span_context().trace_id:032x}"
        [entry] = await here.get(f"/vnf_instances/{vnf_id}/timeline")
        assert entry["traceId"] == trace_id
    flush()

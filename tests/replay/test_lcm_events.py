"""What was ever written to stream LCM can be read for ever: one golden JSON file per event, as the log keeps it.

An event may get new members with defaults. Any other change of a form that has been released needs an upcaster for the old
one, and keeps the old golden file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from forestay_events.commit import EventCodec
from forestay_lcm.domain.events import (
    CODEC,
    CancellationRequested,
    ModificationStarted,
    OperationCompleted,
    OperationFailed,
    OperationFailedTemp,
    OperationProcessing,
    OperationRolledBack,
    OperationRollingBack,
    OperationStarted,
    StepConfirmed,
    StepFailed,
    StepIntended,
    StepNoted,
    StepUnknown,
    VnfCreated,
    VnfDeleted,
    VnfEvent,
    VnfInfoModified,
)
from forestay_lcm.domain.plan import Step
from forestay_lcm.domain.resource_changes import resource_changes
from forestay_sol.vnflcm import (
    AffectedVipCp,
    ExtVirtualLinkInfo,
    InstantiatedVnfInfo,
    ResourceHandle,
    ScaleInfo,
    VnfExtCpConfig,
    VnfExtCpData,
)

from tests.lcm.domain.story import Story, told
from tests.lcm.samples import (
    CONNECTIONS,
    INFO,
    cancel,
    change_flavour,
    confirmed,
    create,
    failed,
    handle,
    instantiate,
    modify,
    scale,
    terminate,
    unknown,
)

GOLDEN = Path(__file__).parent / "lcm"
OP = "0f8f7b0e-3f6e-5e0f-9d55-1f2f3a4b5c6d"
PROBLEM = {"title": "Stack create failed", "status": 422, "detail": "No valid host was found.", "step": "await-stack"}
AFTER = msgspec.convert(INFO, InstantiatedVnfInfo)

CHANGE = VnfInfoModified(
    name="edge", description="of the south", vnfd_id="vnfd-2", provider="Forestay", product_name="Sample",
    software_version="2.0", vnfd_version="2.1", metadata={"owner": "ops"}, extensions={"region": "south"},
    configurable_properties={"autoscale": True}, vim_connections=CONNECTIONS,
)  # fmt: skip

STEPS = (
    Step(name="grant", executor="engine", timeout=300.0),
    Step(name="create-stack", executor="openstack", timeout=600.0, undo=("delete-stack", "await-deleted")),
    Step(name="await-stack", executor="openstack", timeout=1500.0, retry_from="create-stack"),
    Step(name="delete-stack", executor="openstack", timeout=600.0, final=True),
)
"""As an operation has them in the log, whatever the plans say today."""

EVENTS: tuple[VnfEvent, ...] = (
    VnfCreated(
        vnfd_id="vnfd-1", provider="Forestay", product_name="Sample", software_version="1.0", vnfd_version="1.1",
        name="edge", description="of the north", metadata={"owner": "ops"}, extensions={"region": "north"},
        configurable_properties={"autoscale": False},
    ),
    VnfDeleted(),
    OperationStarted(
        op_id=OP, operation="INSTANTIATE", params={"flavourId": "simple"}, steps=STEPS,
        lane="vim-1", automatic=True, vim_connections=CONNECTIONS,
        scale_status=(ScaleInfo(aspect_id="VDU1_scale", scale_level=1),), hooks=("instantiate_rollback_start",),
        modification=CHANGE, vnfc_snapshots={"server-2": "server-1"},
    ),
    ModificationStarted(
        op_id=OP, operation="MODIFY_INFO", params={"vnfInstanceName": "edge"}, steps=STEPS,
        lane="vim-1", automatic=True, vim_connections=CONNECTIONS,
        scale_status=(ScaleInfo(aspect_id="VDU1_scale", scale_level=1),), hooks=("instantiate_rollback_start",),
        modification=CHANGE, vnfc_snapshots={"server-2": "server-1"},
    ),
    CHANGE,
    CancellationRequested(op_id=OP, mode="GRACEFUL"),
    OperationProcessing(op_id=OP, vim_connections=CONNECTIONS),
    OperationCompleted(
        op_id=OP, instantiation_state="INSTANTIATED", instantiated_vnf_info=AFTER,
        resource_changes=resource_changes(None, AFTER), extensions={"region": "south"},
        configurable_properties={"autoscale": True}, changed_info={"vnfInstanceName": "edge"},
        modifications={"vnfdId": "vnfd-2"},
        affected_vip_cps=(AffectedVipCp(cp_instance_id="vip-1", cpd_id="VIP1", change_type="ADDED"),),
        changed_ext_connectivity=(
            ExtVirtualLinkInfo(
                id="ext", resource_handle=ResourceHandle(resource_id="net-1"),
                current_vnf_ext_cp_data=(VnfExtCpData(cpd_id="CP1", cp_config={"CP1": VnfExtCpConfig()}),),
            ),
        ),
    ),
    OperationFailedTemp(op_id=OP, error=PROBLEM),
    OperationRollingBack(op_id=OP, steps=STEPS),
    OperationRolledBack(op_id=OP, error=PROBLEM, instantiated_vnf_info=AFTER),
    OperationFailed(op_id=OP),
    StepIntended(op_id=OP, step="create-stack", attempt=2),
    StepNoted(op_id=OP, step="grant", attempt=1, result={"location": "/grant/v1/grants/1"}),
    StepConfirmed(op_id=OP, step="create-stack", attempt=2, result={"stack_id": "stack-1", "stack_name": "vnf-1"}),
    StepFailed(op_id=OP, step="await-stack", attempt=1, error=PROBLEM),
    StepUnknown(op_id=OP, step="create-stack", attempt=1, reason="no answer"),
)  # fmt: skip


def tag(event: VnfEvent) -> str:
    return type(event).__name__


def read(codec: EventCodec[VnfEvent], raw: bytes) -> VnfEvent:
    story = told(create())
    commit = msgspec.structs.replace(story.commits[0], events=(msgspec.Raw(raw),))
    (event,) = codec.decode(commit)
    return event


def test_every_event_has_a_golden_file_and_no_file_is_left_over() -> None:
    tags = {kind.__name__ for kind in get_args(VnfEvent)}
    assert {tag(event) for event in EVENTS} == tags
    assert {path.stem for path in GOLDEN.glob("*.json")} == tags


@pytest.mark.parametrize("event", EVENTS, ids=tag)
def test_golden_file(event: VnfEvent) -> None:
    golden = (GOLDEN / f"{tag(event)}.json").read_bytes()
    assert read(CODEC, golden) == event, f"{tag(event)} as it was once written is read differently now: add an upcaster"
    written = msgspec.json.format(bytes(CODEC.encode([event])[0]), indent=2) + b"\n"
    assert written.decode() == golden.decode(), (
        f"{tag(event)} is written in another form than before. Can a Forestay of yesterday's log still be read? If so, write "
        f"tests/replay/lcm/{tag(event)}.json anew; if not, give the new form another tag, or an upcaster."
    )


@pytest.mark.parametrize("event", EVENTS, ids=tag)
def test_every_member_of_a_sample_is_set(event: VnfEvent) -> None:
    """A golden file that leaves members out would not notice their loss."""
    written: dict[str, Any] = msgspec.json.decode(CODEC.encode([event])[0])
    assert set(written) == {*(field.encode_name for field in msgspec.structs.fields(type(event))), "type"}


@pytest.mark.parametrize(
    "story",
    [
        told(create(), instantiate(), confirmed, confirmed, confirmed, confirmed, terminate("GRACEFUL"), confirmed),
        told(create(), instantiate(), confirmed, unknown, failed, handle("rollback"), confirmed),
        told(create(), instantiate(), failed),
        told(create(), instantiate(), *[confirmed] * 4, scale(), confirmed, cancel("GRACEFUL")),
        told(
            create(), instantiate(), *[confirmed] * 4, change_flavour(), confirmed, failed, handle("retry"), confirmed
        ),
        told(create(), instantiate(), *[confirmed] * 4, modify(vimConnectionInfo={"vim1": {"vimId": "x"}})),
    ],
    ids=["terminating", "rolling back", "rolled back", "being cancelled", "tried again", "modified"],
)
def test_the_state_survives_json(story: Story) -> None:
    encoded = msgspec.json.encode(story.vnf)
    assert msgspec.json.decode(encoded, type=type(story.vnf)) == story.vnf
    assert msgspec.json.encode(msgspec.json.decode(encoded, type=type(story.vnf))) == encoded

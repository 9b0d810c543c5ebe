"""The VNF snapshot as an aggregate: who may have it when; and which a VNF instance may be filled into or reverted to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from forestay_events.aggregate import Context, Origin
from forestay_events.commit import Commit
from forestay_events.errors import Rejected
from forestay_lcm.domain.transitions import IllegalTransition
from forestay_lcm.domain.vnf_snapshot import (
    TRANSITIONS,
    VNF_SNAPSHOT,
    ClaimForFilling,
    ClaimForReverting,
    CreateSnapshot,
    DeleteSnapshot,
    DeletionStarted,
    ExtractSnapshot,
    FillSnapshot,
    ReleaseSnapshot,
    ReportDeletion,
    SnapshotCommand,
    SnapshotEvent,
    SnapshotExtracted,
    SnapshotFilled,
    VnfSnapshot,
)

from tests.lcm.domain.story import VNF_ID, refusal, told
from tests.lcm.domain.test_operations import INSTANTIATED, ended, started
from tests.lcm.samples import (
    PROJECT,
    SNAPSHOT_ID,
    confirmed,
    create,
    empty_snapshot,
    filled_snapshot,
    heal,
    place,
    revert_to,
    scale,
    snapshot_content,
    snapshot_of,
    take_snapshot,
)

CONTENT = snapshot_content(VNF_ID)
EXTRACTED = SnapshotExtracted(vnf_snapshot_pkg_id="pkg-1", vnf_snapshot=CONTENT)
ERROR = {"title": "VIM refused the request", "status": 403, "detail": "Policy doesn't allow it."}

CLAIM, FILL = ClaimForFilling("op-1", place(VNF_ID)), FillSnapshot("op-1", CONTENT)
REVERT, RELEASE, DELETE = ClaimForReverting("op-2", VNF_ID), ReleaseSnapshot("op-2"), DeleteSnapshot()
GONE, REFUSED = ReportDeletion(1), ReportDeletion(1, ERROR)

#: How each status is reached.
LIVES: dict[str, tuple[SnapshotCommand, ...]] = {
    "EMPTY": (CreateSnapshot(),),
    "FILLING": (CreateSnapshot(), CLAIM),
    "FILLED": (CreateSnapshot(), CLAIM, FILL),
    "extracted": (CreateSnapshot(EXTRACTED),),
    "REVERTING": (CreateSnapshot(), CLAIM, FILL, REVERT),
    "DELETING": (CreateSnapshot(), CLAIM, FILL, DELETE),
    "DELETION_FAILED": (CreateSnapshot(), CLAIM, FILL, DELETE, REFUSED),
    "DELETED": (CreateSnapshot(), CLAIM, FILL, DELETE, GONE),
}
OK = ""
"""What comes of a command that changes nothing; else the status behind it, or the number and a word of the refusal."""


def of_status(name: str, *cells: tuple[SnapshotCommand, str | tuple[int, str]]) -> list[Any]:
    return [pytest.param(name, command, result, id=f"{name}-{command}"[:90]) for command, result in cells]


OTHER = ClaimForFilling("op-9", place(VNF_ID))
CELLS = [
    *of_status(
        "EMPTY", (CLAIM, "FILLING"), (FILL, (409, "does not wait")), (REVERT, (409, "is empty")), (RELEASE, OK),
        (DELETE, "DELETED"), (ExtractSnapshot(EXTRACTED), "FILLED"), (ExtractSnapshot(None), OK),
        (CreateSnapshot(), (409, "exists")), (GONE, OK),
    ),
    *of_status(
        "FILLING", (CLAIM, OK), (OTHER, (409, "op-1")), (FILL, "FILLED"), (FillSnapshot("op-9", CONTENT), (409, "op-9")),
        (ReleaseSnapshot("op-1"), "EMPTY"), (RELEASE, OK), (REVERT, (409, "in use by LCM operation op-1")),
        (ClaimForReverting("op-2", VNF_ID, "op-1"), (409, "half made")), (DELETE, (409, "in use by LCM operation op-1")),
        (DeleteSnapshot("op-1"), "DELETING"), (DeleteSnapshot("op-0"), (409, "in use")),
        (ExtractSnapshot(EXTRACTED), (409, "being filled")),
    ),
    *of_status(
        "FILLED", (CLAIM, (409, "filled already")), (FILL, OK), (REVERT, "REVERTING"), (RELEASE, OK), (DELETE, "DELETING"),
        (ReleaseSnapshot("op-1"), "EMPTY"),
        (ExtractSnapshot(EXTRACTED), (409, "filled already")), (GONE, OK),
    ),
    *of_status(
        "extracted", (CLAIM, (409, "filled already")), (REVERT, (409, "not taken here")), (DELETE, "DELETED"),
        (ExtractSnapshot(EXTRACTED), (409, "filled already")),
    ),
    *of_status(
        "REVERTING", (REVERT, OK), (ClaimForReverting("op-3", VNF_ID), (409, "op-2")),
        (ClaimForReverting("op-3", VNF_ID, "op-2"), "REVERTING"), (RELEASE, "FILLED"), (ReleaseSnapshot("op-3"), OK),
        (DELETE, (409, "op-2")), (DeleteSnapshot("op-2"), "DELETING"),
    ),
    *of_status(
        "DELETING", (DELETE, OK), (CLAIM, (409, "being deleted")), (REVERT, (409, "being deleted")), (GONE, "DELETED"),
        (REFUSED, "DELETION_FAILED"), (ReportDeletion(2), OK), (FILL, OK),
    ),
    *of_status(
        "DELETION_FAILED", (DELETE, "DELETING"), (CLAIM, (409, "being deleted")), (REVERT, (409, "being deleted")),
        (GONE, OK), (REFUSED, OK),
    ),
    *of_status(
        "DELETED", *((command, (404, "not found")) for command in (CLAIM, FILL, REVERT, RELEASE, DELETE, GONE)),
        (CreateSnapshot(), (409, "exists")),
    ),
]  # fmt: skip


class Life:
    """A snapshot from command to command; its events go through JSON as the log keeps them."""

    def __init__(self, commands: Sequence[SnapshotCommand] = ()) -> None:
        self.state: VnfSnapshot | None = None
        self.version = 0
        for command in commands:
            self.do(command)

    def do(self, command: SnapshotCommand, project: str = PROJECT) -> list[SnapshotEvent]:
        context = Context(datetime.now(UTC), Origin(f"command-{self.version}", project, "tester"))
        events = list(VNF_SNAPSHOT.decide(self.state, command, context).events)
        if events:
            self.happen(*events)
        return events

    def happen(self, *events: SnapshotEvent) -> None:
        self.version += 1
        commit = Commit(
            id=str(self.version), stream="LCM", kind="snapshot", aggregate_id=SNAPSHOT_ID, version=self.version,
            at=datetime.now(UTC), project=PROJECT, actor="tester", reason="", events=VNF_SNAPSHOT.codec.encode(events),
        )  # fmt: skip
        folded = VNF_SNAPSHOT.fold(self.state, commit)
        assert msgspec.json.decode(msgspec.json.encode(folded), type=VnfSnapshot) == folded
        self.state = folded

    @property
    def snapshot(self) -> VnfSnapshot:
        assert self.state is not None
        return self.state


@pytest.mark.parametrize(("name", "command", "result"), CELLS)
def test_every_command_in_every_status(name: str, command: SnapshotCommand, result: str | tuple[int, str]) -> None:
    life = Life(LIVES[name])
    before = life.snapshot
    if isinstance(result, str):
        events = life.do(command)
        assert bool(events) == bool(result)
        assert life.snapshot.status == (result or before.status)
        return
    with pytest.raises(Rejected) as refused:
        life.do(command)
    assert refused.value.status == result[0]
    assert result[1] in refused.value.detail
    assert life.snapshot == before


def test_the_lives_reach_every_status() -> None:
    assert {Life(commands).snapshot.status for commands in LIVES.values()} == {*TRANSITIONS, "DELETED"} - {None}


def test_what_the_table_lacks_cannot_happen() -> None:
    with pytest.raises(IllegalTransition):
        Life(LIVES["EMPTY"]).happen(SnapshotFilled(op_id="op-1", vnf_snapshot=CONTENT))
    with pytest.raises(IllegalTransition):
        Life().happen(DeletionStarted())


def test_of_another_project_does_not_exist() -> None:
    with pytest.raises(Rejected) as refused:
        Life(LIVES["FILLED"]).do(DELETE, project="other")
    assert refused.value.status == 404


def test_a_filling_that_was_undone_leaves_nothing_to_delete() -> None:
    life = Life([*LIVES["FILLING"], ReleaseSnapshot("op-1")])
    assert (life.snapshot.place, life.snapshot.claim) == (None, None)
    life.do(ClaimForFilling("op-9", place(VNF_ID)))
    assert life.snapshot.claim is not None


def test_what_was_filled_by_an_operation_that_is_undone_is_empty_again() -> None:
    life = Life([*LIVES["FILLED"], ReleaseSnapshot("op-1")])
    assert (life.snapshot.place, life.snapshot.content, life.snapshot.filled_by) == (None, None, None)
    assert life.do(ReleaseSnapshot("op-1")) == []
    life.do(OTHER)
    assert life.snapshot.status == "FILLING"


def test_a_snapshot_keeps_where_it_is_while_it_is_used() -> None:
    life = Life([*LIVES["REVERTING"], RELEASE])
    assert (life.snapshot.place, life.snapshot.content) == (place(VNF_ID), CONTENT)


def test_a_deletion_that_failed_says_why_and_counts_its_attempts() -> None:
    life = Life(LIVES["DELETION_FAILED"])
    assert life.snapshot.deletion is not None
    assert life.snapshot.deletion.error == ERROR
    life.do(DELETE)
    assert (life.snapshot.deletion.attempt, life.snapshot.deletion.error) == (2, None)
    assert life.do(GONE) == [], "a report of the first attempt"
    life.do(ReportDeletion(2))
    assert life.snapshot.status == "DELETED"


class TestTaking:
    def test_begins_with_the_plan(self) -> None:
        story = told(*INSTANTIATED, take_snapshot())
        names = [run.step.name for run in story.operation.plan]
        assert names == ["grant", "claim-snapshot", "create-snapshot", "await-snapshot", "fill-snapshot"]
        before = story.vnf.instantiated_vnf_info
        completed = ended(story)
        assert completed.resource_changes is not None
        assert msgspec.to_builtins(completed.resource_changes) == {}, "the VNF is as it was"
        assert story.vnf.instantiated_vnf_info == before

    @pytest.mark.parametrize("name", [name for name in LIVES if name not in ("EMPTY", "DELETED")])
    def test_only_into_an_empty_one(self, name: str) -> None:
        error = refusal(told(*INSTANTIATED), take_snapshot(Life(LIVES[name]).snapshot))
        assert (error.status, SNAPSHOT_ID in error.detail) == (409, True)


class TestReverting:
    def test_begins_with_the_plan_and_changes_every_vnfc(self) -> None:
        story = told(*INSTANTIATED, revert_to(filled_snapshot(VNF_ID)))
        names = [run.step.name for run in story.operation.plan]
        assert names == ["grant", "claim-snapshot", "revert-snapshot", "read-back", "release-snapshot"]
        changes = ended(story).resource_changes
        assert changes is not None
        assert [(item.id, item.change_type) for item in changes.affected_vnfcs] == [("server-1", "MODIFIED")]

    @pytest.mark.parametrize(
        ("snapshot", "why"),
        [
            (empty_snapshot(), "is empty"),
            (Life(LIVES["FILLING"]).snapshot, "in use by LCM operation op-1"),
            (Life(LIVES["REVERTING"]).snapshot, "in use by LCM operation op-2"),
            (Life(LIVES["DELETING"]).snapshot, "is being deleted"),
            (Life(LIVES["DELETION_FAILED"]).snapshot, "is being deleted"),
            (Life(LIVES["extracted"]).snapshot, "not taken here"),
            (filled_snapshot("another"), "it was taken of vnfInstance another"),
            (filled_snapshot(VNF_ID, vnfdId="vnfd-0"), "VNFD vnfd-0"),
            (
                filled_snapshot(
                    VNF_ID, vnfInstance={"instantiatedVnfInfo": {"flavourId": "large", "vnfState": "STARTED"}}
                ),
                "flavour 'large'",
            ),
            (filled_snapshot(VNF_ID, vnfcSnapshots=[]), "server-1 is not in the snapshot"),
            (
                filled_snapshot(VNF_ID, vnfcSnapshots=[{"id": "server-1", "vnfcInstanceId": "VDU1-server-1"}]),
                "server-1 boots from a volume",
            ),
        ],
    )
    def test_only_to_what_was_taken_of_what_there_is(self, snapshot: VnfSnapshot, why: str) -> None:
        error = refusal(told(*INSTANTIATED), revert_to(snapshot))
        assert error.status == 409
        assert why in error.detail

    def test_after_it_was_scaled_it_has_to_be_scaled_back(self) -> None:
        story = told(*INSTANTIATED)
        snapshot = snapshot_of(story.vnf)
        story.do(scale())
        story.until("", confirmed)
        why = "that has 1 VNFCs of VDU1, the VNF now has 2: scale VDU1_scale to level 0 first."
        assert refusal(story, revert_to(snapshot)).detail.endswith(why)
        story.do(scale("SCALE_IN"))
        story.until("", confirmed)
        assert started(story, revert_to(snapshot)).vnfc_snapshots == {"server-1": "server-1"}

    def test_a_healed_vnfc_is_brought_back_as_what_it_is(self) -> None:
        story = told(*INSTANTIATED)
        snapshot = snapshot_of(story.vnf)
        story.do(heal())
        story.until("", confirmed)
        assert started(story, revert_to(snapshot)).vnfc_snapshots == {"server-2": "server-1"}

    def test_one_that_a_given_up_operation_still_has(self) -> None:
        snapshot = Life(LIVES["REVERTING"]).snapshot
        assert told(*INSTANTIATED, revert_to(snapshot, ended="op-2")).operation.state == "STARTING"

    def test_needs_an_instantiated_vnf(self) -> None:
        assert refusal(told(create()), revert_to(filled_snapshot(VNF_ID))).status == 409

"""The aggregate "Individual VNF snapshot" (SOL003 clauses 5.4.23 and 5.4.24): empty, filled by a VNF instance's CREATE_SNAPSHOT,
used by its REVERT_TO_SNAPSHOT, deleted together with what the VIM keeps of it.

Rules:

* An operation claims the snapshot before it touches the VIM, and gives it back when it is done or undone; so the log of the
  snapshot says who may have it, whichever VNF instances want it at once.
* A claim holds as long as its operation is open. Whether that has ended says the VNF instance's own log: commands carry it as
  ``ended``, the id of the claiming operation if it is known to be over. An operation that is over is never opened again.
* What an operation that was given up has left half made is not filled by another: parts of two moments are no snapshot.
* From the first claim on the snapshot knows by itself where its parts are, so that it can be deleted when the VNF instance, its
  credentials and its package are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import msgspec
from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.commit import Commit, EventCodec
from forestay_events.errors import Rejected
from forestay_lcm.domain.events import Event, ProblemDict
from forestay_lcm.domain.transitions import IllegalTransition
from forestay_sol.vnflcm import VimConnectionInfo

Json = dict[str, Any]
Status = Literal["EMPTY", "FILLING", "FILLED", "REVERTING", "DELETING", "DELETION_FAILED", "DELETED"]


class Place(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where the parts of a snapshot are.

    :ivar driver: who works on that kind of VIM; ``lane``: the lane of work on the VIM.
    :ivar key: of the connection in the VNF instance's ``vimConnectionInfo``.
    :ivar connection: secrets sealed for the snapshot, of a registered VIM none.
    """

    vnf_id: str
    driver: str
    lane: str
    key: str
    connection: VimConnectionInfo


class SnapshotCreated(Event, frozen=True, kw_only=True):
    """The resource was created, empty."""


class SnapshotExtracted(Event, frozen=True, kw_only=True):
    """Somebody told what a snapshot holds that was extracted from a VNF snapshot package; ``vnf_snapshot`` is SOL003 JSON."""

    vnf_snapshot_pkg_id: str
    vnf_snapshot: Json


class _Claimed(Event, frozen=True, kw_only=True):
    op_id: str
    vnf_id: str


class FillingClaimed(_Claimed, frozen=True, kw_only=True):
    """A CREATE_SNAPSHOT is going to make the parts."""

    place: Place


class RevertingClaimed(_Claimed, frozen=True, kw_only=True):
    """A REVERT_TO_SNAPSHOT is going to use it."""


class SnapshotFilled(Event, frozen=True, kw_only=True):
    """All parts are made; ``vnf_snapshot`` is SOL003's VnfSnapshot as JSON."""

    op_id: str
    vnf_snapshot: Json


class SnapshotReleased(Event, frozen=True, kw_only=True):
    """The operation is done with it; if it was to fill it, nothing of that is left."""

    op_id: str


class DeletionStarted(Event, frozen=True, kw_only=True):
    """From now on its parts may be deleted in the VIM."""


class DeletionFailed(Event, frozen=True, kw_only=True):
    """The VIM did not delete them; ``error`` holds its own words."""

    error: ProblemDict


class SnapshotDeleted(Event, frozen=True, kw_only=True):
    """Nothing is left of it."""


SnapshotEvent = (
    SnapshotCreated | SnapshotExtracted | FillingClaimed | RevertingClaimed | SnapshotFilled | SnapshotReleased
    | DeletionStarted | DeletionFailed | SnapshotDeleted
)  # fmt: skip

CODEC: EventCodec[SnapshotEvent] = EventCodec(SnapshotEvent)

TRANSITIONS: Mapping[Status | None, Mapping[type[Event], Status]] = {
    None: {SnapshotCreated: "EMPTY"},
    "EMPTY": {SnapshotExtracted: "FILLED", FillingClaimed: "FILLING", SnapshotDeleted: "DELETED"},
    "FILLING": {SnapshotFilled: "FILLED", SnapshotReleased: "EMPTY", DeletionStarted: "DELETING"},
    "FILLED": {
        RevertingClaimed: "REVERTING", SnapshotReleased: "EMPTY", DeletionStarted: "DELETING", SnapshotDeleted: "DELETED",
    },
    "REVERTING": {RevertingClaimed: "REVERTING", SnapshotReleased: "FILLED", DeletionStarted: "DELETING"},
    "DELETING": {DeletionFailed: "DELETION_FAILED", SnapshotDeleted: "DELETED"},
    "DELETION_FAILED": {DeletionStarted: "DELETING"},
}  # fmt: skip
"""A key that is missing is a transition that cannot happen."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The operation that has the snapshot, or had it and was given up."""

    op_id: str
    vnf_id: str


class Deletion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The latest attempt to delete its parts."""

    attempt: int
    since: datetime
    error: ProblemDict | None = None


class VnfSnapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VNF snapshot.

    :ivar content: SOL003's VnfSnapshot as JSON, once it is filled; ``filled_by``: the operation that did it.
    :ivar place: ``None``: no VIM has anything of it.
    """

    id: str
    project: str
    status: Status
    package_id: str | None = None
    content: Json | None = None
    filled_by: str | None = None
    place: Place | None = None
    claim: Claim | None = None
    deletion: Deletion | None = None


@dataclass(frozen=True)
class CreateSnapshot:
    """POST vnf_snapshots."""

    extracted: SnapshotExtracted | None = None


@dataclass(frozen=True)
class ExtractSnapshot:
    """PATCH vnf_snapshots/{id}; ``None`` changes nothing."""

    extracted: SnapshotExtracted | None


@dataclass(frozen=True)
class ClaimForFilling:
    """An operation is going to fill the VNF snapshot."""

    op_id: str
    place: Place


@dataclass(frozen=True)
class ClaimForReverting:
    """An operation is going to revert to it; ``ended``: one that had claimed it, and is known to be over."""

    op_id: str
    vnf_id: str
    ended: str | None = None


@dataclass(frozen=True)
class FillSnapshot:
    """The operation that has claimed it has made it."""

    op_id: str
    content: Json


@dataclass(frozen=True)
class ReleaseSnapshot:
    """The operation that has claimed it needs it no more."""

    op_id: str


@dataclass(frozen=True)
class DeleteSnapshot:
    """DELETE vnf_snapshots/{id}."""

    ended: str | None = None


@dataclass(frozen=True)
class ReportDeletion:
    """What came of the ``attempt``-th try to delete the parts: an error, or nothing is left."""

    attempt: int
    error: ProblemDict | None = None


SnapshotCommand = (
    CreateSnapshot | ExtractSnapshot | ClaimForFilling | ClaimForReverting | FillSnapshot | ReleaseSnapshot
    | DeleteSnapshot | ReportDeletion
)  # fmt: skip
Decided = Decision[SnapshotEvent]


def fillable(snapshot: VnfSnapshot) -> None:
    """:raises Rejected: 409, it is not empty."""
    if snapshot.status != "EMPTY":
        raise Rejected(409, f"VnfSnapshot {snapshot.id} {_WHY_NOT_EMPTY[snapshot.status]}{_by(snapshot)}.")


def revertible(snapshot: VnfSnapshot, ended: str | None) -> None:
    """:raises Rejected: 409, it holds nothing that a VNF can be reverted to, or is in use."""
    unused(snapshot, ended)
    if snapshot.status not in ("FILLED", "REVERTING"):
        raise Rejected(409, f"VnfSnapshot {snapshot.id} {_WHY_NOT_FILLED[snapshot.status]}{_by(snapshot)}.")
    if snapshot.place is None:
        raise Rejected(409, f"VnfSnapshot {snapshot.id} was not taken here: no VIM has its parts.")


def unused(snapshot: VnfSnapshot, ended: str | None) -> None:
    """:raises Rejected: 409, an operation has it that is not known to have ended; the answer names it."""
    claim = snapshot.claim
    if claim is not None and claim.op_id != ended:
        detail = f"VnfSnapshot {snapshot.id} is in use by LCM operation {claim.op_id} of vnfInstance {claim.vnf_id}."
        raise Rejected(409, detail, extra={"lcmOpOcc": {"id": claim.op_id}})


_HALF = "was left half made: delete it and create another. It was claimed"
_GOING = "is being deleted"
_WHY_NOT_EMPTY: Mapping[Status, str] = {
    "FILLING": "is being filled, or was left half made: then delete it and create another. It was claimed",
    "FILLED": "is filled already", "REVERTING": "is filled already", "DELETING": _GOING, "DELETION_FAILED": _GOING,
}  # fmt: skip
_WHY_NOT_FILLED: Mapping[Status, str] = {
    "EMPTY": "is empty", "FILLING": _HALF, "DELETING": _GOING, "DELETION_FAILED": _GOING,
}  # fmt: skip


def _by(snapshot: VnfSnapshot) -> str:
    return f" by LCM operation {snapshot.claim.op_id}" if snapshot.claim and snapshot.status == "FILLING" else ""


def _extract(snapshot: VnfSnapshot, command: ExtractSnapshot, ctx: Context) -> Decided:
    fillable(snapshot)
    return Decision([command.extracted] if command.extracted else [], "content of a VNF snapshot package given")


def _claim_for_filling(snapshot: VnfSnapshot, command: ClaimForFilling, ctx: Context) -> Decided:
    if snapshot.claim is not None and snapshot.claim.op_id == command.op_id and snapshot.status == "FILLING":
        return Decision([])
    fillable(snapshot)
    claimed = FillingClaimed(op_id=command.op_id, vnf_id=command.place.vnf_id, place=command.place)
    return Decision([claimed], "to be filled", correlation_id=command.op_id)


def _claim_for_reverting(snapshot: VnfSnapshot, command: ClaimForReverting, ctx: Context) -> Decided:
    if snapshot.claim is not None and snapshot.claim.op_id == command.op_id:
        return Decision([])
    revertible(snapshot, command.ended)
    claimed = RevertingClaimed(op_id=command.op_id, vnf_id=command.vnf_id)
    return Decision([claimed], "to be reverted to", correlation_id=command.op_id)


def _fill(snapshot: VnfSnapshot, command: FillSnapshot, ctx: Context) -> Decided:
    if snapshot.filled_by == command.op_id:
        return Decision([])
    if snapshot.claim is None or (snapshot.claim.op_id, snapshot.status) != (command.op_id, "FILLING"):
        raise Rejected(409, f"VnfSnapshot {snapshot.id} does not wait for LCM operation {command.op_id}.")
    filled = SnapshotFilled(op_id=command.op_id, vnf_snapshot=command.content)
    return Decision([filled], "filled", correlation_id=command.op_id)


def _release(snapshot: VnfSnapshot, command: ReleaseSnapshot, ctx: Context) -> Decided:
    # One that was filled is released by the operation that filled it only when that is rolled back: its parts are gone.
    undone = snapshot.status == "FILLED" and snapshot.filled_by == command.op_id
    if not undone and (snapshot.claim is None or snapshot.claim.op_id != command.op_id):
        return Decision([])
    return Decision([SnapshotReleased(op_id=command.op_id)], "released", correlation_id=command.op_id)


def _delete(snapshot: VnfSnapshot, command: DeleteSnapshot, ctx: Context) -> Decided:
    if snapshot.status == "DELETING":
        return Decision([])
    unused(snapshot, command.ended)
    gone = snapshot.place is None
    return Decision([SnapshotDeleted() if gone else DeletionStarted()], "deletion requested")


def _report(snapshot: VnfSnapshot, command: ReportDeletion, ctx: Context) -> Decided:
    deletion = snapshot.deletion
    if snapshot.status != "DELETING" or deletion is None or deletion.attempt != command.attempt:
        return Decision([])
    if command.error is None:
        return Decision([SnapshotDeleted()], "nothing is left of it")
    return Decision([DeletionFailed(error=command.error)], f"not deleted: {command.error.get('detail', '')}"[:500])


_DECISIONS: Mapping[type[SnapshotCommand], Callable[[VnfSnapshot, Any, Context], Decided]] = {
    ExtractSnapshot: _extract,
    ClaimForFilling: _claim_for_filling,
    ClaimForReverting: _claim_for_reverting,
    FillSnapshot: _fill,
    ReleaseSnapshot: _release,
    DeleteSnapshot: _delete,
    ReportDeletion: _report,
}


def decide(snapshot: VnfSnapshot | None, command: SnapshotCommand, ctx: Context) -> Decided:
    """:raises Rejected: the command is not possible now."""
    if isinstance(command, CreateSnapshot):
        if snapshot is not None:
            raise Rejected(409, f"VnfSnapshot {snapshot.id} exists.")
        return Decision([SnapshotCreated(), *((command.extracted,) if command.extracted else ())], "created")
    if not usable(snapshot, ctx.origin.project):
        raise Rejected(404, "VnfSnapshot not found.")
    assert snapshot is not None, "usable"  # noqa: S101
    return _DECISIONS[type(command)](snapshot, command, ctx)


def usable(snapshot: VnfSnapshot | None, project: str) -> bool:
    """Whether the project has this snapshot."""
    return snapshot is not None and snapshot.status != "DELETED" and snapshot.project == project


def evolve(snapshot: VnfSnapshot | None, event: SnapshotEvent, commit: Commit) -> VnfSnapshot:
    """The state after an event.

    :raises IllegalTransition: the event is impossible now.
    """
    before = snapshot.status if snapshot else None
    try:
        status = TRANSITIONS[before][type(event)]
    except KeyError:
        raise IllegalTransition(f"VNF snapshot {commit.aggregate_id} in {before} cannot see {event!r}") from None
    if snapshot is None:
        return VnfSnapshot(id=commit.aggregate_id, project=commit.project, status=status)
    return msgspec.structs.replace(snapshot, status=status, **_members(snapshot, event, commit))


def _members(snapshot: VnfSnapshot, event: SnapshotEvent, commit: Commit) -> Json:
    """What an event changes besides the status."""
    match event:
        case SnapshotExtracted():
            return {"package_id": event.vnf_snapshot_pkg_id, "content": event.vnf_snapshot}
        case FillingClaimed():
            return {"claim": Claim(op_id=event.op_id, vnf_id=event.vnf_id), "place": event.place}
        case RevertingClaimed():
            return {"claim": Claim(op_id=event.op_id, vnf_id=event.vnf_id)}
        case SnapshotFilled():
            return {"claim": None, "content": event.vnf_snapshot, "filled_by": event.op_id}
        case SnapshotReleased():
            if snapshot.status == "REVERTING":
                return {"claim": None}
            return {"claim": None, "place": None, "content": None, "filled_by": None}
        case DeletionStarted():
            attempt = snapshot.deletion.attempt + 1 if snapshot.deletion else 1
            return {"claim": None, "deletion": Deletion(attempt=attempt, since=commit.at)}
        case DeletionFailed() if snapshot.deletion is not None:
            return {"deletion": msgspec.structs.replace(snapshot.deletion, error=event.error)}
        case _:
            return {}


VNF_SNAPSHOT: Definition[VnfSnapshot, SnapshotCommand, SnapshotEvent] = Definition(
    "LCM", "snapshot", CODEC, decide, evolve
)

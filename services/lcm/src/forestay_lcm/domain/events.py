"""What can happen to a VNF instance and its LCM operation occurrences.

Events are facts in the past tense. A tag, once written, is never renamed: a change of meaning is a new tag and an upcaster.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from forestay_events.commit import EventCodec
from forestay_lcm.domain.plan import Step
from forestay_sol.vnflcm import (
    AffectedVipCp,
    ExtVirtualLinkInfo,
    InstantiatedVnfInfo,
    LcmOperation,
    ResourceChanges,
    ScaleInfo,
    VimConnectionInfo,
)
from msgspec import UNSET, UnsetType

ProblemDict = dict[str, Any]


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str):
    """Base of all events of a VNF instance; the class name is the tag."""


class OperationEvent(Event, frozen=True, kw_only=True):
    """Something that happened to an operation occurrence."""

    op_id: str


class StepEvent(OperationEvent, frozen=True, kw_only=True):
    """Something that happened to the ``attempt``-th try of a step."""

    step: str
    attempt: int


class VnfCreated(Event, frozen=True, kw_only=True):
    """The resource was created; nothing of it exists in a VIM."""

    vnfd_id: str
    provider: str
    product_name: str
    software_version: str
    vnfd_version: str
    name: str | None = None
    description: str | None = None
    metadata: dict[str, Any] = {}
    extensions: dict[str, Any] = {}
    configurable_properties: dict[str, Any] = {}


class VnfDeleted(Event, frozen=True, kw_only=True):
    """The resource was deleted."""


class VnfInfoModified(Event, frozen=True, kw_only=True):
    """The instance's own information was changed; what is unset is as before, else the whole new value."""

    name: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    vnfd_id: str | UnsetType = UNSET
    provider: str | UnsetType = UNSET
    product_name: str | UnsetType = UNSET
    software_version: str | UnsetType = UNSET
    vnfd_version: str | UnsetType = UNSET
    metadata: dict[str, Any] | UnsetType = UNSET
    extensions: dict[str, Any] | UnsetType = UNSET
    configurable_properties: dict[str, Any] | UnsetType = UNSET
    vim_connections: dict[str, VimConnectionInfo] | UnsetType = UNSET


class OperationStarted(OperationEvent, frozen=True, kw_only=True):
    """An operation was accepted, with its plan.

    :ivar params: the request as SOL003 JSON, secrets sealed.
    :ivar lane: the VIM that the steps work on: its id, or a name for one that is not registered.
    :ivar vim_connections: where the VNF lives from now on, empty if that is as before; secrets sealed, of a registered VIM
        none.
    :ivar scale_status: the scale levels that the operation leads to; empty when it changes none.
    :ivar hooks: the hooks of a rollback for which the package has a script.
    :ivar modification: what becomes of the instance's own information when the operation is completed.
    :ivar vnfc_snapshots: of a revert: the id of the VNFC snapshot that each VNFC is brought back to, by the VNFC's id.
    """

    operation: LcmOperation
    params: dict[str, Any]
    steps: tuple[Step, ...]
    lane: str
    automatic: bool = False
    vim_connections: dict[str, VimConnectionInfo] = {}
    scale_status: tuple[ScaleInfo, ...] = ()
    hooks: tuple[str, ...] = ()
    modification: VnfInfoModified | None = None
    vnfc_snapshots: dict[str, str] = {}


class ModificationStarted(OperationStarted, frozen=True, kw_only=True):
    """MODIFY_INFO was accepted; it needs no grant and is PROCESSING from the beginning (wire section 3.4)."""


class CancellationRequested(OperationEvent, frozen=True, kw_only=True):
    """The operation is to be stopped: between two steps, or (FORCEFUL) at once."""

    mode: Literal["GRACEFUL", "FORCEFUL"]


class OperationProcessing(OperationEvent, frozen=True, kw_only=True):
    """Granted: resources may be touched from now on; or tried again.

    :ivar vim_connections: where the VNF lives according to the grant, empty if that is as before; secrets sealed.
    """

    vim_connections: dict[str, VimConnectionInfo] = {}


class OperationCompleted(OperationEvent, frozen=True, kw_only=True):
    """All steps were confirmed.

    :ivar extensions: what the request set of them, null takes one away; so ``configurable_properties``.
    :ivar changed_info: SOL003 VnfInfoModifications of a MODIFY_INFO, secrets sealed.
    :ivar modifications: those that a change of the VNF package brought with it.
    :ivar affected_vip_cps: the VIP CPs that are new, gone, or other than before.
    :ivar changed_ext_connectivity: the external virtual links that are connected in another way than before.
    """

    instantiation_state: Literal["INSTANTIATED", "NOT_INSTANTIATED"]
    instantiated_vnf_info: InstantiatedVnfInfo | None = None
    resource_changes: ResourceChanges | None = None
    extensions: dict[str, Any] = {}
    configurable_properties: dict[str, Any] = {}
    changed_info: dict[str, Any] = {}
    modifications: dict[str, Any] = {}
    affected_vip_cps: tuple[AffectedVipCp, ...] = ()
    changed_ext_connectivity: tuple[ExtVirtualLinkInfo, ...] = ()


class OperationFailedTemp(OperationEvent, frozen=True, kw_only=True):
    """A step failed; retry, rollback or fail decide how it goes on."""

    error: ProblemDict


class OperationRollingBack(OperationEvent, frozen=True, kw_only=True):
    """The recorded compensations of what was done are to run, last first."""

    steps: tuple[Step, ...]


class OperationRolledBack(OperationEvent, frozen=True, kw_only=True):
    """Everything is as it was before; also the end of an operation that was not granted.

    :ivar instantiated_vnf_info: read back where the compensations left other resources than there were.
    """

    error: ProblemDict | None = None
    instantiated_vnf_info: InstantiatedVnfInfo | None = None


class OperationFailed(OperationEvent, frozen=True, kw_only=True):
    """Given up as it is."""


class StepIntended(StepEvent, frozen=True, kw_only=True):
    """From now on the step's external call may happen."""


class StepConfirmed(StepEvent, frozen=True, kw_only=True):
    """The step is done; ``result`` names what it made or found."""

    result: dict[str, Any] = {}


class StepNoted(StepEvent, frozen=True, kw_only=True):
    """Something that must not be forgotten before the step is done; ``result`` is all that is known of it by now."""

    result: dict[str, Any]


class StepFailed(StepEvent, frozen=True, kw_only=True):
    """The step did not do what it should; ``error`` holds the VIM's own words."""

    error: ProblemDict


class StepUnknown(StepEvent, frozen=True, kw_only=True):
    """The call may have acted or not: the next thing to do is to look."""

    reason: str


VnfEvent = (
    VnfCreated | VnfDeleted | VnfInfoModified | OperationStarted | ModificationStarted | CancellationRequested
    | OperationProcessing | OperationCompleted | OperationFailedTemp
    | OperationRollingBack | OperationRolledBack | OperationFailed
    | StepIntended | StepNoted | StepConfirmed | StepFailed | StepUnknown
)  # fmt: skip

CODEC: EventCodec[VnfEvent] = EventCodec(VnfEvent)

"""A step to take and the order behind it: all that a handler knows besides what it sees in the VIM."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec
from forestay_events.errors import Permanent
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import Grant, GrantRequest, InstantiatedVnfInfo, LcmOperation, ScaleInfo, TaskRequest

from forestay_lcm.adapters.openstack.settings import OpenStackSettings
from forestay_lcm.executor import Fence


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What was ordered: the request with what the VNFD and the grant say to it.

    :ivar flavour: the VNF's deployment flavour after the operation.
    :ivar old_flavour: the one before it, ``None`` when that is the same.
    :ivar scale_status: the scale levels that the operation leads to; empty when it changes none.
    :ivar vnfc_snapshots: ids of the VNFC snapshots that a revert is to, by VNFC; of one that is missing, its own id.
    """

    operation: LcmOperation
    request: TaskRequest
    flavour: Flavour
    grant_request: GrantRequest
    grant: Grant
    old_flavour: Flavour | None = None
    scale_status: tuple[ScaleInfo, ...] = ()
    vnfc_snapshots: Mapping[str, str] = {}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A step to take.

    :ivar step: name of the step, with its argument behind a colon (``update-vnfc:0``).
    :ivar attempt: which try of the step this is, from 1.
    :ivar started_at: when this attempt was intended.
    :ivar results: results of the operation's confirmed steps by step name.
    :ivar connection_id: key of the VIM in the instance's ``vimConnectionInfo``.
    :ivar order: ``None`` for an operation that makes nothing (TERMINATE).
    :ivar before: the VNF before the operation, ``None`` when it was not instantiated.
    :ivar vnfc_ids: ids that the requester wants for VNFCs, by VDU.
    :ivar fence: called right before each call that acts.
    """

    vnf_id: str
    op_id: str
    step: str
    attempt: int
    started_at: datetime
    deadline: datetime
    connection_id: str
    fence: Fence
    results: Mapping[str, Mapping[str, Any]] = {}
    order: Order | None = None
    before: InstantiatedVnfInfo | None = None
    vnfc_ids: Mapping[str, tuple[str, ...]] = {}
    settings: OpenStackSettings = OpenStackSettings()


def ordered(job: Job) -> Order:
    """The job's order. :raises Permanent: the operation has none."""
    if job.order is None:
        raise Permanent(f"Step {job.step} of operation {job.op_id} has no order to work from.")
    return job.order


def existing(job: Job) -> InstantiatedVnfInfo:
    """The VNF before the operation. :raises Permanent: it was not instantiated."""
    if job.before is None:
        raise Permanent(f"Step {job.step} of operation {job.op_id} needs a VNF that is instantiated.")
    return job.before

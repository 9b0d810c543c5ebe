"""What services ask of LCM: bodies of work of executor ``lcm-requests``.

Who asks names what he has seen. LCM looks how things stand when it comes to it, and drops what somebody else was faster with.
"""

from __future__ import annotations

import msgspec

EXECUTOR = "lcm-requests"


class Request(msgspec.Struct, frozen=True, kw_only=True, rename="camel", tag_field="how"):
    """A policy wants something done because of an alarm: one request per policy and alarm."""

    vnf_id: str
    project: str
    actor: str
    policy_id: str
    alarm_id: str


class RetryRequest(Request, frozen=True, kw_only=True, tag="retry"):
    """Retry an operation in FAILED_TEMP.

    :ivar cause: the commit in which it failed, ``lcm.vnf.<id>@<version>``: if the instance has another version by now, the
        request is late.
    """

    op_id: str
    cause: str


class HealRequest(Request, frozen=True, kw_only=True, tag="heal"):
    """Heal what differs from the log, as far as it still does and no operation has begun since it was found.

    :ivar vnfc_instance_ids: the VNFCs that are lost.
    :ivar all: the VNF is lost as a whole: a HEAL with ``additionalParams.all``.
    """

    vnfc_instance_ids: tuple[str, ...] = ()
    all: bool = False


LcmRequest = RetryRequest | HealRequest

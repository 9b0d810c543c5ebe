"""What other services read of stream ``LCM`` (``lcm.vnf.<VNF instance id>``, ``lcm.vnfd.<id>``); its own service knows the
rest.

These are the same messages that the LCM service writes, with the members that others need; tags that are not here are
skipped by :func:`facts`.
"""

from __future__ import annotations

from typing import Any

import msgspec
from forestay_events.commit import Commit


class Fact(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=str):
    """Base; the class name is the tag."""


class VnfCreated(Fact, frozen=True, kw_only=True):
    vnfd_id: str


class VnfDeleted(Fact, frozen=True, kw_only=True):
    pass


class VimUse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of a VIM connection what others may know; without ``vim_id`` the VIM is not a registered one."""

    vim_id: str | None = None


class VnfInfoModified(Fact, frozen=True, kw_only=True):
    """What is ``None`` was not changed; ``vim_connections`` are all that there are from now on."""

    vnfd_id: str | None = None
    vim_connections: dict[str, VimUse] | None = None


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of the instance's own information if the operation is completed; what is ``None`` stays."""

    vnfd_id: str | None = None


class OperationStarted(Fact, frozen=True, kw_only=True):
    """``vim_connections``: where the VNF is going to live, empty if the operation does not say."""

    op_id: str
    operation: str
    vim_connections: dict[str, VimUse] = {}
    modification: Coming | None = None


class ModificationStarted(Fact, frozen=True, kw_only=True):
    """MODIFY_INFO was started."""

    op_id: str
    operation: str
    modification: Coming | None = None


class OperationProcessing(Fact, frozen=True, kw_only=True):
    """``vim_connections``: where the VNF is going to live according to the grant, empty if that does not say."""

    op_id: str
    vim_connections: dict[str, VimUse] = {}


class OperationCompleted(Fact, frozen=True, kw_only=True):
    op_id: str
    instantiation_state: str


class OperationFailedTemp(Fact, frozen=True, kw_only=True):
    op_id: str
    error: dict[str, Any]


class OperationRollingBack(Fact, frozen=True, kw_only=True):
    op_id: str


class OperationFailed(Fact, frozen=True, kw_only=True):
    op_id: str


class OperationRolledBack(Fact, frozen=True, kw_only=True):
    op_id: str
    error: dict[str, Any] | None = None


LcmFact = (
    VnfCreated
    | VnfDeleted
    | VnfInfoModified
    | OperationStarted
    | ModificationStarted
    | OperationProcessing
    | OperationCompleted
    | OperationFailedTemp
    | OperationRollingBack
    | OperationFailed
    | OperationRolledBack
)


class _Tagged(msgspec.Struct):
    type: str


_TAGS = frozenset(fact.__name__ for fact in LcmFact.__args__)
_tag = msgspec.json.Decoder(_Tagged).decode
_fact: msgspec.json.Decoder[LcmFact] = msgspec.json.Decoder(LcmFact)


def facts(commit: Commit) -> list[LcmFact]:
    """The facts of a commit that others than the LCM service know."""
    return [_fact.decode(raw) for raw in commit.events if _tag(raw).type in _TAGS]


class VnfdFetched(Fact, frozen=True, kw_only=True):
    """A package was fetched from the NFVO; ``digest`` is the name of its content in the blob store."""

    digest: str


_fetched = msgspec.json.Decoder(VnfdFetched).decode


def fetched(commit: Commit) -> list[VnfdFetched]:
    """The packages that a commit says were fetched; none if it is about something else."""
    if commit.kind != "vnfd":
        return []
    return [_fetched(raw) for raw in commit.events if _tag(raw).type == VnfdFetched.__name__]

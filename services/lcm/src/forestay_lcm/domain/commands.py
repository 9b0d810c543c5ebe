"""What can be asked of a VNF instance. Commands are complete: whatever a decision needs to know of other aggregates (the
VNFD, the VIM) was looked up before, so that the decision stays pure. ``nfvo``: an NFVO elsewhere will be asked for a grant.

A ``vnfd`` is the VNF instance's unless said otherwise, ``vim_connections`` are the ones to record: secrets sealed, those of
registered VIMs left out. Secrets in a request are sealed too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from forestay_lcm.domain.events import ProblemDict
from forestay_lcm.domain.vnf_snapshot import VnfSnapshot
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import (
    ChangeCurrentVnfPkgRequest,
    ChangeExtVnfConnectivityRequest,
    ChangeVnfFlavourRequest,
    CreateVnfRequest,
    CreateVnfSnapshotRequest,
    HealVnfRequest,
    InstantiateVnfRequest,
    OperateVnfRequest,
    RevertToVnfSnapshotRequest,
    ScaleVnfRequest,
    ScaleVnfToLevelRequest,
    TerminateVnfRequest,
    VimConnectionInfo,
    VimConnections,
    VnfInfoModificationRequest,
)


@dataclass(frozen=True)
class CreateVnf:
    """POST vnf_instances."""

    request: CreateVnfRequest
    vnfd: Vnfd


@dataclass(frozen=True)
class DeleteVnf:
    """DELETE vnf_instances/{id}."""


@dataclass(frozen=True)
class Instantiate:
    """POST vnf_instances/{id}/instantiate.

    :ivar vim_connections: the request's, or that of the project's default VIM; none only if an NFVO is going to choose.
    """

    request: InstantiateVnfRequest
    vnfd: Vnfd
    vim_connections: VimConnections
    nfvo: bool = False


@dataclass(frozen=True)
class Terminate:
    """POST vnf_instances/{id}/terminate."""

    request: TerminateVnfRequest
    vnfd: Vnfd


@dataclass(frozen=True)
class Modify:
    """PATCH vnf_instances/{id}.

    :ivar vnfd: the one that the instance has afterwards.
    :ivar present: the one that it has now; its scripts run around the modification.
    """

    request: VnfInfoModificationRequest
    vnfd: Vnfd
    present: Vnfd


@dataclass(frozen=True)
class Scale:
    """POST vnf_instances/{id}/scale."""

    request: ScaleVnfRequest
    vnfd: Vnfd


@dataclass(frozen=True)
class ScaleToLevel:
    """POST vnf_instances/{id}/scale_to_level."""

    request: ScaleVnfToLevelRequest
    vnfd: Vnfd


@dataclass(frozen=True)
class Heal:
    """POST vnf_instances/{id}/heal.

    :ivar automatic: nobody has asked for it but a policy.
    """

    request: HealVnfRequest
    vnfd: Vnfd
    automatic: bool = False


@dataclass(frozen=True)
class ChangeExtConn:
    """POST vnf_instances/{id}/change_ext_conn.

    :ivar vim_connections: those that the request adds or changes.
    """

    request: ChangeExtVnfConnectivityRequest
    vnfd: Vnfd
    vim_connections: VimConnections = field(default_factory=dict[str, VimConnectionInfo])
    nfvo: bool = False


@dataclass(frozen=True)
class ChangeFlavour:
    """POST vnf_instances/{id}/change_flavour.

    :ivar vim_connections: those that the request adds or changes.
    """

    request: ChangeVnfFlavourRequest
    vnfd: Vnfd
    vim_connections: VimConnections = field(default_factory=dict[str, VimConnectionInfo])
    nfvo: bool = False


@dataclass(frozen=True)
class ChangeVnfPkg:
    """POST vnf_instances/{id}/change_vnfpkg.

    :ivar vnfd: the one that the instance has now; ``coming``: the one that it has afterwards.
    :ivar vim_connections: those that the request adds or changes.
    """

    request: ChangeCurrentVnfPkgRequest
    vnfd: Vnfd
    coming: Vnfd
    vim_connections: VimConnections = field(default_factory=dict[str, VimConnectionInfo])
    nfvo: bool = False


@dataclass(frozen=True)
class Operate:
    """POST vnf_instances/{id}/operate."""

    request: OperateVnfRequest
    vnfd: Vnfd


@dataclass(frozen=True)
class TakeSnapshot:
    """POST vnf_instances/{id}/create_snapshot.

    :ivar snapshot: the VNF snapshot to fill.
    """

    request: CreateVnfSnapshotRequest
    vnfd: Vnfd
    snapshot: VnfSnapshot


@dataclass(frozen=True)
class RevertToSnapshot:
    """POST vnf_instances/{id}/revert_to_snapshot.

    :ivar ended: the operation that has claimed the VNF snapshot, if it is known to be over.
    """

    request: RevertToVnfSnapshotRequest
    vnfd: Vnfd
    snapshot: VnfSnapshot
    ended: str | None = None


@dataclass(frozen=True)
class Cancel:
    """POST vnf_lcm_op_occs/{id}/cancel."""

    op_id: str
    mode: Literal["GRACEFUL", "FORCEFUL"]


@dataclass(frozen=True)
class Handle:
    """retry, rollback or fail of an operation in FAILED_TEMP."""

    op_id: str
    how: Literal["retry", "rollback", "fail"]


@dataclass(frozen=True)
class ReportStep:
    """A worker tells how the ``attempt``-th try of a step came out, or what has to be noted of it before it is done.

    :ivar seen: what the worker knew of the step when it noted something; who knew less than there is notes nothing.
    """

    op_id: str
    step: str
    attempt: int
    outcome: Literal["CONFIRMED", "NOTED", "FAILED", "UNKNOWN"]
    result: dict[str, Any] = field(default_factory=dict[str, Any])
    error: ProblemDict = field(default_factory=dict[str, Any])
    seen: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def command_id(self) -> str:
        """The same for the same outcome, whoever tells it."""
        return f"{self.op_id}/{self.step}/{self.attempt}/{self.outcome}"


VnfCommand = (
    CreateVnf
    | DeleteVnf
    | Modify
    | Instantiate
    | Terminate
    | Scale
    | ScaleToLevel
    | Heal
    | ChangeExtConn
    | ChangeFlavour
    | ChangeVnfPkg
    | Operate
    | TakeSnapshot
    | RevertToSnapshot
    | Cancel
    | Handle
    | ReportStep
)

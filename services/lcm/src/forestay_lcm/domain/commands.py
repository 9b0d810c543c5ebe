"""What can be asked of a VNF instance. Commands are complete: whatever a decision needs to know of other aggregates (the
VNFD, the VIM) was looked up before, so that the decision stays pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from forestay_lcm.domain.events import ProblemDict
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import CreateVnfRequest, InstantiateVnfRequest, TerminateVnfRequest, VimConnections


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

    :ivar request: secrets sealed.
    :ivar vim_connections: the request's connections, or the project's default VIM; at least one; secrets sealed.
    """

    request: InstantiateVnfRequest
    vnfd: Vnfd
    vim_connections: VimConnections


@dataclass(frozen=True)
class Terminate:
    """POST vnf_instances/{id}/terminate."""

    request: TerminateVnfRequest


@dataclass(frozen=True)
class Handle:
    """retry, rollback or fail of an operation in FAILED_TEMP."""

    op_id: str
    how: Literal["retry", "rollback", "fail"]


@dataclass(frozen=True)
class ReportStep:
    """A worker tells how the ``attempt``-th try of a step came out."""

    op_id: str
    step: str
    attempt: int
    outcome: Literal["CONFIRMED", "FAILED", "UNKNOWN"]
    result: dict[str, Any] = field(default_factory=dict[str, Any])
    error: ProblemDict = field(default_factory=dict[str, Any])


VnfCommand = CreateVnf | DeleteVnf | Instantiate | Terminate | Handle | ReportStep

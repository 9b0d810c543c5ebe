"""What happens at the other services, written to their streams with their own event types and their own folding."""

from __future__ import annotations

from uuid import uuid4

from forestay_events.aggregate import Aggregates, Context, Decision, Definition, Origin
from forestay_events.platform import Platform
from forestay_lcm.domain.decide import VNF
from forestay_lcm.domain.events import (
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
    VnfCreated,
    VnfDeleted,
    VnfEvent,
    VnfInfoModified,
)
from forestay_lcm.domain.plan import plan
from forestay_lcm.domain.state import Vnf, evolve
from forestay_lcm.drift.finding import DRIFT, Compared
from forestay_sol.streams import vim
from forestay_sol.streams.drift import Finding, Healing, Kind
from forestay_sol.vnflcm import LcmOperation

ERROR = {"status": 500, "title": "Stack failed", "detail": "No valid host was found."}
PROJECT = "default"

_Happened = list[VnfEvent]


def _decide(_: Vnf | None, happened: _Happened, __: Context) -> Decision[VnfEvent]:
    return Decision(happened, "it happened")


class Vnfs:
    """VNF instances of one project, and what becomes of their operations.

    The LCM service's own folding refuses what cannot happen, so these are commits as it writes them.
    """

    def __init__(self, platform: Platform, project: str = PROJECT) -> None:
        definition = Definition("LCM", "vnf", VNF.codec, _decide, evolve)
        self._vnfs = Aggregates(platform.store, definition, platform.clock)
        self._project = project

    async def happen(self, vnf_id: str, *events: VnfEvent) -> int:
        """Append a commit; returns its version."""
        origin = Origin(command_id=str(uuid4()), project=self._project, actor="admin")
        return (await self._vnfs.execute(vnf_id, list(events), origin)).version

    async def started(self, operation: LcmOperation = "INSTANTIATE", vnf_id: str | None = None) -> tuple[str, str]:
        """A VNF instance (a new one if none is given) with an operation that is processing; returns their ids."""
        if vnf_id is None:
            vnf_id = str(uuid4())
            await self.happen(vnf_id, VnfCreated(vnfd_id="v", provider="p", product_name="n", software_version="1",
                                                 vnfd_version="1"))  # fmt: skip
        op_id, steps = str(uuid4()), plan("openstack", "INSTANTIATE")
        await self.happen(
            vnf_id,
            OperationStarted(op_id=op_id, operation=operation, params={}, steps=steps, lane="vim"),
            StepIntended(op_id=op_id, step="grant", attempt=1),
        )
        await self.happen(
            vnf_id,
            StepConfirmed(op_id=op_id, step="grant", attempt=1),
            OperationProcessing(op_id=op_id),
            StepIntended(op_id=op_id, step="create-stack", attempt=1),
        )
        return vnf_id, op_id

    async def modified(self, vnf_id: str) -> None:
        """A MODIFY_INFO, from its beginning to its end."""
        op_id = str(uuid4())
        await self.happen(
            vnf_id,
            ModificationStarted(op_id=op_id, operation="MODIFY_INFO", params={}, steps=(), lane="vim"),
            VnfInfoModified(name="edge", vnfd_id="w"),
            OperationCompleted(op_id=op_id, instantiation_state="NOT_INSTANTIATED"),
        )

    async def failed_temp(self, vnf_id: str, op_id: str, attempt: int = 1) -> int:
        return await self.happen(
            vnf_id,
            StepFailed(op_id=op_id, step="create-stack", attempt=attempt, error=ERROR),
            OperationFailedTemp(op_id=op_id, error=ERROR | {"step": "create-stack"}),
        )

    async def retried(self, vnf_id: str, op_id: str, attempt: int = 2) -> None:
        await self.happen(
            vnf_id,
            OperationProcessing(op_id=op_id),
            StepIntended(op_id=op_id, step="create-stack", attempt=attempt),
        )

    async def failed(self, vnf_id: str, op_id: str) -> None:
        await self.happen(vnf_id, OperationFailed(op_id=op_id))

    async def rolling_back(self, vnf_id: str, op_id: str) -> None:
        await self.happen(vnf_id, OperationRollingBack(op_id=op_id, steps=()))

    async def rolled_back(self, vnf_id: str, op_id: str) -> None:
        await self.happen(vnf_id, OperationRollingBack(op_id=op_id, steps=()), OperationRolledBack(op_id=op_id))

    async def completed(self, vnf_id: str, op_id: str) -> None:
        await self.happen(vnf_id, OperationCompleted(op_id=op_id, instantiation_state="INSTANTIATED"))

    async def instantiated(self) -> str:
        vnf_id, op_id = await self.started()
        await self.completed(vnf_id, op_id)
        return vnf_id

    async def terminated(self, vnf_id: str) -> None:
        _, op_id = await self.started("TERMINATE", vnf_id)
        await self.happen(vnf_id, OperationCompleted(op_id=op_id, instantiation_state="NOT_INSTANTIATED"))

    async def deleted(self, vnf_id: str) -> None:
        await self.happen(vnf_id, VnfDeleted())


def lost(server: str, vnfc: str, *, after: str = "op-1") -> Finding:
    """That a VNFC's server is gone."""
    return difference("MISSING", "OS::Nova::Server", server, vnfc=vnfc, healing="VNFC", after=after)


def difference(
    kind: Kind, resource_type: str, resource: str, *, vnfc: str | None = None, healing: Healing | None = None,
    after: str | None = "op-1",
) -> Finding:  # fmt: skip
    detail = f"{resource_type} {resource} is {kind.lower()}."
    return Finding(
        kind=kind, vim="east", resource_type=resource_type, resource_id=resource, detail=detail, vnfc_instance_id=vnfc,
        healing=healing, after=after,
    )  # fmt: skip


class Comparisons:
    """Comparisons of a VIM with the log, as LCM decides about them."""

    def __init__(self, platform: Platform) -> None:
        self._drifts = Aggregates(platform.store, DRIFT, platform.clock)

    async def find(self, vnf_id: str, *findings: Finding) -> int:
        """A comparison that finds just these; returns the version behind it."""
        origin = Origin(command_id=str(uuid4()), project=PROJECT, actor="forestay:drift")
        return (await self._drifts.execute(vnf_id, Compared(vim="east", findings=findings), origin)).version


class Vims:
    """Registered VIMs."""

    def __init__(self, platform: Platform) -> None:
        definition: Definition[str, list[vim.VimEvent], vim.VimEvent] = Definition(
            "VIM", "vim", vim.CODEC, lambda _, happened, __: Decision(happened), lambda _, __, commit: commit.subject
        )
        self._vims = Aggregates(platform.store, definition, platform.clock)

    async def happen(self, vim_id: str, *events: vim.VimEvent) -> None:
        await self._vims.execute(vim_id, list(events), Origin(str(uuid4()), PROJECT, "forestay:vim-watch"))

    async def registered(self) -> str:
        vim_id = str(uuid4())
        registered = vim.VimRegistered(name="east", vim_type="openstack", auth_url="http://keystone", auth_cred={},
                                       vim_project={"name": "nfv"})  # fmt: skip
        await self.happen(vim_id, registered)
        return vim_id

"""How an operation begins: with its plan, and the intent of its first step."""

from __future__ import annotations

import msgspec
from forestay_events.aggregate import Context, Decision
from forestay_lcm.domain.decisions.guards import lane_of
from forestay_lcm.domain.decisions.requested import USER_DATA, user_data, vim_of
from forestay_lcm.domain.events import OperationStarted, StepIntended, VnfEvent, VnfInfoModified
from forestay_lcm.domain.plan import HOOKS, RECREATE, ROLLBACK_HOOKS, Step, driver_of, plan
from forestay_lcm.domain.state import RENEWING, Vnf
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import LcmOperation, ScaleInfo, TaskRequest, VimConnections

_USER_DATA_STEPS = frozenset({"user-data", "user-data-rollback", "keep-stack"})
_IMAGE_STEPS = frozenset({"upload-images", "add-images"})


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that was checked, and may begin.

    :ivar request: as it is recorded.
    :ivar reason: what was asked for, in a sentence.
    :ivar flavour: whose scripts run around the operation, and whose images it needs; ``None`` if there is none any more.
    :ivar back: whose scripts run around a rollback, if it is not the same.
    :ivar variant: key of the plan, when it is not the operation's only one.
    :ivar connections: those that the request adds or changes.
    :ivar without: kinds of steps that the operation does not need this time.
    :ivar count: how many VNFCs are worked on one by one.
    :ivar scale_status, modification, vnfc_snapshots, automatic: as of :class:`OperationStarted`.
    :ivar nfvo: as of :func:`vim_of`.
    """

    operation: LcmOperation
    request: TaskRequest
    reason: str
    flavour: Flavour | None
    back: Flavour | None = None
    variant: str | None = None
    connections: VimConnections = {}
    without: frozenset[str] = frozenset()
    count: int = 0
    scale_status: tuple[ScaleInfo, ...] = ()
    modification: VnfInfoModified | None = None
    vnfc_snapshots: dict[str, str] = {}
    nfvo: bool = False
    automatic: bool = False


def start(vnf: Vnf, ctx: Context, accepted: Accepted) -> Decision[VnfEvent]:
    """Begin an operation.

    :raises Rejected: 422, no driver can do it; 400, it names user data by halves, or a link in a VIM where the VNF is not.
    """
    request, connections = accepted.request, accepted.connections
    user_data(request.additional_params)
    vim = vim_of(vnf, request, connections, nfvo=accepted.nfvo)
    started = OperationStarted(
        op_id=ctx.new_id("operation"),
        operation=accepted.operation,
        params=msgspec.to_builtins(request),
        steps=_steps(vnf, accepted, driver_of(vim.vim_type)),
        lane=lane_of(vim),
        automatic=accepted.automatic,
        vim_connections=vnf.vim_connections | connections if connections else {},
        scale_status=accepted.scale_status,
        hooks=_rollback_hooks(accepted),
        modification=accepted.modification,
        vnfc_snapshots=accepted.vnfc_snapshots,
    )
    first = StepIntended(op_id=started.op_id, step=started.steps[0].name, attempt=1)
    return Decision([started, first], accepted.reason, correlation_id=started.op_id)


def _steps(vnf: Vnf, accepted: Accepted, driver: str) -> tuple[Step, ...]:
    return plan(
        driver,
        accepted.variant or accepted.operation,
        without=accepted.without | _needless(vnf, accepted),
        hooks=_scripts(accepted.flavour),
        hook=HOOKS[accepted.operation],
        count=accepted.count,
    )


def _rollback_hooks(accepted: Accepted) -> tuple[str, ...]:
    hooks = {HOOKS[accepted.operation] + end for end in ROLLBACK_HOOKS}
    return tuple(sorted(hooks & _scripts(accepted.back or accepted.flavour)))


def _scripts(flavour: Flavour | None) -> frozenset[str]:
    """The hooks for which a flavour has a script."""
    return frozenset(flavour.lcm_scripts if flavour else ())


def _needless(vnf: Vnf, accepted: Accepted) -> frozenset[str]:
    """The kinds of steps that there is nothing to do for."""
    flavour, needless = accepted.flavour, frozenset[str]()
    if USER_DATA[0] not in (accepted.request.additional_params or {}):
        needless |= _USER_DATA_STEPS - ({"keep-stack"} if accepted.variant == RECREATE else set())
    if flavour is None or not any(image.path for image in flavour.software_images().values()):
        needless |= _IMAGE_STEPS if vnf.has_images else {*_IMAGE_STEPS, "drop-images"}
    if accepted.operation not in RENEWING and not vnf.images_outdated:
        needless |= _IMAGE_STEPS
    if accepted.operation == "TERMINATE" and not vnf.has_images:
        needless |= {"delete-images"}
    return needless

"""How an operation begins: with its plan, and the intent of its first step."""

from __future__ import annotations

import msgspec
from forestay_events.aggregate import Context, Decision
from forestay_lcm.domain.connections import place_of
from forestay_lcm.domain.decisions.guards import lane_of
from forestay_lcm.domain.decisions.requested import USER_DATA, user_data
from forestay_lcm.domain.events import OperationStarted, StepIntended, VnfEvent, VnfInfoModified
from forestay_lcm.domain.plan import HOOKS, RECREATE, ROLLBACK_HOOKS, driver_of, plan
from forestay_lcm.domain.state import Vnf
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import KeyValuePairs, LcmOperation, ScaleInfo, VimConnectionInfo, VimConnections

_USER_DATA_STEPS = frozenset({"user-data", "user-data-rollback", "keep-stack"})
_IMAGE_STEPS = frozenset({"upload-images", "add-images"})


def start(
    vnf: Vnf,
    ctx: Context,
    operation: LcmOperation,
    request: msgspec.Struct,
    reason: str,
    *,
    flavour: Flavour | None,
    back: Flavour | None = None,
    variant: str | None = None,
    connections: VimConnections | None = None,
    scale_status: tuple[ScaleInfo, ...] = (),
    without: frozenset[str] = frozenset(),
    count: int = 0,
    modification: VnfInfoModified | None = None,
    vnfc_snapshots: dict[str, str] | None = None,
    nfvo: bool = False,
    automatic: bool = False,
) -> Decision[VnfEvent]:
    """
    :param request: as it is recorded.
    :param flavour: whose scripts run around the operation, and whose images it needs; ``None`` if there is none any more.
    :param back: whose scripts run around a rollback, if it is not the same.
    :param variant: key of the plan, when it is not the operation's only one.
    :param connections: those that the request adds or changes.
    :param count: how many VNFCs are worked on one by one.
    :param vnfc_snapshots: as of :class:`OperationStarted`.
    :param nfvo: as of :func:`place_of`.
    :param automatic: nobody has asked for it but a policy.
    :raises Rejected: 422, no driver can do it; 400, it names user data by halves, or a link in a VIM where the VNF is not.
    """
    params: KeyValuePairs | None = getattr(request, "additional_params", None)
    user_data(params)
    where = vnf.vim_connections | (connections or {})
    vim = _place(vnf, where, request, nfvo)
    hook, hooks = HOOKS[operation], frozenset(flavour.lcm_scripts if flavour else ())
    started = OperationStarted(
        op_id=ctx.new_id("operation"),
        operation=operation,
        params=msgspec.to_builtins(request),
        steps=plan(
            driver_of(vim.vim_type),
            variant or operation,
            without=without | _needless(vnf, variant or operation, flavour, params),
            hooks=hooks,
            hook=hook,
            count=count,
        ),
        lane=lane_of(vim),
        automatic=automatic,
        vim_connections=where if connections else {},
        scale_status=scale_status,
        hooks=tuple(sorted({hook + end for end in ROLLBACK_HOOKS} & (back.lcm_scripts.keys() if back else hooks))),
        modification=modification,
        vnfc_snapshots=vnfc_snapshots or {},
    )
    first = StepIntended(op_id=started.op_id, step=started.steps[0].name, attempt=1)
    return Decision([started, first], reason, correlation_id=started.op_id)


def driver(vnf: Vnf, connections: VimConnections, request: msgspec.Struct, *, nfvo: bool) -> str:
    """The driver of the VIM that resources are made on. :raises Rejected: 422, there is none for its type; as of ``start``."""
    return driver_of(_place(vnf, connections, request, nfvo).vim_type)


def _place(vnf: Vnf, connections: VimConnections, request: msgspec.Struct, nfvo: bool) -> VimConnectionInfo:
    return place_of(connections, vnf.instantiated_vnf_info, msgspec.to_builtins(request), nfvo=nfvo)


def _needless(vnf: Vnf, variant: str, flavour: Flavour | None, params: KeyValuePairs | None) -> frozenset[str]:
    """The kinds of steps that there is nothing to do for."""
    needless: frozenset[str] = frozenset()
    if USER_DATA[0] not in (params or {}):
        needless |= _USER_DATA_STEPS - ({"keep-stack"} if variant == RECREATE else set())
    if flavour is None or not any(image.path for image in flavour.software_images().values()):
        needless |= _IMAGE_STEPS if vnf.has_images else {*_IMAGE_STEPS, "drop-images"}
    if variant == "TERMINATE" and not vnf.has_images:
        needless |= {"delete-images"}
    return needless

"""From an operation in the log to the order that its steps work from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from forestay_events.errors import Permanent
from forestay_sol.vnfd import Flavour, Vnfd
from forestay_sol.vnflcm import (
    TASK_REQUESTS,
    ChangeCurrentVnfPkgRequest,
    ChangeVnfFlavourRequest,
    Grant,
    GrantRequest,
    InstantiateVnfRequest,
    TaskRequest,
    TerminateVnfRequest,
)

from forestay_lcm.adapters.openstack.job import Order
from forestay_lcm.domain.images import grant_of
from forestay_lcm.domain.state import Operation, Vnf

FindVnfd = Callable[[str], Awaitable[Vnfd]]


async def order_of(vnf: Vnf, operation: Operation, vnfd: FindVnfd, *, bit_rates: bool) -> Order | None:
    """The order of an operation, ``None`` when it needs none.

    :param vnfd: gives the VNFD of a vnfdId.
    :param bit_rates: whether those of virtual links are kept.
    """
    kind = TASK_REQUESTS.get(operation.operation)
    if kind is None or kind is TerminateVnfRequest:
        return None
    request: TaskRequest = msgspec.convert(operation.params, kind)
    present = await vnfd(vnf.vnfd_id)
    coming = await vnfd(request.vnfd_id) if isinstance(request, ChangeCurrentVnfPkgRequest) else present
    flavour = coming.flavour(_flavour_id(vnf, request))
    old_id = vnf.instantiated_vnf_info.flavour_id if vnf.instantiated_vnf_info else None
    old = present.flavour(old_id) if old_id else flavour
    grant_request, grant = _granted(vnf, operation)
    return Order(
        operation=operation.operation,
        request=request,
        flavour=flavour if bit_rates else without_bit_rates(flavour),
        old_flavour=None if old is flavour else old if bit_rates else without_bit_rates(old),
        grant_request=grant_request,
        grant=grant,
        scale_status=operation.scale_status,
        vnfc_snapshots=operation.vnfc_snapshots,
    )


def without_bit_rates(flavour: Flavour) -> Flavour:
    """A flavour whose virtual links have no maximum bit rates."""
    links = {name: msgspec.structs.replace(link, max_bitrate=None) for name, link in flavour.virtual_links.items()}
    return msgspec.structs.replace(flavour, virtual_links=links)


def _flavour_id(vnf: Vnf, request: TaskRequest) -> str:
    match request:
        case InstantiateVnfRequest():
            return request.flavour_id
        case ChangeVnfFlavourRequest():
            return request.new_flavour_id
        case _ if vnf.instantiated_vnf_info:
            return vnf.instantiated_vnf_info.flavour_id
        case _:
            raise Permanent(f"VNF instance {vnf.id} is not instantiated.")


def _granted(vnf: Vnf, operation: Operation) -> tuple[GrantRequest, Grant]:
    """What was granted; nothing, for an operation that asks for no grant."""
    if grant := grant_of(vnf, operation):
        return msgspec.convert(operation.results["grant"]["grant_request"], GrantRequest), grant
    asked = GrantRequest(
        vnf_instance_id=vnf.id,
        vnf_lcm_op_occ_id=operation.id,
        vnfd_id=vnf.vnfd_id,
        operation=operation.operation,
        is_automatic_invocation=operation.automatic,
    )
    return asked, Grant(id=operation.id, vnf_instance_id=vnf.id, vnf_lcm_op_occ_id=operation.id)

"""Taking steps as the engine does, and the orders of operations on a VNF that exists."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from forestay_lcm.adapters.openstack.clients.cloud import Cloud
from forestay_lcm.adapters.openstack.clients.neutron import Port
from forestay_lcm.adapters.openstack.job import Job, Order
from forestay_lcm.adapters.openstack.steps import take
from forestay_lcm.domain import local_nfvo
from forestay_lcm.domain.grants import (
    change_ext_conn_grant_request,
    change_flavour_grant_request,
    change_vnfpkg_grant_request,
    heal_grant_request,
    operate_grant_request,
    scale_grant_request,
    scale_to_level_grant_request,
)
from forestay_lcm.domain.plan import steps as plan_steps
from forestay_lcm.domain.state import Operation, StepRun
from forestay_lcm.executor import Again, Confirmed, Failed
from forestay_sol.vnfd import Flavour
from forestay_sol.vnflcm import (
    TASK_REQUESTS,
    Grant,
    GrantRequest,
    InstantiatedVnfInfo,
    LcmOperation,
    LcmOperationState,
    ScaleInfo,
)

from .conftest import asking, ext_cp, ext_link, numbers, order_of

VNF = "5f0b0f0c-7d35-4a6c-8f6e-0d8f0f3a1c11"


async def _pass() -> None:
    """A fence that lets everything through."""


def job(step: str, order: Order | None = None, **members: Any) -> Job:
    now = datetime.now(UTC)
    base = Job(
        vnf_id=VNF,
        op_id="op1",
        step=step,
        attempt=1,
        started_at=now,
        deadline=now + timedelta(minutes=5),
        connection_id="vim1",
        fence=_pass,
        order=order,
    )
    return msgspec.structs.replace(base, **members)


async def finish(cloud: Cloud, job: Job, patience: float = 10) -> Confirmed | Failed:
    """Take a step until it is decided, as the engine does, for at most ``patience`` seconds."""
    async with asyncio.timeout(patience):
        while isinstance(outcome := await take(cloud, job), Again):
            await asyncio.sleep(min(outcome.delay, patience / 500))
        return outcome


async def confirmed(cloud: Cloud, job: Job, patience: float = 10) -> dict[str, Any]:
    outcome = await finish(cloud, job, patience)
    assert isinstance(outcome, Confirmed), outcome
    return outcome.result


async def instantiate(cloud: Cloud, order: Order) -> tuple[InstantiatedVnfInfo, dict[str, Any]]:
    results = await carry_out(cloud, order, None, "create-stack", "await-stack", "read-back")
    return read(results), results


async def terminate(cloud: Cloud, **members: Any) -> Confirmed | Failed:
    deleted = await finish(cloud, job("delete-stack", **members))
    assert isinstance(deleted, Confirmed)
    return await finish(cloud, job("await-deleted", results={"delete-stack": deleted.result}, **members))


async def network(cloud: Cloud, name: str) -> dict[str, Any]:
    reply = await cloud.request("network", "GET", "/v2.0/networks", query={"name": name})
    return reply.body["networks"][0]


async def own_network(cloud: Cloud, cidr: str = "10.20.0.0/24") -> str:
    """A new network of the project with a subnet; gives its id."""
    network = {"network": {"name": "another"}}
    made = (await cloud.request("network", "POST", "/v2.0/networks", body=network)).body["network"]["id"]
    subnet = {"subnet": {"network_id": made, "ip_version": 4, "cidr": cidr}}
    await cloud.request("network", "POST", "/v2.0/subnets", body=subnet)
    return made


async def two_vdus_order(cloud: Cloud, flavour: Flavour) -> Order:
    private = await network(cloud, "private")
    cps = ext_cp("VDU1_CP1", fixed="10.10.0.77", subnet=private["subnets"][0]), ext_cp("VDU2_CP1")
    return order_of(flavour, extVirtualLinks=[ext_link(*cps, network=private["id"])])


async def asg_order(cloud: Cloud, flavour: Flavour) -> Order:
    link = ext_link(ext_cp("VDU1_CP1"), network=(await network(cloud, "private"))["id"])
    return order_of(flavour, extVirtualLinks=[link])


def operation(op_id: str, state: LcmOperationState, stack_id: str = "", undone: Sequence[str] = ()) -> Operation:
    """The latest operation of the VNF, with what its create-stack step has made or taken over, and what was undone by now."""
    now = datetime.now(UTC)
    run = StepRun(
        step=plan_steps(["create-stack"])[0],
        status="CONFIRMED" if stack_id else "FAILED",
        attempt=1,
        since=now,
        result={"stack_id": stack_id} if stack_id else {},
    )
    return Operation(
        id=op_id,
        operation="INSTANTIATE",
        state=state,
        state_entered=now,
        started=now,
        params={},
        lane="vim",
        plan=(run,),
        rollback=tuple(StepRun(step=step, status="CONFIRMED", attempt=1, since=now) for step in plan_steps(undone)),
    )


def order_for(
    operation: LcmOperation,
    info: InstantiatedVnfInfo,
    flavour: Flavour,
    *,
    old: Flavour | None = None,
    vdus: tuple[str, ...] = (),
    level: int | None = None,
    **request: Any,
) -> Order:
    """The order of an operation on a VNF that exists, granted by the embedded NFVO; ``request`` as on the wire.

    ``level`` is the scale level that it leads to.
    """
    wanted: Any = msgspec.convert(request, TASK_REQUESTS[operation])
    members: dict[str, Any] = {"flavour": flavour, "info": info, "request": wanted}
    asked: GrantRequest = {
        "SCALE": lambda: scale_grant_request(asking(), **members),
        "SCALE_TO_LEVEL": lambda: scale_to_level_grant_request(asking(), **members),
        "HEAL": lambda: heal_grant_request(asking(), **members),
        "CHANGE_EXT_CONN": lambda: change_ext_conn_grant_request(asking(), **members),
        "OPERATE": lambda: operate_grant_request(asking(), info=info, request=wanted),
        "CHANGE_FLAVOUR": lambda: change_flavour_grant_request(
            asking(), old=old or flavour, new=flavour, info=info, request=wanted
        ),
        "CHANGE_VNFPKG": lambda: change_vnfpkg_grant_request(
            asking(), info=info, dst_vnfd_id="vnfd2", flavour=flavour, vdu_ids=vdus
        ),
    }.get(operation, lambda: asking().request(operation))()
    grant: Grant = local_nfvo.answer(asked, new_id=numbers("g"), flavour=flavour)
    aspect = next(iter(flavour.scaling_aspects), "")
    return Order(
        operation=operation,
        request=wanted,
        flavour=flavour,
        old_flavour=old,
        grant_request=asked,
        grant=grant,
        scale_status=() if level is None else (ScaleInfo(aspect_id=aspect, scale_level=level),),
    )


async def carry_out(
    cloud: Cloud,
    order: Order | None,
    before: InstantiatedVnfInfo | None,
    *steps: str,
    patience: float = 10,
    **members: Any,
) -> dict[str, Any]:
    """Take steps one after the other; gives their results by name."""
    results: dict[str, Any] = dict(members.pop("results", {}))
    for step in steps:
        at = job(step, order, before=before, results=results, **members)
        results[step] = await confirmed(cloud, at, patience)
    return results


def read(results: dict[str, Any]) -> InstantiatedVnfInfo:
    """What the step ``read-back`` has read."""
    return msgspec.convert(results["read-back"]["instantiated_vnf_info"], InstantiatedVnfInfo)


async def ports_of(cloud: Cloud, servers: Iterable[str]) -> list[Port]:
    """The ports of servers."""
    return [port async for port in cloud.neutron.of("ports").where("device_id", servers, Port)]


def server_ids(info: InstantiatedVnfInfo) -> set[str]:
    return {vnfc.id for vnfc in info.vnfc_resource_info}

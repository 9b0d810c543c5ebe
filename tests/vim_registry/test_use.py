"""A VIM on which a VNF instance lives is protected; the facts come from the LCM service's own events."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from forestay_events.commit import Commit
from forestay_lcm.domain import events as lcm
from forestay_sol.vnflcm import VimConnectionInfo

from tests.vim_registry.conftest import Json, Server

Body = Callable[..., Json]
Happens = Callable[..., Awaitable[None]]


def instantiate(vim_id: str) -> lcm.OperationStarted:
    connection = VimConnectionInfo(vim_id=vim_id, vim_type="ETSINFV.OPENSTACK_KEYSTONE.V_3")
    return lcm.OperationStarted(
        op_id="op", operation="INSTANTIATE", params={}, steps=(), lane=vim_id, vim_connections={"vim1": connection}
    )


def terminate() -> lcm.OperationStarted:
    return lcm.OperationStarted(op_id="op2", operation="TERMINATE", params={}, steps=(), lane="x")


@pytest.fixture
def happens(server: Server) -> Happens:
    """Writes events of one VNF instance."""
    versions, vnf_id, last = itertools.count(1), str(uuid4()), [0]

    async def write(*events: Any, project: str = "default") -> None:
        commit = Commit(
            id=str(uuid4()), stream="LCM", kind="vnf", aggregate_id=vnf_id, version=next(versions),
            at=datetime.now(UTC), project=project, actor="test", reason="", events=lcm.CODEC.encode(events),
        )  # fmt: skip
        last[0] = (await server.platform.store.append(commit, after=last[0])).seq

    return write


async def in_use(server: Server, vim_id: str) -> bool:
    """Whether a change of the VIM's project is refused because of use; the change changes nothing."""
    project = (await server.ask("GET", f"/{vim_id}"))[1]["vim"]["vim_project"]
    status, content = await server.ask("PUT", f"/{vim_id}", json={"vim": {"vim_project": project}})
    assert (status, content.get("type")) in ((200, None), (409, "VimInUseException"))
    return status == 409


async def test_a_vim_is_in_use_from_instantiate_to_terminate(server: Server, vim: Body, happens: Happens) -> None:
    made = await server.register(vim())
    completed = lcm.OperationCompleted
    for events, used in (
        ((instantiate(made["id"]),), True),
        ((lcm.OperationProcessing(op_id="op"), completed(op_id="op", instantiation_state="INSTANTIATED")), True),
        ((terminate(),), True),
        ((lcm.OperationRolledBack(op_id="op2"),), True),
        ((terminate(),), True),
        ((completed(op_id="op2", instantiation_state="NOT_INSTANTIATED"),), False),
    ):
        await happens(*events)
        assert await in_use(server, made["id"]) is used, events
        if used:
            assert (await server.ask("PUT", f"/{made['id']}", json={"vim": {"description": "still"}}))[0] == 200
            assert await server.refused("DELETE", f"/{made['id']}") == (409, "VimInUseException")
    assert (await server.ask("DELETE", f"/{made['id']}"))[0] == 204


@pytest.mark.parametrize(
    "end",
    [
        [lcm.OperationRolledBack(op_id="op")],
        [lcm.OperationFailedTemp(op_id="op", error={}), lcm.OperationFailed(op_id="op")],
        [lcm.OperationRolledBack(op_id="op"), lcm.VnfDeleted()],
    ],
)
async def test_an_instantiation_that_came_to_nothing_leaves_no_use(
    server: Server, vim: Body, happens: Happens, end: list[Any]
) -> None:
    made = await server.register(vim())
    await happens(instantiate(made["id"]))
    assert await in_use(server, made["id"])
    await happens(*end)
    assert not await in_use(server, made["id"])


async def test_a_vnf_that_is_given_another_vim_uses_that_one(server: Server, vim: Body, happens: Happens) -> None:
    one, two = [await server.register(vim(name=name)) for name in ("one", "two")]
    await happens(instantiate(one["id"]), lcm.OperationCompleted(op_id="op", instantiation_state="INSTANTIATED"))
    connection = VimConnectionInfo(vim_id=two["id"], vim_type="ETSINFV.OPENSTACK_KEYSTONE.V_3")
    for modified, used in (
        (lcm.VnfInfoModified(name="edge"), (True, False)),
        (lcm.VnfInfoModified(vim_connections={"vim1": connection}), (False, True)),
    ):
        completed = lcm.OperationCompleted(op_id="op2", instantiation_state="INSTANTIATED")
        await happens(
            lcm.ModificationStarted(op_id="op2", operation="MODIFY_INFO", params={}, steps=(), lane="x"),
            modified,
            completed,
        )
        assert (await in_use(server, one["id"]), await in_use(server, two["id"])) == used
    await happens(terminate(), lcm.OperationRolledBack(op_id="op2"))
    assert await in_use(server, two["id"])


async def test_another_project_cannot_block_a_vim(server: Server, vim: Body, happens: Happens) -> None:
    made = await server.register(vim())
    await happens(instantiate(made["id"]), project="other")
    assert not await in_use(server, made["id"])

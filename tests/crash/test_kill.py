"""``kill -9`` of each process at each instant of an instantiate and of a terminate: nothing lost, nothing done twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from tests.crash.processes import ALL, Victim
from tests.crash.scenario import kill_at
from tests.crash.stage import Stage

pytestmark = [pytest.mark.crash, pytest.mark.asyncio(loop_scope="session")]

_VICTIMS: tuple[tuple[Victim, ...], ...] = (("api",), ("worker",), ("nats",), ("postgres",), ALL)

INSTANTIATE = (
    "api:commit.before",  # before the operation is in the log
    "api:commit.after",  # in the log, not answered
    "api:copy.before",  # in the log, not in the copy
    "api:outbox.before",  # in both, not on the queue
    "api:outbox.put",  # on the queue, still in the outbox
    "api:grant.done",  # before the intent of the stack
    "worker:create-stack.before",  # behind the intent
    "worker:create-stack.fenced",  # about to call Heat
    "worker:create-stack.done",  # Heat has acted, nobody knows
    "worker:create-stack.reported",  # confirmed, work not acknowledged
    "worker:await-stack.done",  # awaiting the stack
    "worker:read-back.before",
    "worker:read-back.done",
)
TERMINATE = (
    "api:commit.before",
    "api:commit.after",
    "api:grant.done",
    "worker:delete-stack.before",
    "worker:delete-stack.fenced",
    "worker:delete-stack.done",
    "worker:delete-stack.reported",
    "worker:await-deleted.done",
)


def _matrix(instants: Sequence[str]) -> pytest.MarkDecorator:
    """Each instant with each victim that is in its way: nobody works for a worker before the grant is given."""
    cases = [
        pytest.param(instant, victims, id=f"{instant}-{'all' if victims == ALL else victims[0]}")
        for instant in instants
        for victims in _VICTIMS
        if not (instant.startswith("api:") and victims == ("worker",))
    ]
    return pytest.mark.parametrize(("instant", "victims"), cases)


@_matrix(INSTANTIATE)
async def test_instantiate(
    stage: Stage, record_property: Callable[[str, object], None], instant: str, victims: tuple[Victim, ...]
) -> None:
    vnf_id = await stage.client.create(stage.vnfd_id)
    recovery = await kill_at(stage, vnf_id, "instantiate", instant, victims)
    record_property(f"instantiate {instant} {'+'.join(victims)}", f"{recovery:6.2f} s to recover")
    made = [stack for stack in await stage.site.simulator.stacks_created() if stack.stack_name.endswith(vnf_id)]
    assert len(made) == 1


@_matrix(TERMINATE)
async def test_terminate(
    stage: Stage, record_property: Callable[[str, object], None], instant: str, victims: tuple[Victim, ...]
) -> None:
    vnf_id = await stage.instantiated()
    [made] = [stack for stack in await stage.site.simulator.stacks_created() if stack.stack_name.endswith(vnf_id)]
    recovery = await kill_at(stage, vnf_id, "terminate", instant, victims)
    record_property(f"terminate {instant} {'+'.join(victims)}", f"{recovery:6.2f} s to recover")
    assert (await stage.site.simulator.stacks_deleted()).count(made.stack_id) == 1
    assert (await stage.client.show(vnf_id))["instantiationState"] == "NOT_INSTANTIATED"

"""A VNF of 500 VNFCs: what a worker reckons for it grows with their number, and holds up nobody else."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager

import pytest
from forestay_lcm.adapters.openstack.clients.cloud import Clouds
from forestay_lcm.adapters.openstack.read_back import instantiated_vnf_info
from forestay_lcm.adapters.openstack.steps.read import observe, recorded
from forestay_lcm.adapters.openstack.steps.rolling import change_in_top
from forestay_lcm.adapters.openstack.steps.stack import vnf_stack
from forestay_lcm.adapters.openstack.template.wanted import stack_after, stack_before
from forestay_simvim import OpenStackSimulator, SimConfig
from forestay_sol.vnfd import Flavour
from msgspec.structs import replace

from tests.lcm.openstack.conftest import asg, connection, ext_cp, ext_link, order_of
from tests.lcm.openstack.stepping import carry_out, job, network, order_for, read
from tests.lcm.openstack.test_vnfcs import flat, nested, on_volume

pytestmark = [pytest.mark.perf, pytest.mark.timeout(600)]

__all__ = ["asg"]

VNFCS, PATIENCE = 500, 120.0
HELD = 0.5
"""Seconds of work for which nobody else is served at most."""

MAKING = ("create-stack", "await-stack", "read-back")
CHANGING = ("update-stack", "await-update", "read-back")


@contextmanager
def simulated() -> Generator[OpenStackSimulator]:
    """A simulator with an event loop of its own."""
    started: Future[tuple[OpenStackSimulator, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        over = asyncio.Event()
        async with OpenStackSimulator(SimConfig()).serve() as sim:
            started.set_result((sim, asyncio.get_running_loop(), over))
            await over.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    sim, loop, over = started.result()
    yield sim
    loop.call_soon_threadsafe(over.set)
    thread.join()


@pytest.fixture(params=[flat, nested, None], ids=["flat", "nested", "no BaseHOT"])
def flavour(request: pytest.FixtureRequest, asg: Flavour) -> Flavour:
    """One VDU whose VNFCs are resources of their own."""
    return on_volume(replace(asg, affinity_rules=()), request.param and request.param())


def large(flavour: Flavour, vnfcs: int) -> Flavour:
    levels = {name: replace(at, vdu_counts={"VDU1": vnfcs}) for name, at in flavour.instantiation_levels.items()}
    return replace(flavour, instantiation_levels=levels)


@asynccontextmanager
async def heartbeats() -> AsyncGenerator[list[float]]:
    """The seconds that this thread has worked between the turns of its event loop."""
    turns: list[float] = []

    async def beat() -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0.01)
            turns.append(time.thread_time() - before)

    task = asyncio.create_task(beat())
    yield turns
    task.cancel()


def cost(reckon: Callable[[], object]) -> float:
    """The seconds that something takes which has no pause."""
    took: list[float] = []
    for _ in range(3):
        before = time.thread_time()
        reckon()
        took.append(time.thread_time() - before)
    return min(took)


async def measured(flavour: Flavour, vnfcs: int) -> tuple[dict[str, float], float]:
    """What each operation costs, and how long nobody else was served."""
    flavour = large(flavour, vnfcs)
    newer = replace(flavour, vdus={"VDU1": replace(flavour.vdus["VDU1"], requested_capability="m1.small")})
    labels = {f"VDU1-{at}": {"label": "front"} for at in range(vnfcs)}
    with simulated() as sim:
        async with Clouds() as clouds, heartbeats() as turns:
            cloud = clouds.cloud(connection(sim))
            link = ext_link(ext_cp("VDU1_CP1"), network=(await network(cloud, "mgmt"))["id"])
            order = order_of(flavour, extVirtualLinks=[link], additionalParams={"nfv": {"VDU": labels}})
            info = read(await carry_out(cloud, order, None, *MAKING, patience=PATIENCE))
            heal = order_for("HEAL", info, flavour)
            await carry_out(cloud, heal, info, *CHANGING, op_id="op2", patience=PATIENCE)
            update = order_for("CHANGE_VNFPKG", info, newer, old=flavour, vdus=("VDU1",), vnfdId="vnfd2")
            await carry_out(cloud, update, info, f"update-vnfc:{vnfcs - 1}", op_id="op3", patience=PATIENCE)
            stack = await vnf_stack(cloud, job("read-back", before=info))
            known = recorded(info, flavour, "vim1", await cloud.token())
            seen = await observe(cloud, stack, known)
    healing = job("update-stack", heal, before=info)
    last = job(f"update-vnfc:{vnfcs - 1}", update, before=info)
    return {
        "INSTANTIATE": cost(lambda: stack_after(job("create-stack", order))),
        "HEAL": cost(lambda: (stack_after(healing), stack_before(healing))),
        "update-vnfc": cost(lambda: change_in_top(last)),
        "read-back": cost(lambda: instantiated_vnf_info(seen, known)),
    }, max(turns)


async def test_the_work_grows_with_the_number_of_vnfcs(
    flavour: Flavour, record_property: Callable[[str, object], None]
) -> None:
    fourth, _ = await measured(flavour, VNFCS // 4)
    whole, held = await measured(flavour, VNFCS)
    told = ", ".join(
        f"{what} {seconds:.2f} s ({seconds / fourth[what]:.1f} of a fourth)" for what, seconds in whole.items()
    )
    record_property(f"{VNFCS} VNFCs", f"{told}; the event loop is held for {held:.2f} s")
    # Who goes through all the others for each takes sixteen times as long for four times as many.
    assert {what for what, seconds in whole.items() if seconds > 8 * fourth[what]} == set()
    assert held < HELD

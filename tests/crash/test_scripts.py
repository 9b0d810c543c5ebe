"""The worker for scripts of packages is killed, or sleeps, while it has one: the script runs again, its outcome counts once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from forestay_events.worker import ACK_WAIT

from tests.crash.checker import check
from tests.crash.processes import Process, first_held, until
from tests.crash.repertoire import Repertoire
from tests.scripts.reporting import Gate

pytestmark = [pytest.mark.crash, pytest.mark.asyncio(loop_scope="session")]


def descendants(pid: int) -> set[int]:
    """The processes below a process."""
    children = {int(name) for file in Path(f"/proc/{pid}/task").glob("*/children") for name in file.read_text().split()}
    return children.union(*(descendants(child) for child in children))


@pytest_asyncio.fixture(loop_scope="session")
async def workers(repertoire: Repertoire) -> AsyncIterator[tuple[Process, Process]]:
    site = repertoire.stage.site
    site.scripts_rival.start()
    await site.scripts_rival.ready()
    yield site.scripts, site.scripts_rival
    site.scripts_rival.kill()


async def test_killed_while_a_script_runs(repertoire: Repertoire) -> None:
    """Its sandboxes die with it; the script runs anew."""
    stage, gate = repertoire.stage, Gate()
    worker = stage.site.scripts
    repertoire.listener.gates["instantiate_start"] = gate
    vnf_id = await repertoire.create()
    op_id = await stage.client.start(vnf_id, "instantiate", stage.instantiate)
    await asyncio.wait_for(gate.reached.wait(), 60)
    below = descendants(worker.pid)
    assert below, "the sandbox of a script is a process below the worker"
    worker.kill()
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below), "no process of a sandbox is left")
    gate.open.set()
    worker.start()
    assert (await stage.client.ended(op_id))["operationState"] == "COMPLETED"
    assert repertoire.listener.hooks == ["instantiate_start", "instantiate_start", "instantiate_end"]
    await stage.site.healthy()
    await check(stage.site, stage.client, vnf_id)


async def test_scripts_wait_for_a_worker(repertoire: Repertoire) -> None:
    """A modification and a termination were asked for while there was none."""
    stage, vnf_id = repertoire.stage, await repertoire.instantiated()
    stage.site.scripts.kill()
    await stage.client.send("PATCH", f"/vnflcm/v2/vnf_instances/{vnf_id}", {"vnfInstanceName": "renamed"})
    [*_, modify] = await stage.client.op_occs(vnf_id)
    assert (modify["operation"], modify["operationState"]) == ("MODIFY_INFO", "PROCESSING")
    stage.site.scripts.start()
    assert (await stage.client.ended(modify["id"]))["operationState"] == "COMPLETED"
    assert (await stage.client.show(vnf_id))["vnfInstanceName"] == "renamed"
    await stage.client.operate(vnf_id, "terminate", stage.terminate)
    assert repertoire.listener.hooks == ["modify_information_start", "modify_information_end", "terminate_start"]
    await stage.site.healthy()
    await check(stage.site, stage.client, vnf_id)


@pytest.mark.parametrize("failpoint", ["script.fenced", "script.done", "script.reported"])
async def test_one_that_sleeps_does_no_harm(
    repertoire: Repertoire, workers: tuple[Process, Process], failpoint: str
) -> None:
    """Its script is given to the other one, which ends the operation; what it says when it wakes is too late.

    A script that was about to begin is ended at the worker's first look behind its sleep. Until then it may make its call.
    """
    stage, vnf_id = repertoire.stage, await repertoire.create()
    sleeper, op_id = await first_held(workers, failpoint, stage.client.start(vnf_id, "instantiate", stage.instantiate))
    op_occ = await stage.client.ended(op_id)
    assert op_occ["operationState"] == "COMPLETED", op_occ
    if failpoint == "script.reported":
        await asyncio.sleep(ACK_WAIT)
    heard, logged = len(repertoire.listener.seen), sleeper.log_file.stat().st_size
    sleeper.resume()
    if failpoint != "script.reported":
        await until(lambda: b'"step.' in sleeper.log_file.read_bytes()[logged:], "it is through with the step")
    await asyncio.sleep(1.5)
    late = repertoire.listener.hooks[heard:]
    assert late == [] or (failpoint, late) == ("script.fenced", ["instantiate_start"]), "only what it was about to do"
    await check(stage.site, stage.client, vnf_id)

"""One of the two stores loses everything in the middle of an operation: it is made anew from the other, and all goes on."""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable

import asyncpg
import pytest
from forestay_standalone.rest import Refused

from tests.crash.checker import check
from tests.crash.processes import ALL, Site, until
from tests.crash.scenario import LIMIT
from tests.crash.stage import Stage

pytestmark = [pytest.mark.crash, pytest.mark.asyncio(loop_scope="session")]

INSTANTS = ["api:outbox.before", "worker:create-stack.fenced", "worker:create-stack.done", "worker:read-back.before"]


async def _forestay(site: Site, *command: str) -> str:
    """What a ``forestay`` command says. :raises AssertionError: it failed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "forestay_standalone.cli", *command, "--data-dir", str(site.directory),
        "--nats-url", site.nats.url, "--database-url", site.postgres.dsn,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text
    return text


async def _stopped_at(stage: Stage, vnf_id: str, instant: str) -> str:
    """Instantiate until ``instant``, then kill everything; gives the id of the operation."""
    owner, _, failpoint = instant.partition(":")
    held = getattr(stage.site, owner)
    held.arm(failpoint)
    op_id = await stage.client.start(vnf_id, "instantiate", stage.instantiate)
    await until(lambda: held.held, f"{instant} is reached")
    stage.site.packages.kill()
    await stage.site.kill(*ALL)
    return op_id


async def _completed(stage: Stage, vnf_id: str, op_id: str) -> float:
    """Start the services again and see the operation COMPLETED; gives the seconds that it took."""
    stage.site.packages.start()
    await stage.site.restart("api", "worker")
    back = time.monotonic()
    op_occ = await stage.client.ended(op_id)
    recovery = time.monotonic() - back
    assert op_occ["operationState"] == "COMPLETED", op_occ
    await stage.site.healthy()
    await check(stage.site, stage.client, vnf_id)
    assert recovery < LIMIT
    return recovery


@pytest.mark.parametrize("instant", INSTANTS)
async def test_the_log_is_lost(new_stage: Stage, record_property: Callable[[str, object], None], instant: str) -> None:
    stage, site = new_stage, new_stage.site
    before = await stage.instantiated()
    vnf_id = await stage.client.create(stage.vnfd_id)
    op_id = await _stopped_at(stage, vnf_id, instant)
    shutil.rmtree(site.nats.directory / "jetstream")
    await site.restart("nats", "postgres")
    for service in (site.api, site.packages):
        said = service.log_file.stat().st_size
        service.start()
        await until(lambda: not service.alive, f"{service.name} refuses to start")  # noqa: B023 - called before it changes
        assert "forestay log restore" in service.log_file.read_text()[said:]
    said = await _forestay(site, "log", "restore")
    assert "LCM: " in said
    recovery = await _completed(stage, vnf_id, op_id)
    record_property(f"instantiate {instant} log restored", f"{recovery:6.2f} s to recover")
    await check(site, stage.client, before, vnf_id)


async def test_nobody_writes_into_a_log_that_was_lost(new_stage: Stage) -> None:
    """The API lives on while NATS loses everything, and a worker that starts meanwhile makes the streams anew, empty."""
    stage, site = new_stage, new_stage.site
    vnf_id = await stage.instantiated()
    await site.kill("nats", "worker")
    shutil.rmtree(site.nats.directory / "jetstream")
    await site.restart("nats", "worker")
    await until(lambda: not site.worker.alive, "the worker refuses to start")
    with pytest.raises(Refused, match="forestay log restore") as refused:
        await stage.client.api.send("POST", "/vnflcm/v2/vnf_instances", {"vnfdId": stage.vnfd_id})
    assert refused.value.status >= 500
    site.api.kill()
    site.packages.kill()
    await _forestay(site, "log", "restore")
    site.packages.start()
    await site.restart("api", "worker")
    await site.healthy()
    await stage.client.operate(vnf_id, "terminate", stage.terminate)
    await check(site, stage.client, vnf_id)


@pytest.mark.parametrize("instant", INSTANTS)
async def test_the_copy_is_lost(new_stage: Stage, record_property: Callable[[str, object], None], instant: str) -> None:
    stage, site = new_stage, new_stage.site
    before = await stage.instantiated()
    vnf_id = await stage.client.create(stage.vnfd_id)
    op_id = await _stopped_at(stage, vnf_id, instant)
    await site.restart("nats", "postgres")
    connection = await asyncpg.connect(site.postgres.dsn)
    await connection.execute("DROP SCHEMA lcm CASCADE")
    await connection.close()
    assert "lcm: rebuilt" in await _forestay(site, "log", "rebuild")
    recovery = await _completed(stage, vnf_id, op_id)
    record_property(f"instantiate {instant} copy rebuilt", f"{recovery:6.2f} s to recover")
    await check(site, stage.client, before, vnf_id)

"""Each service as a process of its own on its own port: the main job goes through all of them, and each says how it is."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from forestay_simvim import OpenStackSimulator
from forestay_standalone.embedded import EmbeddedNats
from forestay_standalone.embedded.privileges import ends_with_us
from forestay_standalone.rest import RestApi

from tests.flow.cloud import TestCloud
from tests.flow.scenario import SAMPLES, create, instantiate_body, operate
from tests.scripts.packages import onboarded, variant

COMMANDS = {
    "package-mgmt": ["forestay_package_mgmt"],
    "vim-registry": ["forestay_vim_registry"],
    "lcm": ["forestay_lcm"],
    "openstack-worker": ["forestay_lcm", "openstack-worker"],
    "scripts-worker": ["forestay_lcm", "scripts-worker"],
    "monitor": ["forestay_monitor"],
    "policy": ["forestay_policy"],
}

#: What each must be able to say about itself, besides its two servers.
CHECKED = {
    "package-mgmt": {"package-mgmt.projector", "package-mgmt.usage"},
    "vim-registry": {"vim-registry.projector-VIM", "vim-registry.projector-LCM"},
    "lcm": {"lcm.projector-LCM", "lcm.projector-PKG", "lcm.projector-VIM"},
    "openstack-worker": set[str](),
    "scripts-worker": set[str](),
    "monitor": {"monitor.projector-MON", "monitor.projector-LCM", "monitor.projector-VIM"},
    "policy": {"policy.projector-POL", "policy.projector-MON"},
}

#: A metric of the work that each does in the main job.
MEASURED = {
    "package-mgmt": 'forestay_work_done_total{queue="onboarding"}',
    "vim-registry": 'forestay_log_appends_total{stream="VIM"}',
    "lcm": 'forestay_log_appends_total{stream="LCM"}',
    "openstack-worker": 'forestay_work_done_total{queue="openstack"}',
    "scripts-worker": 'forestay_work_done_total{queue="scripts"}',
    "monitor": 'forestay_projection_position{projection="mon<-LCM"}',
    "policy": 'forestay_projection_stopped{projection="pol<-MON"}',
}


@dataclass
class Running:
    """A process that was started."""

    name: str
    process: subprocess.Popen[bytes]
    url: str
    output: Path

    async def get(self, path: str) -> tuple[int, str]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}{path}") as response:
            return response.status, await response.text()

    async def ready(self, patience: float = 100) -> None:
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.output.read_text()
            try:
                if (await self.get("/health/ready"))[0] == 200:
                    return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
        raise AssertionError(self.output.read_text())


@asynccontextmanager
async def running(name: str, environment: dict[str, str], directory: Path) -> AsyncGenerator[Running]:
    """Start the process, and end it as an operator does."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    output = directory / f"{name}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(  # noqa: ASYNC220 - starting it takes no time
            [*ends_with_us(signal.SIGKILL), sys.executable, "-m", *COMMANDS[name]],
            env={**os.environ, **environment, "FORESTAY_LISTEN_PORT": str(port)}, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield Running(name, process, f"http://127.0.0.1:{port}", output)
        process.terminate()
        assert process.wait(timeout=60) == 0, output.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.fixture
async def services(
    nats_server: EmbeddedNats, database: str, tmp_data_dir: Path, tmp_path: Path
) -> AsyncIterator[dict[str, Running]]:
    environment = {
        "FORESTAY_NATS_URL": nats_server.url,
        "FORESTAY_DATABASE_URL": database,
        "FORESTAY_DATA_DIR": str(tmp_data_dir),
        "FORESTAY_LOG_FORMAT": "json",
    }
    async with AsyncExitStack() as stack:
        started = {name: await stack.enter_async_context(running(name, environment, tmp_path)) for name in COMMANDS}
        for service in started.values():
            await service.ready()
        yield started


async def test_the_main_job_through_separate_processes(services: dict[str, Running], tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(OpenStackSimulator().serve())

        async def api(name: str, version: str = "2.0.0") -> RestApi:
            session = aiohttp.ClientSession(services[name].url, headers={"Version": version})
            return RestApi(await stack.enter_async_context(session))

        cloud = TestCloud(simulator.auth_url, "demo", "demo-secret", "demo")
        vims, packages, lcm = await api("vim-registry"), await api("package-mgmt"), await api("lcm")
        vim = (await vims.send("POST", "/v1.0/vims", cloud.vim()))["vim"]
        csar = variant(tmp_path, SAMPLES[1].name, name="hooked", hooks={"instantiate_end": "pass"})
        package = await onboarded(packages, csar)
        vnf = await create(lcm, package["vnfdId"])
        operation = await operate(lcm, vnf, "instantiate", await instantiate_body(cloud, SAMPLES[1]))
        assert operation["operationState"] == "COMPLETED", operation
        await packages.until(f"/vnfpkgm/v1/vnf_packages/{package['id']}", "usageState", {"IN_USE"}, set())
        for path, other in ((f"/v1.0/vims/{vim['id']}", vims), (f"/vnfpkgm/v1/vnf_packages/{package['id']}", packages)):
            with pytest.raises(Exception, match="409"):
                await other.send("DELETE", path)
        operation = await operate(lcm, vnf, "terminate", {"terminationType": "FORCEFUL"})
        assert operation["operationState"] == "COMPLETED", operation
        assert await cloud.leftovers() == []
        assert await (await api("monitor", "1.3.0")).list("/vnffm/v1/alarms") == []
        assert await (await api("policy")).list("/policy/v1/policies") == []
    for name, service in services.items():
        status, health = await service.get("/health/ready")
        assert status == 200
        assert {f'"{each}":"ok"' for each in CHECKED[name] | {"nats", "postgresql"}} <= set(
            health.partition('"components":{')[2].rstrip("}").split(",")
        ), (name, health)
        assert (await service.get("/health/live"))[0] == 200
        metrics = dict(
            line.rsplit(" ", 1) for line in (await service.get("/metrics"))[1].splitlines() if line[0] != "#"
        )
        assert float(metrics[MEASURED[name]]) > 0 or name == "policy", name
        assert any(line.startswith("forestay_http_request_duration_seconds_count") for line in metrics), name
        assert (await service.get("/nothing"))[0] == 404
        assert '"level":"error"' not in service.output.read_text(), service.output.read_text()

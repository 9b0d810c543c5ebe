"""Interruptions: the service stops, is killed, loses its queue, meets a package that kills its reader."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import os
import sys
import time
import zipfile
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from forestay_events.platform import Platform, utc_now
from forestay_package_mgmt.settings import Settings
from forestay_standalone.embedded import EmbeddedNats

from tests.package_mgmt.service.conftest import ROOT, Json, Serve


async def test_stopped_between_stored_and_onboarded_it_goes_on(serve: Serve, asg: bytes) -> None:
    async with serve(without={"onboarding"}) as server:
        package_id = await server.create()
        assert await server.upload(package_id, asg) == 202
        await asyncio.sleep(0.2)
        assert (await server.show(package_id))["onboardingState"] == "PROCESSING"
    async with serve() as server:
        assert (await server.settled(package_id))["onboardingState"] == "ONBOARDED"


async def test_stopped_while_it_reads_it_reads_again(serve: Serve, asg: bytes) -> None:
    async with serve() as server:
        package_id = await server.create()
        assert await server.upload(package_id, asg) == 202
        async with asyncio.timeout(60):
            while not _readers(os.getpid()):
                await asyncio.sleep(0.005)
    assert _readers(os.getpid()) == []
    async with serve() as server:
        assert (await server.settled(package_id))["onboardingState"] == "ONBOARDED"


async def test_a_package_that_kills_its_reader_is_given_up(
    serve: Serve, asg: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = tmp_path / "killed"
    killed.write_text("#!/bin/sh\nkill -KILL $$\n")
    killed.chmod(0o700)

    async with serve() as server:
        package_id = await server.create()
        monkeypatch.setattr(sys, "executable", str(killed))
        assert await server.upload(package_id, asg) == 202
        info = await server.settled(package_id)
        monkeypatch.undo()
        failure = info["onboardingFailureDetails"]
        assert (failure["rule"], "ended with code -9" in failure["detail"]) == ("given-up", True)
        assert await server.platform.store.head("DEAD") == 1
        assert (await server.onboard(asg))["onboardingState"] == "ONBOARDED", "others go on"


async def test_reading_has_an_end(serve: Serve, asg: bytes) -> None:
    async with serve(Settings(package_reading_time=0.01)) as server:
        package_id = await server.create()
        assert await server.upload(package_id, asg) == 202
        failure = (await server.settled(package_id))["onboardingFailureDetails"]
        assert (failure["rule"], "longer than 0.01 seconds" in failure["detail"]) == ("given-up", True)


async def test_lost_content_is_told(serve: Serve, asg: bytes) -> None:
    async with serve(without={"onboarding"}) as server:
        package_id = await server.create()
        assert await server.upload(package_id, asg) == 202
        for digest in await server.blobs():
            await server.platform.blobs.delete(digest)
    async with serve() as server:
        failure = (await server.settled(package_id))["onboardingFailureDetails"]
        assert "Upload the content again" in failure["detail"]
        assert await server.upload(package_id, asg) == 202
        assert (await server.settled(package_id))["onboardingState"] == "ONBOARDED"


async def test_work_that_the_queue_lost_is_put_again(serve: Serve, asg: bytes) -> None:
    async with serve(without={"onboarding"}) as server:
        package_id = await server.create()
        assert await server.upload(package_id, asg) == 202
        await _until_queued(server.platform)
        await server.platform.nats.js.purge_stream("WORK")
    async with serve(clock=lambda: utc_now() + timedelta(minutes=2)) as server:
        assert (await server.settled(package_id))["onboardingState"] == "ONBOARDED"


async def test_orphaned_blobs_are_swept(serve: Serve, asg: bytes, two_vdus: bytes) -> None:
    async with serve(without={"sweep"}) as server:
        info = await server.onboard(asg)
        kept = await server.blobs()
        for content in (two_vdus, b"young"):
            async with server.platform.blobs.writer(limit=1 << 20) as writer:
                await writer.write(content)
                young = (await writer.commit()).digest
        long_ago = time.time() - 7200
        for digest in await server.blobs() - {young}:
            os.utime(await server.platform.blobs.path(digest), (long_ago, long_ago))
    async with serve() as server:
        async with asyncio.timeout(60):
            while len(await server.blobs()) > 2:
                await asyncio.sleep(0.02)
        assert await server.blobs() == kept | {young}
        assert (await server.show(info["id"]))["onboardingState"] == "ONBOARDED"


async def test_a_content_that_could_not_be_deleted_at_once_goes_soon(serve: Serve, database: str) -> None:
    """The database breaks off while a refused content waits to be deleted; the sweep would take an hour."""
    async with serve() as server:
        package_id = await server.create()
        storing = await asyncpg.connect(database)
        await storing.execute("SELECT pg_advisory_lock_shared(hashtext('forestay package contents'))")
        assert await server.upload(package_id, b"no zip") == 202
        async with asyncio.timeout(60):
            while not await storing.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_database ON database = pg_database.oid"
                " WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()"
            ):
                await asyncio.sleep(0.05)
        assert len(await server.blobs()) == 1
        await storing.close()
        async with asyncio.timeout(60):
            while await server.blobs():
                await asyncio.sleep(0.05)


async def test_nothing_is_swept_for_an_empty_log(serve: Serve) -> None:
    async with serve(without={"sweep"}) as server, server.platform.blobs.writer(limit=10) as writer:
        await writer.write(b"precious")
        kept = {(await writer.commit()).digest}
    async with serve(Settings(package_orphan_age=0)) as server:
        await asyncio.sleep(0.3)
        assert await server.blobs() == kept
        await server.create()
    async with serve(Settings(package_orphan_age=0)) as server, asyncio.timeout(60):
        while await server.blobs():
            await asyncio.sleep(0.02)


@pytest.mark.crash
@pytest.mark.parametrize("after", [0.0, 0.15, 0.3, 0.45])
async def test_killed_at_any_point_it_ends_onboarded(process: Process, asg: bytes, after: float) -> None:
    async with process.running() as running:
        package_id = await running.create()
        assert await running.upload(package_id, asg) == 202
        await asyncio.sleep(after)
        running.kill()
    async with process.running() as running:
        assert (await running.settled(package_id))["onboardingState"] == "ONBOARDED"


async def test_a_large_package_passes_through_a_small_process(process: Process, asg: bytes) -> None:
    size = 200 << 20
    csar = _with_image(asg, size)
    async with process.running() as running:
        package_id = await running.create()
        await running.show(package_id)
        before = running.peak()
        started = time.perf_counter()
        assert await running.upload(package_id, csar) == 202
        accepted = time.perf_counter() - started
        assert (await running.settled(package_id, within=60))["onboardingState"] == "ONBOARDED"
        received = 0
        async with running.http.get(f"{ROOT}/{package_id}/artifacts/Files/image.bin") as response:
            async for chunk in response.content.iter_chunked(1 << 20):
                received += len(chunk)
        assert received == size
        assert running.peak() - before < 64 << 20, f"grew from {before} to {running.peak()} bytes"
        assert accepted < 90


@dataclasses.dataclass(frozen=True)
class Running:
    """The service in a process of its own."""

    http: aiohttp.ClientSession
    child: asyncio.subprocess.Process

    async def create(self) -> str:
        async with self.http.post(ROOT, json={}) as response:
            return (await response.json())["id"]

    async def upload(self, package_id: str, content: bytes) -> int:
        path, headers = f"{ROOT}/{package_id}/package_content", {"Content-Type": "application/zip"}
        async with self.http.put(path, data=io.BytesIO(content), headers=headers) as response:
            return response.status

    async def show(self, package_id: str) -> Json:
        async with self.http.get(f"{ROOT}/{package_id}") as response:
            return await response.json()

    async def settled(self, package_id: str, *, within: float = 60.0) -> Json:
        async with asyncio.timeout(within):
            while (info := await self.show(package_id)).get("onboardingState") in ("PROCESSING", None):
                await asyncio.sleep(0.05)
        return info

    def kill(self) -> None:
        self.child.kill()

    def peak(self) -> int:
        """The most memory that the process ever had, in bytes."""
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10


@dataclasses.dataclass(frozen=True)
class Process:
    """Starts ``python -m forestay_package_mgmt`` on the test's servers, again and again."""

    environment: dict[str, str]

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[Running]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "forestay_package_mgmt", env=os.environ | self.environment
        )
        url = f"http://127.0.0.1:{self.environment['FORESTAY_LISTEN_PORT']}"
        try:
            async with aiohttp.ClientSession(url) as http:
                await _until_ready(http)
                yield Running(http, child)
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()


@pytest.fixture
def process(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path, unused_tcp_port: int) -> Process:
    """The service as a process."""
    return Process(
        {
            "FORESTAY_NATS_URL": nats_server.url,
            "FORESTAY_DATABASE_URL": database,
            "FORESTAY_DATA_DIR": str(tmp_data_dir),
            "FORESTAY_LISTEN_PORT": str(unused_tcp_port),
        }
    )


async def _until_ready(http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                async with http.get("/health/ready") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


async def _until_queued(platform: Platform) -> None:
    async with asyncio.timeout(60):
        while (await platform.nats.js.stream_info("WORK")).state.messages == 0:
            await asyncio.sleep(0.02)


def _readers(parent: int) -> list[int]:
    """The reading processes that are children of ``parent``."""
    found: list[int] = []
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            try:
                is_child = f"\nPPid:\t{parent}\n" in (directory / "status").read_text()
                if is_child and b"forestay_csar.apart" in (directory / "cmdline").read_bytes():
                    found.append(int(directory.name))
            except OSError:
                continue
    return found


def _with_image(csar: bytes, size: int) -> bytes:
    out = io.BytesIO(csar)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_STORED) as package:
        package.writestr("Files/image.bin", os.urandom(1 << 20) * (size >> 20))
    return out.getvalue()

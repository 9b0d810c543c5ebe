"""A VNF package of 2 GiB comes in, is judged and goes out again: in little memory, and not much slower than any copy."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import time
import zipfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from forestay_standalone.embedded import EmbeddedNats

from tests.crash.processes import Process

pytestmark = [pytest.mark.perf, pytest.mark.timeout(600)]

SIZE = 2 << 30
CHUNK = 1 << 20
MEMORY = 200 << 20
SAMPLE = Path(__file__).parents[1] / "packages" / "sample-asg"
PACKAGES, VERSION = "/vnfpkgm/v2/vnf_packages", {"Version": "2.4.0"}


def _package(path: Path) -> Path:
    """The sample with an image of ``SIZE`` bytes, stored, with the digest of every file in its manifest."""
    block = os.urandom(CHUNK)
    image = hashlib.sha256()
    files = sorted(each for each in SAMPLE.rglob("*") if each.is_file())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as csar:
        with csar.open("Files/image.bin", "w", force_zip64=True) as member:
            for _ in range(SIZE // CHUNK):
                image.update(block)
                member.write(block)
        entries = [("Files/image.bin", image.hexdigest())]
        for each in files:
            name, content = each.relative_to(SAMPLE).as_posix(), each.read_bytes()
            if not name.endswith(".mf"):
                csar.writestr(name, content)
                entries.append((name, hashlib.sha256(content).hexdigest()))
        [manifest] = [each for each in files if each.suffix == ".mf"]
        text = "".join(f"\nSource: {name}\nAlgorithm: SHA-256\nHash: {digest}\n" for name, digest in entries)
        csar.writestr(manifest.name, manifest.read_text() + text)
    return path


def _copied(source: Path, target: Path) -> float:
    """Seconds that it takes to copy a file to the disk and to compute the digests that are kept of a package."""
    begin, digests = time.perf_counter(), (hashlib.sha256(), hashlib.sha512())
    with source.open("rb") as read, target.open("wb") as write:
        while chunk := read.read(CHUNK):
            for digest in digests:
                digest.update(chunk)
            write.write(chunk)
        write.flush()
        os.fsync(write.fileno())
    target.unlink()
    return time.perf_counter() - begin


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            yield chunk


def _peak(pid: int) -> int:
    """The most memory that a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) << 10


def _peaks(pid: int) -> list[int]:
    """Those of the children of a process: packages are judged in one."""
    found: list[int] = []
    for child in Path(f"/proc/{pid}/task").glob("*/children"):
        for number in child.read_text().split():
            try:
                found.append(_peak(int(number)))
            except (OSError, StopIteration):
                continue
    return found


async def test_two_gibibytes(
    nats_server: EmbeddedNats, database: str, tmp_data_dir: Path, record_property: Callable[[str, object], None]
) -> None:
    if shutil.disk_usage(tmp_data_dir).free < 4 * SIZE:
        pytest.skip("needs 8 GiB of free disk")
    csar = await asyncio.to_thread(_package, tmp_data_dir / "large.zip")
    copying = min([await asyncio.to_thread(_copied, csar, tmp_data_dir / "copy") for _ in range(2)])
    environment = {
        "FORESTAY_NATS_URL": nats_server.url,
        "FORESTAY_DATABASE_URL": database,
        "FORESTAY_DATA_DIR": str(tmp_data_dir),
    }
    process = Process("service", ["forestay_package_mgmt"], environment, tmp_data_dir)
    try:
        process.start()
        await process.ready()
        took, judging = await _through(process, csar)
        peak = _peak(process.pid)
    finally:
        process.kill()
    for what, seconds in took.items():
        record_property(f"2 GiB: {what}", f"{seconds:6.2f} s, {seconds / copying:4.2f} of copying and hashing it")
    record_property("2 GiB: memory", f"{peak >> 20} MiB in the service, {judging >> 20} MiB where it is judged")
    assert peak < MEMORY
    assert judging < MEMORY
    assert max(took.values()) < 2 * copying


async def _through(process: Process, csar: Path) -> tuple[dict[str, float], int]:
    """Seconds of each step, and the memory of the process that judges."""
    took: dict[str, float] = {}
    judging = 0
    async with aiohttp.ClientSession(process.url, headers=VERSION, timeout=aiohttp.ClientTimeout(total=None)) as http:
        async with http.post(PACKAGES, json={}) as response:
            path = f"{PACKAGES}/{(await response.json())['id']}"
        content, begin = f"{path}/package_content", time.perf_counter()
        async with http.put(content, data=_pieces(csar), headers={"Content-Type": "application/zip"}) as response:
            assert response.status == 202
        took["upload"], begin = time.perf_counter() - begin, time.perf_counter()
        state = "PROCESSING"
        while state == "PROCESSING":
            judging = max([judging, *_peaks(process.pid)])
            await asyncio.sleep(0.05)
            async with http.get(path) as response:
                state = (await response.json())["onboardingState"]
        assert state == "ONBOARDED"
        took["onboarding"], begin = time.perf_counter() - begin, time.perf_counter()
        received = 0
        async with http.get(content) as response:
            async for chunk in response.content.iter_any():
                received += len(chunk)
        took["download"] = time.perf_counter() - begin
        assert received == (await asyncio.to_thread(csar.stat)).st_size
    return took, judging

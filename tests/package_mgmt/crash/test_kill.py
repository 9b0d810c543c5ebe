"""``kill -9`` at each instant of an upload and an onboarding: ONBOARDED, or to be uploaded again; no blob without its event."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from forestay_standalone.embedded import EmbeddedNats

from tests.crash.processes import Process, until
from tests.package_mgmt.service.conftest import asg
from tests.package_mgmt.v2.conftest import PACKAGES, VERSION
from tests.package_mgmt.v2.origin import origin
from tests.package_mgmt.v2.test_external import DIGEST, LICENCE, package_with

__all__ = ["asg"]

pytestmark = pytest.mark.crash

QUEUED = (
    "outbox.before",  # in the log and its copy, not on the queue
    "outbox.put",  # on the queue, still in the outbox
)
ONBOARDING = (
    "onboarding.read",  # judged, nobody knows
    "onboarding.claimed",  # the VNFD id is claimed
)
SENT = {
    "commit.before": "CREATED",  # nothing has happened
    "commit.after": "ERROR",  # begun, nothing received
    "copy.before": "ERROR",  # begun, and the read model does not know
    "content.stored": "ERROR",  # the blob is there, no event names it
    "upload.recorded": "ONBOARDED",  # in the log, not answered
} | dict.fromkeys((*QUEUED, *ONBOARDING), "ONBOARDED")
FETCHED = (
    "commit.after",
    "copy.before",
    *QUEUED,
    "upload.begin",
    "upload.underway",
    "content.stored",
    *ONBOARDING,
)


class Site:
    """The service as a process, and a client that expects it to die."""

    def __init__(self, environment: dict[str, str], directory: Path) -> None:
        self.environment = environment
        self.directory = directory
        self.data = Path(environment["FORESTAY_DATA_DIR"])
        self.process = self.another("service")

    def another(self, name: str, **more: str) -> Process:
        """One more process on the same servers, not started."""
        return Process(name, ["forestay_package_mgmt"], self.environment | more, self.directory)

    async def start(self) -> None:
        self.process.start()
        await self.process.ready()

    async def killed_at(self, instant: str, act: Callable[[], Awaitable[Any]]) -> None:
        """Have the process killed when it comes to an instant of what an act leads to; start it again."""
        self.process.arm(instant)
        acting = asyncio.create_task(self._suffer(act))
        await until(lambda: self.process.held, f"{instant} is reached")
        self.process.kill()
        await acting
        await self.start()

    async def _suffer(self, act: Callable[[], Awaitable[Any]]) -> None:
        with suppress(aiohttp.ClientError):
            await act()

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        async with (
            aiohttp.ClientSession(self.process.url, headers=VERSION) as http,
            http.request(method, path, **options) as response,
        ):
            assert response.status < 300, await response.text()
            return await response.json() if response.content_type == "application/json" else None

    async def settled(self, path: str) -> str:
        """The state that a package comes to."""
        async with asyncio.timeout(40):
            while (info := await self.ask("GET", path))["onboardingState"] in ("UPLOADING", "PROCESSING"):
                await asyncio.sleep(0.1)
        return info["onboardingState"]

    async def swept(self) -> set[str]:
        """The blobs that a sweep leaves which waits for nobody."""
        self.process.kill()
        self.process = self.another("sweeper", FORESTAY_PACKAGE_ORPHAN_AGE="0")
        await self.start()
        await asyncio.sleep(1)
        assert list((self.data / "blobs/uploads").iterdir()) == []
        return {path.name for path in (self.data / "blobs").glob("??/*")}


@pytest_asyncio.fixture
async def site(nats_server: EmbeddedNats, database: str, tmp_data_dir: Path, tmp_path: Path) -> AsyncGenerator[Site]:
    made = Site(
        {
            "FORESTAY_NATS_URL": nats_server.url,
            "FORESTAY_DATABASE_URL": database,
            "FORESTAY_DATA_DIR": str(tmp_data_dir),
            "FORESTAY_PACKAGE_FETCH_ALLOW": "127.0.0.0/8",
        },
        tmp_path,
    )
    try:
        await made.start()
        yield made
    finally:
        made.process.kill()


async def _created(site: Site) -> str:
    """Path of a package that the read model knows, so that the next instant is not that of its creation."""
    path = f"{PACKAGES}/{(await site.ask('POST', PACKAGES, json={}))['id']}"
    await site.settled(path)
    return path


async def _send(site: Site, path: str, content: bytes) -> None:
    await site.ask("PUT", f"{path}/package_content", data=content, headers={"Content-Type": "application/zip"})


async def _lost(site: Site, path: str) -> None:
    """The package says that its upload was lost with the process."""
    failure = (await site.ask("GET", path))["onboardingFailureDetails"]
    assert (failure["rule"], "died before it had all of it" in failure["detail"]) == ("upload-lost", True)


@pytest.mark.parametrize(("instant", "ends"), SENT.items())
async def test_sent(site: Site, asg: bytes, instant: str, ends: str) -> None:
    path = await _created(site)
    await site.killed_at(instant, lambda: _send(site, path, asg))
    assert await site.settled(path) == ends
    if ends == "ERROR":
        await _lost(site, path)
    if ends != "ONBOARDED":
        assert await site.swept() == set()
        await _send(site, path, asg)
        assert await site.settled(path) == "ONBOARDED"
    assert await site.swept() == {hashlib.sha256(asg).hexdigest()}
    assert await site.settled(path) == "ONBOARDED"


@pytest.mark.parametrize("instant", FETCHED)
async def test_fetched(site: Site, asg: bytes, instant: str) -> None:
    path = await _created(site)
    async with origin(asg) as server:
        server.pace = 5000
        body = {"addressInformation": server.url}
        await site.killed_at(instant, lambda: site.ask("POST", f"{path}/package_content/upload_from_uri", json=body))
        assert await site.settled(path) == "ONBOARDED", "the log knew what to do"
    assert await site.swept() == {hashlib.sha256(asg).hexdigest()}


@pytest.mark.parametrize("instant", ["external.stored", "external.recorded"])
async def test_external_artifacts(site: Site, tmp_path: Path, instant: str) -> None:
    path = await _created(site)
    async with origin(LICENCE) as server:
        content = package_with(tmp_path, f"{server.url}/licence")
        await site.killed_at(instant, lambda: _send(site, path, content))
        assert await site.settled(path) == "ONBOARDED"
        assert len(server.asked) == (2 if instant == "external.stored" else 1), "what the log has is not fetched again"
    assert await site.swept() == {hashlib.sha256(content).hexdigest(), DIGEST}


async def test_another_replica_ends_what_a_dead_one_received(site: Site, asg: bytes) -> None:
    path = await _created(site)
    died, site.process = site.process, site.another("replica")
    await site.start()
    begun = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes]:
        yield asg[:1000]
        begun.set()
        await asyncio.sleep(120)

    async def send() -> None:
        async with aiohttp.ClientSession(died.url, headers=VERSION) as http:
            zipped = {"Content-Type": "application/zip"}
            async with http.put(f"{path}/package_content", data=pieces(), headers=zipped):
                pass

    sending = asyncio.create_task(send())
    await begun.wait()
    async with asyncio.timeout(20):
        while (info := await site.ask("GET", path))["onboardingState"] != "UPLOADING":
            await asyncio.sleep(0.1)
    await asyncio.sleep(7)
    info = await site.ask("GET", path)
    assert (info["onboardingState"], info["uploadProgress"]["receivedBytes"]) == ("UPLOADING", 1000), (
        "who lives goes on"
    )
    died.kill()
    with pytest.raises(aiohttp.ClientError):
        await sending
    assert await site.settled(path) == "ERROR"
    await _lost(site, path)
    await _send(site, path, asg)
    assert await site.settled(path) == "ONBOARDED"
    assert await site.swept() == {hashlib.sha256(asg).hexdigest()}


async def test_a_sender_that_is_cut_leaves_nothing(site: Site, asg: bytes) -> None:
    path = await _created(site)
    begun = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes]:
        yield asg[:1000]
        begun.set()
        await asyncio.sleep(60)

    sending = asyncio.create_task(
        site.ask("PUT", f"{path}/package_content", data=pieces(), headers={"Content-Type": "application/zip"})
    )
    await begun.wait()
    site.process.kill()
    with pytest.raises(aiohttp.ClientError):
        await sending
    await site.start()
    assert await site.settled(path) in ("CREATED", "ERROR"), "begun, or killed before that"
    assert await site.swept() == set()
    await _send(site, path, asg)
    assert await site.settled(path) == "ONBOARDED"

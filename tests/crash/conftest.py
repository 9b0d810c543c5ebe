"""One site of real processes for each pytest process, and the logs of its processes when a test fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.crash.processes import Site
from tests.crash.repertoire import Repertoire, prepared
from tests.crash.stage import Stage, staged
from tests.scripts.reporting import listening


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_site() -> AsyncIterator[Stage]:
    async with staged() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def stage(whole_site: Stage, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """The site, healthy before and after; its logs since the beginning of the test are shown if that fails."""
    running = whole_site.site
    request.node.stash[_LOGS] = running.log_positions()
    await running.simulator.calm()
    await running.healthy()
    yield whole_site
    await _put_right(running)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def whole_repertoire(whole_site: Stage) -> AsyncIterator[Repertoire]:
    async with listening() as listener:
        whole_site.site.scripts.start()
        yield await prepared(whole_site, listener)


@pytest_asyncio.fixture(loop_scope="session")
async def repertoire(stage: Stage, whole_repertoire: Repertoire) -> AsyncIterator[Repertoire]:
    """A package for every operation on the site, and the worker for its scripts."""
    await stage.site.healthy()
    listener = whole_repertoire.listener
    listener.seen.clear()
    yield whole_repertoire
    listener.orders.clear()
    for gate in listener.gates.values():
        gate.open.set()
    listener.gates.clear()


@pytest_asyncio.fixture(loop_scope="session")
async def new_stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """A site of its own, for a test that measures processes or takes their data away."""
    async with staged() as made:
        request.node.stash[_LOGS] = made.site.log_positions()
        await made.site.simulator.calm()
        yield made


async def _put_right(running: Site) -> None:
    """Bring a site that a failed test left in pieces back to health, so that the next test tells something of its own."""
    await running.nats.start()
    await running.postgres.start()
    for process in running.expected:
        process.disarm()
        if not process.alive:
            process.start()
        elif process.held:
            process.resume()
    running.rival.kill()
    running.scripts_rival.kill()


_LOGS = pytest.StashKey[dict[Path, int]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for file, position in item.stash.get(_LOGS, {}).items():
            if not file.exists():  # the end of a site of its own has failed
                continue
            with file.open("rb") as log:
                log.seek(position)
                text = log.read().decode(errors="replace")
            report.sections.append((f"{file.name} of this test", text[-20_000:]))
    return report

"""One site of real processes for each pytest process, one client, and the recovery times at the end of the run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.crash.processes import Site
from tests.crash.stage import Stage, staged

#: Properties of a test's report that are printed at the end: ``RECOVERY <scenario>`` in seconds, ``MEASURED <what>``.
RECOVERY = "recovery seconds"
MEASURED = "measured"


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
    for process in (running.packages, running.api, running.worker):
        process.disarm()
        if not process.alive:
            process.start()
        elif process.held:
            process.resume()
    running.rival.kill()


_LOGS = pytest.StashKey[dict[Path, int]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for file, position in item.stash.get(_LOGS, {}).items():
            with file.open("rb") as log:
                log.seek(position)
                text = log.read().decode(errors="replace")
            report.sections.append((f"{file.name} of this test", text[-20_000:]))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what the tests have measured."""
    reports = [report for name in ("passed", "failed") for report in terminalreporter.stats.get(name, [])]
    found = {key: value for report in reports if report.when == "call" for key, value in report.user_properties}
    times = sorted((value, key.removeprefix(RECOVERY)) for key, value in found.items() if key.startswith(RECOVERY))
    if times:
        terminalreporter.section("recovery: seconds from the restart to COMPLETED")
        for seconds, scenario in times:
            terminalreporter.write_line(f"{seconds:6.2f} {scenario}")
    for key, value in found.items():
        if key.startswith(MEASURED):
            terminalreporter.write_line(f"{key.removeprefix(MEASURED)}: {value}")

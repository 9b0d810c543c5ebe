"""What ``forestay log`` does and prints. It uses the servers of a Forestay that runs, else it starts them for itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import forestay_lcm.app
import forestay_monitor.app
import forestay_package_mgmt.app
import forestay_policy.app
import forestay_vim_registry.app
import msgspec
from forestay_events import maintenance
from forestay_events.archive import Projector
from forestay_events.commit import Stored
from forestay_events.errors import Permanent, Rejected
from forestay_events.maintenance import Finding
from forestay_events.platform import Platform, open_platform
from forestay_events.sealing import mask
from forestay_events.telemetry import configure_logging
from forestay_sol.process import run_process
from rich.console import Console
from rich.text import Text

from forestay_standalone.log import event_documents, event_names, history
from forestay_standalone.log import tail as tail_of
from forestay_standalone.substrate import Options, require_existing, running_or_started, substrate

console = Console(highlight=False, soft_wrap=True)

#: The projectors of each service, set up so that old commits lead to no new work.
PROJECTORS: tuple[Callable[[Platform], Sequence[Projector]], ...] = (
    partial(forestay_package_mgmt.app.projectors, dispatch=False),
    forestay_vim_registry.app.projectors,
    partial(forestay_lcm.app.projectors, dispatch=False),
    partial(forestay_monitor.app.projectors, dispatch=False),
    partial(forestay_policy.app.projectors, dispatch=False),
)


def options(data_dir: Path, nats_url: str | None, database_url: str | None) -> Options:
    return Options(data_dir=data_dir, nats_url=nats_url, database_url=database_url)


def run(
    command: Callable[[Platform], Coroutine[Any, Any, int | None]], options: Options, *, alone: bool = False
) -> NoReturn:
    """Run a command and leave the process.

    :param alone: refuse while a Forestay runs on the data directory.
    """

    async def main() -> int | None:
        configure_logging("forestay-log", "warning")
        require_existing(options)
        servers = substrate if alone else running_or_started
        async with servers(options) as config, open_platform(config, "forestay-log") as platform:
            return await command(platform)

    run_process("forestay", main)


async def tail(platform: Platform, stream: str, *, last: int, follow: bool) -> None:
    async for stored in tail_of(platform.store, stream, last=last, follow=follow):
        console.print(_line(stored))


async def show(platform: Platform, name: str) -> None:
    for stored in await history(platform.store, name):
        console.print(_line(stored))
        for document in event_documents(stored.commit):
            text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
            console.print(Text("    " + text.replace("\n", "\n    "), style="dim"))


async def verify(platform: Platform) -> int:
    """Exit status: 0 when everything fits together."""
    found = 0
    for projector in _archiving(platform):
        findings = [finding async for finding in _findings(platform, projector)]
        found += len(findings)
        console.print(f"{projector.stream}: {len(findings) or 'no'} finding{'s' * (len(findings) != 1)}")
        for finding in findings:
            place = f"sequence {finding.seq} " if finding.seq else ""
            console.print(Text(f"  {place}({finding.subject}) {finding.problem}", style="red"))
    return 1 if found else 0


async def rebuild(platform: Platform) -> None:
    for service in PROJECTORS:
        projector, *others = service(platform)
        applied = await maintenance.rebuild(projector, *others)
        streams = ", ".join(each.stream for each in (projector, *others))
        console.print(f"{projector.schema}: rebuilt from {applied} commits of {streams}")


async def restore(platform: Platform) -> None:
    """:raises Permanent: there is no copy at all."""
    copied = [projector for projector in _archiving(platform) if await _is_there(platform, projector)]
    if not copied:
        raise Permanent("PostgreSQL has no copy of the log, so nothing can be restored.")
    for projector in copied:
        replicas = platform.config.nats_replicas
        count = await maintenance.restore(
            platform.nats, platform.pool, projector.schema, projector.stream, replicas=replicas
        )
        console.print(f"{projector.stream}: {count} commits restored")


async def _findings(platform: Platform, projector: Projector) -> AsyncGenerator[Finding]:
    if await _is_there(platform, projector):
        async for finding in maintenance.verify(platform.store, platform.pool, projector.schema, projector.stream):
            yield finding
    elif await platform.store.head(projector.stream):
        problem = "has no copy in PostgreSQL: run `forestay log rebuild`"
        yield Finding(seq=0, subject=projector.stream.lower(), problem=problem)


async def _is_there(platform: Platform, projector: Projector) -> bool:
    return await platform.pool.fetchval("SELECT to_regclass($1) IS NOT NULL", f"{projector.schema}.commit")


def _archiving(platform: Platform) -> list[Projector]:
    return [projector for service in PROJECTORS for projector in service(platform) if projector.archive]


def _line(stored: Stored) -> Text:
    """One commit; the text is taken as it is, whatever somebody has written into a reason."""
    try:
        commit = stored.commit
        at, who, why = f"{commit.at:%Y-%m-%d %H:%M:%S.%f}Z", commit.actor, mask({"": commit.reason})[""]
        version, what = f"v{commit.version}", ", ".join(event_names(commit))
    except (Permanent, Rejected) as error:
        return Text.assemble(f"{stored.seq:>6} ", (stored.subject, "bold"), " ", (str(error), "red"))
    return Text.assemble(
        (at, "dim"), f" {stored.seq:>6} ", (commit.subject, "bold"), f" {version} ", (what, "cyan"), " ", (who, "dim"),
        f" {why}",
    )  # fmt: skip

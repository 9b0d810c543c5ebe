"""What ``forestay log`` prints."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import forestay_lcm.app
import forestay_monitor.app
import forestay_package_mgmt.app
import forestay_policy.app
import forestay_vim_registry.app
import msgspec
from forestay_events.archive import Projector
from forestay_events.commit import Stored
from forestay_events.maintenance import rebuild as rebuild_schema
from forestay_events.maintenance import restore as restore_stream
from forestay_events.maintenance import verify as verify_stream
from forestay_events.platform import Platform, open_platform
from forestay_events.telemetry import configure_logging
from rich.console import Console

from forestay_standalone.log import event_documents, event_names, history
from forestay_standalone.log import tail as tail_of
from forestay_standalone.substrate import Options, running_or_started

console = Console(highlight=False)

SERVICES = (
    forestay_package_mgmt.app,
    forestay_vim_registry.app,
    forestay_lcm.app,
    forestay_monitor.app,
    forestay_policy.app,
)


def all_projectors(platform: Platform) -> list[Projector]:
    """The projectors of all services, set up so that old commits lead to no new work."""
    return [projector for service in SERVICES for projector in service.projectors(platform, dispatch=False)]


async def tail(data_dir: Path, stream: str, *, last: int, follow: bool) -> None:
    async with _platform(data_dir) as platform:
        async for stored in tail_of(platform.store, stream, last=last, follow=follow):
            _print_line(stored, with_id=True)


async def show(data_dir: Path, aggregate_id: str) -> None:
    async with _platform(data_dir) as platform:
        for stored in await history(platform.store, aggregate_id):
            _print_line(stored, with_id=False)
            for document in event_documents(stored.commit):
                text = msgspec.json.format(msgspec.json.encode(document), indent=2).decode()
                console.print("    " + text.replace("\n", "\n    "), style="dim", markup=False)


async def verify(data_dir: Path) -> int:
    """Exit status: 0 when everything fits together."""
    findings = 0
    async with _platform(data_dir) as platform:
        for projector in _archiving(platform):
            report = await verify_stream(platform.store, platform.pool, projector.schema, projector.stream)
            findings += len(report.findings)
            console.print(
                f"{projector.stream}: {report.commits} commits in the log, {report.copied} in the copy,"
                f" {len(report.findings)} findings"
            )
            for finding in report.findings:
                console.print(f"  {finding}", style="red", markup=False)
    return 1 if findings else 0


async def rebuild(data_dir: Path) -> None:
    async with _platform(data_dir) as platform:
        for schema, projectors in _by_schema(platform).items():
            await rebuild_schema(projectors)
            console.print(f"{schema}: rebuilt from {', '.join(p.stream for p in projectors)}")


async def restore(data_dir: Path) -> None:
    async with _platform(data_dir) as platform:
        for projector in _archiving(platform):
            count = await restore_stream(platform.nats, platform.pool, projector.schema, projector.stream)
            console.print(f"{projector.stream}: {count} commits restored")


@asynccontextmanager
async def _platform(data_dir: Path) -> AsyncGenerator[Platform]:
    configure_logging("forestay-log", "warning")
    async with (
        running_or_started(Options(data_dir=data_dir)) as config,
        open_platform(config, "forestay-log") as platform,
    ):
        yield platform


def _archiving(platform: Platform) -> list[Projector]:
    return [projector for projector in all_projectors(platform) if projector.archive]


def _by_schema(platform: Platform) -> dict[str, list[Projector]]:
    schemas: dict[str, list[Projector]] = {}
    for projector in all_projectors(platform):
        schemas.setdefault(projector.schema, []).append(projector)
    return schemas


def _print_line(stored: Stored, *, with_id: bool) -> None:
    commit = stored.commit
    what = ", ".join(event_names(commit))
    subject = f" [bold]{commit.subject}[/]" if with_id else ""
    console.print(
        f"[dim]{commit.at:%Y-%m-%d %H:%M:%S.%f}[/] {stored.seq:>6}{subject} v{commit.version}"
        f" [cyan]{what}[/] [dim]{commit.actor}[/] {commit.reason}",
        soft_wrap=True,
    )

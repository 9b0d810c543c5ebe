"""The ``forestay`` command. Each subcommand imports what it needs when it runs: start-up time is a feature."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter
from forestay_events.errors import ForestayError

app = App(name="forestay", help="Forestay, an event-sourced VNF manager.")
log_app = App(name="log", help="Look into the log, check it, make one store from the other.")
app.command(log_app)

DataDir = Annotated[Path, Parameter(help="Where the servers keep their data; it survives restarts.")]
NatsUrl = Annotated[str | None, Parameter(help="Use this NATS instead of the embedded one.")]
DatabaseUrl = Annotated[str | None, Parameter(help="Use this PostgreSQL instead of the embedded one.")]
DEFAULT_DATA_DIR = Path(".forestay")


@app.command
def up(
    *,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    host: str = "127.0.0.1",
    port: int = 9890,
    nats_url: NatsUrl = None,
    database_url: DatabaseUrl = None,
    public_endpoint: str = "",
    log_level: Literal["debug", "info", "warning", "error"] = "warning",
) -> None:
    """Run all of Forestay in one process until Ctrl-C."""
    from forestay_standalone.substrate import Options
    from forestay_standalone.up import up as run

    options = Options(
        data_dir=data_dir,
        host=host,
        port=port,
        nats_url=nats_url,
        database_url=database_url,
        public_endpoint=public_endpoint,
        log_level=log_level,
    )
    asyncio.run(run(options))


@app.command
def demo(*, data_dir: Path | None = None, port: int = 0) -> None:
    """Run the main job on a simulated OpenStack: onboard, instantiate, read back, terminate, and show the log."""
    from forestay_standalone.demo import demo as run

    asyncio.run(run(data_dir, port))


@log_app.command
def tail(stream: str = "LCM", *, last: int = 20, follow: bool = False, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show the newest commits of a stream, and with --follow every new one."""
    from forestay_standalone.log_commands import tail as run

    asyncio.run(run(data_dir, stream.upper(), last=last, follow=follow))


@log_app.command
def show(aggregate_id: str, *, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Show everything that happened to one VNF instance, package, VIM, alarm or policy."""
    from forestay_standalone.log_commands import show as run

    asyncio.run(run(data_dir, aggregate_id))


@log_app.command
def verify(*, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Check every hash of the log and of its copy in PostgreSQL, and that the two agree."""
    from forestay_standalone.log_commands import verify as run

    sys.exit(asyncio.run(run(data_dir)))


@log_app.command
def rebuild(*, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Make all read models in PostgreSQL anew from the log. Forestay must not run meanwhile."""
    from forestay_standalone.log_commands import rebuild as run

    asyncio.run(run(data_dir))


@log_app.command
def restore(*, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Make a lost log anew from its copy in PostgreSQL. Forestay must not run meanwhile."""
    from forestay_standalone.log_commands import restore as run

    asyncio.run(run(data_dir))


def main() -> None:
    """Entry point: a known error is one sentence on standard error and exit status 1."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except ForestayError as error:
        sys.exit(f"forestay: {error}")
    except ExceptionGroup as group:
        known = group.split(ForestayError)[0]
        if known is None:
            raise
        sys.exit(f"forestay: {_first(known)}")


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


if __name__ == "__main__":
    main()

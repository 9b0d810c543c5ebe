"""The ``forestay`` command. Each subcommand imports what it needs when it runs: start-up time is a feature."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter

app = App(name="forestay", help="Forestay, an event-sourced VNF manager.")
log_app = App(name="log", help="Look into the log, check it, make one store from the other.")
app.command(log_app)
package_app = App(name="package", help="Make a VNF package, find its mistakes, show what it holds.")
app.command(package_app)

DataDir = Annotated[Path, Parameter(help="Where the servers keep their data; it survives restarts.")]
NatsUrl = Annotated[str | None, Parameter(help="Use this NATS instead of the embedded one.")]
DatabaseUrl = Annotated[str | None, Parameter(help="Use this PostgreSQL instead of the embedded one.")]
DEFAULT_DATA_DIR = Path(".forestay")


@app.command
def up(
    *,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    nats_url: NatsUrl = None,
    database_url: DatabaseUrl = None,
    host: Annotated[str, Parameter(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port to listen on; 0 is a free one.")] = 9890,
    public_endpoint: Annotated[str, Parameter(help="URL of the API as clients see it, for links.")] = "",
    allow_unauthenticated: Annotated[
        bool, Parameter(negative="", help="Listen on other than loopback though authentication is off.")
    ] = False,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Parameter(help="What is logged on standard error.")
    ] = "warning",
) -> None:
    """Run all of Forestay in one process until Ctrl-C."""
    from forestay_sol.process import run_process

    from forestay_standalone.substrate import Options
    from forestay_standalone.up import up as run

    options = Options(
        data_dir=data_dir,
        nats_url=nats_url,
        database_url=database_url,
        host=host,
        port=port,
        public_endpoint=public_endpoint,
        allow_unauthenticated=allow_unauthenticated,
        log_level=log_level,
    )
    run_process("forestay", lambda: run(options), endless=True)


@app.command
def demo(
    *,
    data_dir: Annotated[Path | None, Parameter(help="Keep the data here; a temporary directory if not given.")] = None,
    port: Annotated[int, Parameter(help="Port of the API; 0 is a free one.")] = 0,
) -> None:
    """Run the main job on a simulated OpenStack: onboard, instantiate, read back, terminate, and show the log."""
    from forestay_sol.process import run_process

    from forestay_standalone.demo import demo as run

    run_process("forestay", lambda: run(data_dir, port))


@log_app.command
def tail(
    stream: Annotated[str, Parameter(help="PKG, VIM, LCM, MON or POL.")] = "LCM",
    *,
    last: Annotated[int, Parameter(help="How many commits.")] = 20,
    follow: Annotated[bool, Parameter(negative="", help="Go on with every new commit until Ctrl-C.")] = False,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    nats_url: NatsUrl = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show the newest commits of a stream."""
    from forestay_standalone import log_commands as commands

    commands.run(
        lambda platform: commands.tail(platform, stream.upper(), last=last, follow=follow),
        commands.options(data_dir, nats_url, database_url),
    )


@log_app.command
def show(
    aggregate: Annotated[str, Parameter(help="Its id, or its subject as `forestay log tail` shows it.")],
    *,
    data_dir: DataDir = DEFAULT_DATA_DIR,
    nats_url: NatsUrl = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show everything that happened to one VNF instance, package, VIM, alarm or policy."""
    from forestay_standalone import log_commands as commands

    commands.run(
        lambda platform: commands.show(platform, aggregate), commands.options(data_dir, nats_url, database_url)
    )


@log_app.command
def verify(*, data_dir: DataDir = DEFAULT_DATA_DIR, nats_url: NatsUrl = None, database_url: DatabaseUrl = None) -> None:
    """Check every hash of the log and of its copy in PostgreSQL, and that the two agree."""
    from forestay_standalone import log_commands as commands

    commands.run(commands.verify, commands.options(data_dir, nats_url, database_url))


@log_app.command
def rebuild(
    *, data_dir: DataDir = DEFAULT_DATA_DIR, nats_url: NatsUrl = None, database_url: DatabaseUrl = None
) -> None:
    """Make all read models in PostgreSQL anew from the log. Forestay must not run meanwhile."""
    from forestay_standalone import log_commands as commands

    commands.run(commands.rebuild, commands.options(data_dir, nats_url, database_url), alone=True)


@log_app.command
def restore(
    *, data_dir: DataDir = DEFAULT_DATA_DIR, nats_url: NatsUrl = None, database_url: DatabaseUrl = None
) -> None:
    """Make a lost log anew from its copy in PostgreSQL. Forestay must not run meanwhile."""
    from forestay_standalone import log_commands as commands

    commands.run(commands.restore, commands.options(data_dir, nats_url, database_url), alone=True)


CsarFile = Annotated[Path, Parameter(help="The CSAR, a zip file.")]


@package_app.command
def build(
    source: Annotated[Path, Parameter(help="The folder of the package's files.")],
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="The CSAR; FOLDER.csar if not given.")
    ] = None,
    sign_key: Annotated[Path | None, Parameter(help="Private key (PEM) to sign with.")] = None,
    sign_cert: Annotated[Path | None, Parameter(help="The key's certificate (PEM).")] = None,
    sign_whole: Annotated[
        bool, Parameter(negative="", help="Sign the whole CSAR, in a zip around it, and not the manifest.")
    ] = False,
) -> None:
    """Make a CSAR of a folder: TOSCA.meta, a manifest that hashes every file, a CMS signature if wanted."""
    from forestay_standalone import package_commands as commands

    sys.exit(commands.build(source, output, sign_key, sign_cert, whole=sign_whole))


@package_app.command
def lint(
    file: CsarFile,
    /,
    *,
    json: Annotated[bool, Parameter(negative="", help="Print the findings as JSON.")] = False,
    signature_required: Annotated[bool, Parameter(negative="", help="Refuse a package without a signature.")] = False,
    trust_anchors: Annotated[Path | None, Parameter(help="Certificates (PEM) that signers have to lead to.")] = None,
) -> None:
    """Say what onboarding would, and what would fail later. Exit status 1: it would be refused."""
    from forestay_standalone import package_commands as commands

    sys.exit(commands.lint(file, trust_anchors, signature_required=signature_required, as_json=json))


@package_app.command(name="show")
def show_package(file: CsarFile, /) -> None:
    """Draw a package's flavours with their VDUs, connection points, links, storages, aspects, levels and scripts."""
    from forestay_standalone import package_commands as commands

    sys.exit(commands.show(file))


def main() -> None:
    """Entry point."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()

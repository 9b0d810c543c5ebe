"""``forestay up`` as its operator meets it: start, stop, start again, and whatever may be in the way."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from forestay_events.errors import Permanent
from forestay_simvim import OpenStackSimulator
from forestay_standalone.embedded import EmbeddedNats
from forestay_standalone.embedded.privileges import works
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate
from yarl import URL

from tests.flow.cloud import TestCloud
from tests.flow.scenario import ENDED, SAMPLES, create, instantiate_body, onboard, start
from tests.standalone.command import client, end, forestay, servers_of, started, until, up


@pytest.fixture
async def simulator() -> AsyncIterator[OpenStackSimulator]:
    async with OpenStackSimulator().serve("127.0.0.1", 0) as sim:
        yield sim


@pytest.fixture
def cloud(simulator: OpenStackSimulator) -> TestCloud:
    return TestCloud(simulator.auth_url, "demo", "demo-secret", "demo")


async def instantiating(api: RestApi, cloud: TestCloud, simulator: OpenStackSimulator, directory: Path) -> str:
    """URI of an operation whose stack is being created."""
    await api.send("POST", "/v1.0/vims", cloud.vim())
    package = await onboard(api, SAMPLES[0], directory)
    vnf = await create(api, package["vnfdId"])
    simulator.settings.build["server"] = 2.0
    operation = await start(api, vnf, "instantiate", await instantiate_body(cloud, SAMPLES[0]))
    await until(lambda: bool(simulator.journal.effects("stack created")), "Heat was asked for the stack")
    return operation


async def test_a_second_start_continues_what_the_first_one_was_stopped_in(
    tmp_data_dir: Path, cloud: TestCloud, simulator: OpenStackSimulator, tmp_path: Path
) -> None:
    async with up(tmp_data_dir) as first, client(first.url) as api:
        operation = await instantiating(api, cloud, simulator, tmp_path)
        # A connection that is kept open, and a request that never comes to its end.
        url = URL(first.url)
        _, slow = await asyncio.open_connection(url.host, url.port)
        slow.write(b"POST /vnfpkgm/v1/vnf_packages HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{")
        await slow.drain()
        ended = await first.stop(signal.SIGTERM, patience=40)
        slow.close()
    assert (ended.status, ended.err) == (0, "")
    assert servers_of(tmp_data_dir) == {}

    async with up(tmp_data_dir) as second, client(second.url) as api:
        await api.until(operation, "operationState", {"COMPLETED"}, ENDED - {"COMPLETED"})
        ended = await second.stop(signal.SIGINT, patience=40)
    assert (ended.status, ended.err) == (0, "")
    assert len(simulator.journal.effects("stack created")) == 1


async def test_servers_end_with_a_killed_forestay_and_the_next_start_works(
    tmp_data_dir: Path, cloud: TestCloud, simulator: OpenStackSimulator, tmp_path: Path
) -> None:
    async with up(tmp_data_dir) as first, client(first.url) as api:
        assert len(servers_of(tmp_data_dir)) == 2
        operation = await instantiating(api, cloud, simulator, tmp_path)
        end(first.pid)
        await until(lambda: not servers_of(tmp_data_dir), "the servers end")
    async with up(tmp_data_dir) as second, client(second.url) as api:
        await api.until(operation, "operationState", {"COMPLETED"}, ENDED - {"COMPLETED"})
    assert len(simulator.journal.effects("stack created")) == 1


async def test_a_server_that_somebody_kills_is_started_again(
    tmp_data_dir: Path, cloud: TestCloud, simulator: OpenStackSimulator, tmp_path: Path
) -> None:
    async with up(tmp_data_dir) as running, client(running.url) as api:
        operation = await instantiating(api, cloud, simulator, tmp_path)
        before = servers_of(tmp_data_dir)
        for pid in before.values():
            end(pid)
        await api.until(operation, "operationState", {"COMPLETED"}, ENDED - {"COMPLETED"})
        after = servers_of(tmp_data_dir)
        assert after.keys() == before.keys()
        assert not set(after.values()) & set(before.values())
        ended = await running.stop()
    assert ended.status == 0
    assert "Traceback" not in ended.err
    assert {"NATS", "PostgreSQL"} <= {line.split('"server":"')[1].split('"')[0] for line in ended.err.splitlines()
                                      if "server.ended" in line}  # fmt: skip


async def test_a_server_that_does_not_stay_ends_forestay_with_a_sentence(tmp_data_dir: Path) -> None:
    async with up(tmp_data_dir) as running:
        (tmp_data_dir / "postgres" / "cluster" / "global" / "pg_control").unlink()
        end(servers_of(tmp_data_dir)["postgres"])
        ended = await running.ended()
    assert ended.status == 1
    assert "it seems damaged" in ended.err.splitlines()[-1]
    assert ended.err.splitlines()[-1].startswith("forestay: PostgreSQL cannot use")
    assert servers_of(tmp_data_dir) == {}


@pytest.mark.parametrize(("moment", "number"), [("initdb", signal.SIGTERM), ("postgres", signal.SIGINT)])
async def test_a_signal_while_it_starts(tmp_data_dir: Path, moment: str, number: signal.Signals) -> None:
    async with started("up", "--data-dir", tmp_data_dir, "--port", "0") as running:
        await until(lambda: moment in servers_of(tmp_data_dir), f"{moment} runs")
        ended = await running.stop(number)
    assert (ended.status, ended.err) == (0, "")
    assert servers_of(tmp_data_dir) == {}
    async with up(tmp_data_dir) as running:
        assert (await running.stop()).status == 0


async def test_a_taken_port(tmp_data_dir: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        ended = await forestay("up", "--data-dir", tmp_data_dir, "--port", port)
    assert f"Cannot listen on 127.0.0.1 port {port}" in ended.sentence
    assert servers_of(tmp_data_dir) == {}


async def test_directories_that_cannot_be_used(tmp_data_dir: Path) -> None:
    file = tmp_data_dir / "file"
    file.write_text("no directory")
    assert f"The data directory {file} cannot be used" in (await forestay("up", "--data-dir", file)).sentence
    below = file / "below"
    assert "Not a directory" in (await forestay("up", "--data-dir", below)).sentence

    damaged = tmp_data_dir / "damaged"
    (damaged / "postgres" / "cluster").mkdir(parents=True)
    assert "PG_VERSION is missing" in (await forestay("up", "--data-dir", damaged)).sentence
    assert servers_of(tmp_data_dir) == {}


async def test_a_directory_in_use(tmp_data_dir: Path) -> None:
    async with up(tmp_data_dir) as running:
        ended = await forestay("up", "--data-dir", tmp_data_dir, "--port", "0")
        assert f"in use by another Forestay (pid {running.pid})" in ended.sentence
        async with client(running.url) as api:
            assert (await api.send("GET", "/health/ready"))["ready"] is True


async def test_others_are_not_let_in_while_authentication_is_off(tmp_data_dir: Path) -> None:
    ended = await forestay("up", "--data-dir", tmp_data_dir, "--port", "0", "--host", "0.0.0.0")  # noqa: S104
    assert "Authentication is off" in ended.sentence
    assert "--allow-unauthenticated" in ended.sentence
    async with up(tmp_data_dir, "--host", "0.0.0.0", "--allow-unauthenticated") as running:  # noqa: S104
        assert "http://0.0.0.0:" in running.url


async def test_servers_of_ones_own(tmp_data_dir: Path, nats_server: EmbeddedNats, database: str) -> None:
    theirs = ("--nats-url", nats_server.url, "--database-url", database)
    async with up(tmp_data_dir, *theirs) as running, client(running.url) as api:
        assert servers_of(tmp_data_dir) == {}
        package = await api.send("POST", "/vnfpkgm/v1/vnf_packages", {})
        shown = await forestay("log", "show", package["id"], "--data-dir", tmp_data_dir)
        assert "PackageCreated" in shown.out
    async with up(tmp_data_dir, *theirs[:2]) as running, client(running.url) as api:
        assert list(servers_of(tmp_data_dir)) == ["postgres"]
        await api.until(f"/vnfpkgm/v1/vnf_packages/{package['id']}", "onboardingState", {"CREATED"}, set())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (("--database-url", "postgresql://forestay:hidden@127.0.0.1:1/forestay"), "PostgreSQL does not answer"),
        (("--database-url", "mysql://127.0.0.1"), "PostgreSQL cannot be used"),
    ],
)
async def test_servers_of_ones_own_that_cannot_be_used(tmp_data_dir: Path, url: tuple[str, str], words: str) -> None:
    ended = await forestay("up", "--data-dir", tmp_data_dir, "--port", "0", *url)
    assert words in ended.sentence
    assert "hidden" not in ended.sentence


async def test_as_an_ordinary_user(tmp_data_dir: Path) -> None:
    """Root maps itself to user 1000 of a namespace: that one owns root's files, and has no rights beyond."""
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        prefix = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
        if not works(prefix):
            pytest.skip("this system lets root make no user namespace (unshare)")
    async with up(tmp_data_dir, prefix=prefix) as running, client(running.url) as api:
        assert (await api.send("GET", "/health/ready"))["ready"] is True
        assert (await running.stop(signal.SIGINT)).status == 0


async def test_the_environment_says_how_long_a_page_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Options(data_dir=tmp_path, nats_url="nats://127.0.0.1:4222", database_url="postgresql:///forestay")
    monkeypatch.setenv("FORESTAY_PAGE_SIZE", "7")
    monkeypatch.setenv("FORESTAY_DEFAULT_PROJECT", "nfv")
    async with substrate(given) as config:
        assert (config.page_size, config.default_project, config.nats_url) == (7, "nfv", given.nats_url)
    monkeypatch.setenv("FORESTAY_PAGE_SIZE", "many")
    with pytest.raises(Permanent, match="FORESTAY_PAGE_SIZE"):
        async with substrate(given):
            pass

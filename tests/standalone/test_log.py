"""``forestay log``: look, check, and make the one store from the other, with Forestay running and without."""

from __future__ import annotations

import shutil
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from forestay_events.maintenance import state_hash
from forestay_simvim import OpenStackSimulator
from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.embedded import EmbeddedPostgres
from forestay_standalone.log_commands import PROJECTORS
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate

from tests.flow.cloud import TestCloud
from tests.flow.scenario import SAMPLES, create, instantiate_body, onboard, operate
from tests.standalone.command import Ended, client, forestay, servers_of, started, up

Json = dict[str, Any]
PASSWORD = "demo-secret"
#: Work that is on its way says nothing about the state.
NOT_STATE = "outbox"


@asynccontextmanager
async def running(data_dir: Path) -> AsyncGenerator[RestApi]:
    """Everything in this process, with links that do not depend on its port; ends when all is in the read models."""
    options = Options(data_dir=data_dir, port=0, public_endpoint="http://forestay.example")
    async with (
        substrate(options) as config,
        all_in_one(config) as (platform, url),
        aiohttp.ClientSession(url, headers={"Version": "2.0.0"}) as session,
    ):
        yield RestApi(session)
        for service in PROJECTORS:
            for projector in service(platform):
                head = await platform.store.head(projector.stream)
                await platform.positions.wait(projector.schema, projector.stream, head, timeout=60)


async def answers(api: RestApi, vnf: str) -> Json:
    """What the API says about everything that there is."""
    lists = ("/vnfpkgm/v1/vnf_packages", "/vnflcm/v2/vnf_instances", "/vnflcm/v2/vnf_lcm_op_occs")
    vims: Json = await api.send("GET", "/v1.0/vims")
    return {path: await api.list(path) for path in lists} | {"vims": vims, "vnf": await api.send("GET", vnf)}


async def hashes(data_dir: Path, *, drop: bool = False, tamper: str = "") -> dict[str, str]:
    """State hash by schema, of a Forestay that does not run; then do harm to PostgreSQL."""
    found: dict[str, str] = {}
    async with EmbeddedPostgres(data_dir) as server, asyncpg.create_pool(server.dsn, min_size=1, max_size=2) as pool:
        tables: dict[str, list[str]] = {}
        query = (
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema IN ('pkg', 'vim', 'lcm', 'mon', 'pol') ORDER BY 1, 2"
        )
        for schema, table in await pool.fetch(query):
            tables.setdefault(schema, []).append(table)
        for schema, names in tables.items():
            found[schema] = await state_hash(pool, schema, [name for name in names if name != NOT_STATE])
            if drop:
                await pool.execute(f"DROP SCHEMA {schema} CASCADE")
        if tamper:
            await pool.execute(tamper)
    return found


async def log(*words: str, data_dir: Path) -> Ended:
    return await forestay("log", *words, "--data-dir", data_dir)


async def test_either_store_is_made_from_the_other(tmp_data_dir: Path, tmp_path: Path) -> None:
    async with OpenStackSimulator().serve("127.0.0.1", 0) as simulator:
        cloud = TestCloud(simulator.auth_url, "demo", PASSWORD, "demo")
        async with running(tmp_data_dir) as api:
            await api.send("POST", "/v1.0/vims", cloud.vim())
            vnf = await create(api, (await onboard(api, SAMPLES[0], tmp_path))["vnfdId"])
            await operate(api, vnf, "instantiate", await instantiate_body(cloud, SAMPLES[0]))
            said = await answers(api, vnf)
        before = await hashes(tmp_data_dir, drop=True)
        assert before.keys() == {"pkg", "vim", "lcm", "mon", "pol"}

        missing = await log("verify", data_dir=tmp_data_dir)
        assert (missing.status, "run `forestay log rebuild`" in missing.out) == (1, True), missing
        rebuilt = await log("rebuild", data_dir=tmp_data_dir)
        assert (rebuilt.status, rebuilt.err) == (0, "")
        assert await hashes(tmp_data_dir) == before

        shutil.rmtree(tmp_data_dir / "nats" / "jetstream")
        refused = await forestay("up", "--data-dir", tmp_data_dir, "--port", "0")
        assert "the log was lost" in refused.sentence
        assert "`forestay log restore`" in refused.sentence
        assert servers_of(tmp_data_dir) == {}
        lost = await log("verify", data_dir=tmp_data_dir)
        assert (lost.status, "but not in the log" in lost.out) == (1, True), lost
        restored = await log("restore", data_dir=tmp_data_dir)
        assert (restored.status, restored.err) == (0, "")
        assert (await log("verify", data_dir=tmp_data_dir)).status == 0
        assert await hashes(tmp_data_dir) == before

        async with running(tmp_data_dir) as api:
            assert await answers(api, vnf) == said
            operation = await operate(api, vnf, "terminate", {"terminationType": "FORCEFUL"})
            assert operation["operationState"] == "COMPLETED", operation
            await api.send("DELETE", vnf)
        assert await cloud.leftovers() == []


async def test_verify_names_a_commit_that_somebody_changed(tmp_data_dir: Path) -> None:
    async with running(tmp_data_dir) as api:
        package = await api.send("POST", "/vnfpkgm/v1/vnf_packages", {})
    change = "UPDATE pkg.commit SET body = convert_to(replace(convert_from(body, 'UTF8'), 'admin', 'nobody'), 'UTF8')"
    await hashes(tmp_data_dir, tamper=change)
    verified = await log("verify", data_dir=tmp_data_dir)
    assert (verified.status, verified.err) == (1, "")
    assert f"sequence 1 (pkg.package.{package['id']}) has other bytes in the log than in the copy" in verified.out


async def test_a_damaged_store_is_refused_and_then_restored(tmp_data_dir: Path) -> None:
    async with running(tmp_data_dir) as api:
        package = await api.send("POST", "/vnfpkgm/v1/vnf_packages", {})
    [block] = (tmp_data_dir / "nats" / "jetstream").glob("**/PKG/msgs/*.blk")
    block.write_bytes(b"x" * block.stat().st_size)
    refused = await forestay("up", "--data-dir", tmp_data_dir, "--port", "0")
    assert "Stream PKG has only 0 of its 1 messages: its store is damaged." in refused.sentence
    shutil.rmtree(tmp_data_dir / "nats" / "jetstream")
    assert (await log("restore", data_dir=tmp_data_dir)).status == 0
    async with running(tmp_data_dir) as api:
        await api.send("GET", f"/vnfpkgm/v1/vnf_packages/{package['id']}")


async def test_looking_while_forestay_runs_and_while_it_does_not(tmp_data_dir: Path) -> None:
    nowhere = tmp_data_dir / "nowhere"
    assert "no Forestay has run there" in (await log("tail", data_dir=nowhere)).sentence
    assert not nowhere.exists()

    async with (
        OpenStackSimulator().serve("127.0.0.1", 0) as simulator,
        up(tmp_data_dir) as forestay_up,
        client(forestay_up.url) as api,
    ):
        vim = await api.send("POST", "/v1.0/vims", TestCloud(simulator.auth_url, "demo", PASSWORD, "demo").vim())
        vim_id = vim["vim"]["id"]
        async with started("log", "tail", "PKG", "--follow", "--data-dir", tmp_data_dir) as following:
            package = await api.send("POST", "/vnfpkgm/v1/vnf_packages", {})
            assert "PackageCreated" in await following.says(package["id"])
            ended = await following.stop(signal.SIGINT)
            assert (ended.status, ended.err) == (128 + signal.SIGINT, "")
        shown = await log("show", vim_id, data_dir=tmp_data_dir)
        assert (await log("verify", data_dir=tmp_data_dir)).status == 0
        for command in ("rebuild", "restore"):
            assert (
                f"in use by another Forestay (pid {forestay_up.pid})"
                in (await log(command, data_dir=tmp_data_dir)).sentence
            )
        assert (await forestay_up.stop()).status == 0

    assert (shown.status, shown.err) == (0, "")
    assert "VimRegistered" in shown.out
    assert '"password": "***"' in shown.out
    assert PASSWORD not in shown.out
    again = await log("show", f"vim.vim.{vim_id}", data_dir=tmp_data_dir)
    assert again == shown
    tailed = await log("tail", "pkg", data_dir=tmp_data_dir)
    assert package["id"] in tailed.out
    assert servers_of(tmp_data_dir) == {}


async def test_what_is_not_there_is_a_sentence(tmp_data_dir: Path) -> None:
    assert "PostgreSQL has no copy of the log" in (await log("restore", data_dir=tmp_data_dir)).sentence
    async with substrate(Options(data_dir=tmp_data_dir, port=0)):
        for words, sentence in (
            (("tail", "nothing"), "There is no stream NOTHING. The streams are PKG, VIM, LCM, MON, POL."),
            (("show", "*"), "The log has nothing about *."),
            (("show", "lcm.>"), "The log has nothing about lcm.>."),
            (("show", "00000000-0000-4000-8000-000000000000"), "The log has nothing about 00000000-"),
        ):
            assert sentence in (await log(*words, data_dir=tmp_data_dir)).sentence

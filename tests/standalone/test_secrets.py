"""A password goes through the whole of Forestay and is afterwards nowhere: not in NATS' files, PostgreSQL's, logs or answers."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from forestay_events.sealing import Shredded
from forestay_events.telemetry import configure_logging
from forestay_simvim import OpenStackSimulator, SimConfig
from forestay_simvim.config import Account
from nats.js.errors import NotFoundError

from tests.flow.scenario import ENDED, SAMPLES, create, instantiate_body, onboard, operate
from tests.standalone.site import Json, TestSite, site

VNFS, OPS, VIMS = "/vnflcm/v2/vnf_instances", "/vnflcm/v2/vnf_lcm_op_occs", "/v1.0/vims"
OPENSTACK = "ETSINFV.OPENSTACK_KEYSTONE.V_3"

SECRETS = REGISTERED, INLINE, WRONG, PARAMETER = [
    f"{word}-open-sesame-4711" for word in ("registered", "inline", "wrong", "parameter")
]


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Everything that is logged, at the most talkative level."""
    lines = io.StringIO()
    configure_logging("test", "debug", "json", lines)
    yield lines
    configure_logging("test", "warning")


async def test_a_password_is_nowhere_in_the_clear(logged: io.StringIO, tmp_path: Path) -> None:
    config = SimConfig(accounts=(Account(name="demo", password=REGISTERED, project="demo"),
                                 Account(name="inline", password=INLINE, project="demo")))  # fmt: skip
    async with site(simulator=OpenStackSimulator(config), password=REGISTERED) as ready:
        shown = await everything_that_can_be_done(ready, tmp_path)
        rows = await rows_of_all_tables(ready)
        files = stored_files(ready.directory)
    assert any(name.endswith(".blk") for name in files), "the files of the log were not looked at"
    assert len(files) > 500, "the files of PostgreSQL were not looked at"
    for secret in SECRETS:
        wanted = secret.encode()
        assert [name for name, content in files.items() if wanted in content] == []
        assert wanted not in rows
        assert secret not in logged.getvalue()
        assert secret not in shown


async def test_a_secret_parameter_comes_to_the_vim_and_nowhere_else(tmp_path: Path) -> None:
    async with site() as ready:
        package = await onboard(ready.api, SAMPLES[0], tmp_path)
        await ready.api.send("POST", VIMS, ready.cloud.vim())
        vnf = await create(ready.api, package["vnfdId"])
        secret = {"additionalParams": {"nfv": {"VDU": {"VDU1": {"admin_password": PARAMETER}}}}}
        body = await instantiate_body(ready.cloud, SAMPLES[0]) | secret
        operation = await operate(ready.api, vnf, "instantiate", body)
        assert operation["operationState"] == "COMPLETED", operation
        [stacks] = await ready.cloud.resources(("orchestration", "/stacks", "stacks"))
        [stack] = [stack for stack in stacks if stack["stack_name"] == f"vnf-{vnf.rpartition('/')[2]}"]
        path = f"/stacks/{stack['stack_name']}/{stack['id']}"
        [shown] = await ready.cloud.resources(("orchestration", path, "stack"))
        assert PARAMETER in str(shown)
        # A later change of the stack has to say it once more: it is opened from what was read back.
        scaled = await operate(ready.api, vnf, "scale", {"type": "SCALE_OUT", "aspectId": "VDU1_scale"})
        assert scaled["operationState"] == "COMPLETED", scaled
        [shown] = await ready.cloud.resources(("orchestration", path, "stack"))
        assert (PARAMETER in str(shown), '"desired_capacity": 2' in str(shown)) == (True, True)
        assert PARAMETER not in str(await ready.api.send("GET", vnf)) + str(operation) + str(scaled)
        assert PARAMETER.encode() not in await rows_of_all_tables(ready)


async def everything_that_can_be_done(ready: TestSite, tmp_path: Path) -> str:
    """The flow with every way to give a password; returns all answers."""
    answers: list[object] = []

    async def ask(method: str, path: str, body: Json | None = None) -> Json:
        reply = await ready.ask(method, path, body)
        answers.append((reply.headers, reply.body))
        return reply.body

    vim = (await ask("POST", VIMS, ready.cloud.vim(extra={"helm": {"master_password": PARAMETER}})))["vim"]
    await ask("POST", VIMS, ready.cloud.vim("b", auth_cred={"username": "demo", "password": WRONG}))
    await ask("PUT", f"{VIMS}/{vim['id']}", {"vim": {"auth_cred": {"password": WRONG}}})
    package = await onboard(ready.api, SAMPLES[0], tmp_path)
    requests = {
        "registered": {},
        "inline": {"vimConnectionInfo": inline(ready, INLINE)},
        "wrong": {"vimConnectionInfo": inline(ready, WRONG)},
        "parameters": {"additionalParams": {"db": {"admin_password": PARAMETER}, "api_key": PARAMETER}},
    }
    for name, members in requests.items():
        vnf = await create(ready.api, package["vnfdId"], name)
        operation = await operate(
            ready.api, vnf, "instantiate", await instantiate_body(ready.cloud, SAMPLES[0]) | members
        )
        assert operation["operationState"] == ("FAILED_TEMP" if name == "wrong" else "COMPLETED"), operation
        answers.append(operation)
        await ask("GET", vnf)
        if name == "wrong":
            await ask("POST", f"{OPS}/{operation['id']}/retry")
            uri = f"{OPS}/{operation['id']}"
            answers.append(await ready.api.until(uri, "operationState", {"FAILED_TEMP"}, ENDED - {"FAILED_TEMP"}))
    for path in (f"{VNFS}?all_fields", f"{OPS}?all_fields", VIMS, f"{VIMS}/{vim['id']}", "/policy/v1/policies", "/metrics",
                 "/health/ready"):  # fmt: skip
        await ask("GET", path)
    answers.append((await ready.ask("GET", "/vnffm/v1/alarms", Version="1.3.0")).body)
    return str(answers)


def inline(ready: TestSite, password: str) -> Json:
    """A VIM connection that brings its own credentials."""
    connection = ready.cloud.connection
    access = {**(connection.access_info or {}), "username": "inline", "password": password}
    return {"vim": {"vimType": OPENSTACK, "interfaceInfo": connection.interface_info, "accessInfo": access}}


async def rows_of_all_tables(ready: TestSite) -> bytes:
    """Every value of every row, behind the compression that PostgreSQL's files may have."""
    found = b""
    for schema, table in await ready.tables():
        for row in await ready.platform.pool.fetch(f'SELECT * FROM "{schema}"."{table}"'):  # noqa: S608
            found += b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    for stream in ("LCM", "PKG", "VIM", "MON", "POL", "WORK", "DEAD"):
        for sequence in range(1, (await ready.platform.nats.js.stream_info(stream)).state.last_seq + 1):
            found += await message(ready, stream, sequence)
    assert b"create-stack" in found
    return found


async def message(ready: TestSite, stream: str, sequence: int) -> bytes:
    """A message of a stream, headers and all, behind the stream's compression; nothing for one that is gone."""
    try:
        stored = await ready.platform.nats.js.get_msg(stream, sequence)
    except NotFoundError:
        return b""
    return (stored.data or b"") + str(stored.headers).encode()


def stored_files(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


async def test_what_is_deleted_cannot_be_opened_any_more(tmp_path: Path) -> None:
    async with site() as ready:
        await ready.ask("POST", VIMS, ready.cloud.vim())
        package = await onboard(ready.api, SAMPLES[0], tmp_path)
        vnf = await create(ready.api, package["vnfdId"])
        request = await instantiate_body(ready.cloud, SAMPLES[0]) | {"vimConnectionInfo": inline(ready, INLINE)}
        failed = await operate(ready.api, vnf, "instantiate", request)
        await ready.ask("POST", f"{OPS}/{failed['id']}/fail")
        vnf_id = vnf.rpartition("/")[2]
        commits = await ready.platform.store.load(f"lcm.vnf.{vnf_id}")
        sealed = next(
            each for each in str([stored.body for stored in commits]).split('"') if each.startswith("sealed:1.")
        )
        path = "/vimConnectionInfo/vim/accessInfo/password"
        assert await ready.platform.vault.open(vnf_id, path, sealed) == INLINE
        assert (await ready.ask("DELETE", vnf)).status == 204
        async with asyncio.timeout(60):
            while True:
                try:
                    await ready.platform.vault.open(vnf_id, path, sealed)
                except Shredded:
                    break
                await asyncio.sleep(0.1)

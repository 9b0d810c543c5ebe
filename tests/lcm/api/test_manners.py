"""What the LCM API does with a request that is sent again, for a version that is gone, or in another minor version."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from forestay_events.config import BaseConfig

from tests.lcm.api.client import INSTANCES, OP_OCCS, Answer, Client, client
from tests.lcm.api.test_instances import operation
from tests.lcm.engine.running import running
from tests.lcm.engine.scripted_vim import ScriptedVim

KEY = {"Idempotency-Key": "0b3f6a52-6a4b-44c1-a7a5-6a0c3c0b9c11"}
CREATE = {"vnfdId": "vnfd-1", "vnfInstanceName": "edge"}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


def said(answer: Answer) -> tuple[int, str | None, Any]:
    return answer.status, answer.headers.get("Location"), answer.body


def tag_of(answer: Answer) -> str:
    """Its ``ETag``, however the client writes the header's name."""
    return next(value for name, value in answer.headers.items() if name.lower() == "etag")


async def forget(config: BaseConfig) -> None:
    """Leave what a process leaves that dies behind its append."""
    connection = await asyncpg.connect(config.database_url)
    await connection.execute("UPDATE http.answer SET answer = NULL")
    await connection.close()


async def counted(api: Client) -> tuple[int, int]:
    """How many instances and operations there are."""
    return len((await api.get(INSTANCES)).body), len((await api.get(OP_OCCS)).body)


@pytest.mark.parametrize("crash", [False, True], ids=["answered", "died behind the append"])
async def test_a_repeated_request_makes_nothing_twice(config: BaseConfig, crash: bool) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        first = await api.post(INSTANCES, CREATE, **KEY)
        assert first.status == 201
        if crash:
            await forget(config)
        assert said(await api.post(INSTANCES, CREATE, **KEY)) == said(first)
        path = f"{INSTANCES}/{first.body['id']}"
        started = await api.post(f"{path}/instantiate", {"flavourId": "simple"}, **KEY)
        await operation(api, started.op_id, "COMPLETED")
        ended = await api.post(f"{path}/terminate", {"terminationType": "FORCEFUL"})
        await operation(api, ended.op_id, "COMPLETED")
        if crash:
            await forget(config)
        # By now it could be done again, but it was done.
        assert said(await api.post(f"{path}/instantiate", {"flavourId": "simple"}, **KEY)) == said(started)
        assert await counted(api) == (1, 2)
        other = await api.post(f"{path}/instantiate", {"flavourId": "other"}, **KEY)
        assert "own key" in other.problem(422)["detail"]


async def test_the_same_request_many_times_at_once(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        answers = await asyncio.gather(*(api.post(INSTANCES, CREATE, **KEY) for _ in range(8)))
        assert {(answer.status, answer.headers["Location"]) for answer in answers} == {
            (201, answers[0].headers["Location"])
        }
        assert await counted(api) == (1, 0)


async def test_what_is_shown_has_a_tag(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        path = f"{INSTANCES}/{await api.create()}"
        tag = tag_of(await api.get(path))
        for given in (tag, f"W/{tag}", f'"other", {tag}', "*"):
            known = await api.get(path, **{"If-None-Match": given})
            assert (known.status, tag_of(known), known.body) == (304, tag, None)
        patched = await api.send("PATCH", path, {"vnfInstanceName": "a"}, **MERGE_PATCH, **{"If-Match": f'"x", {tag}'})
        await operation(api, patched.op_id, "COMPLETED")
        again = await api.get(path, **{"If-None-Match": tag})
        assert (again.status, again.body["vnfInstanceName"]) == (200, "a")
        for method, body in (("PATCH", {"vnfInstanceName": "b"}), ("DELETE", None)):
            for given in (tag, f"W/{tag_of(again)}", '"made up"', "nonsense"):
                content = MERGE_PATCH if body else {}
                stale = await api.send(method, path, body, **content, **{"If-Match": given})
                assert "If-Match" in stale.problem(412)["detail"]
        assert (await api.send("DELETE", path, **{"If-Match": tag_of(again)})).status == 204
        gone = await api.send("DELETE", path, **{"If-Match": tag})
        gone.problem(404)


async def test_of_those_who_saw_the_same_one_changes_it(config: BaseConfig) -> None:
    async with running(config, ScriptedVim()) as lcm, client(lcm.url) as api:
        path = f"{INSTANCES}/{await api.create()}"
        seen = {"If-Match": tag_of(await api.get(path))}
        answers = await asyncio.gather(
            *(api.send("PATCH", path, {"vnfInstanceName": f"n{n}"}, **MERGE_PATCH, **seen) for n in range(5))
        )
        assert sorted(answer.status for answer in answers)[0] == 202
        assert {answer.status for answer in answers} <= {202, 409, 412}
        assert sum(answer.status == 202 for answer in answers) == 1


@pytest.mark.parametrize("version", ["2.0.0", "2.1.0", "2.2.0", "2.3.0", "2.3.0-impl:etsi.org:ETSI_NFV_OpenAPI:1"])
async def test_every_minor_version_is_answered_in_itself(refusing: tuple[Client, str], version: str) -> None:
    api, vnf_id = refusing
    shown = await api.get(f"{INSTANCES}/{vnf_id}", Version=version)
    assert (shown.status, shown.headers["Version"]) == (200, version.partition("-")[0])
    assert version.partition("-")[0] in [
        each["version"] for each in (await api.get("/vnflcm/v2/api_versions")).body["apiVersions"]
    ]

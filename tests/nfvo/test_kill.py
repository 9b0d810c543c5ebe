"""``kill -9`` of the engine around its one request to the NFVO: never a second one, and the operation ends by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.crash.processes import until
from tests.crash.stage import Stage, staged
from tests.nfvo.simulator import Mode, NfvoSimulator
from tests.nfvo.test_operations import SETTINGS, in_nova
from tests.scripts.packages import variant

Json = dict[str, Any]
pytestmark = [pytest.mark.crash, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[tuple[Stage, NfvoSimulator]]:
    async with NfvoSimulator().serve() as nfvo:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in ({"ENDPOINT": nfvo.root} | SETTINGS).items():
                patch.setenv(f"FORESTAY_NFVO_{name}", value)
            async with staged() as made:
                nfvo.change = in_nova
                yield made, nfvo


async def killed(stage: Stage, instant: str) -> tuple[str, Json]:
    """Id of a VNF instance and its ended INSTANTIATE, during which the engine was killed."""
    api, client = stage.site.api, stage.client
    vnf_id = await client.create(stage.vnfd_id)
    api.arm(instant)
    started = asyncio.create_task(client.start(vnf_id, "instantiate", stage.instantiate))
    try:
        await until(lambda: api.held, f"{instant} is reached")
        await stage.site.kill("api")
        await stage.site.restart("api")
        return vnf_id, await client.ended(await started)
    finally:
        started.cancel()
        await stage.site.healthy()


def requests(nfvo: NfvoSimulator, vnf_id: str) -> int:
    return sum(entry.body["vnfInstanceId"] == vnf_id for entry in nfvo.seen("POST", "/grants"))


@pytest.mark.parametrize(
    ("instant", "mode", "posts", "state"),
    [
        ("grant.before", "at once", 1, "COMPLETED"),
        ("grant.noted", "at once", 0, "ROLLED_BACK"),  # it may have asked: nobody can know
        ("grant.done", "at once", 1, "ROLLED_BACK"),  # granted, but nobody has kept the answer
        ("grant.done", "later", 1, "COMPLETED"),  # the log has where the grant will be
    ],
)
async def test_asked_at_most_once(
    stage: tuple[Stage, NfvoSimulator], instant: str, mode: Mode, posts: int, state: str
) -> None:
    staged, nfvo = stage
    nfvo.mode = mode
    vnf_id, operation = await killed(staged, instant)
    assert operation["operationState"] == state, operation
    assert requests(nfvo, vnf_id) == posts
    if state == "COMPLETED":
        [grant] = [key for key, grant in nfvo.granted.items() if grant["vnfInstanceId"] == vnf_id]
        assert operation["grantId"] == grant
        nfvo.mode = "at once"
        await staged.client.operate(vnf_id, "terminate", staged.terminate)
    else:
        assert operation["error"]["title"] == "Answer to the grant request lost"
    assert await staged.site.simulator.cloud.leftovers() == []


async def test_between_the_content_of_a_package_and_the_log(stage: tuple[Stage, NfvoSimulator], tmp_path: Path) -> None:
    staged, nfvo = stage
    vnfd_id = str(uuid4())
    nfvo.onboard(variant(tmp_path, "sample-asg", name="fetched", vnfd_id=vnfd_id).read_bytes(), vnfd_id)
    api = staged.site.api
    api.arm("package.fetched")
    created = asyncio.create_task(staged.client.create(vnfd_id))
    await until(lambda: api.held, "the content is stored")
    await staged.site.kill("api")
    await staged.site.restart("api")
    assert (await staged.client.show(await created))["vnfdId"] == vnfd_id
    assert len(nfvo.seen("GET", f"{vnfd_id}/package_content")) == 2
    await staged.site.healthy()


async def test_a_restart_while_the_nfvo_decides(stage: tuple[Stage, NfvoSimulator]) -> None:
    staged, nfvo = stage
    nfvo.mode, nfvo.looks = "later", 10_000
    vnf_id = await staged.client.create(staged.vnfd_id)
    op_id = await staged.client.start(vnf_id, "instantiate", staged.instantiate)
    await until(lambda: len(nfvo.seen("GET", "/grants/")) > 3, "the NFVO is looked at")
    await staged.site.kill("api")
    await staged.site.restart("api")
    looked = len(nfvo.seen("GET", "/grants/"))
    await until(lambda: len(nfvo.seen("GET", "/grants/")) > looked + 3, "the NFVO is looked at again")
    assert (await staged.client.show_op_occ(op_id))["operationState"] == "STARTING"
    nfvo.decide()
    ended = await staged.client.ended(op_id)
    assert (ended["operationState"], requests(nfvo, vnf_id)) == ("COMPLETED", 1)
    nfvo.mode = "at once"
    await staged.client.operate(vnf_id, "terminate", staged.terminate)

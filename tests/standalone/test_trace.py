"""One trace and one correlation id run through an operation: from the REST call over the log and the queue to the VIM."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler
from forestay_events.store import read
from forestay_events.telemetry import configure_tracing
from forestay_simvim import OpenStackSimulator

from tests.flow.scenario import SAMPLES, create, instantiate_body, onboard
from tests.standalone.site import TestSite, site

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


class Listener(OpenStackSimulator):
    """A simulator that remembers in which trace each request came."""

    def __init__(self) -> None:
        super().__init__()
        self.traces: list[tuple[str, str]] = []

    def application(self) -> web.Application:
        app = super().application()

        @web.middleware
        async def listen(request: web.Request, handler: Handler) -> web.StreamResponse:
            trace = request.headers.get("traceparent", "--").split("-")[1]
            self.traces.append((f"{request.method} {request.path}", trace))
            return await handler(request)

        app.middlewares.append(listen)
        return app


async def instantiated(ready: TestSite, directory: Path) -> tuple[str, str]:
    """Ids of a VNF instance and of the operation that instantiated it, which was asked for within ``TRACE``."""
    await ready.ask("POST", "/v1.0/vims", ready.cloud.vim())
    package = await onboard(ready.api, SAMPLES[0], directory)
    vnf = await create(ready.api, package["vnfdId"])
    body = await instantiate_body(ready.cloud, SAMPLES[0])
    reply = await ready.ask("POST", f"{vnf}/instantiate", body, traceparent=f"00-{TRACE}-00f067aa0ba902b7-01")
    op_id = reply.headers["Location"].rpartition("/")[2]
    await ready.api.until(f"/vnflcm/v2/vnf_lcm_op_occs/{op_id}", "operationState", {"COMPLETED"}, {"FAILED_TEMP"})
    return vnf.rpartition("/")[2], op_id


async def test_the_trace_of_a_request_comes_to_the_vim(tmp_path: Path) -> None:
    configure_tracing("test")
    listener = Listener()
    async with site(simulator=listener) as ready:
        vnf_id, _ = await instantiated(ready, tmp_path)
        commits = await ready.platform.store.load(f"lcm.vnf.{vnf_id}")
    assert [stored.headers["traceparent"].split("-")[1] == TRACE for stored in commits] == [False] + [True] * 5
    stacks = [trace for call, trace in listener.traces if call.startswith("POST") and call.endswith("/stacks")]
    assert stacks == [TRACE]


async def test_every_commit_has_an_owner_an_actor_and_a_reason(tmp_path: Path) -> None:
    async with site(default_project="tenant-7") as ready:
        await instantiated(ready, tmp_path)
        for stream in ("PKG", "VIM", "LCM"):
            commits = [stored.commit async for stored in read(ready.platform.store, stream)]
            assert commits, stream
            assert {commit.project for commit in commits} == {"tenant-7"}
            assert all(commit.actor == "admin" or commit.actor.startswith("forestay:") for commit in commits)
            assert all(commit.reason for commit in commits), commits


async def test_all_commits_of_an_operation_have_its_id(tmp_path: Path) -> None:
    async with site() as ready:
        vnf_id, op_id = await instantiated(ready, tmp_path)
        commits = [stored.commit for stored in await ready.platform.store.load(f"lcm.vnf.{vnf_id}")]
    assert [commit.correlation_id for commit in commits[1:]] == [op_id] * 5

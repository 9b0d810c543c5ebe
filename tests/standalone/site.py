"""Everything in one process with a simulated cloud, a client that speaks raw HTTP, and the eyes to see what is stored."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiohttp
import msgspec
from forestay_events.platform import STREAMS, Platform
from forestay_simvim import OpenStackSimulator
from forestay_standalone.all_in_one import all_in_one
from forestay_standalone.rest import RestApi
from forestay_standalone.substrate import Options, substrate
from yarl import URL

from tests.exchanges import recorder
from tests.flow.cloud import TestCloud

Json = dict[str, Any]
VERSION = {"Version": "2.0.0"}
#: What changes by itself: the clock of a projector, the watch of VIMs.
_RESTLESS = ("checkpoint",)


@dataclass(frozen=True)
class Reply:
    """What came back; ``body`` is JSON, or text where it is none."""

    status: int
    headers: dict[str, str]
    body: Any

    @property
    def sentence(self) -> str:
        """What the error says, of ProblemDetails or of the legacy TackerError, checked for its form."""
        assert self.status >= 400, self
        assert isinstance(self.body, dict), self
        if "TackerError" in self.body:
            assert self.headers["Content-Type"].startswith("application/json"), self
            return self.body["TackerError"]["message"]
        assert self.headers["Content-Type"].startswith("application/problem+json"), self
        assert (self.body["status"], bool(self.body["title"])) == (self.status, True), self
        return self.body["detail"]


@dataclass(frozen=True)
class TestSite:
    """A running Forestay.

    :ivar exchanges: what was asked and answered, as ``check_openapi.py`` reads it.
    """

    __test__ = False

    url: str
    platform: Platform
    simulator: OpenStackSimulator
    cloud: TestCloud
    directory: Path
    api: RestApi
    session: aiohttp.ClientSession
    exchanges: list[Json] = field(default_factory=list[Json])

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Send exactly this path; ``body`` is JSON, or bytes that go as they are. An empty header is not sent."""
        sent = VERSION | ({"Content-Type": "application/json"} if body is not None else {}) | headers
        data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
        async with self.session.request(
            method,
            URL(self.url + path, encoded=True),
            data=data,
            headers={name: value for name, value in sent.items() if value},
            skip_auto_headers=("Content-Type",),
            allow_redirects=False,
        ) as response:
            raw = await response.read()
        try:
            content = msgspec.json.decode(raw) if raw else None
        except msgspec.DecodeError:
            content = raw.decode(errors="replace")
        reply = Reply(response.status, dict(response.headers), content)
        given = {"__binary__": len(body)} if isinstance(body, bytes) else body
        self.exchanges.append({
            "method": method, "path": path, "request_headers": sent, "request_body": given,
            "status": reply.status, "response_headers": reply.headers, "response_body": reply.body,
        })  # fmt: skip
        return reply

    async def raw(self, request: bytes) -> int:
        """Status of the answer to these bytes."""
        host, port = self.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            writer.write(request)
            async with asyncio.timeout(60):
                return int((await reader.readline()).split()[1])
        finally:
            writer.close()

    async def stored(self) -> Json:
        """What is stored: heads of the streams, a digest of each table, blobs, stacks in the cloud."""
        heads: dict[str, int] = {}
        while (now := {name: await self.platform.store.head(name) for name in STREAMS}) != heads:
            heads = now
            await self._settled(heads)
        found: Json = {"heads": heads, "tables": {}, "blobs": set[str]()}
        for schema, table in await self.tables():
            rows = await self.platform.pool.fetch(f'SELECT * FROM "{schema}"."{table}"')  # noqa: S608
            digest = hashlib.sha256(b"\0".join(sorted(repr(tuple(row)).encode() for row in rows))).hexdigest()
            found["tables"][f"{schema}.{table}"] = (len(rows), digest)
        found["blobs"] = {blob.digest async for blob in self.platform.blobs.list()}
        found["unfinished"] = [path.name for path in self.platform.blobs.uploads.iterdir()]
        found["cloud"] = await self.cloud.leftovers()
        return found

    async def tables(self) -> list[tuple[str, str]]:
        """Schema and name of all tables, without those that change by themselves."""
        rows = await self.platform.pool.fetch(
            "SELECT table_schema, table_name FROM information_schema.tables"
            " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"
        )
        return [(row[0], row[1]) for row in rows if row[1] not in _RESTLESS]

    async def _settled(self, heads: dict[str, int]) -> None:
        """Wait until every projector has come to the heads and nothing is left to send."""
        pool = self.platform.pool
        schemas = [row[0] for row in await pool.fetch(
            "SELECT table_schema FROM information_schema.tables WHERE table_name = 'checkpoint'")]  # fmt: skip
        async with asyncio.timeout(60):
            for schema in schemas:
                for stream, position in await pool.fetch(f"SELECT * FROM {schema}.checkpoint"):  # noqa: S608
                    while position < heads[stream]:
                        await asyncio.sleep(0.02)
                        query = f"SELECT position FROM {schema}.checkpoint WHERE stream = $1"  # noqa: S608
                        position = await pool.fetchval(query, stream)
            for schema, table in await self.tables():
                while table == "outbox" and await pool.fetchval(f"SELECT count(*) FROM {schema}.outbox"):  # noqa: S608
                    await asyncio.sleep(0.02)


@asynccontextmanager
async def site(
    *, simulator: OpenStackSimulator | None = None, password: str | None = None, **config: Any
) -> AsyncGenerator[TestSite]:
    """Start everything; ``config`` are members of BaseConfig."""
    with TemporaryDirectory(prefix="forestay-test-", ignore_cleanup_errors=True) as directory:
        async with (
            (simulator or OpenStackSimulator()).serve() as running,
            substrate(Options(data_dir=Path(directory), port=0)) as base,
            all_in_one(msgspec.structs.replace(base, **config)) as (platform, url),
            aiohttp.ClientSession(url, headers=VERSION, trace_configs=[recorder()]) as versioned,
            aiohttp.ClientSession(trace_configs=[recorder()]) as session,
        ):
            cloud = TestCloud(running.auth_url, "demo", password or "demo-secret", "demo")
            yield TestSite(url, platform, running, cloud, Path(directory), RestApi(versioned), session)

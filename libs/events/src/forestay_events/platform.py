"""What every service stands on: the log, its copy, the work queue, blobs and secrets, opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg

from forestay_events.archive import Projection, Projector
from forestay_events.blobs import FileBlobStore
from forestay_events.config import BaseConfig
from forestay_events.connection import Nats, connect
from forestay_events.database import answering, open_pool
from forestay_events.jetstream import JetStreamEventStore, ensure_stream, log_stream
from forestay_events.keystore import JetStreamKeyStore, MirroredKeyStore, PostgresKeyStore
from forestay_events.positions import Positions
from forestay_events.sealing import MasterKeys, Vault
from forestay_events.work import DEAD, WORK, WorkQueue

#: The log streams, by the service that owns them.
STREAMS = ("PKG", "VIM", "LCM", "MON", "POL")


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Platform:
    """The opened substrate of one process."""

    config: BaseConfig
    nats: Nats
    store: JetStreamEventStore
    pool: asyncpg.Pool
    positions: Positions
    vault: Vault
    blobs: FileBlobStore
    queue: WorkQueue
    clock: Callable[[], datetime] = utc_now

    def projector(
        self, schema: str, stream: str, projections: Sequence[Projection], *, archive: bool = True
    ) -> Projector:
        return Projector(self.pool, self.store, self.positions, schema, stream, projections, archive)

    async def check_database(self) -> None:
        """Health. :raises Unavailable: PostgreSQL does not answer."""
        with answering():
            await self.pool.fetchval("SELECT 1", timeout=2)


async def ensure_streams(nats: Nats, *, replicas: int = 1) -> None:
    """Create the streams that are missing."""
    for name in STREAMS:
        await ensure_stream(nats, log_stream(name, replicas=replicas))
    await ensure_stream(nats, WORK.evolve(num_replicas=replicas))
    await ensure_stream(nats, DEAD.evolve(num_replicas=replicas))


@asynccontextmanager
async def open_platform(config: BaseConfig, name: str) -> AsyncGenerator[Platform]:
    """Connect to the servers and create what is missing in them.

    :raises Unavailable: NATS or PostgreSQL does not answer.
    """
    async with AsyncExitStack() as stack:
        nats = await stack.enter_async_context(connect(config.nats_url, name=name, credentials=config.nats_credentials))
        pool = await stack.enter_async_context(open_pool(config.database_url))
        await ensure_streams(nats, replicas=config.nats_replicas)
        keys = MirroredKeyStore(
            await JetStreamKeyStore.connect(nats.js, replicas=config.nats_replicas),
            await PostgresKeyStore.connect(pool),
        )
        blobs = await FileBlobStore.open(config.data_dir / "blobs")
        stack.callback(blobs.close)
        yield Platform(
            config=config,
            nats=nats,
            store=JetStreamEventStore(nats),
            pool=pool,
            positions=Positions(config.database_url),
            vault=Vault(keys, MasterKeys.load(config.master_key_file)),
            blobs=blobs,
            queue=WorkQueue(nats, utc_now),
        )

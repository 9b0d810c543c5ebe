"""One contract for every key store, then what mirroring adds: survival of either side, healing, no resurrection."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import nats
import pytest
import pytest_asyncio
from forestay_events.connection import Nats, connect
from forestay_events.errors import Permanent, Unavailable
from forestay_events.keystore import JetStreamKeyStore, MemoryKeyStore, MirroredKeyStore, PostgresKeyStore
from forestay_events.sealing import KeyStore, MasterKeys, Shredded, Vault
from forestay_standalone.embedded import EmbeddedNats


@pytest_asyncio.fixture
async def connection(nats_server: EmbeddedNats) -> AsyncIterator[Nats]:
    async with connect(nats_server.url, name="test") as connection:
        yield connection


@pytest_asyncio.fixture
async def bucket(connection: Nats) -> JetStreamKeyStore:
    return await JetStreamKeyStore.connect(connection.js)


async def kill(server: EmbeddedNats, connection: Nats) -> None:
    """Kill the server and wait until the client has noticed, so that no request waits for its time-out."""
    await server.kill()
    while connection.connected:
        await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    async with asyncpg.create_pool(database, min_size=1, max_size=8) as pool:
        yield pool


@pytest_asyncio.fixture
async def table(pool: asyncpg.Pool) -> PostgresKeyStore:
    return await PostgresKeyStore.connect(pool)


@pytest.fixture(params=["memory", "jetstream", "postgres", "mirrored"])
def keys(request: pytest.FixtureRequest) -> KeyStore:
    match request.param:
        case "memory":
            return MemoryKeyStore()
        case "jetstream":
            return request.getfixturevalue("bucket")
        case "postgres":
            return request.getfixturevalue("table")
        case _:
            return MirroredKeyStore(request.getfixturevalue("bucket"), request.getfixturevalue("table"))


async def test_a_key_is_created_once_and_then_stays(keys: KeyStore) -> None:
    assert await keys.get("vim-1") is None
    assert await keys.create("vim-1", "first") == "first"
    assert await keys.create("vim-1", "second") == "first"
    assert await keys.get("vim-1") == "first"
    assert await keys.get("vim-2") is None


async def test_all_who_create_at_once_get_the_same_key(keys: KeyStore) -> None:
    for aggregate in (f"vim-{number}" for number in range(5)):
        created = await asyncio.gather(*(keys.create(aggregate, f"candidate-{number}") for number in range(8)))
        assert set(created) == {await keys.get(aggregate)}


async def test_a_shredded_key_is_gone_for_good(keys: KeyStore) -> None:
    await keys.create("vim-1", "first")
    for aggregate in ("vim-1", "never-created"):
        await keys.shred(aggregate)
        await keys.shred(aggregate)
        with pytest.raises(Shredded):
            await keys.get(aggregate)
        with pytest.raises(Shredded):
            await keys.create(aggregate, "again")


async def test_creating_and_shredding_at_once_ends_shredded(keys: KeyStore) -> None:
    for aggregate in (f"vim-{number}" for number in range(5)):
        creating = [keys.create(aggregate, f"candidate-{number}") for number in range(4)]
        await asyncio.gather(*creating, keys.shred(aggregate), return_exceptions=True)
        with pytest.raises(Shredded):
            await keys.get(aggregate)


async def test_keys_outlive_a_killed_server(
    nats_server: EmbeddedNats, connection: Nats, bucket: JetStreamKeyStore
) -> None:
    await bucket.create("vim-1", "first")
    await bucket.shred("vim-2")
    await kill(nats_server, connection)
    with pytest.raises(Unavailable):
        await bucket.get("vim-1")
    with pytest.raises(Unavailable):
        await bucket.create("vim-3", "third")
    await nats_server.restart()
    async with connect(nats_server.url, name="test") as restarted:
        again = await JetStreamKeyStore.connect(restarted.js)
        assert await again.get("vim-1") == "first"
        with pytest.raises(Shredded):
            await again.get("vim-2")
        assert await again.get("vim-3") is None


async def test_the_bucket_keeps_one_revision_and_no_key_expires(
    nats_server: EmbeddedNats, bucket: JetStreamKeyStore
) -> None:
    await bucket.create("vim-1", "first")
    await bucket.shred("vim-1")
    client = await nats.connect(nats_server.url)
    info = await client.jetstream().stream_info("KV_KEYS")
    await client.close()
    assert info.state.messages == 1
    assert info.config.storage == "file"
    assert not info.config.max_age
    assert not info.config.allow_direct


async def test_first_starts_at_once_make_one_table(database: str) -> None:
    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(asyncpg.create_pool(database, min_size=1)) for _ in range(4)]
        stores = await asyncio.gather(*(PostgresKeyStore.connect(pool) for pool in pools))
        assert await stores[0].create("vim-1", "first") == await stores[3].create("vim-1", "second")


async def test_postgres_errors_are_unavailable(pool: asyncpg.Pool, table: PostgresKeyStore) -> None:
    await pool.execute("DROP SCHEMA vault CASCADE")
    with pytest.raises(Unavailable, match=r"vault\.data_key"):
        await table.get("vim-1")
    pool.terminate()
    with pytest.raises(Unavailable):
        await table.shred("vim-1")


_CREATOR = """
import asyncio, sys, asyncpg
from forestay_events.connection import connect
from forestay_events.keystore import JetStreamKeyStore, MirroredKeyStore, PostgresKeyStore

async def main(url, dsn, mine):
    async with connect(url, name=mine) as nats, asyncpg.create_pool(dsn, min_size=1) as pool:
        keys = MirroredKeyStore(await JetStreamKeyStore.connect(nats.js), await PostgresKeyStore.connect(pool))
        print("ready", flush=True)
        sys.stdin.readline()
        print(*[await keys.create(f"vim-{number}", mine) for number in range(50)])

asyncio.run(main(*sys.argv[1:]))
"""


async def test_two_processes_create_the_same_keys(nats_server: EmbeddedNats, database: str) -> None:
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _CREATOR, nats_server.url, database, name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        for name in ("left", "right")
    ]
    for process in processes:
        assert process.stdout
        assert await process.stdout.readline() == b"ready\n"
    results = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    left, right = (out.splitlines()[0].split() for out, _ in results)
    assert left == right
    assert len(left) == 50


@pytest.fixture
def mirrored(bucket: JetStreamKeyStore, table: PostgresKeyStore) -> MirroredKeyStore:
    return MirroredKeyStore(bucket, table)


async def test_create_writes_both_sides(
    mirrored: MirroredKeyStore, bucket: JetStreamKeyStore, table: PostgresKeyStore
) -> None:
    await mirrored.create("vim-1", "first")
    assert await bucket.get("vim-1") == await table.get("vim-1") == "first"


@pytest.mark.parametrize("lost", ["bucket", "table"])
@pytest.mark.parametrize("read_first", [True, False])
async def test_a_lost_side_is_healed_from_the_other(
    lost: str, read_first: bool, bucket: JetStreamKeyStore, table: PostgresKeyStore
) -> None:
    empty, kept = (bucket, table) if lost == "bucket" else (table, bucket)
    mirrored = MirroredKeyStore(bucket, table)
    await kept.create("vim-1", "first")
    if read_first:
        assert await mirrored.get("vim-1") == "first"
    else:
        assert await mirrored.create("vim-1", "second") == "first"
    assert await empty.get("vim-1") == "first"


@pytest.mark.parametrize("stale", ["bucket", "table"])
async def test_a_stale_copy_never_brings_a_shredded_key_back(
    stale: str, bucket: JetStreamKeyStore, table: PostgresKeyStore
) -> None:
    alive, shredded = (bucket, table) if stale == "bucket" else (table, bucket)
    mirrored = MirroredKeyStore(bucket, table)
    for aggregate in ("read", "created"):
        await alive.create(aggregate, "first")
        await shredded.shred(aggregate)
    with pytest.raises(Shredded):
        await mirrored.get("read")
    with pytest.raises(Shredded):
        await mirrored.create("created", "second")
    for aggregate in ("read", "created"):
        with pytest.raises(Shredded):
            await alive.get(aggregate)


async def test_while_nats_is_down_keys_are_read_but_not_made_and_shredding_must_be_repeated(
    nats_server: EmbeddedNats, connection: Nats, mirrored: MirroredKeyStore, table: PostgresKeyStore
) -> None:
    await mirrored.create("vim-1", "first")
    await mirrored.create("vim-2", "second")
    await kill(nats_server, connection)
    assert await mirrored.get("vim-1") == "first"
    with pytest.raises(Unavailable):
        await mirrored.get("vim-3")
    with pytest.raises(Unavailable):
        await mirrored.create("vim-3", "third")
    with pytest.raises(Unavailable):
        await mirrored.shred("vim-2")
    with pytest.raises(Shredded):
        await mirrored.get("vim-2")
    await nats_server.restart()
    async with connect(nats_server.url, name="test") as restarted:
        bucket = await JetStreamKeyStore.connect(restarted.js)
        assert await bucket.get("vim-2") == "second"
        with pytest.raises(Shredded):
            await MirroredKeyStore(bucket, table).get("vim-2")
        with pytest.raises(Shredded):
            await bucket.get("vim-2")


async def test_while_postgres_is_down_secrets_open_but_none_is_sealed(
    pool: asyncpg.Pool, mirrored: MirroredKeyStore
) -> None:
    vault = Vault(mirrored, MasterKeys([os.urandom(32)]))
    token = await vault.seal("vim-1", "/password", "s3cret")
    pool.terminate()
    assert await vault.open("vim-1", "/password", token) == "s3cret"
    with pytest.raises(Unavailable):
        await vault.seal("vim-1", "/password", "other")


async def test_two_different_keys_stop_everything(
    mirrored: MirroredKeyStore, bucket: JetStreamKeyStore, table: PostgresKeyStore
) -> None:
    await bucket.create("vim-1", "first")
    await table.create("vim-1", "second")
    with pytest.raises(Permanent, match="different data keys"):
        await mirrored.get("vim-1")
    with pytest.raises(Permanent, match="different data keys"):
        await mirrored.create("vim-1", "third")

"""Where sealed data keys live: in memory, in a JetStream KV bucket, in PostgreSQL, or mirrored over two of them.

Rules, for every implementation of ``sealing.KeyStore``:

* ``create`` is a compare-and-set: all processes that create the key of one aggregate get the same key back.
* Shredding leaves a tombstone in the key's place, which nothing ever replaces.
* JetStream and PostgreSQL drop an overwritten value at once but reuse its disk block only later (compaction, VACUUM);
  until then somebody with the disk would still need the master key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NoReturn

import asyncpg
import nats.errors
import nats.js.errors
from nats.js.api import KeyValueConfig, StorageType

from forestay_events.errors import Permanent, Unavailable
from forestay_events.sealing import KeyStore, Shredded

if TYPE_CHECKING:
    from nats.js import JetStreamContext
    from nats.js.kv import KeyValue

BUCKET = "KEYS"
_TOMBSTONE: Final = "shredded"
_DEADLINE = 5.0  # seconds for one statement, the same that nats-py gives a request


def _alive(aggregate_id: str, value: str) -> str:
    if value == _TOMBSTONE:
        raise Shredded(aggregate_id)
    return value


def _present(aggregate_id: str, value: str | None) -> str:
    if value is None:
        raise Unavailable(
            f"The data key of {aggregate_id} vanished while it was created; somebody removes keys by hand."
        )
    return value


class MemoryKeyStore:
    """Keys in a dict: for tests and for the pure runs of the simulator."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    async def get(self, aggregate_id: str) -> str | None:
        value = self._values.get(aggregate_id)
        return None if value is None else _alive(aggregate_id, value)

    async def create(self, aggregate_id: str, sealed_key: str) -> str:
        return _alive(aggregate_id, self._values.setdefault(aggregate_id, sealed_key))

    async def shred(self, aggregate_id: str) -> None:
        self._values[aggregate_id] = _TOMBSTONE


@contextmanager
def _nats_errors() -> Generator[None]:
    try:
        yield
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise Unavailable(f"The key bucket {BUCKET} in NATS cannot be used: {error}") from error


class JetStreamKeyStore:
    """Keys in the KV bucket ``KEYS``: file storage, history 1, no TTL (``KeyValue.create`` misreads expired keys)."""

    def __init__(self, bucket: KeyValue) -> None:
        self._bucket = bucket

    @classmethod
    async def connect(cls, js: JetStreamContext, *, replicas: int = 1) -> JetStreamKeyStore:
        """Bind to the bucket, which is made if it is missing."""
        with _nats_errors():
            try:
                return cls(await js.key_value(BUCKET))
            except nats.js.errors.BucketNotFoundError:
                # Without direct gets every read is answered by the leader: no follower shows a shredded key.
                config = KeyValueConfig(bucket=BUCKET, storage=StorageType.FILE, replicas=replicas, direct=False)
                return cls(await js.create_key_value(config))

    async def get(self, aggregate_id: str) -> str | None:
        with _nats_errors():
            try:
                entry = await self._bucket.get(aggregate_id)
            except nats.js.errors.KeyNotFoundError:
                return None
        return _alive(aggregate_id, (entry.value or b"").decode())

    async def create(self, aggregate_id: str, sealed_key: str) -> str:
        if stored := await self.get(aggregate_id):
            return stored
        with _nats_errors():
            try:
                await self._bucket.create(aggregate_id, sealed_key.encode())
            except nats.js.errors.KeyWrongLastSequenceError:
                return _present(aggregate_id, await self.get(aggregate_id))
        return sealed_key

    async def shred(self, aggregate_id: str) -> None:
        with _nats_errors():
            await self._bucket.put(aggregate_id, _TOMBSTONE.encode())


@contextmanager
def _postgres_errors() -> Generator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, OSError) as error:
        reason = str(error) or type(error).__name__
        raise Unavailable(f"The key table vault.data_key in PostgreSQL cannot be used: {reason}") from error


_TABLE = """
CREATE SCHEMA IF NOT EXISTS vault;
CREATE TABLE IF NOT EXISTS vault.data_key (
    aggregate_id text PRIMARY KEY,
    sealed_key   text NOT NULL,
    changed_at   timestamptz NOT NULL DEFAULT now()
);
"""
_GET = "SELECT sealed_key FROM vault.data_key WHERE aggregate_id = $1"
_CREATE = "INSERT INTO vault.data_key (aggregate_id, sealed_key) VALUES ($1, $2) ON CONFLICT DO NOTHING"
_SHRED = """
INSERT INTO vault.data_key (aggregate_id, sealed_key) VALUES ($1, $2)
ON CONFLICT (aggregate_id) DO UPDATE SET sealed_key = excluded.sealed_key, changed_at = now()
"""


class PostgresKeyStore:
    """Keys in the table ``vault.data_key``."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    @classmethod
    async def connect(cls, pool: asyncpg.Pool) -> PostgresKeyStore:
        """Make the table if it is missing."""
        with _postgres_errors():
            async with pool.acquire(timeout=_DEADLINE) as connection, connection.transaction():
                # IF NOT EXISTS alone lets two first starts at once collide in the catalogue.
                await connection.execute("SELECT pg_advisory_xact_lock(hashtext('vault.data_key'))")
                await connection.execute(_TABLE)
        return cls(pool)

    async def get(self, aggregate_id: str) -> str | None:
        with _postgres_errors():
            value: str | None = await self._pool.fetchval(_GET, aggregate_id, timeout=_DEADLINE)
        return None if value is None else _alive(aggregate_id, value)

    async def create(self, aggregate_id: str, sealed_key: str) -> str:
        if stored := await self.get(aggregate_id):
            return stored
        await self._write(_CREATE, aggregate_id, sealed_key)
        return _present(aggregate_id, await self.get(aggregate_id))

    async def shred(self, aggregate_id: str) -> None:
        await self._write(_SHRED, aggregate_id, _TOMBSTONE)

    async def _write(self, statement: str, *values: str) -> None:
        with _postgres_errors():
            async with self._pool.acquire(timeout=_DEADLINE) as connection, connection.transaction():
                # A rebuildable view may be lost with a power cut; a data key may not.
                await connection.execute("SET LOCAL synchronous_commit = on")
                await connection.execute(statement, *values, timeout=_DEADLINE)


class MirroredKeyStore:
    """Two stores that hold the same keys, so that losing either of them loses no secret.

    The primary decides who creates a key, and ``create`` gives a key only when both stores have it. ``get`` asks both:
    a side that lacks the key or the tombstone is healed, a side that does not answer is replaced by the other, and a
    tombstone on either side outweighs a key on the other.
    """

    def __init__(self, primary: KeyStore, copy: KeyStore) -> None:
        self._primary = primary
        self._copy = copy

    async def get(self, aggregate_id: str) -> str | None:
        answers = await asyncio.gather(
            self._primary.get(aggregate_id), self._copy.get(aggregate_id), return_exceptions=True
        )
        if any(isinstance(answer, Shredded) for answer in answers):
            await self._spread_shredding(aggregate_id)
        keys = [answer for answer in answers if isinstance(answer, str)]
        faults = [answer for answer in answers if isinstance(answer, BaseException)]
        match keys, faults:
            case [key], [Unavailable()]:
                return key
            case _, [fault, *_]:
                raise fault
            case [key], []:
                with suppress(Unavailable):
                    return await self.create(aggregate_id, key)
                return key
            case _:
                return self._agreed(aggregate_id, *keys) if keys else None

    async def create(self, aggregate_id: str, sealed_key: str) -> str:
        try:
            # After a loss of the primary the copy knows the key: it goes before any new one.
            known = await self._copy.get(aggregate_id)
            first = await self._primary.create(aggregate_id, known or sealed_key)
            return self._agreed(aggregate_id, first, await self._copy.create(aggregate_id, first))
        except Shredded:
            await self._spread_shredding(aggregate_id)

    async def shred(self, aggregate_id: str) -> None:
        """Shred on both sides, each whether or not the other answers; ``Unavailable`` if one did not: repeat it."""
        for fault in await self._shred_both(aggregate_id):
            if fault is not None:
                raise fault

    async def _shred_both(self, aggregate_id: str) -> tuple[BaseException | None, BaseException | None]:
        return await asyncio.gather(
            self._primary.shred(aggregate_id), self._copy.shred(aggregate_id), return_exceptions=True
        )

    async def _spread_shredding(self, aggregate_id: str) -> NoReturn:
        await self._shred_both(aggregate_id)  # a side that is down now is healed by the next read
        raise Shredded(aggregate_id)

    @staticmethod
    def _agreed(aggregate_id: str, first: str, second: str) -> str:
        if first != second:
            raise Permanent(
                f"The two key stores hold different data keys for {aggregate_id}; one was restored wrongly."
            )
        return first

"""PostgreSQL at the edge: the pool, connections outside it, and one word for "it does not answer".

The pool is for work that ends: nobody waits for one of its connections for ever. Who keeps a connection for as long as it
runs (an advisory lock, LISTEN) has one of its own, or enough of them would leave the pool empty."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg
from asyncpg.pool import PoolAcquireContext

from forestay_events.errors import Permanent, Unavailable

Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

#: What asyncpg raises when the server is away, overloaded, fails over or asks for the transaction to be tried again.
LOST_CONNECTION = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.TransactionRollbackError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.InvalidCachedStatementError,
    asyncpg.InternalClientError,  # a connection that broke while it was being returned to the pool
)

# A peer that vanished without a word must not hold a projector's lock for the two hours that TCP takes by default.
_OPTIONS: dict[str, Any] = {
    "timeout": 5,
    "command_timeout": 60,
    "server_settings": {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"},
}


# The pool tells of each connection that it cannot open again with a traceback; who asks for one hears it in a sentence.
logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)


@contextmanager
def answering() -> Generator[None]:
    """Turn the loss of PostgreSQL into one error; a mistake of ours stays what it is.

    :raises Unavailable: PostgreSQL does not answer.
    """
    try:
        yield
    except LOST_CONNECTION as error:
        # asyncpg has one class for a connection that was closed and for a wrong number of arguments.
        if isinstance(error, asyncpg.InterfaceError) and "clos" not in str(error):
            raise
        raise Unavailable(f"PostgreSQL does not answer: {str(error) or type(error).__name__}") from error


class _Pool(asyncpg.Pool):
    """asyncpg's pool lets everybody wait for ever who does not say how long; most of its methods cannot be told."""

    def __init__(self, dsn: str, size: int, patience: float) -> None:
        super().__init__(
            dsn,
            min_size=2,
            max_size=size,
            max_queries=50_000,
            max_inactive_connection_lifetime=300.0,
            loop=None,
            connection_class=asyncpg.Connection,
            record_class=asyncpg.Record,
            **_OPTIONS,
        )
        self._patience = patience

    def acquire(self, *, timeout: float | None = None) -> PoolAcquireContext:
        return super().acquire(timeout=self._patience if timeout is None else timeout)


@asynccontextmanager
async def open_pool(dsn: str, *, size: int = 40, patience: float = 5.0) -> AsyncGenerator[asyncpg.Pool]:
    """
    :param size: connections at most.
    :param patience: seconds after which who waits for a connection gets a ``TimeoutError`` (see :func:`answering`).
    :raises Unavailable: PostgreSQL does not answer.
    :raises Permanent: it does not let us in, or ``dsn`` names none.
    """
    try:
        with answering():
            pool = await _Pool(dsn, size, patience)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise Permanent(f"PostgreSQL cannot be used: {error}") from error
    try:
        yield pool
    finally:
        pool.terminate()


@asynccontextmanager
async def own_connection(dsn: str) -> AsyncGenerator[asyncpg.Connection]:
    """A connection outside the pool, for who keeps it for as long as it runs; to be opened inside :func:`answering`."""
    connection = await asyncpg.connect(dsn, **_OPTIONS)
    try:
        yield connection
    finally:
        with suppress(*LOST_CONNECTION):
            await connection.close(timeout=2)

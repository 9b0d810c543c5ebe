"""PostgreSQL at the edge: the pool, and one word for "it does not answer"."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

import asyncpg

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
_KEEPALIVE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}


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


@asynccontextmanager
async def open_pool(dsn: str, *, size: int = 40) -> AsyncGenerator[asyncpg.Pool]:
    """
    :raises Unavailable: PostgreSQL does not answer.
    :raises Permanent: it does not let us in, or ``dsn`` names none.
    """
    try:
        with answering():
            pool = await asyncpg.create_pool(
                dsn, min_size=2, max_size=size, timeout=5, command_timeout=60, server_settings=_KEEPALIVE
            )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise Permanent(f"PostgreSQL cannot be used: {error}") from error
    try:
        yield pool
    finally:
        pool.terminate()

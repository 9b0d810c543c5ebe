"""One NATS connection per process, set up so that nothing is written behind our back.

``pending_size=0`` refuses a publish while disconnected instead of storing it as a ghost after the reconnect, and the client
reconnects for ever: whether to give up is the operator's decision, readiness shows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog
from nats.aio.client import Client
from nats.errors import ConnectionClosedError, NoRespondersError, OutboundBufferLimitError
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NoStreamResponseError, ServiceUnavailableError

from forestay_events.errors import Unavailable

log = structlog.get_logger(__name__)

#: What nats-py raises when the server cannot be asked or did not answer: the outcome of the call is not known.
SILENCE: tuple[type[Exception], ...] = (
    TimeoutError,  # nats.errors.TimeoutError is one
    ConnectionClosedError,
    OutboundBufferLimitError,
    NoRespondersError,
    NoStreamResponseError,
    ServiceUnavailableError,
    OSError,
)


class Nats:
    """A connection with its JetStream context and a signal for "connected again".

    :ivar epoch: counts reconnects; a consumer made in an older epoch has to be made anew.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.js: JetStreamContext = client.jetstream(timeout=5)
        self.epoch = 0
        self._reconnected = asyncio.Event()

    @property
    def connected(self) -> bool:
        return self.client.is_connected

    async def new_epoch(self) -> None:
        """Wait for the next reconnect."""
        await self._reconnected.wait()

    async def check(self) -> None:
        """Health. :raises Unavailable: not connected."""
        if not self.connected:
            raise Unavailable("not connected to NATS; trying to reconnect")

    def _on_reconnect(self) -> None:
        self.epoch += 1
        self._reconnected.set()
        self._reconnected = asyncio.Event()


@asynccontextmanager
async def connect(url: str, *, name: str, credentials: Path | None = None) -> AsyncGenerator[Nats]:
    """Connect to NATS.

    :param url: ``nats://host:port``, several separated by commas; may hold credentials.
    :param name: shown in the server's connection list.
    :param credentials: a ``.creds`` file.
    :raises Unavailable: no server answers at the first attempt.
    """
    client = Client()
    connection = Nats(client)

    async def failed(error: Exception) -> None:
        log.warning("nats.error", error=str(error) or type(error).__name__)

    async def disconnected() -> None:
        log.warning("nats.disconnected")

    async def reconnected() -> None:
        log.info("nats.reconnected")
        connection._on_reconnect()  # pyright: ignore[reportPrivateUsage]

    options: dict[str, Any] = {"user_credentials": str(credentials)} if credentials else {}
    try:
        await client.connect(
            servers=url.split(","),
            name=name,
            pending_size=0,
            connect_timeout=5,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,  # pyright: ignore[reportArgumentType] - seconds, fractions work
            allow_reconnect=True,
            error_cb=failed,
            disconnected_cb=disconnected,
            reconnected_cb=reconnected,
            **options,
        )
    except (OSError, NatsError) as error:
        raise Unavailable(f"NATS at {_without_secret(url)} does not answer: {error}") from error
    try:
        yield connection
    finally:
        await client.close()


def _without_secret(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"

"""One NATS connection per process, set up so that nothing is written behind our back.

``pending_size=0`` refuses a publish while disconnected instead of storing it as a ghost after the reconnect, and the client
reconnects for ever: whether to give up is the operator's decision, readiness shows it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Coroutine
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
from forestay_events.tasks import stop

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
    """A connection with its JetStream context and a signal for "connected again"."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.js: JetStreamContext = client.jetstream(timeout=5)
        self._reconnected = asyncio.Event()
        self._promises: set[asyncio.Future[Any]] = set()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self.client.is_connected

    async def reconnected(self) -> None:
        """Wait for the next reconnect."""
        await self._reconnected.wait()

    async def recovered(self) -> None:
        """Wait before trying again what the server did not answer: until it is back if it is away, else a moment."""
        if self.connected:
            await asyncio.sleep(0.2)
        else:
            await self.reconnected()

    def promise(self) -> asyncio.Future[Any]:
        """A future for what only this connection can bring; fails with ``ConnectionClosedError`` when it is lost."""
        promise: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._promises.add(promise)
        promise.add_done_callback(self._promises.discard)
        return promise

    async def check(self) -> None:
        """Health. :raises Unavailable: not connected."""
        if not self.connected:
            raise Unavailable("not connected to NATS; trying to reconnect")

    async def on_disconnect(self) -> None:
        """Tell whoever waits for a reply that it will not come, and forget what was not sent yet.

        nats-py would let the former wait out their time, and would send the latter after the reconnect, when its sender
        has long been told that it failed.
        """
        if not self.client.is_closed:
            log.warning("nats.disconnected")
        client: Any = self.client
        for awaited in (*client._resp_map.values(), *self._promises):
            if not awaited.done():
                awaited.set_exception(ConnectionClosedError())
                awaited.exception()  # nats-py leaves behind those whose request it could not even send: nobody asks them
        client._pending, client._pending_data_size = [], 0

    async def on_reconnect(self) -> None:
        """Tell whoever waits for it."""
        log.info("nats.reconnected")
        self._reconnected.set()
        self._reconnected = asyncio.Event()


@asynccontextmanager
async def connect(
    url: str, *, name: str, credentials: Path | None = None, patience: float = 10.0
) -> AsyncGenerator[Nats]:
    """Connect to NATS; a connection that is lost later comes back by itself.

    :param url: ``nats://host:port``, several separated by commas.
    :param name: shown in the server's connection list.
    :param credentials: a ``.creds`` file.
    :param patience: seconds in which a server must have answered.
    :raises Unavailable: none has.
    """
    client = Client()
    connection = Nats(client)
    reason, established = "no server listens there", False

    async def failed(error: Exception) -> None:
        nonlocal reason
        new = str(error) or type(error).__name__
        # Before there is a connection, what is wrong is said by the error that is raised.
        log.log(logging.WARNING if established and new != reason else logging.DEBUG, "nats.error", error=new)
        # A server that refuses us may be gone before nats-py has read why; one attempt that tells it is enough.
        reason = reason if "Authorization" in reason else new

    options: dict[str, Any] = {"user_credentials": str(credentials)} if credentials else {}
    try:
        connecting = client.connect(
            servers=url.split(","),
            name=name,
            pending_size=0,
            connect_timeout=5,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,  # pyright: ignore[reportArgumentType] - seconds, fractions work
            ping_interval=5,
            error_cb=failed,
            disconnected_cb=connection.on_disconnect,
            reconnected_cb=connection.on_reconnect,
            **options,
        )
        await _within(patience, connecting)
    except (OSError, NatsError) as error:
        await client.close()
        raise Unavailable(f"NATS at {_without_secret(url)} does not answer: {reason}") from error
    established = True
    try:
        yield connection
    finally:
        await client.close()


async def _within(seconds: float, connecting: Coroutine[Any, Any, None]) -> None:
    """nats-py keeps trying for ever here too, as it does after a connection was lost, and may miss that it is cancelled."""
    task = asyncio.create_task(connecting)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            await stop([task])
    if task.cancelled():
        raise TimeoutError
    task.result()


def _without_secret(url: str) -> str:
    """The URLs without user and password, which an error message must not show."""
    return ",".join(
        f"{scheme}://{rest.rpartition('@')[2]}"
        for scheme, _, rest in (part.partition("://") for part in url.split(","))
    )

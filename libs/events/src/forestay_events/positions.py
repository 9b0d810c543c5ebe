"""How far each read model has come, in every process: what makes a read follow one's own write on any replica.

The projector announces each new checkpoint with NOTIFY inside its transaction; waiters LISTEN on one connection.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress

import asyncpg
import structlog

from forestay_events.errors import Unavailable

log = structlog.get_logger(__name__)

CHANNEL = "forestay_checkpoint"


class Positions:
    """Checkpoints of all projections, keyed by (schema, stream)."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._reached: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._moved = asyncio.Condition()

    def reached(self, schema: str, stream: str) -> int:
        return self._reached[schema, stream]

    async def wait(self, schema: str, stream: str, seq: int, *, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Wait until the read model ``schema`` has applied ``stream`` up to ``seq``.

        :raises Unavailable: not within ``timeout`` seconds.
        """
        key = (schema, stream)
        if self._reached[key] >= seq:
            return
        try:
            async with asyncio.timeout(timeout), self._moved:
                await self._moved.wait_for(lambda: self._reached[key] >= seq)
        except TimeoutError as error:
            raise Unavailable(
                f"read model {schema} is at {self._reached[key]} of stream {stream}, {seq} is needed; see /health/ready",
                delay=1,
            ) from error

    async def advance(self, schema: str, stream: str, seq: int, *, rewound: bool = False) -> None:
        """Tell waiters of this process without the detour over the database."""
        key = (schema, stream)
        if rewound or seq > self._reached[key]:
            self._reached[key] = seq
            async with self._moved:
                self._moved.notify_all()

    async def run(self) -> None:
        """Listen until cancelled; reconnects for ever."""
        while True:
            try:
                await self._listen()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("positions.interrupted", error=str(error))
            await asyncio.sleep(0.3)

    async def _listen(self) -> None:
        connection = await asyncpg.connect(self._dsn, timeout=5)
        lost = asyncio.Event()
        heard: asyncio.Queue[str] = asyncio.Queue()
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda _c, _p, _ch, payload: heard.put_nowait(str(payload)))
            for schema in await connection.fetch(
                "SELECT table_schema FROM information_schema.tables WHERE table_name = 'checkpoint'"
            ):
                for row in await connection.fetch(f'SELECT stream, position FROM "{schema[0]}".checkpoint'):
                    await self.advance(schema[0], row["stream"], row["position"])
            ended = asyncio.ensure_future(lost.wait())
            try:
                while not ended.done():
                    item = asyncio.ensure_future(heard.get())
                    await asyncio.wait({item, ended}, return_when=asyncio.FIRST_COMPLETED)
                    if not item.done():
                        item.cancel()
                        continue
                    schema, stream, position = item.result().split("/")
                    await self.advance(schema, stream, int(position))
            finally:
                ended.cancel()
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=2)

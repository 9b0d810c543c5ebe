"""How far each read model has come, in every process: what makes a read follow one's own write on any replica.

The projector announces each new checkpoint with NOTIFY inside its transaction; waiters LISTEN on one connection.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict

import asyncpg
import structlog

from forestay_events.database import own_connection
from forestay_events.errors import Unavailable

log = structlog.get_logger(__name__)

CHANNEL = "forestay_checkpoint"
_PROBE = 10.0


class Positions:
    """Checkpoints of all projections, keyed by (schema, stream)."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
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
        """Tell waiters of this process without the detour over the database.

        :param rewound: ``seq`` counts even if it is lower: the read model was made anew, or has lost its newest rows.
        """
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
                log.warning("positions.interrupted", error=str(error) or type(error).__name__)
            await asyncio.sleep(0.3)

    async def _listen(self) -> None:
        heard: asyncio.Queue[str] = asyncio.Queue()
        async with own_connection(self.dsn) as connection:
            connection.add_termination_listener(lambda _: heard.put_nowait(""))
            await connection.add_listener(CHANNEL, lambda _c, _p, _ch, payload: heard.put_nowait(str(payload)))
            await self._read_all(connection)
            while True:
                try:
                    async with asyncio.timeout(_PROBE):
                        payload = await heard.get()
                except TimeoutError:
                    # A connection that broke without a word looks just like one on which nothing is said.
                    await connection.execute("SELECT 1", timeout=5)
                    continue
                if not payload:
                    return
                schema, stream, position, *rewound = payload.split("/")
                await self.advance(schema, stream, int(position), rewound=bool(rewound))

    async def _read_all(self, connection: asyncpg.Connection) -> None:
        """What was announced while nobody listened. May be older than what is announced meanwhile, which is still to come."""
        schemas = "SELECT table_schema FROM information_schema.tables WHERE table_name = 'checkpoint'"
        for (schema,) in await connection.fetch(schemas):
            for row in await connection.fetch(f'SELECT stream, position FROM "{schema}".checkpoint'):
                await self.advance(schema, row["stream"], row["position"], rewound=True)

"""A network that breaks at a chosen instant: a TCP proxy before NATS."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit


class Fault(enum.Enum):
    """What happens to the next publish to the log, once; then the network is sound again."""

    CUT_BEFORE = "the connection breaks before the server has the message"
    CUT_WITHIN = "the connection breaks while the message is being sent"
    CUT_AFTER = "the server has stored it; the connection breaks before it can say so"
    SWALLOW = "the server has stored it and says so; the connection stays but the answer is lost"


_PUBLISH = b"HPUB lcm."
_ACKNOWLEDGEMENT = b'{"stream":"LCM"'


class Proxy:
    """:ivar url: where to connect instead. :ivar fault: what to do at the next publish. :ivar struck: how often it was done."""

    def __init__(self, url: str) -> None:
        self._target = urlsplit(url)
        self.url = ""
        self.fault: Fault | None = None
        self.struck = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.close()
            return
        ways = [
            asyncio.create_task(self._up(reader, up_writer)),
            asyncio.create_task(self._down(up_reader, writer)),
        ]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        for end in (writer, up_writer):
            end.close()

    async def _up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if _PUBLISH in data and self.fault in (Fault.CUT_BEFORE, Fault.CUT_WITHIN):
                if self.fault is Fault.CUT_WITHIN:
                    writer.write(data[:-20])
                    await writer.drain()
                self._strike()
                return
            writer.write(data)
            await writer.drain()

    async def _down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if _ACKNOWLEDGEMENT in data and self.fault in (Fault.CUT_AFTER, Fault.SWALLOW):
                cut = self.fault is Fault.CUT_AFTER
                self._strike()
                if cut:
                    return
                continue
            writer.write(data)
            await writer.drain()

    def _strike(self) -> None:
        self.fault = None
        self.struck += 1

    @property
    def credentials(self) -> str:
        return self._target.netloc.rpartition("@")[0]


@asynccontextmanager
async def proxy(url: str) -> AsyncGenerator[Proxy]:
    """Run a proxy before the NATS server at ``url``."""
    network = Proxy(url)
    server = await asyncio.start_server(network.serve, "127.0.0.1", 0)
    network.url = f"nats://{network.credentials}@127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield network
    finally:
        server.close()

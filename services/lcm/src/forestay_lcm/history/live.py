"""Live events: one reading of the copy per process, told to everybody who listens.

Rules:

* The copy is read once per batch of commits, when the projector says that it has come on, and each commit is written out once,
  however many listen. While nobody listens nothing is read. What is told can be read, since it is told out of the copy.
* A listener that begins in the past is told from the copy in pages until it has come up with the others.
* Nobody's slowness is paid for by others: a listener for whom more than ``backlog`` events wait is cut, and comes back with the
  last id that it has seen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import contextmanager
from typing import Annotated

import msgspec
import structlog
from forestay_events.commit import Commit
from forestay_events.errors import Unavailable
from forestay_events.metrics import METRICS
from forestay_events.platform import Platform
from msgspec import Meta
from prometheus_client import Counter, Gauge

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.domain.decide import VNF
from forestay_lcm.history.entries import Entry, entry_of
from forestay_lcm.history.reads import History

log = structlog.get_logger(__name__)

LISTENERS = Gauge("forestay_event_listeners", "Who listens to live events", registry=METRICS.registry)
CUT = Counter("forestay_event_listeners_cut", "Listeners that were too slow", registry=METRICS.registry)

SIGN_OF_LIFE = b":\n\n"

#: Commits that are told in one go: for so long nobody else of the process has a turn.
_PAGE = 100
_QUIET = 30.0
_PAUSE = 0.5


class EventSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Of live events: environment variables ``FORESTAY_EVENTS_...``."""

    events_heartbeat: Annotated[float, Meta(gt=0, le=300, description="seconds between signs of life")] = 15.0
    events_backlog: Annotated[int, Meta(ge=1, description="events that may wait for a listener")] = 1000
    events_listeners: Annotated[int, Meta(ge=0, description="listeners of one process at most")] = 1000


class Listener:
    """Who listens to the events of a project, or of one of its instances.

    :param after: sequence up to which it has been told.
    :param backlog: events that may wait for it.
    :param cut: called when more wait.
    """

    def __init__(self, project: str, vnf_id: str | None, after: int, backlog: int, cut: Callable[[], None]) -> None:
        self._project = project
        self._vnf_id = vnf_id
        self._after = after
        self._cut = cut
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(backlog)

    def wants(self, commit: Commit, seq: int) -> bool:
        ours = commit.project == self._project and self._vnf_id in (None, commit.aggregate_id)
        return ours and seq > self._after

    def tell(self, frame: bytes | None) -> bool:
        """An event, or ``None``: there will be no more. ``False`` if it is too slow and was cut."""
        try:
            self._waiting.put_nowait(frame)
        except asyncio.QueueFull:
            self._cut()
            return False
        return True

    async def next(self, heartbeat: float) -> bytes | None:
        """What it has to be told next, after so many seconds a sign of life; ``None`` at the end."""
        try:
            async with asyncio.timeout(heartbeat):
                return await self._waiting.get()
        except TimeoutError:
            return SIGN_OF_LIFE


class Live:
    """Tells listeners of commits as they come into the copy."""

    def __init__(self, platform: Platform, history: History, settings: EventSettings) -> None:
        self._positions = platform.positions
        self._history = history
        self._settings = settings
        self._listeners: set[Listener] = set()
        self._begun = asyncio.Event()
        self._ended = False
        self._position = 0

    async def run(self) -> None:
        """Tell until cancelled."""
        while True:
            try:
                if not self._begun.is_set():
                    self._position = await self._history.position()
                    self._begun.set()
                await self._tell_on()
            except Unavailable as error:
                log.warning("events.waiting", reason=str(error))
                await asyncio.sleep(_PAUSE)

    async def end(self) -> None:
        """Tell all listeners that there will be no more: the process stops."""
        self._ended = True
        for listener in list(self._listeners):
            listener.tell(None)

    def listen(
        self, project: str, vnf_id: str | None, after: int | None, cut: Callable[[], None]
    ) -> AsyncGenerator[bytes]:
        """Events behind sequence ``after`` (from now on, if ``None``) in order, without gap or repeat; ends with the process.

        :param cut: called when the listener is too slow.
        :raises Unavailable: too many listen already; later: the copy does not answer.
        """
        if len(self._listeners) >= self._settings.events_listeners:
            raise Unavailable(
                f"{len(self._listeners)} listen already: ask another replica, or for the timeline", delay=10
            )
        return self._told(project, vnf_id, after, cut)

    async def _told(
        self, project: str, vnf_id: str | None, after: int | None, cut: Callable[[], None]
    ) -> AsyncGenerator[bytes]:
        await self._begun.wait()
        told = self._positions.reached(SCHEMA, VNF.stream) if after is None else after
        while told < (until := self._position):
            entries = await self._history.since(project, vnf_id, told, until, _PAGE)
            for entry in entries:
                yield frame_of(entry)
            told = entries[-1].sequence if len(entries) == _PAGE else until
        # Nothing may be awaited between the last comparison and this, or an event would be missed.
        with self._listening(Listener(project, vnf_id, told, self._settings.events_backlog, cut)) as listener:
            while (frame := await listener.next(self._settings.events_heartbeat)) is not None:
                yield frame

    @contextmanager
    def _listening(self, listener: Listener) -> Generator[Listener]:
        self._listeners.add(listener)
        if self._ended:
            listener.tell(None)
        LISTENERS.inc()
        try:
            yield listener
        finally:
            LISTENERS.dec()
            self._listeners.discard(listener)

    async def _tell_on(self) -> None:
        """Wait for new commits in the copy and tell them."""
        try:
            await self._positions.wait(SCHEMA, VNF.stream, self._position + 1, timeout=_QUIET)
        except Unavailable:
            return  # nothing has happened
        until = self._positions.reached(SCHEMA, VNF.stream)
        while self._listeners and self._position < until:
            page = await self._history.all_since(self._position, until, _PAGE)
            for commit, seq, trace in page:
                self._tell(commit, seq, trace)
            self._position = page[-1][1] if len(page) == _PAGE else until
        self._position = max(self._position, until)

    def _tell(self, commit: Commit, seq: int, trace: str | None) -> None:
        wanting = [listener for listener in self._listeners if listener.wants(commit, seq)]
        if not wanting:
            return
        frame = frame_of(entry_of(commit, seq, trace))
        for listener in wanting:
            if not listener.tell(frame):
                CUT.inc()
                self._listeners.discard(listener)


def frame_of(entry: Entry) -> bytes:
    """An entry as a server-sent event (WHATWG HTML, 9.2.5)."""
    return b"id: %d\ndata: %b\n\n" % (entry.sequence, msgspec.json.encode(entry))

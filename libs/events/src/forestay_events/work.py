"""The work queue: lifecycle commands for whoever can do them, now or at a later time.

One piece of work is one message. Work that is put for now lies at ``cmd.<executor>.<lane>.<key>.now``, one per subject: the
newest replaces what waits there. Work for later is a message on ``later.<...>.<digest of the work>`` that the server itself
turns into one on ``cmd.<...>.<digest>`` when its time has come (NATS message schedules): a durable timer without a process
that waits. The digest keeps old work that comes due from replacing newer work; equal work is one timer, however often it is
put. What a worker puts back, for whatever reason, goes to ``<digest>`` too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from datetime import datetime, timedelta

import msgspec
import structlog
from nats.errors import NoRespondersError
from nats.js.api import RetentionPolicy, StorageType, StreamConfig
from nats.js.errors import APIError

from forestay_events.commit import TOKEN
from forestay_events.connection import SILENCE, Nats
from forestay_events.errors import Unavailable
from forestay_events.metrics import METRICS
from forestay_events.telemetry import inject

log = structlog.get_logger(__name__)

WORK = StreamConfig(
    name="WORK",
    subjects=["cmd.>", "later.>"],
    retention=RetentionPolicy.WORK_QUEUE,
    storage=StorageType.FILE,
    max_msgs_per_subject=1,
    allow_msg_schedules=True,
    allow_rollup_hdrs=True,
    allow_direct=True,
)
DEAD = StreamConfig(name="DEAD", subjects=["dead.>"], storage=StorageType.FILE, allow_direct=True)

#: Header that carries a trace (W3C Trace Context).
TRACE = "traceparent"
#: Header that says how often work was tried before.
TRIES = "Forestay-Tries"

_PRESENCE = 1.0


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work.

    :ivar executor: who can do it (``openstack``, ``nfvo``): the consumer's name.
    :ivar lane: what it must not crowd (a VIM's id); a worker limits how much it does per lane at once.
    :ivar key: what it is about (a VNF instance's id); one pending work per executor, lane and key.
    :ivar body: JSON for the executor.
    """

    executor: str
    lane: str
    key: str
    body: msgspec.Raw

    @property
    def subject(self) -> str:
        return ".".join(map(token, (self.executor, self.lane, self.key)))


class DeadWork(msgspec.Struct, frozen=True, kw_only=True):
    """Work that was given up, as it lies in stream ``DEAD``."""

    work: Work
    reason: str
    deliveries: int
    at: datetime


def subject_of(work: Work, delay: float) -> str:
    """The subject at which work waits that is put with this delay; what is put there replaces what waits there."""
    return f"later.{work.subject}.{_digest(work)}" if delay > 0 else f"cmd.{work.subject}.now"


def presence(executor: str) -> str:
    """The subject at which whoever takes the work of an executor answers that he is there."""
    return f"presence.{token(executor)}"


def _digest(work: Work) -> str:
    return hashlib.sha256(msgspec.json.encode(work)).hexdigest()[:16]


def token(text: str) -> str:
    """``text`` as one token of a subject: a dot or a wildcard in it must not change what the subject means."""
    return text if TOKEN.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()[:32]


class WorkQueue:
    """Puts work on the queue.

    :param clock: current time (UTC).
    """

    def __init__(self, nats: Nats, clock: Callable[[], datetime]) -> None:
        self._nats = nats
        self._clock = clock

    async def put(self, work: Work, *, delay: float = 0.0, trace: str | None = None) -> None:
        """Make work pending, now or in ``delay`` seconds; work for now replaces what waits at the same subject.

        :param trace: ``traceparent`` of what the work follows from; by default the current span is.
        :raises Unavailable: the queue did not acknowledge; putting it again is safe.
        """
        await self._put(subject_of(work, delay), work, delay, {TRACE: trace} if trace else {})

    async def put_back(self, work: Work, *, delay: float, tries: int) -> None:
        """Make work pending again that was taken; it replaces nothing but itself.

        :param tries: how often it was tried; the next delivery counts on from there.
        :raises Unavailable: the queue did not acknowledge; putting it again is safe.
        """
        subject = subject_of(work, delay) if delay > 0 else f"cmd.{work.subject}.{_digest(work)}"
        await self._put(subject, work, delay, {TRIES: str(max(tries, 0))})

    async def _put(self, subject: str, work: Work, delay: float, headers: dict[str, str]) -> None:
        if delay > 0:
            due = self._clock() + timedelta(seconds=delay)
            target = f"cmd.{work.subject}.{_digest(work)}"
            headers |= {"Nats-Schedule": f"@at {due:%Y-%m-%dT%H:%M:%S.%fZ}", "Nats-Schedule-Target": target}
            METRICS.timers.labels("set").inc()
        await self._publish(subject, msgspec.json.encode(work), inject(headers))

    async def pending(self, work: Work) -> bool:
        """Is work of the same executor, lane and key waiting, in somebody's hands or scheduled?

        :raises Unavailable: the queue does not answer.
        """
        return bool(await self._waiting(f"*.{work.subject}.*"))

    async def all_pending(self, executor: str) -> set[str]:
        """The subjects (:attr:`Work.subject`) of all the work of an executor that :meth:`pending` is true of, in one call."""
        subjects = await self._waiting(f"*.{token(executor)}.>")
        return {subject.partition(".")[2].rpartition(".")[0] for subject in subjects}

    async def is_staffed(self, executor: str) -> bool:
        """Is a process there that takes the work of an executor?

        :raises Unavailable: the queue does not answer, or those who are there do not.
        """
        try:
            await self._nats.client.request(presence(executor), timeout=_PRESENCE)
        except NoRespondersError:
            return False
        except SILENCE as error:
            raise Unavailable(f"nobody says whether executor {executor} is staffed", delay=1) from error
        return True

    async def _waiting(self, subjects: str) -> Collection[str]:
        try:
            info = await self._nats.js.stream_info("WORK", subjects_filter=subjects)
        except (*SILENCE, APIError) as error:
            raise Unavailable(f"the work queue cannot be read: {error or type(error).__name__}", delay=1) from error
        return info.state.subjects or ()

    async def bury(self, work: Work, reason: str, deliveries: int) -> None:
        """Record in stream ``DEAD`` that work is given up, with the reason.

        :raises Unavailable: the stream did not acknowledge.
        """
        dead = DeadWork(work=work, reason=reason, deliveries=deliveries, at=self._clock())
        await self._publish(f"dead.{work.subject}", msgspec.json.encode(dead), {})

    async def _publish(self, subject: str, body: bytes, headers: dict[str, str]) -> None:
        try:
            await self._nats.js.publish(subject, body, headers=headers or None)
        except (*SILENCE, APIError) as error:
            reason = str(error) or type(error).__name__
            raise Unavailable(f"the work queue did not take {subject}: {reason}", delay=1) from error

"""The log on JetStream: one file stream per service, one subject per aggregate, nothing deleted ever.

An acknowledgement that does not arrive is not a conflict. After a time-out, a disconnect or "wrong last sequence" (10071,
which a single server also answers to the repetition of an append that it has already stored) the newest commit of the
aggregate, read from the leader, tells by its id whose append it was.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import (
    ConsumerConfig,
    DeliverPolicy,
    Header,
    RawStreamMsg,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
)
from nats.js.errors import APIError, BadRequestError, NotFoundError

from forestay_events.commit import Commit, Stored, encode
from forestay_events.connection import SILENCE, Nats
from forestay_events.errors import Conflict, LogIntegrityBroken, Unavailable
from forestay_events.metrics import METRICS
from forestay_events.telemetry import inject

log = structlog.get_logger(__name__)

WRONG_LAST_SEQUENCE = 10071
_EXPECTED_LAST = Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value
_APPEND_TIMEOUT = 5.0
_APPEND_PATIENCE = 12.0
_LOAD_BATCH = 1000


def log_stream(name: str, *, replicas: int = 1) -> StreamConfig:
    """Configuration of a log stream (design section 3.7)."""
    return StreamConfig(
        name=name,
        subjects=[f"{name.lower()}.>"],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        num_replicas=replicas,
        deny_delete=True,
        deny_purge=True,
        allow_direct=True,
        compression=StoreCompression.S2,
    )


async def ensure_stream(nats: Nats, config: StreamConfig) -> None:
    """Create the stream if it is missing; one that exists is left as the operator has set it.

    :raises Unavailable: JetStream does not answer.
    """
    try:
        try:
            await nats.js.stream_info(config.name or "")
        except NotFoundError:
            await nats.js.add_stream(config)
    except SILENCE as error:
        raise Unavailable(f"JetStream does not answer: {error}") from error


class JetStreamEventStore:
    """:class:`~forestay_events.store.EventStore` on JetStream."""

    def __init__(self, nats: Nats) -> None:
        self._nats = nats

    async def append(self, commit: Commit, *, after: int) -> Stored:
        with METRICS.append_seconds.labels(commit.stream).time():
            try:
                stored = await self._append(commit, after)
            except Conflict:
                METRICS.conflicts.labels(commit.stream).inc()
                raise
        METRICS.appends.labels(commit.stream).inc()
        return stored

    async def _append(self, commit: Commit, after: int) -> Stored:
        body = encode(commit)
        deadline = time.monotonic() + _APPEND_PATIENCE
        while True:
            # nats-py writes into the mapping that it is given, so every attempt gets its own.
            headers = inject({Header.MSG_ID.value: commit.id, _EXPECTED_LAST: str(after)})
            try:
                ack = await self._nats.js.publish(commit.subject, body, timeout=_APPEND_TIMEOUT, headers=headers)
                return Stored(ack.seq, body)
            except BadRequestError as error:
                if error.err_code != WRONG_LAST_SEQUENCE:
                    raise Unavailable(f"the log refused {commit.subject}: {error.description}") from error
                silent = False
            except SILENCE as error:
                log.warning("log.append_unacknowledged", subject=commit.subject, error=type(error).__name__)
                silent = True
            except APIError as error:
                raise Unavailable(f"the log cannot store {commit.subject}: {error.description}") from error
            mine = await self._find_own(commit, after=after, silent=silent, deadline=deadline)
            if mine is not None:
                return mine

    async def _find_own(self, commit: Commit, *, after: int, silent: bool, deadline: float) -> Stored | None:
        """Whose is the newest commit now? Ours: it; nobody's new: ``None``, to be sent again; else a conflict."""
        while True:
            try:
                last = await self.last(commit.subject)
                break
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)
        if last is not None and last.commit.id == commit.id:
            return last
        if (last.seq if last else 0) != after:
            raise Conflict(f"{commit.subject} has changed since sequence {after}")
        if not silent or time.monotonic() > deadline:
            raise Unavailable(f"the log did not take {commit.subject}", delay=1)
        return None

    async def last(self, subject: str) -> Stored | None:
        try:
            message = await self._nats.js.get_last_msg(_stream_of(subject), subject)
        except NotFoundError:
            return None
        except SILENCE as error:
            raise Unavailable(f"the log cannot be read: {error or type(error).__name__}", delay=1) from error
        return _stored(message)

    async def head(self, stream: str) -> int:
        try:
            return (await self._nats.js.stream_info(stream)).state.last_seq
        except NotFoundError:
            return 0
        except SILENCE as error:
            raise Unavailable(f"the log cannot be read: {error or type(error).__name__}", delay=1) from error

    async def load(self, subject: str, *, after: int = 0) -> Sequence[Stored]:
        """Batched direct get (ADR-31 of NATS): no consumer is made. A stale replica only costs a conflict later."""
        loaded: list[Stored] = []
        while True:
            batch, more = await self._direct_get(subject, after + 1)
            loaded += batch
            if not more:
                return loaded
            after = loaded[-1].seq

    async def _direct_get(self, subject: str, seq: int) -> tuple[list[Stored], bool]:
        client = self._nats.client
        batch: list[Stored] = []
        done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        async def take(message: Msg) -> None:
            headers = message.headers or {}
            if "Nats-Sequence" in headers:
                batch.append(Stored(int(headers["Nats-Sequence"]), message.data, headers))
            elif not done.done():
                done.set_result(int(headers.get("Nats-Num-Pending", "0") or 0) > 0)

        inbox = client.new_inbox()
        request = {"batch": _LOAD_BATCH, "seq": seq, "next_by_subj": subject}
        try:
            subscription = await client.subscribe(inbox, cb=take, pending_msgs_limit=-1, pending_bytes_limit=-1)
            try:
                api = f"$JS.API.DIRECT.GET.{_stream_of(subject)}"
                await client.publish(api, json.dumps(request).encode(), reply=inbox)
                more = await asyncio.wait_for(done, _APPEND_TIMEOUT)
            finally:
                await subscription.unsubscribe()
        except (*SILENCE, NatsError) as error:
            raise Unavailable(f"the log cannot be read: {error or type(error).__name__}", delay=1) from error
        return batch, more and bool(batch)

    async def follow(self, stream: str, *, after: int) -> AsyncIterator[Sequence[Stored]]:
        missing = 0
        while True:
            try:
                async with _Feed(self._nats, stream, after) as feed:
                    async for batch in feed.batches():
                        missing = 0
                        after = batch[-1].seq
                        yield batch
            except _Gap as gap:
                missing += 1
                if missing > 2:
                    raise LogIntegrityBroken(
                        f"stream {stream} has no sequence {after + 1} but has {gap.seq}: messages were lost; "
                        "run `forestay log verify`, then `forestay log restore`"
                    ) from gap
            except (*SILENCE, NatsError) as error:
                log.warning("log.follow_interrupted", stream=stream, after=after, error=str(error))
                await asyncio.sleep(0.2)


class _Gap(Exception):
    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq


class _Feed:
    """One push consumer over a whole stream, for as long as the connection lives."""

    def __init__(self, nats: Nats, stream: str, after: int) -> None:
        self._nats = nats
        self._stream = stream
        self._after = after
        self._arrived: list[Stored] = []
        self._wake = asyncio.Event()

    async def __aenter__(self) -> _Feed:
        self._lost = asyncio.ensure_future(self._nats.new_epoch())
        self._lost.add_done_callback(lambda _: self._wake.set())
        try:
            self._subscription = await self._nats.js.subscribe(
                f"{self._stream.lower()}.>",
                stream=self._stream,
                ordered_consumer=True,
                cb=self._take,
                config=ConsumerConfig(
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=self._after + 1,
                    idle_heartbeat=1.0,
                    inactive_threshold=10.0,
                ),
                pending_msgs_limit=-1,
                pending_bytes_limit=-1,
            )
        except BaseException:
            self._lost.cancel()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._lost.cancel()
        if self._nats.connected and not self._nats.client.is_closed:
            try:
                await self._subscription.unsubscribe()
            except NatsError as error:
                log.debug("log.unsubscribe_failed", error=str(error))

    async def batches(self, limit: int = 500) -> AsyncIterator[list[Stored]]:
        """Ends when the connection was replaced: the server's ephemeral consumer may be gone with the old one."""
        expected = self._after + 1
        while not self._lost.done():
            await self._wake.wait()
            self._wake.clear()
            while self._arrived:
                batch, self._arrived = self._arrived[:limit], self._arrived[limit:]
                fresh = [stored for stored in batch if stored.seq >= expected]
                for stored in fresh:
                    if stored.seq != expected:
                        raise _Gap(stored.seq)
                    expected += 1
                if fresh:
                    yield fresh

    async def _take(self, message: Msg) -> None:
        self._arrived.append(Stored(message.metadata.sequence.stream, message.data, message.headers))
        self._wake.set()


def _stream_of(subject: str) -> str:
    return subject.partition(".")[0].upper()


def _stored(message: RawStreamMsg) -> Stored:
    headers: Mapping[str, str] | None = message.headers
    return Stored(message.seq or 0, message.data or b"", headers)

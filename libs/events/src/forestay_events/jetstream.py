"""The log on JetStream: one file stream per service, one subject per aggregate, nothing deleted ever.

An acknowledgement that does not arrive is not a conflict. After a time-out, a disconnect or "wrong last sequence" (10071,
which a single server also answers to the repetition of an append that it has already stored) the commit that follows the
expected one, read from the leader, tells by its id whose append it was.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Sequence

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    Header,
    RetentionPolicy,
    StorageType,
    StoreCompression,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from forestay_events.commit import Commit, Stored, encode
from forestay_events.connection import SILENCE, Nats
from forestay_events.errors import Conflict, LogIntegrityBroken, Permanent, Unavailable
from forestay_events.metrics import METRICS
from forestay_events.telemetry import inject

log = structlog.get_logger(__name__)

WRONG_LAST_SEQUENCE = 10071
_NO_SUCH_STREAM = 10059
_EXPECTED_LAST = Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value
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
        raise Unavailable(f"JetStream does not answer: {error or type(error).__name__}") from error


class JetStreamEventStore:
    """:class:`~forestay_events.store.EventStore` on JetStream.

    :param reply_timeout: seconds to wait for one answer of the server.
    :param patience: seconds in which an append that got no answer is cleared up.
    """

    def __init__(self, nats: Nats, *, reply_timeout: float = 5.0, patience: float = 12.0) -> None:
        self._nats = nats
        self._reply_timeout = reply_timeout
        self._patience = patience

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
        deadline = time.monotonic() + self._patience
        while True:
            stored = await self._publish(commit, body, after)
            if stored is not None:
                return stored
            follower = await self._follower(commit.subject, after, deadline)
            if follower is not None and follower.commit.id == commit.id:
                return follower
            if follower is not None:
                raise Conflict(f"{commit.subject} has changed since sequence {after}")
            if time.monotonic() > deadline:
                raise Unavailable(f"the log did not take {commit.subject} behind sequence {after}", delay=1)
            await asyncio.sleep(0.05)

    async def _publish(self, commit: Commit, body: bytes, after: int) -> Stored | None:
        """One attempt; ``None`` when the log has to be asked what came of it."""
        # nats-py writes into the mapping that it is given, so every attempt gets its own.
        headers = inject({Header.MSG_ID.value: commit.id, _EXPECTED_LAST: str(after)})
        try:
            ack = await self._nats.js.publish(commit.subject, body, timeout=self._reply_timeout, headers=headers)
        except MaxPayloadError as error:
            raise Permanent(
                f"a commit of {len(body)} bytes is more than the log takes ({commit.subject})", status=413
            ) from error
        except SILENCE as error:
            log.warning("log.append_unacknowledged", subject=commit.subject, error=type(error).__name__)
            return None
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                return None
            raise Unavailable(f"the log cannot store {commit.subject}: {error.description}") from error
        # What an earlier attempt has stored may differ from these bytes: the same command, decided at another time.
        return None if ack.duplicate else Stored(ack.seq, body, subject=commit.subject)

    async def _follower(self, subject: str, after: int, deadline: float) -> Stored | None:
        """The commit of the aggregate that comes next behind ``after``, as the leader has it; waits for a lost server."""
        while True:
            try:
                return await self._get(subject, after=after)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)

    async def last(self, subject: str) -> Stored | None:
        return await self._get(subject)

    async def _get(self, subject: str, *, after: int | None = None) -> Stored | None:
        """The newest commit, or the next one behind ``after``; never from a replica that lags behind."""
        stream = _stream_of(subject)
        try:
            if after is None:
                message = await self._nats.js.get_last_msg(stream, subject)
            else:
                message = await self._nats.js.get_msg(stream, seq=after + 1, subject=subject, next=True)
        except NotFoundError as error:
            if error.err_code == _NO_SUCH_STREAM:
                raise Unavailable(f"the log has no stream {stream}", delay=1) from error
            return None
        except (*SILENCE, APIError) as error:
            raise _unreadable(error) from error
        return Stored(message.seq or 0, message.data or b"", message.headers, subject=subject)

    async def head(self, stream: str) -> int:
        try:
            state = (await self._nats.js.stream_info(stream)).state
        except NotFoundError:
            return 0
        except (*SILENCE, APIError) as error:
            raise _unreadable(error) from error
        if state.messages != state.last_seq:  # nothing is ever deleted; a damaged store forgets what it cannot read
            raise LogIntegrityBroken(
                f"Stream {stream} has only {state.messages} of its {state.last_seq} messages: its store is damaged. "
                "Stop Forestay, move the JetStream store away, run `forestay log restore`."
            )
        return state.last_seq

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
        end = self._nats.promise()

        async def take(message: Msg) -> None:
            headers = message.headers or {}
            if "Nats-Sequence" in headers:
                batch.append(Stored(int(headers["Nats-Sequence"]), message.data, headers, subject=subject))
            elif not end.done():
                end.set_result(headers)

        inbox = client.new_inbox()
        request = {"batch": _LOAD_BATCH, "seq": seq, "next_by_subj": subject}
        try:
            subscription = await client.subscribe(inbox, cb=take, pending_msgs_limit=-1, pending_bytes_limit=-1)
            try:
                api = f"$JS.API.DIRECT.GET.{_stream_of(subject)}"
                await client.publish(api, json.dumps(request).encode(), reply=inbox)
                async with asyncio.timeout(self._reply_timeout):
                    headers = await end
            finally:
                await subscription.unsubscribe()
        except (*SILENCE, NatsError) as error:
            raise _unreadable(error) from error
        finally:
            end.cancel()
        status = headers.get("Status")
        if status not in ("204", "404"):  # end of the batch, nothing there
            raise Unavailable(f"the log cannot be read: status {status} for {subject}", delay=1)
        return batch, status == "204" and bool(batch) and int(headers.get("Nats-Num-Pending") or 0) > 0

    async def follow(self, stream: str, *, after: int) -> AsyncGenerator[Sequence[Stored]]:
        gaps = 0
        while True:
            try:
                head = await self.head(stream)
                if head < after:
                    raise LogIntegrityBroken(
                        f"stream {stream} ends at {head} but was followed to {after}: the log was lost; "
                        "run `forestay log restore`"
                    )
                async with Feed(self._nats, stream, after) as feed:
                    async for batch in feed.batches():
                        gaps = 0
                        after = batch[-1].seq
                        yield batch
            except Gap as gap:
                gaps += 1
                if gaps > 2:
                    raise LogIntegrityBroken(
                        f"stream {stream} has no sequence {after + 1} but has {gap.seq}: messages were lost; "
                        "run `forestay log verify`, then `forestay log restore`"
                    ) from gap
            except (*SILENCE, NatsError, Unavailable) as error:
                log.warning("log.follow_interrupted", stream=stream, after=after, error=str(error))
                await self._nats.recovered()


class Gap(Exception):
    """A message did not arrive, for a reason that following anew may or may not mend."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq


class Feed:
    """A push consumer over a whole stream that keeps nothing on the server, for as long as the connection lives.

    nats-py's own ordered consumer starts the stream anew after a silence and answers flow control four times a second
    only; here a feed that falls silent ends, and its reader begins the next one at the place that it has reached.
    """

    _HEARTBEAT = 0.5
    _SILENCE = 2.0
    _LIMIT = 5000

    def __init__(self, nats: Nats, stream: str, after: int) -> None:
        self._nats = nats
        self._stream = stream
        self._after = after
        self._arrived: list[Stored] = []
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._lost = nats.promise()
        self._lost.add_done_callback(self._end)

    async def __aenter__(self) -> Feed:
        inbox = self._nats.client.new_inbox()
        self._subscription = await self._nats.client.subscribe(
            inbox, cb=self._take, pending_msgs_limit=-1, pending_bytes_limit=-1
        )
        try:
            await self._nats.js.add_consumer(
                self._stream,
                ConsumerConfig(
                    deliver_subject=inbox,
                    deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                    opt_start_seq=self._after + 1,
                    ack_policy=AckPolicy.NONE,
                    flow_control=True,
                    idle_heartbeat=self._HEARTBEAT,
                    inactive_threshold=5.0,
                    mem_storage=True,
                    num_replicas=1,
                ),
            )
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._lost.cancel()
        if not self._nats.client.is_closed:
            await self._subscription.unsubscribe()

    async def batches(self, limit: int = 500) -> AsyncGenerator[list[Stored]]:
        """Ends when the server is silent or the connection was lost, and with it the consumer.

        :raises Gap: the next message is not the one that has to follow.
        """
        while not self._lost.done():
            try:
                # wait_for of Python 3.11 loses a cancellation that comes together with what it waits for.
                async with asyncio.timeout(self._SILENCE):
                    await self._wake.wait()
            except TimeoutError:
                log.info("log.feed_silent", stream=self._stream, after=self._after)
                return
            self._wake.clear()
            while self._arrived:
                batch, self._arrived = self._arrived[:limit], self._arrived[limit:]
                self._room.set()
                for stored in batch:
                    if stored.seq != self._after + 1:
                        raise Gap(stored.seq)
                    self._after = stored.seq
                yield batch

    def _end(self, lost: asyncio.Future[None]) -> None:
        if not lost.cancelled():
            log.info("log.feed_lost", stream=self._stream, after=self._after, reason=str(lost.exception()))
        self._wake.set()

    async def _take(self, message: Msg) -> None:
        if message.headers and message.headers.get("Status") == "100":  # flow control, or a heartbeat
            answer = message.reply or message.headers.get("Nats-Consumer-Stalled")
            if answer:
                await self._nats.client.publish(answer)
        else:
            place = message.metadata
            self._arrived.append(
                Stored(place.sequence.stream, message.data, message.headers, subject=message.subject,
                       pending=place.num_pending or 0)
            )  # fmt: skip
        self._wake.set()
        while len(self._arrived) > self._LIMIT:
            # The server's window stays closed until its flow control message, which waits behind this one, is answered.
            self._room.clear()
            await self._room.wait()


def _stream_of(subject: str) -> str:
    return subject.partition(".")[0].upper()


def _unreadable(error: Exception) -> Unavailable:
    return Unavailable(f"the log cannot be read: {str(error) or type(error).__name__}", delay=1)

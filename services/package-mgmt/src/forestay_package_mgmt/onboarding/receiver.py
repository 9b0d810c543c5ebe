"""Receives a content that a client sends (SOL005 clause 9.4.5.3.3).

Rules: the log knows of an upload before its first byte is read, so there is one at a time. Whoever receives tells the read
model every second that he lives and how far he has come. However it ends, the log is told: the content is stored, or why not.
One who dies cannot tell; :mod:`.upkeep` does it for him.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import web
from forestay_events.blobs import Blob
from forestay_events.errors import Conflict, ForestayError, Rejected, Unavailable
from forestay_events.failpoints import failpoint
from forestay_events.tasks import stop
from forestay_sol.caller import Caller

from forestay_package_mgmt.domain.commands import StartUpload
from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.onboarding.reports import Reports
from forestay_package_mgmt.projections.reads import PackageAggregates, PackageReads

_BEAT = 1.0
_LAST_WORD = 3.0
"""Seconds for which an upload that failed tries to say so."""


class Receiver:
    """
    :param limit: bytes that a content may have.
    :param patience: seconds for which a client may be silent.
    """

    def __init__(
        self, aggregates: PackageAggregates, reads: PackageReads, contents: Contents, *, limit: int, patience: float
    ) -> None:
        self._aggregates = aggregates
        self._reads = reads
        self._contents = contents
        self._limit = limit
        self._patience = patience

    async def receive(self, sender: Caller, package_id: str, request: web.Request) -> None:
        """Store the body of a request as the content of a package, to be onboarded.

        :raises Rejected: 404, 408, 409 (another upload, another state) or 413.
        :raises Unavailable: a store does not answer.
        """
        if (request.content_length or 0) > self._limit:
            raise Rejected(413, f"The content is larger than the {self._limit} bytes that are accepted.")
        # An upload that is sent again after its answer was lost is another upload: its bytes come again.
        origin = dataclasses.replace(sender.origin(), repeated=False)
        package = (await self._aggregates.execute(package_id, StartUpload(), origin)).state
        assert package is not None, "an upload that was begun has a package"  # noqa: S101
        assert package.receiving is not None, "nobody else ends it"  # noqa: S101
        upload, reports, coming = package.receiving, Reports(self._aggregates, sender.actor), _Coming(request)

        async def record(blob: Blob) -> None:
            await reports.finish_upload(package, upload, blob)
            failpoint("upload.recorded")

        try:
            async with self._alive(package_id, coming):
                failpoint("upload.begun")
                await self._contents.store(coming.pieces(self._patience), self._limit, record)
        except Conflict as error:
            raise Rejected(409, f"{error}. Look at it, and upload the content again if it is still CREATED.") from error
        except BaseException as error:
            with suppress(ForestayError, TimeoutError):
                async with asyncio.timeout(_LAST_WORD):
                    await reports.fail(package, upload, _reason(error, coming))
            raise

    @asynccontextmanager
    async def _alive(self, package_id: str, coming: _Coming) -> AsyncGenerator[None]:
        beating = asyncio.create_task(self._beat(package_id, coming))
        try:
            yield
        finally:
            await stop([beating])

    async def _beat(self, package_id: str, coming: _Coming) -> None:
        while True:
            with suppress(Unavailable):
                await self._reads.progress(package_id, coming.bytes, coming.total)
            await asyncio.sleep(_BEAT)


class _Coming:
    """A body, and how far it has come; ``total`` is ``None`` if the client does not say."""

    def __init__(self, request: web.Request) -> None:
        self._body = request.content
        self.bytes = 0
        self.total = request.content_length

    async def pieces(self, patience: float) -> AsyncIterator[bytes]:
        try:
            while True:
                async with asyncio.timeout(patience):
                    piece = await self._body.readany()
                if not piece:
                    return
                self.bytes += len(piece)
                yield piece
        except TimeoutError:
            raise Rejected(408, f"Nothing more of the content came for {patience:g} seconds.") from None


def _reason(error: BaseException, coming: _Coming) -> Rejected:
    """What ``onboardingFailureDetails`` says of an upload that was not received whole."""
    match error:
        case Rejected():
            status, text = error.status, error.detail
        case ForestayError():
            status, text = 503, f"{error}."
        case asyncio.CancelledError():
            status, text = 503, "The server was stopped while the content came."
        case _:
            status, text = 400, f"The client broke off after {coming.bytes} of {coming.total or 'unknown'} bytes."
    return Rejected(
        status, f"{text} Upload the content again.", title="Upload failed", extra={"rule": "upload-incomplete"}
    )

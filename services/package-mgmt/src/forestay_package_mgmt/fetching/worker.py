"""Fetches what packages wait for. Every step can be repeated, after a crash at any point: the work comes back and begins anew.

A content that another try has recorded already, or whose package is gone meanwhile, is not recorded; its blob stays only if a
package needs it. A server that refuses for good, a denied address, a content that is too large and a try too many end the
upload with a reason; the client can then ask again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import structlog
from forestay_events.blobs import Blob
from forestay_events.errors import Conflict, Rejected
from forestay_events.failpoints import failpoint
from forestay_events.sealing import Shredded, Vault
from forestay_events.work import Work

from forestay_package_mgmt.domain.state import Package, Source
from forestay_package_mgmt.fetching.access import opened
from forestay_package_mgmt.fetching.client import Fetcher, Received, open_fetcher
from forestay_package_mgmt.fetching.egress import FetchEgress
from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.onboarding.reports import Reports
from forestay_package_mgmt.projections.reads import PackageReads
from forestay_package_mgmt.settings import Settings

log = structlog.get_logger(__name__)

_TITLE = "Upload from URI failed"
_TELL_EVERY = 0.5


class Fetching:
    """The handler of the work of executor ``package-upload``."""

    def __init__(
        self,
        reports: Reports,
        reads: PackageReads,
        contents: Contents,
        vault: Vault,
        egress: FetchEgress,
        settings: Settings,
    ) -> None:
        self._reports = reports
        self._reads = reads
        self._contents = contents
        self._vault = vault
        self._egress = egress
        self._limit = settings.package_size_limit
        self._time = settings.package_fetch_time
        self._patience = settings.package_upload_patience
        self._ca_file = settings.package_fetch_ca_file

    async def handle(self, work: Work) -> None:
        """Fetch and store the content that a package waits for, if it does."""
        package = await self._reports.package(work.key)
        if package is None or package.source is None:
            return
        source = package.source
        try:
            async with (
                asyncio.timeout(self._time),
                open_fetcher(self._egress, patience=self._patience, ca_file=self._ca_file) as fetcher,
            ):
                await self._store(package, source, fetcher)
        except Rejected as error:
            await self._fail(package, source, error.detail)
        except TimeoutError:
            await self._fail(package, source, f"Fetching {source.uri} took longer than {self._time:g} seconds.")
        except (Conflict, Shredded) as error:
            log.info("upload.superseded", package=package.id, reason=str(error))

    async def given_up(self, work: Work, reason: str) -> None:
        """End an upload that failed however often it was tried."""
        package = await self._reports.package(work.key)
        if package is not None and package.source is not None:
            await self._fail(package, package.source, f"It was given up after several tries: {reason}")

    async def _store(self, package: Package, source: Source, fetcher: Fetcher) -> None:
        access = await opened(self._vault, package.id, source)
        received = Received()

        async def record(blob: Blob) -> None:
            await self._reports.finish_upload(package, source.upload, blob)

        failpoint("upload.begin")
        await self._contents.store(
            self._counted(package.id, fetcher.fetch(access, received), received), self._limit, record
        )

    async def _counted(self, package_id: str, pieces: AsyncIterator[bytes], received: Received) -> AsyncIterator[bytes]:
        """The pieces, while the read model is told how far they have come."""
        told, known = -_TELL_EVERY, False
        async for piece in pieces:
            if (received.total or 0) > self._limit:
                raise Rejected(413, f"The content is larger than the {self._limit} bytes that are accepted.")
            if time.monotonic() - told >= _TELL_EVERY:
                waits = await self._reads.progress(package_id, received.bytes, received.total)
                if known and not waits:
                    raise Conflict("the package does not wait for a content any more")
                known = waits
                told = time.monotonic()
                failpoint("upload.underway")
            yield piece

    async def _fail(self, package: Package, source: Source, detail: str) -> None:
        text = f"{detail.removesuffix('.')}. Upload the content again."
        error = Rejected(422, text, title=_TITLE, extra={"rule": "upload-from-uri"})
        await self._reports.fail(package, source.upload, error)

"""What is in a package: ``package_content``, ``vnfd`` and ``artifacts`` (SOL005 clauses 9.4.4 to 9.4.7).

Rules: contents are streamed in both directions and never held in memory; an upload is answered 202 as soon as it is stored
and recorded, and judged afterwards; everything else needs a package that is ONBOARDED.
"""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator, Sequence

from aiohttp import hdrs, web
from forestay_events.blobs import Blob, BlobStore
from forestay_events.errors import Rejected
from forestay_sol.api import VNFPKGM_V1, Route, negotiate
from forestay_sol.caller import caller
from forestay_sol.vnfd import Checksum
from forestay_sol.web import answer

from forestay_package_mgmt.api.commands import Commands
from forestay_package_mgmt.api.members import member, opened, vnfd_text, vnfd_zip
from forestay_package_mgmt.api.packages import VNF_PACKAGE
from forestay_package_mgmt.api.ranges import stream
from forestay_package_mgmt.domain.commands import StoreContent
from forestay_package_mgmt.domain.decide import uploadable
from forestay_package_mgmt.domain.state import Content, Onboarded
from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.projections.reads import PackageReads
from forestay_package_mgmt.settings import Settings

ZIP = "application/zip"
TEXT = "text/plain"
_VNFD = {TEXT: vnfd_text, ZIP: vnfd_zip}


class ContentApi:
    """Handlers of a package's content."""

    def __init__(
        self, commands: Commands, reads: PackageReads, contents: Contents, blobs: BlobStore, settings: Settings
    ) -> None:
        self._commands = commands
        self._reads = reads
        self._contents = contents
        self._blobs = blobs
        self._limit = settings.package_size_limit
        self._patience = settings.package_upload_patience

    def routes(self) -> Sequence[Route]:
        """The routes of these resources."""
        content = f"{VNF_PACKAGE}/package_content"
        return [
            Route("PUT", content, self.upload, VNFPKGM_V1, consumes=(ZIP,), streamed=True),
            Route("GET", content, self.download, VNFPKGM_V1),
            Route("GET", f"{VNF_PACKAGE}/vnfd", self.vnfd, VNFPKGM_V1),
            Route("GET", f"{VNF_PACKAGE}/artifacts/{{artifactPath:.+}}", self.artifact, VNFPKGM_V1),
        ]

    async def upload(self, request: web.Request) -> web.Response:
        """Store the content and have it onboarded (SOL005 9.4.5.3.3)."""
        sender, package_id = caller(request), request.match_info["vnfPkgId"]
        uploadable(await self._commands.current(sender, package_id))
        if not request.body_exists:
            raise Rejected(400, "The request body is missing: it is the VNF package, a zip file.", pointer="")
        if (request.content_length or 0) > self._limit:
            raise Rejected(413, f"The content is larger than the {self._limit} bytes that are accepted.")

        async def record(blob: Blob) -> None:
            checksum = Checksum(algorithm="sha512", hash=blob.sha512)
            await self._commands.send(sender, package_id, StoreContent(blob.digest, blob.size, checksum))

        await self._contents.store(self._received(request), self._limit, record)
        return answer(status=202)

    async def download(self, request: web.Request) -> web.StreamResponse:
        """The package as it was uploaded, whole or a range (SOL005 9.4.5.3.2)."""
        content, _ = await self._onboarded(request)

        def chunks(offset: int, length: int) -> AsyncIterator[bytes]:
            return self._blobs.stream(content.digest, offset, length)

        return await stream(request, chunks, size=content.size, content_type=ZIP)

    async def vnfd(self, request: web.Request) -> web.Response:
        """The VNFD: its one YAML file as text, or a zip (SOL005 9.4.4.3.2)."""
        content, found = await self._onboarded(request)
        accept = ",".join(request.headers.getall(hdrs.ACCEPT, ()))
        offers = (TEXT, ZIP) if found.single_yaml else (ZIP, TEXT)
        chosen = negotiate(accept, offers)
        if chosen == TEXT and not found.single_yaml:
            raise Rejected(400, f"The VNFD consists of {len(found.definitions)} files: ask for {ZIP} in 'Accept'.")
        async with opened(self._blobs, content.digest) as archive:
            body = await asyncio.to_thread(_VNFD[chosen], archive, found)
        # Tacker's client compares the whole header: no charset.
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: chosen})

    async def artifact(self, request: web.Request) -> web.StreamResponse:
        """A file of the package, whole or a range (SOL005 9.4.7.3.2)."""
        content, _ = await self._onboarded(request)
        name = request.match_info["artifactPath"]
        if "://" in name:
            raise Rejected(400, "Artifacts outside the package are not served: fetch them from where they are.")
        async with opened(self._blobs, content.digest) as archive:
            if name not in archive:
                raise Rejected(404, f"VNF package has no artifact {name!r}.")

            def chunks(start: int, length: int) -> AsyncIterator[bytes]:
                return member(archive, name, start, length)

            content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
            return await stream(request, chunks, size=archive.size(name), content_type=content_type)

    async def _onboarded(self, request: web.Request) -> tuple[Content, Onboarded]:
        package = await self._reads.package(caller(request).project, request.match_info["vnfPkgId"])
        if package.onboarded is None or package.content is None:
            raise Rejected(
                409, f"VNF package {package.id} is not ONBOARDED: its onboardingState is {package.onboarding_state}."
            )
        return package.content, package.onboarded

    async def _received(self, request: web.Request) -> AsyncIterator[bytes]:
        try:
            while True:
                async with asyncio.timeout(self._patience):
                    chunk = await request.content.readany()
                if not chunk:
                    return
                yield chunk
        except TimeoutError:
            raise Rejected(408, f"Nothing more of the content came for {self._patience:g} seconds.") from None

"""What is in a package: ``package_content``, ``vnfd``, ``manifest`` and ``artifacts`` (SOL005 clauses 9.4.4 to 9.4.7), and the
same by VNFD id (SOL003 clauses 10.4.4 to 10.4.6).

Rules: contents are streamed in both directions and never held in memory; everything but an upload needs a package that is
ONBOARDED. Where security information of single files is asked for (``include_signatures``), it comes in a zip with them.
"""

from __future__ import annotations

import asyncio
import hashlib
import mimetypes
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from aiohttp import hdrs, web
from forestay_csar import Archive
from forestay_csar.entry import TOSCA_META
from forestay_events.blobs import BlobStore
from forestay_events.errors import Rejected
from forestay_sol.api import VNFPKGM_V2, Route, negotiate
from forestay_sol.caller import caller
from forestay_sol.vnfd import Artifact

from forestay_package_mgmt.api.edition import ONBOARDED_PACKAGE, Edition
from forestay_package_mgmt.api.members import member, opened, packed, pieces, signatures_of, size_of
from forestay_package_mgmt.api.ranges import stream
from forestay_package_mgmt.domain.state import Content, Onboarded, Package, external_path
from forestay_package_mgmt.projections.reads import PackageReads
from forestay_package_mgmt.projections.representation import additional_artifacts

ZIP = "application/zip"
TEXT = "text/plain"
_SIGNATURES = "include_signatures"
_PACKING = 2
"""Zips that are made at the same time: each takes a processor and space on the disk."""


class ContentApi:
    """Handlers of the content of packages in one edition.

    :param directory: where zips of several members are made.
    """

    def __init__(self, edition: Edition, reads: PackageReads, blobs: BlobStore, directory: Path) -> None:
        self._edition = edition
        self._reads = reads
        self._blobs = blobs
        self._directory = directory
        self._packing = asyncio.Semaphore(_PACKING)

    def routes(self) -> Sequence[Route]:
        """The routes of these resources."""
        edition = self._edition
        if edition.api is not VNFPKGM_V2:
            return self._routes(edition.package)
        more = [
            Route("GET", f"{package}/{name}", handler, VNFPKGM_V2, produces=(), summary=summary, gives=bytes)
            for package in (edition.package, ONBOARDED_PACKAGE)
            for name, handler, summary in (
                ("manifest", self.manifest, "Fetch the manifest"),
                ("artifacts", self.artifacts, "Fetch the additional artifacts"),
            )
        ]
        return [*self._routes(edition.package), *self._routes(ONBOARDED_PACKAGE), *more]

    def _routes(self, package: str) -> list[Route]:
        found = {
            "package_content": (self.download, "Fetch the content"),
            "vnfd": (self.vnfd, "Fetch the VNFD"),
            "artifacts/{artifactPath:.+}": (self.artifact, "Fetch an artifact"),
        }
        api = self._edition.api
        return [
            Route("GET", f"{package}/{name}", handler, api, produces=(), summary=summary, gives=bytes)
            for name, (handler, summary) in found.items()
        ]

    async def download(self, request: web.Request) -> web.StreamResponse:
        """The package as it was uploaded, whole or in ranges (SOL005 9.4.5.3.2)."""
        _, content, _ = await self._onboarded(request)

        def chunks(offset: int, length: int) -> AsyncIterator[bytes]:
            return self._blobs.stream(content.digest, offset, length)

        several = self._edition.several_ranges
        return await stream(request, chunks, size=content.size, content_type=ZIP, tag=content.digest, several=several)

    async def vnfd(self, request: web.Request) -> web.StreamResponse:
        """The VNFD: its one YAML file as text, or a zip (SOL005 9.4.4.3.2)."""
        _, content, found = await self._onboarded(request)
        offers = (TEXT, ZIP) if found.single_yaml else (ZIP, TEXT)
        chosen = ZIP if _SIGNATURES in request.query else negotiate(_accept(request), offers)
        if chosen == TEXT and not found.single_yaml:
            raise Rejected(400, f"The VNFD consists of {len(found.definitions)} files: ask for {ZIP} in 'Accept'.")
        async with opened(self._blobs, content.digest) as archive:
            if chosen == TEXT:
                return await _text(archive, found.definitions[0])
            names = [name for name in (TOSCA_META, *found.definitions) if name in archive]
            return await self._zip(request, archive, content, names)

    async def manifest(self, request: web.Request) -> web.StreamResponse:
        """The manifest as text, or with its separate certificate as a zip (SOL005 9.4.4b.3.2)."""
        _, content, found = await self._onboarded(request)
        if found.manifest is None:
            raise Rejected(404, "The VNF package has no manifest.")
        async with opened(self._blobs, content.digest) as archive:
            if _SIGNATURES in request.query and signatures_of(archive, [found.manifest]):
                return await self._zip(request, archive, content, [found.manifest])
            negotiate(_accept(request), (TEXT,))
            return await _text(archive, found.manifest)

    async def artifacts(self, request: web.Request) -> web.StreamResponse:
        """The additional artifacts as a zip, or a range of it (SOL005 9.4.5a.3.2)."""
        package, content, found = await self._onboarded(request)
        negotiate(_accept(request), (ZIP,))
        chosen = _chosen(request, additional_artifacts(found))
        external = {
            external_path(each.path): await self._blobs.path(package.external[each.path].digest)
            for each in chosen
            if "include_external_artifacts" in request.query and each.path in package.external
        }
        async with opened(self._blobs, content.digest) as archive:
            names = [each.path for each in chosen if each.path in archive]
            return await self._zip(request, archive, content, names, external)

    async def artifact(self, request: web.Request) -> web.StreamResponse:
        """A file of the package, or an external artifact that was fetched, whole or in ranges (SOL005 9.4.7.3.2)."""
        package, content, _ = await self._onboarded(request)
        name, several = request.match_info["artifactPath"], self._edition.several_ranges
        content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        external = {external_path(uri): fetched for uri, fetched in package.external.items()}.get(name)
        if external is not None:

            def stored(start: int, length: int) -> AsyncIterator[bytes]:
                return self._blobs.stream(external.digest, start, length)

            return await stream(
                request, stored, size=external.size, content_type=content_type, tag=external.digest, several=several
            )
        if "://" in name:
            raise Rejected(400, "An artifact outside the package is served under its artifactPath, not its URI.")
        async with opened(self._blobs, content.digest) as archive:
            if name not in archive:
                raise Rejected(404, f"VNF package has no artifact {name!r}.")
            if _SIGNATURES in request.query and signatures_of(archive, [name]):
                return await self._zip(request, archive, content, [name])

            def chunks(start: int, length: int) -> AsyncIterator[bytes]:
                return member(archive, name, start, length)

            tag = _tag(content.digest, [name])
            return await stream(
                request, chunks, size=archive.size(name), content_type=content_type, tag=tag, several=several
            )

    async def _zip(
        self,
        request: web.Request,
        archive: Archive,
        content: Content,
        names: Sequence[str],
        external: Mapping[str, Path] = MappingProxyType({}),
    ) -> web.StreamResponse:
        extra = signatures_of(archive, names) if _SIGNATURES in request.query else []
        async with self._packing:
            packed_file = await packed(archive, [*names, *extra], self._directory, external)
        with packed_file as file:

            def chunks(start: int, length: int) -> AsyncIterator[bytes]:
                return pieces(file, start, length)

            tag, several = _tag(content.digest, [*names, *extra, *external]), self._edition.several_ranges
            return await stream(request, chunks, size=size_of(file), content_type=ZIP, tag=tag, several=several)

    async def _onboarded(self, request: web.Request) -> tuple[Package, Content, Onboarded]:
        package = await self._reads.package(caller(request).project, await self._reads.named(request))
        if package.onboarded is None or package.content is None:
            raise Rejected(
                409, f"VNF package {package.id} is not ONBOARDED: its onboardingState is {package.onboarding_state}."
            )
        return package, package.content, package.onboarded


def _chosen(request: web.Request, artifacts: Sequence[Artifact]) -> list[Artifact]:
    """What the parameters of SOL005 9.4.5a.3.2 leave: MANO artifacts belong to no set, the others to one each."""
    named = request.query.get("select_non_mano_artifact_sets")
    sets = None if named is None else named.split(",")

    def wanted(artifact: Artifact) -> bool:
        if artifact.non_mano_set is None:
            return "exclude_all_mano_artifacts" not in request.query
        if "exclude_all_non_mano_artifacts" in request.query:
            return False
        return sets is None or artifact.non_mano_set in sets

    return [artifact for artifact in artifacts if wanted(artifact)]


def _accept(request: web.Request) -> str:
    return ",".join(request.headers.getall(hdrs.ACCEPT, ()))


def _tag(digest: str, names: Sequence[str]) -> str:
    return hashlib.sha256("\0".join([digest, *names]).encode()).hexdigest()


async def _text(archive: Archive, name: str) -> web.Response:
    body = (await asyncio.to_thread(archive.text, name)).encode()
    # Tacker's client compares the whole header: no charset.
    return web.Response(body=body, headers={hdrs.CONTENT_TYPE: TEXT})

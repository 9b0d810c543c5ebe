"""Onboards stored content: reads it, claims the VNFD id, reports. Every step can be repeated, after a crash at any point.

One VNFD id belongs to one package of a project. Who gets it when two are onboarded at once is decided by the order of
stream PKG, without a lock: a package whose content is sound first writes ``PackageVnfdIdClaimed`` to the log. Then its worker
waits until the read model has come to that claim, and looks which of the claims that stand was written first. Each worker
sees all claims before its own, so the second always sees the first and never the other way round; a claim ends with the
package or with its failure. The loser fails with the name of the winner.

Work that is delivered again finds the same upload awaited and does the same; a report about an upload that is not awaited
any more leads to nothing.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import structlog
from forestay_csar import Archive, PackageInvalid, Policy, ReadPackage
from forestay_csar.apart import read_apart
from forestay_csar.entry import read_envelope
from forestay_events.aggregate import Loaded
from forestay_events.blobs import BlobStore
from forestay_events.errors import Conflict, Rejected
from forestay_events.failpoints import failpoint
from forestay_events.sealing import Shredded, Vault
from forestay_events.work import Work
from forestay_sol.streams.package import SecurityOption

from forestay_package_mgmt.domain.commands import ClaimVnfdId, FinishOnboarding
from forestay_package_mgmt.domain.state import Content, Package
from forestay_package_mgmt.fetching.external import ExternalArtifacts
from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.onboarding.reports import Report, Reports
from forestay_package_mgmt.projections.reads import PackageReads

log = structlog.get_logger(__name__)


class Onboarding:
    """The handler of the work of executor ``onboarding``.

    :param reading_time: seconds that reading a package may take. :param policy: what is asked of signatures.
    """

    def __init__(
        self,
        reports: Reports,
        reads: PackageReads,
        contents: Contents,
        external: ExternalArtifacts,
        blobs: BlobStore,
        vault: Vault,
        *,
        reading_time: float,
        policy: Policy,
    ) -> None:
        self._reports = reports
        self._reads = reads
        self._contents = contents
        self._external = external
        self._blobs = blobs
        self._vault = vault
        self._reading_time = reading_time
        self._policy = policy

    async def handle(self, work: Work) -> None:
        """Onboard the content that a package awaits, if it does; destroy the secrets of one that is gone."""
        package = await self._reports.package(work.key)
        if package is not None and package.deleted and package.secrets:
            await self._vault.shred(package.id)
        if package is None or package.awaited is None:
            return
        content = package.awaited
        path: Path = await self._blobs.path(content.digest)
        try:
            read = await read_apart(path, timeout=self._reading_time, policy=self._policy)
            failpoint("onboarding.read")
            await self._onboard(package, content, read)
        except Rejected as error:
            await self._fail(package, content, error)
        except (Conflict, Shredded) as error:
            log.info("onboarding.superseded", package=package.id, reason=str(error))

    async def given_up(self, work: Work, reason: str) -> None:
        """Fail the onboarding of content that could not be read however often it was tried."""
        package = await self._reports.package(work.key)
        if package is not None and package.awaited is not None:
            detail = f"Onboarding was given up: {reason} Upload the content again, or have the server's log looked at."
            error = Rejected(400, detail, title="Onboarding given up", extra={"rule": "given-up"})
            await self._fail(package, package.awaited, error)

    async def _onboard(self, package: Package, content: Content, read: ReadPackage) -> None:
        vnfd_id = read.vnfd.vnfd_id
        claimed = await self._tell(package, content, ClaimVnfdId(content.upload, vnfd_id))
        if claimed.state is None or claimed.state.awaited != content:
            return
        failpoint("onboarding.claimed")
        await self._reads.up_to(claimed.seq)
        holder = await self._reads.holder(claimed.state)
        if holder != package.id:
            raise PackageInvalid(
                "vnfd-id-unique", f"VNFD id {vnfd_id} belongs to VNF package {holder} of this project."
            )
        await self._external.fetch(claimed.state, content, read.vnfd.artifacts.values())
        finish = FinishOnboarding(
            content.upload, read.vnfd, read.definitions, read.single_yaml, read.manifest,
            read.compatible_specification_versions, msgspec.to_builtins(read.findings),
            await asyncio.to_thread(_security_option, await self._blobs.path(content.digest)),
        )  # fmt: skip
        await self._tell(package, content, finish)

    async def _fail(self, package: Package, content: Content, error: Rejected) -> None:
        newest = await self._reports.package(package.id) or package
        await self._reports.fail(package, content.upload, error)
        for digest in {content.digest} | newest.digests:
            await self._contents.release(digest)

    async def _tell(self, package: Package, content: Content, report: Report) -> Loaded[Package]:
        return await self._reports.tell(package, content.upload, report)


def _security_option(path: Path) -> SecurityOption:
    """How a package that was judged is protected (SOL004 5.1)."""
    with Archive(path) as archive:
        return "OPTION_2" if read_envelope(archive) else "OPTION_1"

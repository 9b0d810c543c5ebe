"""What workers tell about an upload: commands that name it, so that one that is told twice, or too late, leads to nothing."""

from __future__ import annotations

from forestay_events.aggregate import Loaded, Origin
from forestay_events.blobs import Blob
from forestay_events.errors import Conflict, Rejected
from forestay_sol.problem import rejected
from forestay_sol.vnfd import Checksum

from forestay_package_mgmt.domain.commands import (
    ClaimVnfdId,
    FailOnboarding,
    FinishArtifact,
    FinishOnboarding,
    FinishUpload,
)
from forestay_package_mgmt.domain.state import Package
from forestay_package_mgmt.projections.reads import PackageAggregates

Report = FinishUpload | ClaimVnfdId | FinishArtifact | FinishOnboarding | FailOnboarding


class Reports:
    """Tells the log in the name of a worker.

    :param actor: whom the log names.
    """

    def __init__(self, aggregates: PackageAggregates, actor: str) -> None:
        self._aggregates = aggregates
        self._actor = actor

    async def package(self, package_id: str) -> Package | None:
        """The package as the log has it now."""
        return (await self._aggregates.load(package_id)).state

    async def tell(self, package: Package, upload: int, report: Report) -> Loaded[Package]:
        """The package behind a report."""
        command_id = f"{package.id}/{upload}/{type(report).__name__}"
        origin = Origin(command_id=command_id, project=package.project, actor=self._actor)
        return await self._aggregates.execute(package.id, report, origin)

    async def finish_upload(self, package: Package, upload: int, blob: Blob) -> None:
        """Say that a content is stored. :raises Conflict: the package does not wait for it any more."""
        checksum = Checksum(algorithm="sha512", hash=blob.sha512)
        behind = (await self.tell(package, upload, FinishUpload(upload, blob.digest, blob.size, checksum))).state
        if behind is None or behind.content is None or behind.content.digest != blob.digest:
            raise Conflict(f"VNF package {package.id} does not wait for this content any more")

    async def finish_artifact(self, package: Package, upload: int, uri: str, blob: Blob) -> None:
        """Say that an external artifact is stored. :raises Conflict: the package does not wait for it any more."""
        behind = (await self.tell(package, upload, FinishArtifact(upload, uri, blob.digest, blob.size))).state
        if behind is None or blob.digest not in behind.digests:
            raise Conflict(f"VNF package {package.id} does not wait for {uri} any more")

    async def fail(self, package: Package, upload: int, error: Rejected) -> None:
        """Say why an upload came to nothing."""
        await self.tell(package, upload, FailOnboarding(upload, rejected(error).problem.members()))

"""Fetches the artifacts that a manifest names by an http(s) URI (SOL004 4.3.2), while their package is onboarded.

Each goes to the log as soon as it is stored, so that after a crash only what is missing is fetched. Where it may be fetched
from, and how large it may be, is as with packages; it has to have the digest that the manifest promises.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable

from forestay_events.blobs import Blob
from forestay_events.errors import Rejected
from forestay_events.failpoints import failpoint
from forestay_events.sealing import Vault
from forestay_sol.vnfd import Artifact

from forestay_package_mgmt.domain.state import Content, Package
from forestay_package_mgmt.fetching.access import of_external
from forestay_package_mgmt.fetching.client import Fetcher, open_fetcher
from forestay_package_mgmt.fetching.egress import FetchEgress
from forestay_package_mgmt.onboarding.contents import Contents
from forestay_package_mgmt.onboarding.reports import Reports
from forestay_package_mgmt.settings import Settings

_HTTP = ("http://", "https://")


class ExternalArtifacts:
    """Fetches for the onboarding."""

    def __init__(
        self, reports: Reports, contents: Contents, vault: Vault, egress: FetchEgress, settings: Settings
    ) -> None:
        self._reports = reports
        self._contents = contents
        self._vault = vault
        self._egress = egress
        self._settings = settings

    async def fetch(self, package: Package, content: Content, artifacts: Iterable[Artifact]) -> None:
        """Fetch those of a package's artifacts that are external and not there yet.

        :raises Rejected: one cannot be had, or is not what the manifest promises.
        :raises Retryable: a server does not answer.
        :raises Conflict, Shredded: the package does not wait for them any more.
        """
        due = [each for each in artifacts if each.path.startswith(_HTTP) and each.path not in package.external]
        if not due:
            return
        of, fetching = self._settings, ""
        try:
            async with (
                asyncio.timeout(of.package_fetch_time),
                open_fetcher(
                    self._egress, patience=of.package_upload_patience, ca_file=of.package_fetch_ca_file
                ) as fetcher,
            ):
                for artifact in due:
                    fetching = artifact.path
                    await self._one(package, content, artifact, fetcher)
        except TimeoutError:
            raise _failed(fetching, f"the time of {of.package_fetch_time:g} seconds is over.") from None
        except Rejected as error:
            raise _failed(fetching, error.detail) from error

    async def _one(self, package: Package, content: Content, artifact: Artifact, fetcher: Fetcher) -> None:
        access = await of_external(self._vault, package, artifact.path)

        async def record(blob: Blob) -> None:
            failpoint("external.stored")
            await self._reports.finish_artifact(package, content.upload, artifact.path, blob)
            failpoint("external.recorded")

        await self._contents.store(_checked(fetcher.fetch(access), artifact), self._settings.package_size_limit, record)


async def _checked(pieces: AsyncIterator[bytes], artifact: Artifact) -> AsyncIterator[bytes]:
    """The pieces. :raises Rejected: behind the last one, they are not what the manifest promises."""
    promised = artifact.checksum
    digest = hashlib.new(promised.algorithm.replace("-", ""))
    async for piece in pieces:
        digest.update(piece)
        yield piece
    if digest.hexdigest() != promised.hash:
        raise Rejected(422, f"it has the {promised.algorithm} digest {digest.hexdigest()}, not {promised.hash}.")


def _failed(uri: str, reason: str) -> Rejected:
    text = f"The external artifact {uri} cannot be fetched: {reason} Mend that, or configure ext_artifacts_access."
    return Rejected(422, text, title="External artifact missing", extra={"rule": "external-artifact"})

"""VNF packages that nobody has onboarded here: fetched from the external NFVO when a request names their VNFD.

Rules of this module:

* A fetch goes on when the request that wanted it has waited long enough: it is told 503 and finds the package, or why there is
  none, when it comes again. Requests for the same VNFD wait for one fetch; a second one in another process does no harm.
* The content is in the blob store before the log names it. What a crash leaves between the two is swept like any other blob.
* A package may be hostile: it is read in a process apart, and everything that the reader finds is told.

SOL003 clauses 10.4.3 (VnfPkgInfo) and 10.4.5 (package content).
"""

from __future__ import annotations

import asyncio
from uuid import UUID, uuid4, uuid5

import structlog
from forestay_csar import PackageInvalid, Policy, ReadPackage
from forestay_csar.apart import read_apart
from forestay_events.aggregate import Aggregates, Origin
from forestay_events.errors import ForestayError, Permanent, Rejected, Unavailable
from forestay_events.failpoints import failpoint
from forestay_events.platform import Platform
from forestay_events.tasks import stop

from forestay_lcm.adapters.nfvo.client import Nfvo, OnboardedPackage
from forestay_lcm.adapters.nfvo.settings import NfvoSettings
from forestay_lcm.domain.fetched import FETCHED_VNFD, FetchedVnfd, KeepVnfd, VnfdFetched

log = structlog.get_logger(__name__)

FetchedVnfds = Aggregates[FetchedVnfd, KeepVnfd, VnfdFetched]

_NAMES = UUID("5b7cbb0e-6c0e-4f0b-8c0b-2a4a4d3d6d36")
_AT_ONCE = 2
_ASK_AGAIN = 5.0
_READING = 3600.0
_POINTER = "/vnfdId"


class NfvoPackages:
    """Fetches packages.

    :param schema: whose read model follows what is fetched.
    """

    def __init__(
        self, platform: Platform, fetched: FetchedVnfds, nfvo: Nfvo, settings: NfvoSettings, schema: str
    ) -> None:
        self._platform = platform
        self._fetched = fetched
        self._nfvo = nfvo
        self._patience = settings.nfvo_timeout
        self._schema = schema
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._fetches: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def fetch(self, project: str, vnfd_id: str) -> None:
        """Have the package of a VNFD in the read model.

        :raises Rejected: 422, the NFVO has none, or none that can be used.
        :raises Retryable: it takes longer, and goes on; or the NFVO cannot be asked now.
        :raises Permanent: 503, the NFVO refuses, or what it sends is damaged.
        """
        key = project, vnfd_id
        task = self._fetches.get(key)
        if task is None:
            task = self._fetches[key] = asyncio.create_task(self._fetch(project, vnfd_id))
        done, _ = await asyncio.wait({task}, timeout=self._patience)
        if not done:
            detail = f"The VNF package of vnfdId {vnfd_id} is still being fetched from the NFVO: ask again."
            raise Unavailable(detail, delay=_ASK_AGAIN)
        if self._fetches.get(key) is task:
            del self._fetches[key]
        task.result()

    async def run(self) -> None:
        """End what is being fetched when cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            await stop(self._fetches.values())

    async def _fetch(self, project: str, vnfd_id: str) -> None:
        async with self._slots:
            try:
                seq = await self._kept(project, vnfd_id)
            except ForestayError as error:
                log.warning("nfvo.package_not_fetched", vnfd=vnfd_id, error=str(error))
                raise
        await self._platform.positions.wait(self._schema, FETCHED_VNFD.stream, seq)
        log.info("nfvo.package_fetched", vnfd=vnfd_id)

    async def _kept(self, project: str, vnfd_id: str) -> int:
        """The sequence of stream LCM at which the package is known."""
        try:
            found = await self._nfvo.package(vnfd_id)
            _check(found, vnfd_id)
            blob = await self._nfvo.package_content(vnfd_id, self._platform.blobs, checksum=found.checksum)
        except Permanent as error:
            raise _refusal(vnfd_id, error) from error
        except Rejected as error:
            raise _unusable(vnfd_id, error.detail) from error
        failpoint("package.fetched")
        read = await self._read(vnfd_id, blob.digest)
        keep = KeepVnfd(VnfdFetched(package_id=found.id, digest=blob.digest, vnfd=read.vnfd))
        origin = Origin(command_id=str(uuid4()), project=project, actor="forestay:nfvo")
        kept = await self._fetched.execute(str(uuid5(_NAMES, f"{project}/{vnfd_id}")), keep, origin)
        return kept.seq

    async def _read(self, vnfd_id: str, digest: str) -> ReadPackage:
        try:
            read = await read_apart(await self._platform.blobs.path(digest), timeout=_READING, policy=Policy())
        except (PackageInvalid, Permanent) as error:
            extra = error.extra if isinstance(error, PackageInvalid) else {}
            raise _unusable(vnfd_id, str(error), **extra) from error
        if read.vnfd.vnfd_id != vnfd_id:
            raise _unusable(vnfd_id, f"Its VNFD has the id {read.vnfd.vnfd_id}.")
        return read


def _check(found: OnboardedPackage, vnfd_id: str) -> None:
    """:raises Rejected: it is not what was asked for, or not to be used."""
    if found.vnfd_id != vnfd_id:
        raise Rejected(422, f"Its VnfPkgInfo has the vnfdId {found.vnfd_id}.")
    if found.operational_state != "ENABLED":
        raise Rejected(422, f"VnfId {vnfd_id} not ENABLED.")


def _refusal(vnfd_id: str, error: Permanent) -> Rejected | Permanent:
    """What a client is told of an answer of the NFVO: its credentials there are none of the client's business."""
    if error.status == 404:
        detail = f"VnfPackage of vnfdId {vnfd_id} is not found or not operational; the NFVO says: {error}"
        return Rejected(422, detail, pointer=_POINTER)
    return Permanent(f"The NFVO gives no VNF package of vnfdId {vnfd_id}: {error}", status=503, title=error.title)


def _unusable(vnfd_id: str, why: str, **extra: object) -> Rejected:
    detail = f"The VNF package of vnfdId {vnfd_id} that the NFVO has cannot be used: {why}"
    return Rejected(422, detail, title="Invalid VNF package", pointer=_POINTER, extra=dict(extra))

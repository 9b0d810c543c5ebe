"""The NFVO: grants (SOL003 clause 9) and the VNF packages that it has onboarded (SOL003 clause 10).

Rules of this module:

* A grant is asked for once: what to do about an answer that was lost is :mod:`granting`'s business.
* The path of ``Location`` is the NFVO's to choose, the host is not: credentials go to the configured endpoint only.
* A package goes to the blob store chunk by chunk and is there whole or not at all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
from forestay_events.blobs import CHUNK, Blob, BlobStore
from forestay_events.errors import Permanent
from forestay_sol.vnfd import Checksum
from forestay_sol.vnflcm import Grant, GrantRequest, Identifier, Link

from forestay_lcm.adapters.nfvo.authorization import authorization
from forestay_lcm.adapters.nfvo.settings import NfvoSettings
from forestay_lcm.adapters.nfvo.transport import Reply, Transport, Unauthorized, retry_after

T = TypeVar("T")

_JSON = {"Content-Type": "application/json"}
_ZIP = {"Accept": "application/zip"}


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """The NFVO has not decided yet: look at ``location`` (a path) again in ``delay`` seconds."""

    location: str
    delay: float


class OnboardedPackage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a VNFM needs of a VnfPkgInfo (SOL003 clause 10.5.2.2)."""

    id: Identifier
    vnfd_id: Identifier
    vnf_provider: str
    vnf_product_name: str
    vnf_software_version: str
    vnfd_version: str
    operational_state: str = "ENABLED"
    checksum: Checksum | None = None
    additional_artifacts: tuple[dict[str, Any], ...] = ()
    software_images: tuple[dict[str, Any], ...] = ()


class Nfvo:
    """An external NFVO; async context manager. All methods raise as :class:`Transport` does.

    :param endpoint: root of Forestay's own API, for the links of a grant request.
    """

    def __init__(self, settings: NfvoSettings, endpoint: str) -> None:
        """:raises ConfigError: a certificate file cannot be used."""
        self._root = settings.nfvo_endpoint.rstrip("/")
        self._own = endpoint.rstrip("/")
        self._settings = settings
        self._transport = Transport(settings)
        self._authorization = authorization(self._transport, settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.__aexit__(kind, error, trace)

    async def log_in(self) -> None:
        """Get a token if one is needed: what can fail of a request before it is sent."""
        await self._authorization.headers()

    async def ask(self, request: GrantRequest) -> Grant | Pending:
        """POST grants, once.

        :raises UnknownOutcome: the NFVO may have received it.
        :raises Permanent: it is not granted (403), or refused otherwise, with the NFVO's own words.
        """
        links = {
            "vnfLcmOpOcc": Link(href=f"{self._own}/vnflcm/v2/vnf_lcm_op_occs/{request.vnf_lcm_op_occ_id}"),
            "vnfInstance": Link(href=f"{self._own}/vnflcm/v2/vnf_instances/{request.vnf_instance_id}"),
        }
        body = msgspec.json.encode(msgspec.structs.replace(request, links=links))
        reply = await self._send("POST", f"{self._root}/grant/v1/grants", self._grants(_JSON), body=body, acts=True)
        location = urlsplit(reply.headers.get("Location", "")).path
        if reply.status != 202 and reply.content:
            return _decoded(reply, Grant, "grant")
        if not location.startswith("/"):
            raise Permanent(
                f"The NFVO answered {reply.status} without a grant and without the Location of one.",
                status=502,
                title="NFVO answered wrongly",
            )
        return Pending(location=location, delay=self._delay(reply))

    async def look(self, location: str) -> Grant | Pending:
        """GET the grant at a path that :meth:`ask` gave."""
        parts = urlsplit(self._root)
        reply = await self._send("GET", f"{parts.scheme}://{parts.netloc}{location}", self._grants())
        if reply.status == 202:
            return Pending(location=location, delay=self._delay(reply))
        return _decoded(reply, Grant, "grant")

    async def package(self, vnfd_id: str) -> OnboardedPackage:
        """GET the description of the onboarded package of a VNFD."""
        return _decoded(
            await self._send("GET", self._package(vnfd_id), self._packages()), OnboardedPackage, "VnfPkgInfo"
        )

    async def vnfd(self, vnfd_id: str, blobs: BlobStore) -> Blob:
        """Copy the VNFD, as a zip, to the blob store. :raises Rejected: 413, larger than a package may be."""
        return await self._fetch(f"{self._package(vnfd_id)}/vnfd", blobs)

    async def package_content(self, vnfd_id: str, blobs: BlobStore, *, checksum: Checksum | None = None) -> Blob:
        """Copy the package to the blob store.

        :param checksum: of its VnfPkgInfo.
        :raises Permanent: the content has another checksum; it is not kept for anything.
        :raises Rejected: 413, larger than a package may be.
        """
        return await self._fetch(f"{self._package(vnfd_id)}/package_content", blobs, checksum)

    async def _fetch(self, url: str, blobs: BlobStore, checksum: Checksum | None = None) -> Blob:
        return await self._logged_in(lambda login: self._copy(url, login, blobs, checksum))

    async def _copy(self, url: str, login: Mapping[str, str], blobs: BlobStore, checksum: Checksum | None) -> Blob:
        async with (
            self._transport.stream(url, headers={**login, **self._packages(_ZIP)}) as content,
            blobs.writer(limit=self._settings.nfvo_package_limit) as writer,
        ):
            async for chunk in content.iter_chunked(CHUNK):
                await writer.write(chunk)
            blob = await writer.commit()
        digests = {"SHA-256": blob.digest, "SHA-512": blob.sha512}
        if checksum and digests.get(checksum.algorithm.upper(), checksum.hash.lower()) != checksum.hash.lower():
            raise Permanent(
                f"{url} has the {checksum.algorithm} digest {digests[checksum.algorithm.upper()]}, but its VnfPkgInfo "
                f"says {checksum.hash}.",
                status=502,
                title="VNF package is damaged",
            )
        return blob

    async def _send(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None = None, acts: bool = False
    ) -> Reply:
        return await self._logged_in(
            lambda login: self._transport.request(method, url, headers={**login, **headers}, body=body, acts=acts)
        )

    async def _logged_in(self, call: Callable[[Mapping[str, str]], Awaitable[T]]) -> T:
        login = await self._authorization.headers()
        try:
            return await call(login)
        except Unauthorized:
            again = await self._authorization.headers(refused=login)
            if again == login:
                raise
            return await call(again)

    def _package(self, vnfd_id: str) -> str:
        return f"{self._root}/vnfpkgm/v2/onboarded_vnf_packages/{quote(vnfd_id, safe='')}"

    def _grants(self, headers: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Version": self._settings.nfvo_grant_version, **(headers or {})}

    def _packages(self, headers: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"Version": self._settings.nfvo_package_version, **(headers or {})}

    def _delay(self, reply: Reply) -> float:
        after = retry_after(reply.headers)
        return self._settings.nfvo_poll_interval if after is None else after


def _decoded(reply: Reply, kind: type[T], what: str) -> T:
    try:
        return msgspec.json.decode(reply.content, type=kind)
    except msgspec.MsgspecError as error:
        raise Permanent(
            f"The NFVO answered {reply.status}, but not with a {what}: {error}.",
            status=502,
            title="NFVO answered wrongly",
        ) from error

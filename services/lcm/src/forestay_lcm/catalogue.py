"""Looks up VNFDs and VIMs for the API and the workers, as fresh as the streams that they come from.

A miss waits once until the own copy has caught up with the stream, so that whoever has just onboarded a package or registered
a VIM, at another service, can use it at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from zipfile import BadZipFile, ZipFile

import msgspec
from forestay_events.database import answering
from forestay_events.errors import Permanent, Rejected
from forestay_events.freshness import caught_up_with_all
from forestay_events.platform import Platform
from forestay_events.sealing import is_sealed, is_secret_name
from forestay_sol.vim_egress import vim_egress
from forestay_sol.vnfd import Vnfd
from forestay_sol.vnflcm import VimConnectionInfo

from forestay_lcm.projections.catalogue import KnownVim, decode_vim, decode_vnfd
from forestay_lcm.secrets import Secrets

SCHEMA = "lcm"
_VIM_TYPES = {"openstack": "ETSINFV.OPENSTACK_KEYSTONE.V_3", "kubernetes": "ETSINFV.KUBERNETES.V_1"}
_OPENSTACK_ACCESS = {
    "username": "username",
    "password": "password",
    "user_domain_name": "userDomain",
    "application_credential_id": "applicationCredentialId",
    "application_credential_secret": "applicationCredentialSecret",
}


#: Decoding a VNFD with its templates costs more than asking whether it is the same.
_model = lru_cache(maxsize=64)(decode_vnfd)


Fetch = Callable[[str, str], Awaitable[None]]
"""Fetches the package of a VNFD for a project from elsewhere; raises like :meth:`Catalogue.usable_vnfd`."""


class Catalogue:
    """VNFDs and VIMs as LCM knows them.

    :ivar egress: where VIMs may be.
    :param fetch: where a package comes from that nobody has onboarded here; ``None``: there is no such place.
    """

    def __init__(self, platform: Platform, fetch: Fetch | None = None) -> None:
        self.egress = vim_egress(platform.config)
        self._platform = platform
        self._fetch = fetch

    @property
    def has_nfvo(self) -> bool:
        """Whether an NFVO elsewhere is asked, for packages and for grants."""
        return self._fetch is not None

    async def usable_vnfd(self, project: str, vnfd_id: str) -> Vnfd:
        """The VNFD of an onboarded and enabled package.

        :raises Rejected: 422, there is none (wire 3.1).
        :raises Retryable: it is being fetched, or cannot be fetched now.
        :raises Permanent: it cannot be fetched.
        """
        found = "SELECT model FROM lcm.vnfd WHERE project = $1 AND vnfd_id = $2 AND state = $3"
        model = await self._find("PKG", found, project, vnfd_id, "ENABLED")
        if model is not None:
            return _model(model)
        if await self._value(found, project, vnfd_id, "DISABLED") is not None:
            raise Rejected(422, f"VnfId {vnfd_id} not ENABLED.", pointer="/vnfdId")
        if self._fetch is not None:
            await self._fetch(project, vnfd_id)
            model = await self._value(found, project, vnfd_id, "ENABLED")
        if model is not None:
            return _model(model)
        raise Rejected(422, f"VnfPackage of vnfdId {vnfd_id} is not found or not operational.", pointer="/vnfdId")

    async def vnfd(self, project: str, vnfd_id: str) -> Vnfd:
        """The VNFD of an existing VNF instance, whatever has become of its package.

        :raises Permanent: LCM has never seen it.
        """
        model = await self._find(
            "PKG",
            "SELECT model FROM lcm.vnfd WHERE project = $1 AND vnfd_id = $2 ORDER BY state = 'DELETED' LIMIT 1",
            project, vnfd_id,
        )  # fmt: skip
        if model is None:
            raise Permanent(f"The VNFD {vnfd_id} is not in the log of packages.", title="VNFD not found")
        return _model(model)

    async def package_ids(self, project: str, vnfd_ids: Collection[str]) -> dict[str, str]:
        """The ids of the packages that VNFDs come from, by VNFD id, as far as LCM has heard of them."""
        found = (
            "SELECT DISTINCT ON (vnfd_id) vnfd_id, package_id FROM lcm.vnfd WHERE project = $1 AND vnfd_id = ANY($2)"
            " ORDER BY vnfd_id, state = 'DELETED'"
        )
        with answering():
            rows = await self._platform.pool.fetch(found, project, list(vnfd_ids))
        return {row["vnfd_id"]: row["package_id"] for row in rows}

    async def vnfd_id_of(self, project: str, package_id: str) -> str | None:
        """The VNFD of a package, ``None`` if there is no such package."""
        found = (
            "SELECT convert_to(vnfd_id, 'UTF8') FROM lcm.vnfd WHERE project = $1 AND package_id = $2"
            " AND state <> 'DELETED'"
        )
        vnfd_id = await self._find("PKG", found, project, package_id)
        return vnfd_id.decode() if vnfd_id else None

    async def package(self, project: str, vnfd_id: str) -> str:
        """The digest of the package that an existing VNF instance is made from, whatever has become of it.

        :raises Permanent: LCM has never seen it.
        """
        found = await self._find(
            "PKG",
            "SELECT convert_to(digest, 'UTF8') FROM lcm.vnfd JOIN lcm.package_content USING (package_id)"
            " WHERE project = $1 AND vnfd_id = $2 ORDER BY state = 'DELETED' LIMIT 1",
            project, vnfd_id,
        )  # fmt: skip
        if found is None:
            raise Permanent(
                f"The package of VNFD {vnfd_id} is not in the log of packages.", title="VNF package not found"
            )
        return found.decode()

    async def files(self, project: str, vnfd_id: str) -> frozenset[str] | None:
        """The names of all files in a VNFD's package, ``None`` if its content is not at hand any more.

        :raises Unavailable: the blob store cannot be read.
        """
        blobs = self._platform.blobs
        try:
            csar = await blobs.path(await self.package(project, vnfd_id))
            return await blobs.run("read a package", _names, csar)
        except (Permanent, BadZipFile):
            return None

    async def holder(self, project: str, vnfd_ids: Iterable[str], file: str) -> str | None:
        """The first of the VNFDs whose package has the file or is not at hand any more.

        :raises Unavailable: the blob store cannot be read.
        """
        for vnfd_id in vnfd_ids:
            files = await self.files(project, vnfd_id)
            if files is None or str(PurePosixPath(file)) in files:
                return vnfd_id
        return None

    async def vim(self, project: str, vim_id: str) -> KnownVim | None:
        """A registered VIM of the project."""
        model = await self._find("VIM", "SELECT model FROM lcm.vim WHERE project = $1 AND id = $2", project, vim_id)
        return decode_vim(model) if model else None

    async def default_vim(self, project: str) -> KnownVim | None:
        """The project's default VIM."""
        model = await self._find("VIM", "SELECT model FROM lcm.vim WHERE project = $1 AND is_default LIMIT 1", project)
        return decode_vim(model) if model else None

    def secrets_of(self, vnf_id: str) -> Secrets:
        """The secrets that the log keeps of a VNF instance's operations."""
        return Secrets(self._platform.vault, vnf_id)

    async def open_connection(self, project: str, vnf_id: str, key: str, info: VimConnectionInfo) -> VimConnectionInfo:
        """A VNF's VIM connection with its secrets in the clear: of a registered VIM the credentials of today.

        :raises Permanent: the VIM is not registered any more, or its secrets cannot be opened.
        """
        if brings_access(info):
            path = f"/vimConnectionInfo/{key}/accessInfo"
            access = await self._platform.vault.open_members(vnf_id, info.access_info or {}, path=path)
            return msgspec.structs.replace(info, access_info=access)
        known = await self.vim(project, info.vim_id or "")
        if known is None:
            raise Permanent(f"VIM {info.vim_id} is not registered any more.", title="VIM not found")
        credentials = await self._platform.vault.open_members(known.id, known.auth_cred, path="/auth_cred")
        return connection_of(msgspec.structs.replace(known, auth_cred=credentials))

    async def _find(self, stream: str, query: str, *parameters: str) -> bytes | None:
        found = await self._value(query, *parameters)
        if found is not None:
            return found
        await caught_up_with_all(self._platform, SCHEMA, stream)
        return await self._value(query, *parameters)

    async def _value(self, query: str, *parameters: str) -> bytes | None:
        with answering():
            return await self._platform.pool.fetchval(query, *parameters)


def brings_access(info: VimConnectionInfo) -> bool:
    """Whether a VNF's VIM connection says itself how to log in; else it leads to a registered VIM."""
    return info.vim_id is None or any(is_sealed(value) for value in (info.access_info or {}).values())


def _names(csar: Path) -> frozenset[str]:
    with ZipFile(csar) as package:
        return frozenset(package.namelist())


def connection_of(known: KnownVim) -> VimConnectionInfo:
    """A registered VIM as SOL003 VimConnectionInfo (wire section 19, last paragraph)."""
    if known.vim_type == "openstack":
        access = {sol: known.auth_cred[name] for name, sol in _OPENSTACK_ACCESS.items() if name in known.auth_cred}
        access |= {
            "project": known.vim_project.get("name"),
            "projectDomain": known.vim_project.get("project_domain_name"),
            "region": next(iter(known.placement_attr.get("regions", [])), None),
        }
        unverified = str(known.auth_cred.get("cert_verify", "True")).lower() == "false"
        interface = {"endpoint": known.auth_url} | ({"skipCertificateVerification": True} if unverified else {})
    else:
        access = {k: v for k, v in known.auth_cred.items() if k != "ssl_ca_cert"}
        interface = {"endpoint": known.auth_url, "ssl_ca_cert": known.auth_cred.get("ssl_ca_cert")}
    return VimConnectionInfo(
        vim_id=known.id,
        vim_type=_VIM_TYPES[known.vim_type],
        interface_info=_given(interface),
        access_info=_given(access),
        extra=known.extra or None,
    )


def reference_to(known: KnownVim) -> VimConnectionInfo:
    """The connection to a registered VIM without its secrets: its id leads to them."""
    connection = connection_of(known)
    access = {name: value for name, value in (connection.access_info or {}).items() if not is_secret_name(name)}
    return msgspec.structs.replace(connection, access_info=access)


def _given(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}

"""What can be asked of a VNF package.

Commands are complete: what a decision needs to know of other aggregates was looked up before. Those that onboarding sends
name the upload that they are about, so that a report about an earlier one leads to nothing. Secrets are sealed before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forestay_sol.streams.package import OperationalState, SecurityOption
from forestay_sol.vnfd import Checksum, Vnfd


@dataclass(frozen=True)
class CreatePackage:
    """POST vnf_packages."""

    user_defined_data: dict[str, Any]


@dataclass(frozen=True)
class StartUpload:
    """PUT package_content: the client begins to send."""


@dataclass(frozen=True)
class RequestUpload:
    """POST package_content/upload_from_uri, see :class:`~forestay_sol.streams.package.PackageUploadRequested`."""

    uri: str
    access: dict[str, Any]


@dataclass(frozen=True)
class ConfigureExternalAccess:
    """PUT ext_artifacts_access: for each ``artifactUri``, how to reach it."""

    artifacts: dict[str, Any]


@dataclass(frozen=True)
class ModifyPackage:
    """PATCH vnf_packages/{id}; ``user_defined_data`` is a JSON merge patch (RFC 7396)."""

    operational_state: OperationalState | None = None
    user_defined_data: dict[str, Any] | None = None


@dataclass(frozen=True)
class DeletePackage:
    """DELETE vnf_packages/{id}. ``in_use``: VNF instances made from it exist."""

    in_use: bool


@dataclass(frozen=True)
class FinishUpload:
    """The content was received or fetched: the blob ``digest`` holds it, whole and durable; ``size`` is in bytes."""

    upload: int
    digest: str
    size: int
    checksum: Checksum


@dataclass(frozen=True)
class ClaimVnfdId:
    """Onboarding found the content sound, with this VNFD id."""

    upload: int
    vnfd_id: str


@dataclass(frozen=True)
class FinishArtifact:
    """An external artifact was fetched, see :class:`~forestay_sol.streams.package.PackageArtifactFetched`."""

    upload: int
    uri: str
    digest: str
    size: int


@dataclass(frozen=True)
class FinishOnboarding:
    """The content was found sound and its VNFD id is the package's alone."""

    upload: int
    vnfd: Vnfd
    definitions: tuple[str, ...]
    single_yaml: bool
    manifest: str | None = None
    compatible_specification_versions: tuple[str, ...] = ()
    findings: tuple[dict[str, Any], ...] = ()
    security_option: SecurityOption | None = None


@dataclass(frozen=True)
class FailOnboarding:
    """The content was refused, lost or given up; ``error`` is ProblemDetails."""

    upload: int
    error: dict[str, Any]


PackageCommand = (
    CreatePackage
    | StartUpload
    | RequestUpload
    | ConfigureExternalAccess
    | ModifyPackage
    | DeletePackage
    | FinishUpload
    | ClaimVnfdId
    | FinishArtifact
    | FinishOnboarding
    | FailOnboarding
)

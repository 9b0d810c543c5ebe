"""VnfPkgInfo (SOL005 clause 9.5.2.5) as JSON, made once per change and stored; only ``usageState`` is added when read.

``onboardingFailureDetails`` (ProblemDetails, from newer editions of SOL005) is there while the last content was refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from forestay_sol.selectors import Attributes
from forestay_sol.types import rfc3339
from forestay_sol.vnfd import SoftwareImage

from forestay_package_mgmt.domain.state import Onboarded, Package

Json = dict[str, Any]

COMPLEX = frozenset({"checksum", "userDefinedData", "softwareImages", "additionalArtifacts"})
"""What lists leave out unless it is asked for; selectors may name nothing else."""

SIMPLE = frozenset(
    {
        "id",
        "vnfdId",
        "vnfProvider",
        "vnfProductName",
        "vnfSoftwareVersion",
        "vnfdVersion",
        "onboardingState",
        "operationalState",
        "usageState",
        "onboardingFailureDetails",
    }
)

ATTRIBUTES = Attributes(names=SIMPLE | COMPLEX, mandatory=SIMPLE, excluded=COMPLEX, selectable=COMPLEX)


def resource(package_id: str) -> str:
    """The path of a VNF package."""
    return f"/vnfpkgm/v1/vnf_packages/{package_id}"


def document(package: Package) -> str:
    """VnfPkgInfo without ``usageState`` as JSON text."""
    return msgspec.json.encode(dict(_members(package))).decode()


def info(package: Package, *, in_use: bool) -> Json:
    """VnfPkgInfo, for an answer that need not wait for the read model."""
    return dict(_members(package)) | {"usageState": "IN_USE" if in_use else "NOT_IN_USE"}


def _members(package: Package) -> Iterator[tuple[str, Any]]:
    path = resource(package.id)
    yield "id", package.id
    if package.onboarded and package.content:
        yield from _onboarded_members(package.onboarded)
        yield "checksum", package.content.checksum
    yield "onboardingState", package.onboarding_state
    yield "operationalState", package.operational_state
    if package.user_defined_data:
        yield "userDefinedData", package.user_defined_data
    if package.failure:
        yield "onboardingFailureDetails", package.failure
    yield "_links", {"self": {"href": path}, "packageContent": {"href": f"{path}/package_content"}}


def _onboarded_members(onboarded: Onboarded) -> Iterator[tuple[str, Any]]:
    vnfd = onboarded.vnfd
    yield "vnfdId", vnfd.vnfd_id
    yield "vnfProvider", vnfd.provider
    yield "vnfProductName", vnfd.product_name
    yield "vnfSoftwareVersion", vnfd.software_version
    yield "vnfdVersion", vnfd.vnfd_version
    yield "softwareImages", [_image(image, onboarded.at) for image in onboarded.software_images]
    yield (
        "additionalArtifacts",
        [{"artifactPath": a.path, "checksum": a.checksum, "metadata": {}} for a in vnfd.artifacts.values()],
    )


def _image(image: SoftwareImage, created: datetime) -> Json:
    members: Json = {
        "id": image.id,
        "name": image.name,
        "provider": image.provider,
        "version": image.version,
        "checksum": image.checksum,
        "containerFormat": image.container_format,
        "diskFormat": image.disk_format,
        "createdAt": rfc3339(created),
        "minDisk": image.min_disk,
        "minRam": image.min_ram,
        "size": image.size,
        "userMetadata": {},
        "imagePath": image.path,
    }
    return {name: value for name, value in members.items() if value is not None}

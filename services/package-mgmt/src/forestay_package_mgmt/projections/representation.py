"""VnfPkgInfo (SOL005 clause 9.5.2.5) as JSON, made once per change and stored; ``usageState`` and the progress of an upload
are added when it is read.

API v1 says what Tacker says, with links in it. API v2 says it as SOL005 and SOL003 from version 3 on do; its links are added
at the edge. Both tell in ``onboardingFailureDetails`` (ProblemDetails) why the last content was refused; v2 calls that ERROR.
Beside what the standard has, v2 tells in ``onboardingFindings`` the warnings and hints about a content that was accepted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from forestay_sol.selectors import Attributes
from forestay_sol.types import rfc3339
from forestay_sol.vnfd import Artifact, SoftwareImage

from forestay_package_mgmt.domain.state import Onboarded, Package, external_path

Json = dict[str, Any]

COMPLEX = frozenset({"checksum", "userDefinedData", "softwareImages", "additionalArtifacts"})
"""What lists leave out unless it is asked for; selectors of v1 may name nothing else."""

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
        "uploadProgress",
    }
)

ATTRIBUTES = Attributes(names=SIMPLE | COMPLEX, mandatory=SIMPLE, excluded=COMPLEX, selectable=COMPLEX)

_STATES = frozenset({"id", "onboardingState", "operationalState", "usageState"})
_OPTIONAL_V2 = frozenset({"vnfmInfo", "compatibleSpecificationVersions", "onboardingFindings", "packageSecurityOption"})
ATTRIBUTES_V2 = Attributes(
    names=SIMPLE | COMPLEX | _OPTIONAL_V2,
    mandatory=_STATES,
    excluded=COMPLEX | {"onboardingFailureDetails", "onboardingFindings"},
)

_CLASSES = {"Licenses": "LICENSE", "Tests": "TESTING", "Testing": "TESTING"}


def resource(package_id: str) -> str:
    """The path of a VNF package in API v1."""
    return f"/vnfpkgm/v1/vnf_packages/{package_id}"


def info(package: Package) -> Json:
    """VnfPkgInfo of v1 without what only the read model knows."""
    return dict(_members(package))


def info_v2(package: Package) -> Json:
    """VnfPkgInfo of v2 without what only the read model knows, and without ``_links``."""
    return dict(_members_v2(package))


def _members(package: Package) -> Iterator[tuple[str, Any]]:
    path = resource(package.id)
    yield "id", package.id
    if package.onboarded and package.content:
        found = package.onboarded
        yield from _product(found)
        yield "softwareImages", [_image(image, found.at) for image in found.software_images]
        yield (
            "additionalArtifacts",
            [
                {"artifactPath": each.path, "checksum": each.checksum, "metadata": {}}
                for each in found.vnfd.artifacts.values()
            ],
        )
        yield "checksum", package.content.checksum
    yield "onboardingState", package.onboarding_state
    yield from _states(package)
    yield "_links", {"self": {"href": path}, "packageContent": {"href": f"{path}/package_content"}}


def _members_v2(package: Package) -> Iterator[tuple[str, Any]]:
    yield "id", package.id
    if package.onboarded and package.content:
        found = package.onboarded
        yield from _product(found)
        if found.compatible_specification_versions:
            yield "compatibleSpecificationVersions", found.compatible_specification_versions
        if found.findings:
            yield "onboardingFindings", found.findings
        if found.security_option:
            yield "packageSecurityOption", found.security_option
        yield "vnfmInfo", found.vnfd.vnfm_info
        yield "softwareImages", [_image_v2(image, found.at) for image in found.software_images]
        yield "additionalArtifacts", [_artifact_v2(each, package) for each in additional_artifacts(found)]
        yield "checksum", package.content.checksum
    failed = package.onboarding_state == "CREATED" and package.failure is not None
    yield "onboardingState", "ERROR" if failed else package.onboarding_state
    yield from _states(package)


def _states(package: Package) -> Iterator[tuple[str, Any]]:
    yield "operationalState", package.operational_state
    if package.user_defined_data:
        yield "userDefinedData", package.user_defined_data
    if package.failure:
        yield "onboardingFailureDetails", package.failure


def _product(onboarded: Onboarded) -> Iterator[tuple[str, Any]]:
    vnfd = onboarded.vnfd
    yield "vnfdId", vnfd.vnfd_id
    yield "vnfProvider", vnfd.provider
    yield "vnfProductName", vnfd.product_name
    yield "vnfSoftwareVersion", vnfd.software_version
    yield "vnfdVersion", vnfd.vnfd_version


def additional_artifacts(onboarded: Onboarded) -> list[Artifact]:
    """What the manifest declares besides software images and the files of the VNFD (SOL003 10.5.2.2)."""
    images = {image.path for image in onboarded.software_images}
    others = images | {onboarded.manifest, *onboarded.definitions}
    return [artifact for path, artifact in onboarded.vnfd.artifacts.items() if path not in others]


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


def _image_v2(image: SoftwareImage, created: datetime) -> Json:
    formats = {"containerFormat": image.container_format.upper(), "diskFormat": image.disk_format.upper()}
    return _image(image, created) | formats | {"isEncrypted": False}


def _artifact_v2(artifact: Artifact, package: Package) -> Json:
    external = "://" in artifact.path
    place: Json = {"artifactURI": [artifact.path]} if external else {"artifactPath": artifact.path}
    if artifact.path in package.external:
        place["artifactPath"] = external_path(artifact.path)
    kind = _CLASSES.get(artifact.path.partition("/")[0])
    optional = {"artifactClassification": kind, "nonManoArtifactSetId": artifact.non_mano_set}
    return {
        **place,
        "checksum": artifact.checksum,
        "isEncrypted": False,
        "metadata": {},
        **{name: value for name, value in optional.items() if value is not None},
    }

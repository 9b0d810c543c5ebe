"""Decides what a command leads to. Pure: state and command in, events out, a sentence that says why.

A request that the state does not allow is ``Rejected`` with Tacker's status; nothing of it is applied. A report about an
upload that is not awaited (the package was deleted, or somebody reported before) leads to nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from forestay_events.aggregate import Context, Decision, Definition
from forestay_events.errors import Rejected
from forestay_sol.streams.package import (
    CODEC,
    KIND,
    PackageArtifactFetched,
    PackageContentStored,
    PackageCreated,
    PackageDeleted,
    PackageEvent,
    PackageExternalAccessConfigured,
    PackageModified,
    PackageOnboarded,
    PackageOnboardingFailed,
    PackageUploadRequested,
    PackageUploadStarted,
    PackageVnfdIdClaimed,
)

from forestay_package_mgmt.domain.commands import (
    ClaimVnfdId,
    ConfigureExternalAccess,
    CreatePackage,
    DeletePackage,
    FailOnboarding,
    FinishArtifact,
    FinishOnboarding,
    FinishUpload,
    ModifyPackage,
    PackageCommand,
    RequestUpload,
    StartUpload,
)
from forestay_package_mgmt.domain.state import Package, evolve

Decided = Decision[PackageEvent]
_REASON_LIMIT = 500


def decide(package: Package | None, command: PackageCommand, ctx: Context) -> Decided:
    """:raises Rejected: the command is not possible now."""
    if isinstance(command, CreatePackage):
        return _create(package, command)
    if isinstance(command, FinishUpload | ClaimVnfdId | FinishArtifact | FinishOnboarding | FailOnboarding):
        if package is None or package.upload != command.upload:
            return Decided([])
        return _REPORTS[type(command)](package, command)
    return _REQUESTS[type(command)](owned(package, ctx.origin.project), command)


def owned(package: Package | None, project: str) -> Package:
    """The package, if the project may know of it. :raises Rejected: 404."""
    if package is None or package.deleted or package.project != project:
        raise Rejected(404, "VnfPackage not found.")
    return package


def uploadable(package: Package) -> Package:
    """The package, if it waits for content. :raises Rejected: 409."""
    if package.onboarding_state != "CREATED":
        raise Rejected(
            409,
            f"Content can be uploaded while onboardingState is CREATED; VNF package {package.id} is "
            f"{package.onboarding_state}. Create a new VNF package for other content.",
        )
    return package


def _create(package: Package | None, command: CreatePackage) -> Decided:
    if package is not None:
        return Decided([])
    return Decided([PackageCreated(user_defined_data=command.user_defined_data)], "requested")


def _start_upload(package: Package, command: StartUpload) -> Decided:
    uploadable(package)
    return Decided([PackageUploadStarted()], "upload begun")


def _stored(package: Package, command: FinishUpload) -> Decided:
    stored = PackageContentStored(digest=command.digest, size=command.size, checksum=command.checksum)
    return Decided([stored], f"{command.size} bytes uploaded, to be onboarded")


def _request_upload(package: Package, command: RequestUpload) -> Decided:
    uploadable(package)
    return Decided([PackageUploadRequested(uri=command.uri, access=command.access)], "upload from a URI requested")


def _configure(package: Package, command: ConfigureExternalAccess) -> Decided:
    uploadable(package)
    return Decided([PackageExternalAccessConfigured(artifacts=command.artifacts)], "access configured")


def _modify(package: Package, command: ModifyPackage) -> Decided:
    state, patch = command.operational_state, command.user_defined_data
    if state is not None and package.onboarding_state != "ONBOARDED":
        raise Rejected(
            400,
            f"operationalState can be changed while onboardingState is ONBOARDED; VNF package {package.id} is "
            f"{package.onboarding_state}.",
            pointer="/operationalState",
        )
    if state == package.operational_state:
        raise Rejected(409, f"VNF package {package.id} is {state} already.", pointer="/operationalState")
    data = None if patch is None else merged(package.user_defined_data, patch)
    if data == package.user_defined_data:
        raise Rejected(409, f"userDefinedData of VNF package {package.id} is so already.", pointer="/userDefinedData")
    return Decided([PackageModified(operational_state=state, user_defined_data=data)], "modification requested")


def _delete(package: Package, command: DeletePackage) -> Decided:
    if package.operational_state == "ENABLED":
        raise Rejected(
            409, f"VNF package {package.id} is ENABLED. Set operationalState to DISABLED before deleting it."
        )
    if command.in_use:
        raise Rejected(
            409, f"VNF package {package.id} is IN_USE. Delete the VNF instances that were made from it first."
        )
    return Decided([PackageDeleted()], "deletion requested")


def _claim(package: Package, command: ClaimVnfdId) -> Decided:
    if package.vnfd_id == command.vnfd_id:
        return Decided([])
    return Decided([PackageVnfdIdClaimed(vnfd_id=command.vnfd_id)], "the content is sound")


def _fetched(package: Package, command: FinishArtifact) -> Decided:
    if command.uri in package.external:
        return Decided([])
    fetched = PackageArtifactFetched(uri=command.uri, digest=command.digest, size=command.size)
    return Decided([fetched], "an external artifact was fetched")


def _finish(package: Package, command: FinishOnboarding) -> Decided:
    if package.vnfd_id != command.vnfd.vnfd_id:
        raise ValueError(f"package {package.id} has not claimed VNFD id {command.vnfd.vnfd_id}")
    onboarded = PackageOnboarded(
        vnfd=command.vnfd,
        definitions=command.definitions,
        single_yaml=command.single_yaml,
        manifest=command.manifest,
        compatible_specification_versions=command.compatible_specification_versions,
        security_option=command.security_option,
        findings=command.findings,
        software_images=command.vnfd.software_images(),
    )
    return Decided([onboarded], f"VNFD {command.vnfd.vnfd_id} is onboarded")


def _fail(package: Package, command: FailOnboarding) -> Decided:
    what = "onboarding" if package.awaited else "upload"
    reason = f"{what} failed: {command.error.get('detail', '')}"
    return Decided([PackageOnboardingFailed(error=command.error)], reason[:_REASON_LIMIT])


def merged(data: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """A JSON merge patch applied (RFC 7396): ``None`` removes a member, objects are merged, the rest replaces."""
    result = {name: value for name, value in data.items() if name not in patch}
    for name, value in patch.items():
        if isinstance(value, dict):
            below = data.get(name)
            result[name] = merged(below if isinstance(below, dict) else {}, value)
        elif value is not None:
            result[name] = value
    return result


_REQUESTS: Mapping[type[PackageCommand], Callable[[Package, Any], Decided]] = {
    StartUpload: _start_upload,
    RequestUpload: _request_upload,
    ConfigureExternalAccess: _configure,
    ModifyPackage: _modify,
    DeletePackage: _delete,
}

_REPORTS: Mapping[type[PackageCommand], Callable[[Package, Any], Decided]] = {
    FinishUpload: _stored,
    ClaimVnfdId: _claim,
    FinishArtifact: _fetched,
    FinishOnboarding: _finish,
    FailOnboarding: _fail,
}

PACKAGE: Definition[Package, PackageCommand, PackageEvent] = Definition("PKG", KIND, CODEC, decide, evolve)

"""The state of a VNF package: what its events add up to.

``TRANSITIONS`` is the whole life of a package (SOL005 clause 9.5.2); a key that is missing cannot happen. A content that is
cut, by the client or by a crash, that is refused or cannot be fetched leads back to CREATED, as in Tacker, and the package
keeps the reason until the next content comes; API v2 calls a package with such a reason ERROR.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec
from forestay_events.commit import Commit
from forestay_sol.streams.package import (
    OperationalState,
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
    SecurityOption,
)
from forestay_sol.vnfd import Checksum, SoftwareImage, Vnfd

OnboardingState = Literal["CREATED", "UPLOADING", "PROCESSING", "ONBOARDED", "DELETED"]

TRANSITIONS: Mapping[OnboardingState | None, Mapping[type[PackageEvent], OnboardingState]] = {
    None: {PackageCreated: "CREATED"},
    "CREATED": {
        PackageUploadStarted: "UPLOADING",
        PackageUploadRequested: "UPLOADING",
        PackageExternalAccessConfigured: "CREATED",
        PackageModified: "CREATED",
        PackageDeleted: "DELETED",
    },
    "UPLOADING": {
        PackageContentStored: "PROCESSING",
        PackageOnboardingFailed: "CREATED",
        PackageModified: "UPLOADING",
        PackageDeleted: "DELETED",
    },
    "PROCESSING": {
        PackageVnfdIdClaimed: "PROCESSING",
        PackageArtifactFetched: "PROCESSING",
        PackageOnboarded: "ONBOARDED",
        PackageOnboardingFailed: "CREATED",
        PackageModified: "PROCESSING",
        PackageDeleted: "DELETED",
    },
    "ONBOARDED": {PackageModified: "ONBOARDED", PackageDeleted: "DELETED"},
}


class IllegalTransition(ValueError):
    """An event that the table does not allow in this state: a defect, never a user's mistake."""


class Source(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a content is to be fetched, see :class:`PackageUploadRequested`; ``upload`` as in :class:`Content`."""

    uri: str
    access: dict[str, Any]
    upload: int


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """The stored zip. ``upload`` tells one upload of a package from the next; it only ever grows."""

    digest: str
    size: int
    checksum: Checksum
    upload: int


class External(msgspec.Struct, frozen=True, kw_only=True):
    """A fetched artifact that is not in the package, see :class:`PackageArtifactFetched`."""

    digest: str
    size: int


class Onboarded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What onboarding found in the content, and when."""

    vnfd: Vnfd
    definitions: tuple[str, ...]
    single_yaml: bool
    manifest: str | None = None
    compatible_specification_versions: tuple[str, ...] = ()
    security_option: SecurityOption | None = None
    findings: tuple[dict[str, Any], ...] = ()
    software_images: tuple[SoftwareImage, ...]
    at: datetime


class Package(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A VNF package.

    :ivar source: where the content is being fetched, in UPLOADING.
    :ivar receiving: the number of the upload that a client sends, in UPLOADING.
    :ivar external_access: how external artifacts are to be reached, secrets sealed.
    :ivar secrets: whether secrets were ever sealed for the package, which have to go with it.
    :ivar external: the external artifacts that were fetched, by their URI.
    :ivar vnfd_id: the claimed VNFD id, from the moment that the content was found sound.
    :ivar failure: ProblemDetails about the last content, when it was refused.
    """

    id: str
    project: str
    onboarding_state: OnboardingState
    operational_state: OperationalState = "DISABLED"
    user_defined_data: dict[str, Any] = {}
    source: Source | None = None
    receiving: int | None = None
    content: Content | None = None
    external_access: dict[str, Any] = {}
    external: dict[str, External] = {}
    secrets: bool = False
    vnfd_id: str | None = None
    onboarded: Onboarded | None = None
    failure: dict[str, Any] | None = None

    @property
    def deleted(self) -> bool:
        return self.onboarding_state == "DELETED"

    @property
    def awaited(self) -> Content | None:
        """The content whose onboarding is due or going on."""
        return self.content if self.onboarding_state == "PROCESSING" else None

    @property
    def digests(self) -> set[str]:
        """The blobs that the package needs."""
        return {blob.digest for blob in (self.content, *self.external.values()) if blob}

    @property
    def upload(self) -> int | None:
        """The number of the upload that is being sent, fetched or onboarded, ``None`` if there is none."""
        pending = self.source or self.awaited
        return pending.upload if pending else self.receiving


def external_path(uri: str) -> str:
    """The artifactPath under which a fetched external artifact can be had (SOL005 9.5.3.3)."""
    name = uri.partition("?")[0].rpartition("/")[2] or "artifact"
    return f"external/{hashlib.sha256(uri.encode()).hexdigest()[:16]}/{name}"


def evolve(package: Package | None, event: PackageEvent, commit: Commit) -> Package:
    """:raises IllegalTransition: the event is not possible in this state."""
    before = package.onboarding_state if package else None
    after = TRANSITIONS.get(before, {}).get(type(event))
    if after is None:
        raise IllegalTransition(f"package {commit.aggregate_id} in {before} cannot see {type(event).__name__}")
    members = _CHANGES[type(event)](package, event, commit)
    if package is None:
        return Package(id=commit.aggregate_id, project=commit.project, onboarding_state=after, **members)
    return msgspec.structs.replace(package, onboarding_state=after, **members)


_Members = dict[str, Any]


def _created(package: Package, event: PackageCreated, commit: Commit) -> _Members:
    return {"user_defined_data": event.user_defined_data}


def _requested(package: Package, event: PackageUploadRequested, commit: Commit) -> _Members:
    source = Source(uri=event.uri, access=event.access, upload=commit.version)
    return {"source": source, "secrets": package.secrets or bool(event.access), "failure": None}


def _started(package: Package, event: PackageUploadStarted, commit: Commit) -> _Members:
    return {"receiving": commit.version, "failure": None}


def _configured(package: Package, event: PackageExternalAccessConfigured, commit: Commit) -> _Members:
    return {"external_access": event.artifacts, "secrets": True}


def _stored(package: Package, event: PackageContentStored, commit: Commit) -> _Members:
    content = Content(digest=event.digest, size=event.size, checksum=event.checksum, upload=commit.version)
    return {"source": None, "receiving": None, "content": content, "failure": None}


def _claimed(package: Package, event: PackageVnfdIdClaimed, commit: Commit) -> _Members:
    return {"vnfd_id": event.vnfd_id}


def _fetched(package: Package, event: PackageArtifactFetched, commit: Commit) -> _Members:
    return {"external": package.external | {event.uri: External(digest=event.digest, size=event.size)}}


def _onboarded(package: Package, event: PackageOnboarded, commit: Commit) -> _Members:
    found = Onboarded(
        vnfd=event.vnfd,
        definitions=event.definitions,
        single_yaml=event.single_yaml,
        manifest=event.manifest,
        compatible_specification_versions=event.compatible_specification_versions,
        security_option=event.security_option,
        findings=event.findings,
        software_images=event.software_images,
        at=commit.at,
    )
    return {"onboarded": found, "operational_state": "ENABLED"}


def _failed(package: Package, event: PackageOnboardingFailed, commit: Commit) -> _Members:
    gone = ("source", "receiving", "content", "vnfd_id")
    return {"external": {}, "failure": event.error} | dict.fromkeys(gone)


def _modified(package: Package, event: PackageModified, commit: Commit) -> _Members:
    given = {"operational_state": event.operational_state, "user_defined_data": event.user_defined_data}
    return {name: value for name, value in given.items() if value is not None}


def _deleted(package: Package, event: PackageDeleted, commit: Commit) -> _Members:
    gone = ("source", "receiving", "content", "vnfd_id", "onboarded")
    return {"external_access": {}, "external": {}} | dict.fromkeys(gone)


_CHANGES: Mapping[type[PackageEvent], Callable[[Any, Any, Commit], _Members]] = {
    PackageCreated: _created,
    PackageUploadStarted: _started,
    PackageUploadRequested: _requested,
    PackageExternalAccessConfigured: _configured,
    PackageContentStored: _stored,
    PackageVnfdIdClaimed: _claimed,
    PackageArtifactFetched: _fetched,
    PackageOnboarded: _onboarded,
    PackageOnboardingFailed: _failed,
    PackageModified: _modified,
    PackageDeleted: _deleted,
}

"""Stream ``PKG``, aggregates ``pkg.package.<VnfPkgInfo id>``: the life of a VNF package.

The stream also has ``pkg.subscription.<id>``: who reads it looks at the kind first (:func:`facts`).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from forestay_events.commit import Commit, EventCodec

from forestay_sol.vnfd import Checksum, SoftwareImage, Vnfd

OperationalState = Literal["ENABLED", "DISABLED"]
SecurityOption = Literal["OPTION_1", "OPTION_2"]

KIND = "package"
UPLOAD = "/upload"
"""JSON pointer at which the secrets of an upload are sealed."""
EXTERNAL = "/externalArtifacts"
"""JSON pointer at which the secrets of the access to external artifacts are sealed."""


class PackageEventBase(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag=str):
    """Base; the class name is the tag."""


class PackageCreated(PackageEventBase, frozen=True, kw_only=True):
    """The resource was created, without content."""

    user_defined_data: dict[str, Any] = {}


class PackageUploadStarted(PackageEventBase, frozen=True, kw_only=True):
    """A client sends the content (SOL005 9.4.5.3.3). Until it is stored whole, or given up, nobody else can."""


class PackageUploadRequested(PackageEventBase, frozen=True, kw_only=True):
    """The content is to be fetched from where the client said (SOL005 9.4.6); sealed for the package and ``UPLOAD``.

    :ivar uri: without its query, which may be a signature that gives access.
    :ivar access: ``queryToken`` and ``authentication`` (SOL013 8.3.4), as far as they were given; secrets sealed.
    """

    uri: str
    access: dict[str, Any] = {}


class PackageExternalAccessConfigured(PackageEventBase, frozen=True, kw_only=True):
    """How external artifacts are to be reached (SOL005 9.5.2.10), all of them anew; sealed for ``EXTERNAL``."""

    artifacts: dict[str, Any]


class PackageContentStored(PackageEventBase, frozen=True, kw_only=True):
    """The content was received whole and lies in the blob store; onboarding follows.

    :ivar digest: SHA-256 (hex), the blob's name.
    :ivar size: bytes.
    :ivar checksum: of the stored zip, as VnfPkgInfo shows it.
    """

    digest: str
    size: int
    checksum: Checksum


class PackageVnfdIdClaimed(PackageEventBase, frozen=True, kw_only=True):
    """The content is sound and its VNFD has this id. Of all claims of a project that stand, the stream's first wins."""

    vnfd_id: str


class PackageArtifactFetched(PackageEventBase, frozen=True, kw_only=True):
    """An artifact that the manifest names by a URI was fetched, has the digest that is promised, and lies in the blob store.

    :ivar uri: as the manifest has it. :ivar digest: SHA-256 (hex), the blob's name. :ivar size: bytes.
    """

    uri: str
    digest: str
    size: int


class PackageOnboarded(PackageEventBase, frozen=True, kw_only=True):
    """The content was checked; VNFs can be made from it. Operational state is ENABLED, as in Tacker.

    :ivar definitions: paths of the VNFD's YAML files in the package, the entry first.
    :ivar manifest: path of the package's manifest, if it has one.
    :ivar compatible_specification_versions: of SOL004, as the manifest says.
    :ivar security_option: digests in the manifest, or a signature over the whole (SOL004 5.1).
    :ivar findings: warnings and hints to the package's author: rule, severity, message, remedy, file, line.
    """

    vnfd: Vnfd
    single_yaml: bool = False
    definitions: tuple[str, ...] = ()
    manifest: str | None = None
    compatible_specification_versions: tuple[str, ...] = ()
    security_option: SecurityOption | None = None
    findings: tuple[dict[str, Any], ...] = ()
    software_images: tuple[SoftwareImage, ...] = ()


class PackageOnboardingFailed(PackageEventBase, frozen=True, kw_only=True):
    """The content was refused or lost; the package is as before the upload. ``error`` is ProblemDetails."""

    error: dict[str, Any]


class PackageModified(PackageEventBase, frozen=True, kw_only=True):
    """PATCH; ``None`` is unchanged."""

    operational_state: OperationalState | None = None
    user_defined_data: dict[str, Any] | None = None


class PackageDeleted(PackageEventBase, frozen=True, kw_only=True):
    """The resource was deleted; VNFs made from it go on."""


PackageEvent = (
    PackageCreated
    | PackageUploadStarted
    | PackageUploadRequested
    | PackageExternalAccessConfigured
    | PackageContentStored
    | PackageVnfdIdClaimed
    | PackageArtifactFetched
    | PackageOnboarded
    | PackageOnboardingFailed
    | PackageModified
    | PackageDeleted
)

CODEC: EventCodec[PackageEvent] = EventCodec(PackageEvent)


def facts(commit: Commit) -> list[PackageEvent]:
    """The events of a commit of stream PKG about a package; none if it is about something else."""
    return list(CODEC.decode(commit)) if commit.kind == KIND else []

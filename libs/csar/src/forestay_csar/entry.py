"""Where the VNFD of a CSAR starts, and what TOSCA.meta and the manifest say of the package.

Rules of this module: both forms of SOL004 are read, with ``TOSCA-Metadata/TOSCA.meta`` (4.1.2) and with one YAML file in the
root (4.1.3). A zip that holds a CSAR with its signature (option 2 of 5.1) is opened to that CSAR.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from forestay_csar.archive import Archive, Limits
from forestay_csar.definitions import YAML
from forestay_csar.findings import PackageInvalid
from forestay_csar.manifest import Manifest, read_manifest

TOSCA_META = "TOSCA-Metadata/TOSCA.meta"
_CSARS = (".csar", ".zip")
_SIGNATURES = (".cms", ".p7s")
_CERTIFICATES = (".cert", ".crt", ".cer", ".pem")


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What a CSAR says of itself.

    :ivar definitions: path of the YAML file that the VNFD starts with.
    :ivar certificate: path of ETSI-Entry-Certificate, or of the file of this kind beside the manifest.
    """

    definitions: str
    meta: Manifest | None
    manifest: Manifest | None
    certificate: str | None

    @property
    def manifests(self) -> list[Manifest]:
        """The files that promise digests."""
        return [each for each in (self.meta, self.manifest) if each]


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a zip around a CSAR."""

    csar: str
    signature: str
    certificates: tuple[str, ...]


def open_csar(path: Path, limits: Limits | None = None) -> Archive:
    """The CSAR of a package, without the zip that it may be signed in; close it.

    :raises PackageInvalid: the file is no zip, breaks a rule of :mod:`archive`, or is an incomplete envelope.
    """
    archive = Archive(path, limits)
    try:
        envelope = read_envelope(archive)
        return archive.inner(envelope.csar) if envelope else archive
    except BaseException:
        archive.close()
        raise


def read_envelope(archive: Archive) -> Envelope | None:
    """The parts of an envelope, ``None`` when the zip is a CSAR itself.

    :raises PackageInvalid: several CSARs, or not one signature.
    """
    root = [name for name in archive.names if "/" not in name]
    csars, signatures, certificates = (
        [name for name in root if name.lower().endswith(kinds)] for kinds in (_CSARS, _SIGNATURES, _CERTIFICATES)
    )
    if TOSCA_META in archive or not csars or any(name.endswith(YAML) for name in root):
        return None
    if len(csars) != 1 or len(signatures) != 1:
        message = f"The package holds {len(csars)} CSARs and {len(signatures)} signatures (.cms)."
        raise PackageInvalid("envelope-content", message)
    return Envelope(csar=csars[0], signature=signatures[0], certificates=tuple(certificates))


def read_entry(archive: Archive) -> Entry:
    """:raises PackageInvalid: the package has no entry, or TOSCA.meta names what is not there."""
    if TOSCA_META not in archive:
        return _single_yaml(archive)
    meta = read_manifest(archive, TOSCA_META)
    definitions = meta.metadata.get("Entry-Definitions")
    if not definitions:
        raise PackageInvalid("entry-definitions-missing", f"{TOSCA_META} has no Entry-Definitions.", file=TOSCA_META)
    if definitions not in archive:
        message = f"{TOSCA_META} names {definitions!r} as Entry-Definitions, which is not in the package."
        raise PackageInvalid("entry-definitions-file", message, file=TOSCA_META)
    manifest = meta.metadata.get("ETSI-Entry-Manifest")
    if manifest is not None and (not manifest.lower().endswith(".mf") or manifest not in archive):
        message = f"{TOSCA_META} names {manifest!r} as ETSI-Entry-Manifest, which is no .mf file of the package."
        raise PackageInvalid("manifest-missing", message, file=TOSCA_META)
    certificate = meta.metadata.get("ETSI-Entry-Certificate")
    if certificate is not None and certificate not in archive:
        message = f"{TOSCA_META} names {certificate!r} as ETSI-Entry-Certificate, which is not in the package."
        raise PackageInvalid("certificate-missing", message, file=TOSCA_META)
    return Entry(
        definitions=definitions,
        meta=meta,
        manifest=read_manifest(archive, manifest) if manifest else None,
        certificate=certificate or (_certificate(archive, manifest) if manifest else None),
    )


def _single_yaml(archive: Archive) -> Entry:
    root = [name for name in archive.names if "/" not in name]
    yamls = [name for name in root if name.endswith(YAML)]
    if len(yamls) != 1:
        outer = next((name.removesuffix(TOSCA_META) for name in archive.names if name.endswith(f"/{TOSCA_META}")), None)
        hint = f" Pack the content of {outer}, not the folder." if outer else ""
        message = (
            f"The package has neither {TOSCA_META} nor exactly one YAML file in its root (found {len(yamls)}).{hint}"
        )
        raise PackageInvalid("no-entry", message)
    manifests = [name for name in root if name.lower().endswith(".mf")]
    wanted = f"{yamls[0].rpartition('.')[0]}.mf"
    if any(name != wanted for name in manifests):
        message = f"The manifest of a package without TOSCA.meta has to be {wanted}, not {', '.join(manifests)}."
        raise PackageInvalid("manifest-missing", message, file=manifests[0])
    return Entry(
        definitions=yamls[0],
        meta=None,
        manifest=read_manifest(archive, wanted) if manifests else None,
        certificate=_certificate(archive, wanted),
    )


def _certificate(archive: Archive, manifest: str) -> str | None:
    """The certificate that lies beside a manifest under its name (SOL004 5.1)."""
    names = (f"{manifest.rpartition('.')[0]}{kind}" for kind in _CERTIFICATES)
    return next((name for name in names if name in archive), None)

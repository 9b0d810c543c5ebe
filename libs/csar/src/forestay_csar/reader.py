"""From a CSAR to what Forestay knows of it, and everything that is wrong with it.

Rules of this module:

* Cheap checks come first: the directory, the metadata, the definitions; at last each byte is read once for the digests.
* A breach ends the step that found it, not the inspection, so that an author learns of several mistakes at once.
* Onboarding and the linter are the same inspection: an error refuses the package, the rest is kept with it.
"""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
from forestay_sol.vnfd import Artifact, Vnfd

from forestay_csar.archive import Archive, Limits
from forestay_csar.definitions import Definitions
from forestay_csar.documents import Documents
from forestay_csar.entry import Entry, open_csar, read_entry, read_envelope
from forestay_csar.findings import MOST_KEPT, Finding, Findings, PackageInvalid, finding
from forestay_csar.lint import Subject, check_types, lint
from forestay_csar.manifest import Promise, read_artifacts, verify
from forestay_csar.model import read_vnfd
from forestay_csar.signature import Digest, Policy, certificates_in, trust
from forestay_csar.signature import verify as verify_signature
from forestay_csar.topology import FlavourReader


class ReadPackage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A package that was understood.

    :ivar vnfd: with the package's hashed files and software images.
    :ivar definitions: the paths of the VNFD's YAML files, the entry first.
    :ivar single_yaml: GET ``/vnfd`` can answer with that one file as ``text/plain``.
    :ivar findings: warnings and hints, of which none forbids to use the package.
    :ivar signer: the subject of the certificate that it is signed with, when it is signed.
    :ivar compatible_specification_versions: as the manifest says (SOL004 4.3.2).
    """

    vnfd: Vnfd
    definitions: tuple[str, ...]
    manifest: str | None
    single_yaml: bool
    findings: tuple[Finding, ...] = ()
    signer: str | None = None
    compatible_specification_versions: tuple[str, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an inspection found; ``package`` is ``None`` when there are errors among the findings."""

    package: ReadPackage | None
    findings: tuple[Finding, ...]


def read_package(path: Path, limits: Limits | None = None, policy: Policy | None = None) -> ReadPackage:
    """Read and judge a whole VNF package.

    :param path: the CSAR, a zip file on disk. Blocks; memory use does not depend on the size of its members.
    :param policy: what is asked of signatures; by default they need to be whole, not known.
    :raises PackageInvalid: the package breaks a rule; the first error, with the others in ``findings``.
    """
    report = inspect(path, limits, policy)
    if report.package is None:
        raise PackageInvalid.of(report.findings)
    return report.package


def inspect(path: Path, limits: Limits | None = None, policy: Policy | None = None) -> Report:
    """As :func:`read_package`, but with all findings and never refusing."""
    findings = Findings()
    package: ReadPackage | None = None
    with findings.catching(), open_csar(path, limits) as archive:
        package = _Inspection(archive, policy or Policy(), findings).read()
    return Report(package=None if findings.has_error else package, findings=tuple(findings))


class _Inspection:
    def __init__(self, archive: Archive, policy: Policy, findings: Findings) -> None:
        self._archive = archive
        self._policy = policy
        self._findings = findings

    def read(self) -> ReadPackage | None:
        """:raises PackageInvalid: nothing could be understood."""
        archive, entry = self._archive, read_entry(self._archive)
        signer = self._signer(entry)
        artifacts = self._artifacts(entry)
        documents = Documents(archive)
        package: ReadPackage | None = None
        promises = [Promise(path=artifact.path, checksum=artifact.checksum) for artifact in artifacts]
        with self._findings.catching():
            definitions = Definitions(archive, documents, entry.definitions, with_siblings=entry.meta is not None)
            self._findings.take(check_types(definitions))
            reader = FlavourReader(archive, documents, definitions)
            vnfd = read_vnfd(definitions, reader, artifacts, archive.limits.model)
            promises += _image_promises(vnfd)
            subject = Subject(archive=archive, entry=entry, documents=documents, definitions=definitions, vnfd=vnfd)
            lint(subject, self._findings)
            package = ReadPackage(
                vnfd=vnfd,
                definitions=tuple(definitions.documents),
                manifest=entry.manifest.file if entry.manifest else None,
                single_yaml=entry.meta is None and len(definitions.documents) == 1,
                findings=(),
                signer=signer,
                compatible_specification_versions=_versions(entry),
            )
        self._findings.take(verify(archive, promises))
        return msgspec.structs.replace(package, findings=tuple(self._findings[:MOST_KEPT])) if package else None

    def _artifacts(self, entry: Entry) -> list[Artifact]:
        artifacts: list[Artifact] = []
        for manifest in entry.manifests:
            for each in read_artifacts(manifest, self._archive):
                if isinstance(each, Finding):
                    self._findings.add(each)
                else:
                    artifacts.append(each)
        return artifacts

    def _signer(self, entry: Entry) -> str | None:
        """Verify every signature that the package has, and give its signer."""
        signer: str | None = None
        with self._findings.catching():
            signer = self._signer_of_manifest(entry)
        with self._findings.catching():
            signer = self._signer_of_whole() or signer
        if self._policy.signature_required and signer is None and not self._findings.has_error:
            raise PackageInvalid(
                "signature-missing", "The package is not signed, and this Forestay asks for signatures."
            )
        return signer

    def _signer_of_manifest(self, entry: Entry) -> str | None:
        manifest, certificate = entry.manifest, entry.certificate
        if manifest is None or manifest.signature is None:
            return None
        content = manifest.signed

        def digests(algorithm: str) -> Iterator[bytes]:
            # Without -binary, openssl signs a text with network line ends.
            for text in (content, content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")):
                yield hashlib.new(algorithm, text).digest()

        files = {certificate: self._archive.content(certificate)} if certificate else {}
        return self._trusted(manifest.signature, manifest.file, digests, files)

    def _signer_of_whole(self) -> str | None:
        outer = self._archive.outer
        envelope = read_envelope(outer) if outer else None
        if outer is None or envelope is None:
            return None

        def digests(algorithm: str) -> Iterator[bytes]:
            digest = hashlib.new(algorithm)
            for chunk in outer.chunks(envelope.csar):
                digest.update(chunk)
            yield digest.digest()

        files = {name: outer.content(name) for name in envelope.certificates}
        return self._trusted(outer.content(envelope.signature), envelope.signature, digests, files)

    def _trusted(self, signature: bytes, file: str, digests: Digest, files: dict[str, bytes]) -> str:
        certificates = [each for name, content in files.items() for each in certificates_in(content, name)]
        signer, known = verify_signature(signature, file, digests, certificates)
        subject = signer.subject.rfc4514_string()
        if anchors := self._policy.anchors():
            trust(signer, known, anchors, datetime.datetime.now(datetime.UTC))
        else:
            self._findings.add(
                finding("signature-unverified", f"Whether {subject} can be trusted is not known.", file=file)
            )
        return subject


def _image_promises(vnfd: Vnfd) -> list[Promise]:
    """What ``sw_image_data`` says of the files that the package ships."""
    return [
        Promise(path=image.path, checksum=image.checksum, rule="software-image-hash", by=f"sw_image_data of {image.id}")
        for image in vnfd.software_images()
        if image.path and image.checksum
    ]


def _versions(entry: Entry) -> tuple[str, ...]:
    stated = entry.manifest.metadata.get("compatible_specification_versions", "") if entry.manifest else ""
    return tuple(version.strip() for version in stated.split(",") if version.strip())

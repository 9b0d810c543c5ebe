"""The manifest: it hashes every file, and says of the VNF what the VNFD says (SOL004 4.3.2)."""

from __future__ import annotations

from collections.abc import Iterator

from forestay_csar.entry import TOSCA_META
from forestay_csar.findings import Finding, finding
from forestay_csar.lint.subject import Subject


def check_manifest(subject: Subject) -> Iterator[Finding]:
    """Files without a hash: in a signed package an error, because nothing covers them."""
    manifest = subject.entry.manifest
    if manifest is None:
        if subject.archive.outer is None:
            yield finding(
                "manifest-none", "The package has no manifest, so that nothing says whether its files are whole."
            )
        return
    exempt = {manifest.file, subject.entry.certificate}
    bare = [name for name in subject.archive.names if name not in subject.vnfd.artifacts and name not in exempt]
    for name in bare:
        uncovered = manifest.signature is not None and name != TOSCA_META and not _is_signature(name)
        rule = "manifest-unhashed-signed" if uncovered else "manifest-unhashed"
        yield finding(rule, f"{name} is not hashed in {manifest.file}.", file=name)
    stated = {"vnf_product_name": subject.vnfd.product_name, "vnf_provider_id": subject.vnfd.provider}
    for name, value in stated.items():
        said = manifest.metadata.get(name)
        if said != value:
            message = f"{manifest.file} has {name} {said!r}, and the VNFD {value!r}."
            yield finding("manifest-metadata", message, file=manifest.file)


def _is_signature(name: str) -> bool:
    return name.lower().endswith((".cms", ".p7s"))

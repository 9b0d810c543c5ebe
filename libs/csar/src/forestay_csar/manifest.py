"""The ``Key: value`` files of a CSAR, TOSCA.meta and the manifest, and the digests that they promise.

Rules of this module:

* A block that names a file (``Source`` or ``Name``) and has ``Algorithm`` or ``Hash`` promises a digest: it has both.
  Tacker's packages also have blocks that give a file a ``Content-Type`` only.
* A promise is about a file of the package. One about an HTTP URL is recorded and never fetched: no package chooses an
  address to call.
* Everything from a CMS signature on is not read as blocks.

Form: ETSI GS NFV-SOL 004 clauses 4.3.2 and 4.1.2.3.
"""

from __future__ import annotations

import hashlib

import msgspec
from forestay_sol.vnfd import Artifact, Checksum

from forestay_csar.archive import Archive
from forestay_csar.problem import PackageInvalid

_ALGORITHMS = {f"sha{bits}": f"SHA-{bits}" for bits in (224, 256, 384, 512)}
_EXTERNAL = ("http://", "https://")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that belong together; ``line`` is the first one's number in ``file``."""

    file: str
    line: int
    fields: dict[str, str]


def read_blocks(archive: Archive, file: str) -> list[Block]:
    """:raises PackageInvalid: the file is too large, no UTF-8, or has a line without a colon."""
    blocks: list[Block] = []
    fields: dict[str, str] = {}
    for number, raw in enumerate(archive.text(file).splitlines(), 1):
        line = raw.strip()
        if line.startswith("-----BEGIN"):
            break
        key, colon, value = line.partition(":")
        if line and not colon and not line.startswith("#"):
            detail = f"{file}: line {number} is not 'Key: value'."
            raise PackageInvalid("manifest-syntax", detail, file=file, line=number)
        if not line or (key in ("Source", "Name") and fields):
            fields = {}
        if colon:
            if not fields:
                blocks.append(Block(file=file, line=number, fields=fields))
            fields[key.strip()] = value.strip().strip("'\"")
    return blocks


def read_artifacts(blocks: list[Block], archive: Archive) -> list[Artifact]:
    """The files that blocks promise digests of, in their order.

    :raises PackageInvalid: a promise is incomplete, uses an unknown algorithm, or is about a file that is not there.
    """
    return [
        _artifact(path, block, archive)
        for block in blocks
        if (path := block.fields.get("Source", block.fields.get("Name"))) is not None
        and not block.fields.keys().isdisjoint(("Algorithm", "Hash"))
    ]


def verify(archive: Archive, artifacts: list[Artifact]) -> None:
    """Read every member once: its own checksum has to fit, and the digests that are promised.

    :raises PackageInvalid: ``zip-corrupt`` or ``manifest-hash``.
    """
    for name in archive.names:
        promised = [artifact for artifact in artifacts if artifact.path == name]
        digests = [hashlib.new(artifact.checksum.algorithm.replace("-", "")) for artifact in promised]
        for chunk in archive.chunks(name):
            for digest in digests:
                digest.update(chunk)
        for artifact, digest in zip(promised, digests, strict=True):
            if digest.hexdigest() != artifact.checksum.hash:
                detail = (
                    f"{name} has the {artifact.checksum.algorithm} digest {digest.hexdigest()}, but its manifest says "
                    f"{artifact.checksum.hash}. Make the manifest again after the last change of the file."
                )
                raise PackageInvalid("manifest-hash", detail, file=name)


def checksum(algorithm: str, digest: str) -> Checksum | None:
    """A checksum with the algorithm's registered name, ``None`` for an algorithm that SOL004 does not know."""
    name = _ALGORITHMS.get(algorithm.lower().replace("-", ""))
    return Checksum(algorithm=name, hash=digest.lower()) if name else None


def _artifact(path: str, block: Block, archive: Archive) -> Artifact:
    missing = ", ".join(key for key in ("Algorithm", "Hash") if not block.fields.get(key))
    if missing or not path:
        detail = f"{block.file}: the entry of line {block.line} has no {missing or 'file name'}."
        raise PackageInvalid("manifest-entry", detail, file=block.file, line=block.line)
    promise = checksum(block.fields["Algorithm"], block.fields["Hash"])
    if promise is None:
        known = ", ".join(_ALGORITHMS.values())
        detail = (
            f"{block.file}: {path} has a digest of unknown algorithm {block.fields['Algorithm']!r}. Use one of {known}."
        )
        raise PackageInvalid("manifest-algorithm", detail, file=block.file, line=block.line)
    if path not in archive and not path.startswith(_EXTERNAL):
        detail = f"{block.file}: {path} is listed, but not in the package. Paths start at the CSAR's root."
        raise PackageInvalid("manifest-file-missing", detail, file=block.file, line=block.line)
    return Artifact(path=path, checksum=promise, content_type=block.fields.get("Content-Type"))

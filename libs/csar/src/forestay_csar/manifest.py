"""The ``Key: value`` files of a CSAR, TOSCA.meta and the manifest, and the digests that they promise.

Rules of this module:

* A block that names a file (``Source`` or ``Name``) and has ``Algorithm`` or ``Hash`` promises a digest: it has both.
  Tacker's packages also have blocks that give a file a ``Content-Type`` only.
* A promise is about a file of the package. One about an HTTP URL is recorded and not looked after here: whoever onboards
  the package fetches it, where the operator lets him.
* The manifest ends where its CMS signature begins; what it signs is every byte before it.

Form: ETSI GS NFV-SOL 004 clauses 4.1.2.3, 4.3.2 (manifest), 4.3.7 (non-MANO artifact sets), 5.1 to 5.3 (security).
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
from forestay_sol.vnfd import Artifact, Checksum

from forestay_csar.archive import Archive, decoded
from forestay_csar.findings import Finding, PackageInvalid, finding

_ALGORITHMS = {f"sha{bits}": f"SHA-{bits}" for bits in (224, 256, 384, 512)}
_EXTERNAL = ("http://", "https://")
_SIGNATURE = re.compile(rb"^-----BEGIN [A-Z0-9 ]+-----", re.MULTILINE)
# ContentInfo of enveloped-data, encrypted-data (RFC 5652) and authenticated-enveloped-data (RFC 5083).
_ENCRYPTED = re.compile(
    rb"\x30.{1,5}\x06(\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x03\x06]|\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17)",
    re.DOTALL,
)
_PEM = re.compile(rb"-----BEGIN (?:CMS|PKCS7)-----\s+([A-Za-z0-9+/]{48})")
_HEAD = 256


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Lines that belong together; ``line`` is the first one's number in ``file``."""

    file: str
    line: int
    fields: dict[str, str]

    @property
    def path(self) -> str | None:
        """The file that it is about."""
        return self.fields.get("Source", self.fields.get("Name"))


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest or TOSCA.meta.

    :ivar sets: the files of each non-MANO artifact set.
    :ivar signed: the bytes that a signature is about; ``signature`` is its PEM, ``None`` when there is none.
    """

    file: str
    blocks: list[Block]
    sets: dict[str, list[Block]]
    signed: bytes
    signature: bytes | None

    @property
    def metadata(self) -> Mapping[str, str]:
        """The fields that are about no file."""
        return {key: value for block in self.blocks if block.path is None for key, value in block.fields.items()}


def read_manifest(archive: Archive, file: str) -> Manifest:
    """:raises PackageInvalid: the file is too large, no UTF-8, or has a line without a colon."""
    content = archive.content(file)
    begin = _SIGNATURE.search(content)
    signed = content[: begin.start()] if begin else content
    blocks: list[Block] = []
    sets: dict[str, list[Block]] = {}
    fields: dict[str, str] = {}
    members: list[Block] | None = None
    in_sets = False
    for number, raw in enumerate(decoded(signed, file).splitlines(), 1):
        line = raw.strip()
        key, colon, value = (part.strip() for part in line.partition(":"))
        value = value.strip("'\"")
        if line and not colon and not line.startswith("#"):
            message = f"{file}: line {number} is not 'Key: value'."
            raise PackageInvalid("manifest-syntax", message, file=file, line=number)
        if not line or (key in ("Source", "Name") and fields):
            fields = {}
            in_sets = in_sets and (bool(line) or not sets)
        if not colon or line.startswith("#"):
            continue
        if key == "non_mano_artifact_sets" and not value:
            in_sets, members = True, None
        elif in_sets and key != "Source" and (not value or value.startswith("#")):
            fields, members = {}, sets.setdefault(key, [])
        else:
            if not fields:
                blocks.append(Block(file=file, line=number, fields=fields))
                if in_sets and members is not None and key == "Source":
                    members.append(blocks[-1])
            fields[key] = value
    return Manifest(
        file=file, blocks=blocks, sets=sets, signed=signed, signature=content[begin.start() :] if begin else None
    )


def read_artifacts(manifest: Manifest, archive: Archive) -> Iterator[Artifact | Finding]:
    """The files that a manifest promises digests of, in its order, and what is wrong with its entries."""
    set_of = {block.path: name for name, blocks in manifest.sets.items() for block in blocks}
    for block in manifest.blocks:
        try:
            if block.path is not None and not block.fields.keys().isdisjoint(("Algorithm", "Hash")):
                yield _artifact(block.path, block, archive, set_of.get(block.path))
        except PackageInvalid as error:
            yield error.finding
        if any(
            key.lower().startswith("encrypt") and value.lower() not in ("", "none", "false")
            for key, value in block.fields.items()
        ):
            yield finding("artifact-encrypted", f"{block.path} is encrypted.", file=block.file, line=block.line)
    for name, blocks in manifest.sets.items():
        for block in blocks:
            if (block.path or "") not in archive and not (block.path or "").startswith(_EXTERNAL):
                message = f"{block.path} of the non-MANO artifact set {name} is not in the package."
                yield finding("non-mano-missing", message, file=block.file, line=block.line)


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """That a member has a digest; ``rule`` is broken otherwise, and ``by`` says whose promise it is."""

    path: str
    checksum: Checksum
    rule: str = "manifest-hash"
    by: str = "its manifest"


def verify(archive: Archive, promises: Sequence[Promise]) -> Iterator[Finding]:
    """Read every member once, in pieces: its own checksum has to fit, the digests that are promised too, and it is clear."""
    by_path: dict[str, list[Promise]] = {}
    for promise in promises:
        by_path.setdefault(promise.path, []).append(promise)
    for name in archive.names:
        promised = by_path.get(name, [])
        digests = [hashlib.new(promise.checksum.algorithm.replace("-", "")) for promise in promised]
        head = b""
        try:
            for chunk in archive.chunks(name):
                head = head or chunk[:_HEAD]
                for digest in digests:
                    digest.update(chunk)
        except PackageInvalid as error:
            yield error.finding
            continue
        pem = _PEM.match(head)
        if _ENCRYPTED.match(binascii.a2b_base64(pem[1]) if pem else head):
            yield finding("artifact-encrypted", f"{name} is encrypted (CMS).", file=name)
        for promise, digest in zip(promised, digests, strict=True):
            if digest.hexdigest() != promise.checksum.hash:
                algorithm, hash_ = promise.checksum.algorithm, promise.checksum.hash
                message = f"{name} has the {algorithm} digest {digest.hexdigest()}, but {promise.by} says {hash_}."
                yield finding(promise.rule, message, file=name)


def checksum(algorithm: str, digest: str) -> Checksum | None:
    """A checksum with the algorithm's registered name, ``None`` for an algorithm that SOL004 does not know."""
    name = _ALGORITHMS.get(algorithm.lower().replace("-", ""))
    return Checksum(algorithm=name, hash=digest.lower()) if name else None


def _artifact(path: str, block: Block, archive: Archive, non_mano_set: str | None) -> Artifact:
    missing = ", ".join(key for key in ("Algorithm", "Hash") if not block.fields.get(key))
    if missing or not path:
        message = f"{block.file}: the entry of line {block.line} has no {missing or 'file name'}."
        raise PackageInvalid("manifest-entry", message, file=block.file, line=block.line)
    promise = checksum(block.fields["Algorithm"], block.fields["Hash"])
    if promise is None:
        message = f"{block.file}: {path} has a digest of unknown algorithm {block.fields['Algorithm']!r}."
        raise PackageInvalid("manifest-algorithm", message, file=block.file, line=block.line)
    if path not in archive and not path.startswith(_EXTERNAL):
        message = f"{block.file}: {path} is listed, but not in the package."
        raise PackageInvalid("manifest-file-missing", message, file=block.file, line=block.line)
    content_type = block.fields.get("Content-Type")
    return Artifact(path=path, checksum=promise, content_type=content_type, non_mano_set=non_mano_set)

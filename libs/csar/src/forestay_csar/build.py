"""Makes a CSAR of a source tree: TOSCA.meta, a manifest that hashes every other file, and a signature if wanted.

Rules of this module:

* What the tree has is kept: its TOSCA.meta, and the metadata of its manifest. What it lacks is made: TOSCA.meta when it can be
  seen which YAML file is the entry, the manifest's metadata from the VNFD.
* The same tree gives the same bytes, but for the signature. Hidden files stay out.
* The content of the package is judged by :func:`forestay_csar.inspect`, not here.

Form: ETSI GS NFV-SOL 004 clauses 4.1, 4.3 and 5.1.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from forestay_events.errors import Rejected

from forestay_csar.archive import CHUNK
from forestay_csar.definitions import YAML
from forestay_csar.entry import TOSCA_META
from forestay_csar.signature import sign

_EPOCH = (1980, 1, 1, 0, 0, 0)
_PACKED = (".qcow2", ".gz", ".tgz", ".zip", ".xz", ".csar")


class Signing(msgspec.Struct, frozen=True, kw_only=True):
    """How a package is signed.

    :ivar key: private key in PEM (RSA or elliptic curve). :ivar certificate: the key's certificate in PEM.
    :ivar option: ``manifest`` puts the signature into the manifest and the certificate beside it (option 1 of SOL004 5.1);
        ``whole`` makes a zip of the CSAR, its signature and the certificate (option 2).
    """

    key: bytes
    certificate: bytes
    option: Literal["manifest", "whole"] = "manifest"


def build_csar(source: Path, out: Path, signing: Signing | None = None) -> Path:
    """Pack the tree ``source`` into ``out`` and give ``out`` back. Blocks.

    :raises Rejected: the tree does not say which file is the entry, or the key is not usable.
    :raises OSError: a file cannot be read or written.
    """
    tree = _Tree(source, exclude=out)
    if signing is None:
        _write(out, tree.members(None))
        return out
    try:
        if signing.option == "manifest":
            _write(out, tree.members(signing))
        else:
            _write_signed(out, tree, signing)
    except (ValueError, TypeError) as error:
        raise Rejected(400, f"The package cannot be signed: {error}.") from error
    return out


Content = bytes | Path


class _Tree:
    def __init__(self, source: Path, exclude: Path) -> None:
        self.name = source.resolve().name
        self._files = {
            path.relative_to(source).as_posix(): path
            for path in sorted(source.rglob("*"))
            if path.is_file() and path.resolve() != exclude.resolve() and not _is_hidden(path.relative_to(source))
        }
        self._root = [name for name in self._files if "/" not in name]
        yamls = [name for name in self._root if name.endswith(YAML)]
        self._single = yamls[0] if TOSCA_META not in self._files and len(yamls) == 1 else None
        meta = self._read(TOSCA_META) if TOSCA_META in self._files else ""
        self._fields = dict(_fields(meta))
        self._manifest = self._fields.get("ETSI-Entry-Manifest") or self._manifest_name()
        if self._single is None and not self._entry():
            raise Rejected(
                400, f"{source} has no {TOSCA_META}, and not exactly one YAML file in its root or in Definitions."
            )

    def members(self, signing: Signing | None) -> Iterator[tuple[str, Content]]:
        """The files in the order of the package, the manifest last: it hashes the others."""
        certificate = f"{self._manifest.rpartition('.')[0]}.cert"
        files: dict[str, Content] = {
            n: path for n, path in self._files.items() if n not in (TOSCA_META, self._manifest)
        }
        if signing:
            files[certificate] = signing.certificate
        if self._single is None:
            files = {TOSCA_META: self._meta(certificate if signing else None), **files}
        manifest = self._metadata()
        for name, content in files.items():
            if not (signing and name == certificate):
                manifest += f"\nSource: {name}\nAlgorithm: SHA-256\nHash: {_digest(content)}\n".encode()
        if signing:
            manifest += b"\n"
            manifest += sign(hashlib.sha256(manifest).digest(), signing.key, signing.certificate)
        yield from files.items()
        yield self._manifest, manifest

    def _read(self, name: str) -> str:
        return self._files[name].read_text("utf-8-sig")

    def _manifest_name(self) -> str:
        manifests = [name for name in self._root if name.endswith(".mf")]
        if self._single:
            return f"{self._single.rpartition('.')[0]}.mf"
        return manifests[0] if manifests else f"{self.name}.mf"

    def _entry(self) -> str | None:
        """The file that TOSCA.meta names, or the only one that can be it."""
        definitions = [name for name in self._files if name.startswith("Definitions/") and name.endswith(YAML)]
        tops = (
            [name for name in definitions if ".vnfd." in name or "top" in name] if len(definitions) > 1 else definitions
        )
        return self._fields.get("Entry-Definitions") or (tops[0] if len(tops) == 1 else None)

    def _meta(self, certificate: str | None) -> bytes:
        stated = self._fields or {
            "TOSCA-Meta-File-Version": "1.0",
            "CSAR-Version": "1.1",
            "Created-By": "Forestay",
            "Entry-Definitions": str(self._entry()),
        }
        rest = self._read(TOSCA_META).partition("\n\n")[2] if TOSCA_META in self._files else ""
        fields = {**stated, "ETSI-Entry-Manifest": self._manifest}
        if certificate:
            fields["ETSI-Entry-Certificate"] = certificate
        text = "".join(f"{key}: {value}\n" for key, value in fields.items())
        return (f"{text}\n{rest}" if rest else text).encode()

    def _metadata(self) -> bytes:
        """What the tree's manifest says before its first entry, or the VNFD's own words."""
        if self._manifest in self._files:
            text = self._read(self._manifest)
            return (
                text.partition("\nSource:")[0].partition("\nName:")[0].partition("-----BEGIN")[0].rstrip() + "\n"
            ).encode()
        entry = self._single or str(self._entry())
        beside = [
            name for name in self._files if name.rpartition("/")[0] == entry.rpartition("/")[0] and name.endswith(YAML)
        ]
        said = dict(_said(self._read(name) for name in ([entry] if self._single else [*beside, entry])))
        release = datetime.fromtimestamp(max(path.stat().st_mtime for path in self._files.values()), UTC)
        lines = {
            "vnf_product_name": said.get("product_name", self.name),
            "vnf_provider_id": said.get("provider", "unknown"),
            "vnf_package_version": said.get("descriptor_version", "1.0"),
            "vnf_release_date_time": f"{release:%Y-%m-%dT%H:%M:%SZ}",
        }
        return ("metadata:\n" + "".join(f"  {key}: {value}\n" for key, value in lines.items())).encode()


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def _fields(meta: str) -> Iterator[tuple[str, str]]:
    """The first block of TOSCA.meta."""
    for line in meta.partition("\n\n")[0].splitlines():
        key, colon, value = line.partition(":")
        if colon:
            yield key.strip(), value.strip()


def _said(texts: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Scalar properties: of each text the defaults of its node types, then what node templates say; what comes later counts.

    Of a text that is no VNFD nothing is said: the inspection of the package tells what is wrong with it.
    """
    for text in texts:
        try:
            document = yaml.safe_load(text)
            for declared in (document.get("node_types") or {}).values():
                yield from ((k, v["default"]) for k, v in (declared.get("properties") or {}).items() if "default" in v)
            for node in reversed(
                list(((document.get("topology_template") or {}).get("node_templates") or {}).values())
            ):
                yield from (
                    (k, v) for k, v in (node.get("properties") or {}).items() if isinstance(v, str | int | float)
                )
        except (yaml.YAMLError, AttributeError, TypeError, ValueError, RecursionError):
            continue


def _digest(content: Content) -> str:
    if isinstance(content, bytes):
        return hashlib.sha256(content).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(out: Path, members: Iterator[tuple[str, Content]], *, stored: bool = False) -> None:
    with zipfile.ZipFile(out, "w") as csar:
        for name, content in members:
            info = zipfile.ZipInfo(name, _EPOCH)
            info.compress_type = zipfile.ZIP_STORED if stored or name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
            if isinstance(content, bytes):
                csar.writestr(info, content)
                continue
            info.file_size = content.stat().st_size
            with content.open("rb") as file, csar.open(info, "w") as member:
                while chunk := file.read(CHUNK):
                    member.write(chunk)


def _write_signed(out: Path, tree: _Tree, signing: Signing) -> None:
    """The CSAR is stored in the zip and not compressed, so that it can be read where it lies."""
    csar = out.with_name(f".{out.name}.csar")
    try:
        _write(csar, tree.members(None))
        signature = sign(bytes.fromhex(_digest(csar)), signing.key, signing.certificate)
        parts: dict[str, Content] = {
            f"{tree.name}.csar": csar,
            f"{tree.name}.cms": signature,
            f"{tree.name}.cert": signing.certificate,
        }
        _write(out, iter(parts.items()), stored=True)
    finally:
        csar.unlink(missing_ok=True)

"""How bad packages are made: a good one, and one defect.

The base of most is the simple package of :mod:`tests.packages.third_party`, which onboards as it is.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from forestay_csar import Signing, build_csar

from tests.packages import keys
from tests.packages.third_party import csar, tree, with_manifest, zipped
from tests.packages.vnfd import (
    META,
    TOP,
    Files,
    Json,
    vnfd,
)

Write = Callable[[Path], None]
HOT = "BaseHOT/simple/top.yaml"


class Bad(NamedTuple):
    """A package and the rule that refuses it."""

    rule: str
    write: Write


def raw(rule: str, content: bytes) -> Bad:
    """Of a file of these bytes."""

    def write(path: Path) -> None:
        path.write_bytes(content)

    return Bad(rule, write)


def files(rule: str, make: Callable[[], Files]) -> Bad:
    """Of a zip of files."""

    def write(path: Path) -> None:
        zipped(make(), path)

    return Bad(rule, write)


def also(rule: str, name: str, content: bytes) -> Bad:
    """Of the simple package with one file more, or another one."""
    return files(rule, lambda: csar() | {name: content})


def meta(rule: str, old: bytes, new: bytes) -> Bad:
    """Of the simple package with another TOSCA.meta."""
    return files(rule, lambda: csar() | {META: csar()[META].replace(old, new)})


def vnfd_with(rule: str, change: Callable[[Json], Any]) -> Bad:
    """Of the simple package whose VNFD was changed."""

    def make() -> Files:
        read = yaml.safe_load(vnfd())
        change(read)
        return csar() | {TOP: yaml.safe_dump(read, sort_keys=False).encode()}

    return files(rule, make)


def template(rule: str, change: Callable[[Json], Any]) -> Bad:
    """Of the simple package whose topology template was changed."""
    return vnfd_with(rule, lambda read: change(read["topology_template"]))


def node(rule: str, name: str, **members: Any) -> Bad:
    """Of the simple package with other members of a node template."""

    def change(read: Json) -> None:
        nodes = read["node_templates"]
        nodes[name] = {**nodes.get(name, {}), **members}

    return template(rule, change)


def policies(rule: str, index: int, **properties: Any) -> Bad:
    """Of the simple package with other properties of one of its policies: aspects, initial, deltas, levels."""

    def change(read: Json) -> None:
        next(iter(read["policies"][index].values()))["properties"].update(properties)

    return template(rule, change)


def member(rule: str, info: zipfile.ZipInfo | str, content: bytes = b"x", method: int = zipfile.ZIP_STORED) -> Bad:
    """Of the simple package with one member more."""

    def write(path: Path) -> None:
        zipped(csar(), path)
        with warnings.catch_warnings(), zipfile.ZipFile(path, "a") as out:
            warnings.simplefilter("ignore")
            out.writestr(info, content, method)

    return Bad(rule, write)


def patched(rule: str, offset: int, value: bytes, content: bytes = b"x" * 100) -> Bad:
    """Of the simple package with one member more, whose entry in the zip's directory was changed."""

    def write(path: Path) -> None:
        member(rule, "Files/one", content, zipfile.ZIP_DEFLATED).write(path)
        data = bytearray(path.read_bytes())
        at = data.rfind(b"PK\x01\x02") + offset
        data[at : at + len(value)] = value
        path.write_bytes(data)

    return Bad(rule, write)


def special(kind: int) -> zipfile.ZipInfo:
    """A member that is no plain file."""
    info = zipfile.ZipInfo("Files/special")
    info.external_attr = (kind | 0o777) << 16
    return info


def entry(rule: str, text: str) -> Bad:
    """Of a package with Files/x, whose manifest has one entry more."""
    return files(rule, lambda: with_manifest(csar(), extra=f"\n{text}\n") | {"Files/x": b"x"})


def after(
    rule: str, change: Callable[[Files], Files], *, option: str = "manifest", signer: keys.Holder | None = None
) -> Bad:
    """Of a signed package that was changed afterwards."""

    def write(path: Path) -> None:
        holder = signer or keys.vendor()
        signing = Signing(
            key=holder.key_pem, certificate=holder.pem, option="whole" if option == "whole" else "manifest"
        )
        build_csar(tree(with_manifest(csar()), path.with_suffix(".tree")), path, signing)
        with zipfile.ZipFile(path) as read:
            found = {name: read.read(name) for name in read.namelist()}
        zipped(change(found), path)

    return Bad(rule, write)


def named(found: Files, suffix: str) -> str:
    """The only file with a suffix."""
    return next(name for name in found if name.endswith(suffix))


def replaced(suffix: str, change: Callable[[bytes], bytes]) -> Callable[[Files], Files]:
    """Changes one file."""
    return lambda found: found | {(name := named(found, suffix)): change(found[name])}


def without(*suffixes: str) -> Callable[[Files], Files]:
    """Takes files away."""
    return lambda found: {name: content for name, content in found.items() if not name.endswith(suffixes)}

"""The TOSCA definitions of a package as one: its documents, their imports, and which type derives from which.

Rules of this module:

* Documents are the entry, what it imports, and - as in Tacker's packages - every YAML file beside it.
* An import of SOL001's or TOSCA's own type file that the package does not ship is known by name: the reader has the
  meaning of their types built in (:mod:`sol001`). No import leaves the package.
* ``get_input`` stands for the input's default, or for nothing: values that a request brings are not in a package.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections.abc import Collection, Iterator
from typing import Any, cast

from forestay_csar.archive import Archive
from forestay_csar.documents import Documents, Tree
from forestay_csar.findings import PackageInvalid
from forestay_csar.sol001 import PARENTS

YAML = (".yaml", ".yml")
_BUILT_IN = re.compile(
    r"(etsi_nfv_sol001_|tosca_simple_yaml_|TOSCA_(simple_yaml_)?definition_)[\w.]+\.ya?ml", re.IGNORECASE
)
_TYPE_SECTIONS = ("node_types", "policy_types", "group_types", "artifact_types")


class Definitions:
    """All definitions of a package.

    :param entry: path of the Entry-Definitions, or of the single YAML file.
    :param with_siblings: take the YAML files beside the entry too.
    :raises PackageInvalid: a document cannot be read, or an import is not there.
    """

    def __init__(self, archive: Archive, documents: Documents, entry: str, *, with_siblings: bool) -> None:
        self.entry = entry
        self.limits = archive.limits
        self.documents: dict[str, Tree] = {}
        folder = posixpath.dirname(entry)
        beside = (name for name in archive.names if posixpath.dirname(name) == folder and name.endswith(YAML))
        waiting = [entry, *(beside if with_siblings else ())]
        while waiting:
            name = waiting.pop(0)
            if name not in self.documents:
                self.documents[name] = documents.load(name)
                waiting += _imports(self.documents[name], archive)
        self.types = {
            name: each
            for document in self.documents.values()
            for section in _TYPE_SECTIONS
            for name, each in document.at(section).mapping().items()
        }

    @functools.cached_property
    def topologies(self) -> list[Tree]:
        """The topology templates, the entry's first, with their inputs put in.

        :raises PackageInvalid: one of them has more elements than a package may have.
        """
        found: list[Tree] = []
        for document in self.documents.values():
            if topology := document.at("topology_template"):
                inputs = {name: each.at("default").value for name, each in topology.at("inputs").mapping().items()}
                for section in ("node_templates", "policies", "groups"):
                    check_count(topology.at(section).named(), self.limits.named, topology.at(section))
                found.append(topology.replaced(_with_inputs(topology.value, inputs)))
        return found

    def lineage(self, node: Tree) -> Iterator[str]:
        """The type of a node, policy, group or artifact and what it derives from, as far as is known.

        :raises PackageInvalid: the type is neither TOSCA's nor defined in the package.
        """
        name: str | None = node.at("type").text()
        if name not in self.types and not name.startswith("tosca."):
            raise node.at("type").wrong("a type that the package defines or imports", "type-unknown")
        seen: set[str] = set()
        while name and name not in seen:
            seen.add(name)
            check_count(seen, self.limits.named, node)
            yield name
            name = self.types[name].at("derived_from").optional_text() if name in self.types else PARENTS.get(name)

    def knows(self, name: str) -> bool:
        """Whether the package, TOSCA or SOL001 defines a type."""
        return name in self.types or name in PARENTS

    def of_type(self, nodes: list[tuple[str, Tree]], *types: str) -> dict[str, Tree]:
        """Those of ``nodes`` whose type is, or derives from, one of ``types``."""
        return {name: node for name, node in nodes if not set(types).isdisjoint(self.lineage(node))}


def check_count(found: Collection[object], most: int, place: Tree) -> None:
    """:raises PackageInvalid: there are more than a package may have."""
    if len(found) > most:
        message = f"{place.file}: {'/'.join(place.path)} has {len(found)} elements; at most {most}."
        raise PackageInvalid("vnfd-size", message, file=place.file, line=place.line)


def _imports(document: Tree, archive: Archive) -> Iterator[str]:
    for element in document.at("imports").elements():
        reference = _import_file(element)
        path = posixpath.normpath(posixpath.join(posixpath.dirname(document.file), reference))
        if path in archive:
            yield path
        elif not _BUILT_IN.fullmatch(posixpath.basename(reference)):
            message = f"{document.file} imports {reference!r}, which is not in the package."
            raise PackageInvalid("import-missing", message, file=document.file, line=element.line)


def _import_file(element: Tree) -> str:
    if isinstance(element.value, dict):
        file = element.at("file")
        named = next((each for each in element.mapping().values()), file)
        return file.text() if file or not named else _import_file(named)
    return element.text()


def _with_inputs(value: Any, inputs: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_with_inputs(each, inputs) for each in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("dict[Any, Any]", value)
    if set(items) == {"get_input"}:
        default = inputs.get(str(items["get_input"]))
        return None if isinstance(default, (dict, list)) and "get_input" in default else default
    return {key: _with_inputs(each, inputs) for key, each in items.items()}

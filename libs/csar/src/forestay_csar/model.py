"""From the definitions of a package to its VNFD.

Rules of this module:

* A VNF's properties are what its node templates say, the entry's first; then the defaults of the VNF's node type.
* Each topology that stands for a flavour is one; where none says so, the entry's topology is the VNF's only flavour.
* What the read models could not take is refused here: once it is in the log, it stops everybody who follows the log.

Meaning: ETSI GS NFV-SOL 001 clauses 6.8.1 and 6.11.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from forestay_sol.vnfd import Artifact, Flavour, Vnfd

from forestay_csar.definitions import Definitions, check_count
from forestay_csar.documents import Tree
from forestay_csar.findings import PackageInvalid
from forestay_csar.topology import FlavourReader

VNF = "tosca.nodes.nfv.VNF"
_LONGEST_ID = 255
_MANDATORY = ("descriptor_id", "provider", "product_name", "software_version", "descriptor_version")


def read_vnfd(definitions: Definitions, reader: FlavourReader, artifacts: Iterable[Artifact], most: int) -> Vnfd:
    """
    :param artifacts: the hashed files of the package. :param most: bytes that the encoded VNFD may have.
    :raises PackageInvalid: the VNFD is incomplete or contradicts itself.
    """
    properties = _Properties(definitions)
    values = {name: properties.at(name).optional_text() for name in _MANDATORY}
    if missing := [name for name, value in values.items() if not value]:
        message = f"{definitions.entry}: the VNF node has no {', '.join(missing)}."
        raise PackageInvalid("vnf-property-missing", message, file=definitions.entry)
    if len(values["descriptor_id"] or "") > _LONGEST_ID:
        raise properties.at("descriptor_id").wrong(
            f"an identifier of at most {_LONGEST_ID} characters", "vnfd-id-length"
        )
    flavours = _flavours(definitions, reader, properties)
    default = properties.at("flavour_id").optional_text()
    vnfd = Vnfd(
        vnfd_id=properties.at("descriptor_id").text(),
        provider=properties.at("provider").text(),
        product_name=properties.at("product_name").text(),
        software_version=properties.at("software_version").text(),
        vnfd_version=properties.at("descriptor_version").text(),
        product_info_name=properties.at("product_info_name").optional_text(),
        product_info_description=properties.at("product_info_description").optional_text(),
        vnfm_info=properties.at("vnfm_info").texts(),
        flavours=flavours,
        default_flavour_id=default if default in flavours else None,
        artifacts={artifact.path: artifact for artifact in artifacts},
        configurable_properties=properties.defaults("configurable_properties"),
        extensions=properties.defaults("modifiable_attributes", "extensions"),
        metadata=properties.defaults("modifiable_attributes", "metadata"),
    )
    if (size := len(msgspec.json.encode(vnfd))) > most:
        message = f"The VNFD with its HOT templates takes {size} bytes; at most {most}."
        raise PackageInvalid("vnfd-size", message, file=definitions.entry)
    return vnfd


def _flavours(definitions: Definitions, reader: FlavourReader, properties: _Properties) -> dict[str, Flavour]:
    flavours: dict[str, Flavour] = {}
    topologies = list(definitions.topologies)
    stated = [
        (each.at("substitution_mappings", "properties", "flavour_id").optional_text(), each) for each in topologies
    ]
    check_count(topologies, definitions.limits.levels, Tree(None, definitions.entry, ("topology_template",)))
    if not any(flavour_id for flavour_id, _ in stated):
        stated = [(properties.at("flavour_id").optional_text(), each) for each in topologies[:1]]
    for flavour_id, topology in stated:
        if flavour_id in flavours:
            message = f"{topology.file}: flavour {flavour_id!r} is defined in another file too."
            raise PackageInvalid("flavour-duplicate", message, file=topology.file, line=topology.line)
        if flavour_id:
            nodes = definitions.of_type(topology.at("node_templates").named(), VNF).values()
            texts = (node.at("properties", "flavour_description").optional_text() for node in nodes)
            flavours[flavour_id] = reader.read(flavour_id, topology, next((text for text in texts if text), ""))
    if not flavours:
        raise PackageInvalid("flavour-missing", f"{definitions.entry}: no deployment flavour.", file=definitions.entry)
    return flavours


class _Properties:
    """The VNF's properties: its node templates' over its node type's defaults."""

    def __init__(self, definitions: Definitions) -> None:
        topologies = list(definitions.topologies)
        nodes = [
            node
            for topology in topologies
            for node in definitions.of_type(topology.at("node_templates").named(), VNF).values()
        ]
        if not nodes:
            message = f"{definitions.entry}: no node template of a type derived from {VNF}."
            raise PackageInvalid("vnf-node-missing", message, file=definitions.entry)
        self._file = definitions.entry
        self._templates = [node.at("properties") for node in nodes]
        lineage = [definitions.types[name] for name in definitions.lineage(nodes[0]) if name in definitions.types]
        self._declared = [each.at("properties") for each in lineage]

    def at(self, name: str) -> Tree:
        """A property, empty when nothing says it; a type that allows one value only says that one."""
        stated = next((value for each in self._templates if (value := each.at(name)).value is not None), None)
        if stated is not None:
            return stated
        declared = next((each.at(name) for each in self._declared if each.at(name)), Tree({}, self._file))
        valid = [v for each in declared.at("constraints").elements() for v in each.at("valid_values").elements()]
        return declared.at("default") if declared.at("default") or len(valid) != 1 else valid[0]

    def defaults(self, *names: str) -> dict[str, object]:
        """The members of a property, that a new VNF instance starts with."""
        return {key: value.value for key, value in self.at(names[0]).at(*names[1:]).mapping().items()}

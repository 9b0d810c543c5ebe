"""From a CSAR to what Forestay knows of it: the VNFD model, the hashed files, and which members are the VNFD.

Rules of this module:

* Both forms of SOL004 are read: with ``TOSCA-Metadata/TOSCA.meta`` (4.1.2), and one YAML file in the root (4.1.3).
* Cheap checks come first: the directory, the metadata, the definitions; at last each byte is read once for the digests.
* A VNF's properties are what its node templates say, the entry's first; then the defaults of the VNF's node type.
* What the read models could not take is refused here: once it is in the log, it stops everybody who follows the log.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from forestay_sol.vnfd import Artifact, Flavour, Vnfd

from forestay_csar.archive import Archive, Limits
from forestay_csar.definitions import YAML, Definitions
from forestay_csar.documents import Documents, Tree
from forestay_csar.manifest import Block, read_artifacts, read_blocks, verify
from forestay_csar.problem import PackageInvalid
from forestay_csar.topology import FlavourReader

TOSCA_META = "TOSCA-Metadata/TOSCA.meta"
_VNF = "tosca.nodes.nfv.VNF"
_LONGEST_ID = 255
_MANDATORY = ("descriptor_id", "provider", "product_name", "software_version", "descriptor_version")


class ReadPackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package that was understood.

    ``vnfd.artifacts`` and ``vnfd.software_images()`` are the package's; ``definitions`` are the paths of the VNFD's
    YAML files, the entry first; ``single_yaml`` says that GET ``/vnfd`` can answer with that one file as ``text/plain``.
    """

    vnfd: Vnfd
    definitions: tuple[str, ...]
    manifest: str | None
    single_yaml: bool


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    definitions: str
    manifest: str | None
    blocks: list[Block]
    has_meta: bool


def read_package(path: Path, limits: Limits | None = None) -> ReadPackage:
    """Read and judge a whole VNF package.

    :param path: the CSAR, a zip file on disk. Blocks; memory use does not depend on the size of its members.
    :raises PackageInvalid: the first rule that the package breaks.
    """
    with Archive(path, limits) as archive:
        entry = _entry(archive)
        artifacts = read_artifacts(entry.blocks, archive)
        documents = Documents(archive)
        definitions = Definitions(archive, documents, entry.definitions, with_siblings=entry.has_meta)
        vnfd = _vnfd(definitions, FlavourReader(archive, documents, definitions), artifacts)
        if (size := len(msgspec.json.encode(vnfd))) > archive.limits.model:
            detail = (
                f"The VNFD with its HOT templates takes {size} bytes; at most {archive.limits.model}. Shorten them."
            )
            raise PackageInvalid("vnfd-size", detail, file=entry.definitions)
        verify(archive, artifacts)
    return ReadPackage(
        vnfd=vnfd,
        definitions=tuple(definitions.documents),
        manifest=entry.manifest,
        single_yaml=not entry.has_meta and len(definitions.documents) == 1,
    )


def _entry(archive: Archive) -> _Entry:
    if TOSCA_META not in archive:
        return _single_yaml(archive)
    blocks = read_blocks(archive, TOSCA_META)
    fields = {key: value for block in blocks if "Name" not in block.fields for key, value in block.fields.items()}
    definitions = fields.get("Entry-Definitions")
    if not definitions:
        detail = f"{TOSCA_META} has no Entry-Definitions; it says which YAML file the VNFD starts with."
        raise PackageInvalid("entry-definitions-missing", detail, file=TOSCA_META)
    if definitions not in archive:
        detail = f"{TOSCA_META} names {definitions!r} as Entry-Definitions, which is not in the package."
        raise PackageInvalid("entry-definitions-file", detail, file=TOSCA_META)
    manifest = fields.get("ETSI-Entry-Manifest")
    if manifest is not None and (not manifest.lower().endswith(".mf") or manifest not in archive):
        detail = (
            f"{TOSCA_META} names {manifest!r} as ETSI-Entry-Manifest; it has to be a file of the package ending in .mf."
        )
        raise PackageInvalid("manifest-missing", detail, file=TOSCA_META)
    blocks += read_blocks(archive, manifest) if manifest else []
    return _Entry(definitions=definitions, manifest=manifest, blocks=blocks, has_meta=True)


def _single_yaml(archive: Archive) -> _Entry:
    root = [name for name in archive.names if "/" not in name]
    yamls = [name for name in root if name.endswith(YAML)]
    if len(yamls) != 1:
        outer = next((name.removesuffix(TOSCA_META) for name in archive.names if name.endswith(f"/{TOSCA_META}")), None)
        hint = f"Pack the content of {outer}, not the folder." if outer else "Add one of both."
        detail = (
            f"The package has neither {TOSCA_META} nor exactly one YAML file in its root (found {len(yamls)}). {hint}"
        )
        raise PackageInvalid("no-entry", detail)
    manifests = [name for name in root if name.lower().endswith(".mf")]
    wanted = f"{yamls[0].rpartition('.')[0]}.mf"
    if any(name != wanted for name in manifests):
        detail = f"The manifest of a package without TOSCA.meta has to be {wanted}, not {', '.join(manifests)}."
        raise PackageInvalid("manifest-missing", detail, file=manifests[0])
    blocks = read_blocks(archive, wanted) if manifests else []
    return _Entry(definitions=yamls[0], manifest=wanted if manifests else None, blocks=blocks, has_meta=False)


def _vnfd(definitions: Definitions, reader: FlavourReader, artifacts: list[Artifact]) -> Vnfd:
    properties = _Properties(definitions)
    values = {name: properties.at(name).optional_text() for name in _MANDATORY}
    if missing := [name for name, value in values.items() if not value]:
        detail = f"{definitions.entry}: the VNF node has no {', '.join(missing)}."
        raise PackageInvalid("vnf-property-missing", detail, file=definitions.entry)
    if len(values["descriptor_id"] or "") > _LONGEST_ID:
        raise properties.at("descriptor_id").wrong(
            f"an identifier of at most {_LONGEST_ID} characters", "vnfd-id-length"
        )
    flavours = _flavours(definitions, reader, properties)
    default = properties.at("flavour_id").optional_text()
    return Vnfd(
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


def _flavours(definitions: Definitions, reader: FlavourReader, properties: _Properties) -> dict[str, Flavour]:
    """Each topology that stands for a flavour; where none says so, the entry's topology is the VNF's only flavour."""
    flavours: dict[str, Flavour] = {}
    topologies = list(definitions.topologies())
    stated = [
        (each.at("substitution_mappings", "properties", "flavour_id").optional_text(), each) for each in topologies
    ]
    if not any(flavour_id for flavour_id, _ in stated):
        stated = [(properties.at("flavour_id").optional_text(), each) for each in topologies[:1]]
    for flavour_id, topology in stated:
        if flavour_id in flavours:
            detail = f"{topology.file}: flavour {flavour_id!r} is defined in another file too."
            raise PackageInvalid("flavour-duplicate", detail, file=topology.file)
        if flavour_id:
            nodes = definitions.of_type(topology.at("node_templates").named(), _VNF).values()
            texts = (node.at("properties", "flavour_description").optional_text() for node in nodes)
            flavours[flavour_id] = reader.read(flavour_id, topology, next((text for text in texts if text), ""))
    if not flavours:
        detail = (
            f"{definitions.entry}: no deployment flavour. Give a topology_template "
            "substitution_mappings.properties.flavour_id, or the VNF node a flavour_id."
        )
        raise PackageInvalid("flavour-missing", detail, file=definitions.entry)
    return flavours


class _Properties:
    """The VNF's properties: its node templates' over its node type's defaults."""

    def __init__(self, definitions: Definitions) -> None:
        topologies = list(definitions.topologies())
        nodes = [
            node
            for topology in topologies
            for node in definitions.of_type(topology.at("node_templates").named(), _VNF).values()
        ]
        if not nodes:
            detail = f"{definitions.entry}: no node template of a type derived from {_VNF}."
            raise PackageInvalid("vnf-node-missing", detail, file=definitions.entry)
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

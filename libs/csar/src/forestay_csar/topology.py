"""From the topology template of a deployment flavour to ``Flavour``.

Rules of this module:

* What a node is, is decided by its type or a type that it derives from (``_TYPES``).
* A requirement names a node that is there and is of the right kind.
* A file that a node names is looked for beside its definitions, then from the CSAR's root: Tacker's packages do both.

Meaning of nodes and properties: ETSI GS NFV-SOL 001 clause 6.8; scripts and BaseHOT: OpenStack Tacker.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping

from forestay_sol.vnfd import (
    BaseHot,
    Checksum,
    Flavour,
    FloatingCp,
    LcmScript,
    Mciop,
    OsContainer,
    SoftwareImage,
    Vdu,
    VduCp,
    VirtualStorage,
    VnfExtCp,
    VnfVirtualLink,
)

from forestay_csar import details
from forestay_csar.archive import Archive
from forestay_csar.definitions import YAML, Definitions
from forestay_csar.documents import Documents, Tree
from forestay_csar.findings import PackageInvalid
from forestay_csar.manifest import checksum
from forestay_csar.scaling import read_policies

_NFV = "tosca.nodes.nfv."
_TYPES = {
    "vdus": (f"{_NFV}Vdu.Compute", f"{_NFV}Vdu.OsContainerDeployableUnit"),
    "cps": (f"{_NFV}VduCp",),
    "ext_cps": (f"{_NFV}VnfExtCp",),
    "storages": tuple(f"{_NFV}Vdu.Virtual{kind}Storage" for kind in ("Block", "Object", "File")),
    "links": (f"{_NFV}VnfVirtualLink",),
    "containers": (f"{_NFV}Vdu.OsContainer",),
    "mciops": (f"{_NFV}Mciop",),
    "vip_cps": (f"{_NFV}VipCp",),
    "virtual_cps": (f"{_NFV}VirtualCp",),
}
_SW_IMAGE = "tosca.artifacts.nfv.SwImage"
_CHART = "tosca.artifacts.nfv.HelmChart"
CHARTS = (".tgz", ".tar.gz")
_URL = ("http://", "https://", "oci://", "docker://")
_NO_HOOKS = ("type", "inputs", "operations")
_FLAVOUR_NAME = (
    "capabilities",
    "virtual_compute",
    "properties",
    "requested_additional_capabilities",
    "properties",
    "requested_additional_capability_name",
)


class FlavourReader:
    """Reads the flavours of one package.

    :param definitions: all definitions of the package.
    """

    def __init__(self, archive: Archive, documents: Documents, definitions: Definitions) -> None:
        self._archive = archive
        self._documents = documents
        self._definitions = definitions

    def read(self, flavour_id: str, topology: Tree, description: str) -> Flavour:
        """:raises PackageInvalid: anything that the VNFD says of the flavour is wrong, see the tests for the rules."""
        nodes = topology.at("node_templates").named()
        kinds = {kind: self._definitions.of_type(nodes, *types) for kind, types in _TYPES.items()}
        cps = {name: _vdu_cp(name, node, kinds) for name, node in kinds["cps"].items()}
        vdus = {name: self._vdu(name, node, kinds, cps) for name, node in kinds["vdus"].items()}
        policies = read_policies(topology, self._definitions, vdus, [name for name, _ in nodes])
        ext_cps = _ext_cps(topology, kinds)
        rules = self._definitions.of_type(topology.at("policies").named(), details.SECURITY_RULE)
        return Flavour(
            id=flavour_id,
            description=description,
            vdus=policies.vdus,
            cps=cps,
            ext_cps=ext_cps,
            storages={name: self._storage(name, node) for name, node in kinds["storages"].items()},
            virtual_links={name: _virtual_link(name, node) for name, node in kinds["links"].items()},
            scaling_aspects=policies.aspects,
            instantiation_levels=policies.levels,
            default_level_id=policies.default_level_id,
            affinity_rules=policies.affinity_rules,
            placement_groups=policies.placement_groups,
            containers={name: self._container(name, node) for name, node in kinds["containers"].items()},
            mciops={name: self._mciop(name, node, kinds) for name, node in kinds["mciops"].items()},
            vip_cps={name: _floating_cp(name, node, kinds) for name, node in kinds["vip_cps"].items()},
            virtual_cps={name: _floating_cp(name, node, kinds) for name, node in kinds["virtual_cps"].items()},
            security_rules=details.security_rules(
                rules.items(), _ports([name for name, _ in nodes], vdus, cps, ext_cps)
            ),
            lcm_scripts=self._scripts(nodes),
            base_hot=self._base_hot(flavour_id),
        )

    def _vdu(self, name: str, node: Tree, kinds: Mapping[str, Mapping[str, Tree]], cps: Mapping[str, VduCp]) -> Vdu:
        properties, profile = node.at("properties"), node.at("properties", "vdu_profile")
        least = profile.at("min_number_of_instances")
        most = profile.at("max_number_of_instances")
        compute = node.at("capabilities", "virtual_compute", "properties")
        cpus = compute.at("virtual_cpu", "num_virtual_cpu")
        memory = compute.at("virtual_memory", "virtual_mem_size")
        return Vdu(
            id=name,
            name=properties.at("name").text(name),
            description=properties.at("description").text(""),
            requested_capability=node.at(*_FLAVOUR_NAME).optional_text(),
            software_image=self._software_image(name, node),
            storage_ids=_targets(node, "virtual_storage", kinds["storages"]),
            cp_ids=tuple(cp.id for cp in cps.values() if cp.vdu_id == name),
            initial_instances=least.number(1),
            min_instances=least.number(0),
            max_instances=None if most.value is None else most.number(),
            container_ids=_targets(node, "container", kinds["containers"]),
            virtual_cpus=None if cpus.value is None else cpus.number(),
            virtual_memory=None if memory.value is None else memory.size(),
            local_storage=details.local_storage(compute),
            extra_specs=details.extra_specs(compute),
            boot_data=details.boot_data(properties, lambda source: self._archive.text(self._place_of(source))),
            boot_order=details.boot_order(properties),
        )

    def _container(self, name: str, node: Tree) -> OsContainer:
        properties = node.at("properties")
        return OsContainer(
            id=name,
            name=properties.at("name").text(name),
            description=properties.at("description").text(""),
            software_image=self._software_image(name, node),
        )

    def _mciop(self, name: str, node: Tree, kinds: Mapping[str, Mapping[str, Tree]]) -> Mciop:
        artifacts = [each for _, each in node.at("artifacts").named()]
        charts = [each for each in artifacts if self._is_chart(each)]
        rest = [each for each in artifacts if each not in charts and _place(each).text().endswith(YAML)]
        return Mciop(
            id=name,
            vdu_ids=_targets(node, "associatedVdu", kinds["vdus"]),
            charts=tuple(self._chart(each) for each in charts),
            manifests=tuple(self._file(each) for each in rest),
        )

    def _is_chart(self, artifact: Tree) -> bool:
        if isinstance(artifact.value, str):
            return artifact.text().endswith(CHARTS)
        return bool(self._definitions.of_type([("", artifact)], _CHART))

    def _chart(self, artifact: Tree) -> str:
        """The path of a chart, a file or a folder; or its URL, for a client that may fetch it."""
        place = _place(artifact)
        if place.text().startswith(_URL):
            return place.text()
        for path in _candidates(place):
            if path in self._archive or f"{path}/Chart.yaml" in self._archive:
                return path
        raise place.wrong("a chart of the package", "chart-missing")

    def _storage(self, name: str, node: Tree) -> VirtualStorage:
        size = next((s for data in node.at("properties").mapping().values() if (s := _storage_size(data))), None)
        kind = next(each for each in self._definitions.lineage(node) if each in _TYPES["storages"])
        return VirtualStorage(
            id=name, kind=kind.rpartition(".")[2], size=size, software_image=self._software_image(name, node)
        )

    def _software_image(self, name: str, node: Tree) -> SoftwareImage | None:
        data = node.at("properties", "sw_image_data")
        files = [each for _, each in node.at("artifacts").named() if self._is_image(each)]
        if len(files) > 1:
            message = f"{node.file}: {name} has {len(files)} software image artifacts."
            raise PackageInvalid("software-image-count", message, file=node.file, line=node.line)
        if files and not data:
            raise data.wrong("given with a software image artifact", "software-image-data")
        if not data:
            return None
        url = _place(files[0]).text() if files and _place(files[0]).text("").startswith(_URL) else None
        return SoftwareImage(
            id=name,
            name=data.at("name").text(),
            version=data.at("version").text(""),
            checksum=_checksum(data.at("checksum")),
            container_format=data.at("container_format").text("bare"),
            disk_format=data.at("disk_format").text("raw"),
            min_disk=data.at("min_disk").size(),
            min_ram=data.at("min_ram").size(),
            size=data.at("size").size(),
            provider=data.at("provider").text(""),
            path=self._file(files[0]) if files and not url else None,
            url=url,
        )

    def _is_image(self, artifact: Tree) -> bool:
        return isinstance(artifact.value, str) or bool(self._definitions.of_type([("", artifact)], _SW_IMAGE))

    def _scripts(self, nodes: list[tuple[str, Tree]]) -> dict[str, LcmScript]:
        node = next((node for _, node in nodes if node.at("interfaces")), None)
        if node is None:
            return {}
        interface = node.at("interfaces", "Vnflcm")
        hooks = {**interface.mapping(), **interface.at("operations").mapping()}
        implementations = {hook: _implementation(value) for hook, value in hooks.items() if hook not in _NO_HOOKS}
        artifacts = dict(node.at("artifacts").named())
        return {
            hook: self._script(each, artifacts)
            for hook, each in implementations.items()
            if each is not None and each.value
        }

    def _script(self, implementation: Tree, artifacts: Mapping[str, Tree]) -> LcmScript:
        artifact = artifacts.get(implementation.text())
        if artifact is None:
            raise implementation.wrong("the name of an artifact of the same node", "reference-unknown")
        return LcmScript(path=self._file(artifact), type=artifact.at("type").text())

    def _file(self, artifact: Tree) -> str:
        return self._place_of(_place(artifact))

    def _place_of(self, place: Tree) -> str:
        for path in _candidates(place):
            if path in self._archive:
                return path
        raise place.wrong("a file of the package (URLs are never fetched)", "artifact-missing")

    def _base_hot(self, flavour_id: str) -> BaseHot | None:
        folder = f"BaseHOT/{flavour_id}"
        tops, nested = (
            [name for name in self._archive.names if posixpath.dirname(name) == place and name.endswith(YAML)]
            for place in (folder, f"{folder}/nested")
        )
        if len(tops) > 1:
            message = f"{folder} holds several top templates ({', '.join(tops)})."
            raise PackageInvalid("base-hot-ambiguous", message, file=tops[1])
        if not tops:
            return None
        files = {posixpath.basename(name): self._documents.text(name) for name in nested}
        return BaseHot(path=tops[0], template=self._documents.text(tops[0]), files=files)


def _place(artifact: Tree) -> Tree:
    """Where an artifact definition names its file: TOSCA's short form is the file alone."""
    return artifact if isinstance(artifact.value, str) else artifact.at("file")


def _candidates(place: Tree) -> tuple[str, str]:
    """Beside the definitions, and from the CSAR's root."""
    file = place.text()
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(place.file), file))
    return beside, posixpath.normpath(file.lstrip("./"))


def _targets(node: Tree, requirement: str, known: Mapping[str, Tree]) -> tuple[str, ...]:
    targets: list[str] = []
    for name, value in node.at("requirements").named():
        if name == requirement and value:
            target = value.at("node") if isinstance(value.value, dict) else value
            if target.text() not in known:
                raise target.wrong(f"the name of a node that a {requirement} can lead to", "reference-unknown")
            targets.append(target.text())
    return tuple(targets)


def _vdu_cp(name: str, node: Tree, kinds: Mapping[str, Mapping[str, Tree]]) -> VduCp:
    vdus = _targets(node, "virtual_binding", kinds["vdus"])
    if not vdus:
        raise PackageInvalid(
            "cp-unbound", f"{node.file}: {name} has no virtual_binding.", file=node.file, line=node.line
        )
    links = _targets(node, "virtual_link", kinds["links"])
    order = node.at("properties", "order")
    return VduCp(
        id=name,
        vdu_id=vdus[0],
        virtual_link_id=links[0] if links else None,
        order=None if order.value is None else order.number(),
        layer_protocols=node.at("properties", "layer_protocols").texts(),
        vnic_type=details.vnic_type(node.at("properties")),
    )


def _floating_cp(name: str, node: Tree, kinds: Mapping[str, Mapping[str, Tree]]) -> FloatingCp:
    links = _targets(node, "virtual_link", kinds["links"])
    return FloatingCp(
        id=name,
        virtual_link_id=links[0] if links else None,
        target_ids=_targets(node, "target", {**kinds["cps"], **kinds["vdus"]}),
        layer_protocols=node.at("properties", "layer_protocols").texts(),
    )


def _ext_cps(topology: Tree, kinds: Mapping[str, Mapping[str, Tree]]) -> dict[str, VnfExtCp]:
    mapped: dict[str, VnfExtCp] = {}
    for name, value in topology.at("substitution_mappings", "requirements").named():
        target = value.elements()[0].text() if isinstance(value.value, list) and value else None
        if target in kinds["cps"]:
            mapped[name] = VnfExtCp(id=name, vdu_cp_id=target)
        elif target in kinds["vip_cps"] or target in kinds["virtual_cps"]:
            mapped[name] = VnfExtCp(id=name, floating_cp_id=target)
    for name, node in kinds["ext_cps"].items():
        links = _targets(node, "internal_virtual_link", kinds["links"])
        protocols = node.at("properties", "layer_protocols").texts()
        mapped[name] = VnfExtCp(id=name, virtual_link_id=links[0] if links else None, layer_protocols=protocols)
    return mapped


def _ports(
    nodes: Collection[str], vdus: Mapping[str, Vdu], cps: Mapping[str, VduCp], ext_cps: Mapping[str, VnfExtCp]
) -> dict[str, tuple[str, ...]]:
    """The connection points of VDUs that a name stands for: itself, those of a VDU, the one behind an external one."""
    return {
        **dict.fromkeys(nodes, ()),
        **{name: vdu.cp_ids for name, vdu in vdus.items()},
        **{name: (name,) for name in cps},
        **{name: (cp.vdu_cp_id,) for name, cp in ext_cps.items() if cp.vdu_cp_id},
    }


def _virtual_link(name: str, node: Tree) -> VnfVirtualLink:
    properties = node.at("properties")
    subnets = details.subnets(properties)
    return VnfVirtualLink(
        id=name,
        description=properties.at("description").text(""),
        layer_protocols=properties.at("connectivity_type", "layer_protocols").texts(),
        cidrs=tuple(subnet.cidr for subnet in subnets if subnet.cidr),
        subnets=subnets,
        segment=details.segment(properties),
        max_bitrate=details.max_bitrate(properties),
    )


def _checksum(data: Tree) -> Checksum | None:
    if not data:
        return None
    digest = checksum(data.at("algorithm").text(), data.at("hash").text())
    if digest is None:
        raise data.at("algorithm").wrong("one of SHA-224, SHA-256, SHA-384, SHA-512", "manifest-algorithm")
    return digest


def _storage_size(data: Tree) -> int | None:
    return data.at("size_of_storage").size() if isinstance(data.value, dict) and data.at("size_of_storage") else None


def _implementation(value: Tree) -> Tree | None:
    if isinstance(value.value, str):
        return value
    if not isinstance(value.value, dict):
        return None
    implementation = value.at("implementation")
    return implementation.at("primary") if isinstance(implementation.value, dict) else implementation

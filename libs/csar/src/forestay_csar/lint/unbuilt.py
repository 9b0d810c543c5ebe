"""What a VNFD says that a template made of it does not: nothing of it is left out in silence.

Rules of this module: it looks at flavours without a BaseHOT only, since a BaseHOT says what is made. A property stands here or is
read (:mod:`forestay_csar.topology`, :mod:`forestay_csar.details`); what only describes, or is the NFVO's, does neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from forestay_sol.vnfd import Flavour

from forestay_csar.details import requirements
from forestay_csar.documents import Tree
from forestay_csar.findings import Finding
from forestay_csar.lint.subject import Subject

_COMPUTE = ("capabilities", "virtual_compute", "properties")
_PROPERTIES = ("properties",)
_CONTENT = ("boot_data", "content_or_file_data")

#: Below a place of a kind of node: the properties that change nothing of what is made.
_WITHOUT_EFFECT: Mapping[str, tuple[tuple[tuple[str, ...], tuple[tuple[str, ...], ...]], ...]] = {
    "vdus": (
        (
            _COMPUTE,
            (
                ("logical_node",),
                ("virtual_cpu", "cpu_architecture"),
                ("virtual_cpu", "virtual_cpu_clock"),
                ("virtual_cpu", "virtual_cpu_oversubscription_policy"),
                ("virtual_cpu", "virtual_cpu_pinning", "virtual_cpu_pinning_rule"),
                ("virtual_memory", "virtual_mem_oversubscription_policy"),
                ("virtual_memory", "numa_enabled"),
            ),
        ),
        (
            _PROPERTIES,
            (
                ("nfvi_constraints",),
                ("boot_data", "vim_specific_properties"),
                (*_CONTENT, "data"),
                (*_CONTENT, "destination_path"),
            ),
        ),
    ),
    "cps": ((_PROPERTIES, (("trunk_mode",), ("virtual_network_interface_requirements",), ("bitrate_requirement",))),),
    "virtual_links": (
        (
            _PROPERTIES,
            (
                ("vl_profile", "max_bitrate_requirements", "root"),
                ("vl_profile", "min_bitrate_requirements"),
                ("vl_profile", "qos"),
                ("vl_profile", "service_availability"),
            ),
        ),
    ),
    "storages": (
        (
            _PROPERTIES,
            (
                ("virtual_block_storage_data", "vdu_storage_requirements"),
                ("virtual_block_storage_data", "rdma_enabled"),
            ),
        ),
    ),
}
_MERELY_QUALITY = ("bitrate", "qos", "service_availability")


def check_unbuilt(subject: Subject) -> Iterator[Finding]:
    """Properties and nodes without effect."""
    for flavour in subject.vnfd.flavours.values():
        if flavour.base_hot is None and not flavour.mciops and not flavour.containers:
            nodes = dict(subject.topology(flavour.id).at("node_templates").named())
            yield from _properties(flavour, nodes)
            yield from _nodes(subject, flavour, nodes)


def _properties(flavour: Flavour, nodes: Mapping[str, Tree]) -> Iterator[Finding]:
    for kind, places in _WITHOUT_EFFECT.items():
        for name in getattr(flavour, kind):
            for place, paths in places:
                for path in paths:
                    if said := _said(nodes[name].at(*place), path):
                        rule = (
                            "vnfd-quality"
                            if any(word in key for word in _MERELY_QUALITY for key in path)
                            else "vnfd-not-built"
                        )
                        yield said.finding(rule, f"{'.'.join(path)} of {name} changes nothing of what is made.")
    for vdu in flavour.vdus.values():
        compute = nodes[vdu.id].at(*_COMPUTE)
        if vdu.requested_capability is not None:
            continue
        for requirement, said in requirements(compute).items():
            if ":" not in requirement:
                yield said.finding(
                    "vnfd-not-built", f"{requirement} of {vdu.id} is no extra spec of a compute flavour."
                )


def _said(tree: Tree, path: tuple[str, ...]) -> Tree | None:
    """The value at a path, if it says something; what is there may be of another edition's form."""
    for key in path:
        if not isinstance(tree.value, dict):
            return None
        tree = tree.at(key)
    return tree if tree.value not in (None, False, {}, []) else None


def _nodes(subject: Subject, flavour: Flavour, nodes: Mapping[str, Tree]) -> Iterator[Finding]:
    for storage in flavour.storages.values():
        if storage.kind != "VirtualBlockStorage":
            message = f"{storage.id} is a {storage.kind}: nothing is made for it."
            yield nodes[storage.id].finding("vnfd-not-built", message)
    for name in subject.definitions.of_type(list(nodes.items()), "tosca.nodes.nfv.VduSubCp"):
        yield nodes[name].finding("vnfd-not-built", f"{name} is a part of a trunk: no port is made for it.")
    for cp in flavour.cps.values():
        for layer in _layers(nodes[cp.id]):
            address = layer.at("address_data") if isinstance(layer.value, dict) else layer
            for each in address.elements() if isinstance(address.value, list) else []:
                if said := _said(each, ("l3_address_data", "floating_ip_activated")):
                    yield said.finding("vnfd-not-built", f"{cp.id} gets no floating IP address.")


def _layers(node: Tree) -> list[Tree]:
    given = node.at("properties", "protocol")
    return given.elements() if isinstance(given.value, list) else []

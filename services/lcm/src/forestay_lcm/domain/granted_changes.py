"""By which definitions of the grant request an operation has changed its resources (``resourceDefinitionId``).

Rules of this module: pure. What was there goes by its id in the VIM. What was made had no id when it was asked for: a VNFC is the
first of its VDU that is left, one of its zone before others; its ports and storages have its definition's id in theirs.

SOL003 clauses 5.5.3.12 to 5.5.3.15: the id is told whenever there is such a definition.
"""

from __future__ import annotations

from collections.abc import Mapping

from forestay_sol.vnflcm import (
    AffectedExtLinkPort,
    AffectedVirtualLink,
    AffectedVirtualStorage,
    AffectedVnfc,
    Grant,
    GrantRequest,
    InstantiatedVnfInfo,
    ResourceChanges,
)
from msgspec.structs import replace


def with_definitions(
    changes: ResourceChanges, after: InstantiatedVnfInfo | None, request: GrantRequest, grant: Grant
) -> ResourceChanges:
    """The same changes, each with the definition that it was granted by, if there is one.

    :param after: the VNF behind the operation.
    """
    book = _Book(request, grant)
    in_turn = sorted(changes.affected_vnfcs, key=lambda each: each.change_type == "ADDED")
    definitions = {each.id: book.vnfc(each) for each in in_turn}  # a VNFC that stays has its own, new ones what is left
    vnfcs = tuple(replace(each, resource_definition_id=definitions[each.id]) for each in changes.affected_vnfcs)
    storages, ports = _owners_of_storages(after), _owners_of_ports(after)
    return ResourceChanges(
        affected_vnfcs=vnfcs,
        affected_virtual_links=tuple(
            replace(each, resource_definition_id=book.link(each)) for each in changes.affected_virtual_links
        ),
        affected_ext_link_ports=tuple(
            replace(each, resource_definition_id=book.port(each, ports)) for each in changes.affected_ext_link_ports
        ),
        affected_virtual_storages=tuple(
            replace(each, resource_definition_id=book.storage(each, storages))
            for each in changes.affected_virtual_storages
        ),
    )


class _Book:
    """The definitions of a grant request, and which VNFC each COMPUTE has become."""

    def __init__(self, request: GrantRequest, grant: Grant) -> None:
        self._added = {item.id: item for item in request.add_resources}
        existing = (*request.remove_resources, *request.update_resources)
        self._existing = {item.resource.resource_id: item.id for item in existing if item.resource}
        named = {zone.id: zone.zone_id for zone in grant.zones}
        self._zones = {info.resource_definition_id: named.get(info.zone_id or "") for info in grant.add_resources}
        self._left = [item for item in request.add_resources if item.type == "COMPUTE"]
        self._after = _stand_ins(request)
        self._homes: dict[str, str] = dict(self._existing)

    def vnfc(self, item: AffectedVnfc) -> str | None:
        server = item.compute_resource.resource_id
        known = self._existing.get(server)
        found = {"ADDED": self._made(item), "MODIFIED": self._after.get(server, known)}.get(item.change_type, known)
        self._left = [each for each in self._left if each.id != found]
        if found:
            self._homes[server] = found
        return found

    def link(self, item: AffectedVirtualLink) -> str | None:
        if item.change_type != "ADDED":
            return self._existing.get(item.network_resource.resource_id)
        links = (each for each in self._added.values() if each.type == "VL")
        return next((each.id for each in links if each.resource_template_id == item.vnf_virtual_link_desc_id), None)

    def storage(self, item: AffectedVirtualStorage, owners: Mapping[str, str]) -> str | None:
        if item.change_type != "ADDED":
            return self._existing.get(item.storage_resource.resource_id)
        return self._of(item.virtual_storage_desc_id, owners.get(item.id))

    def port(self, item: AffectedExtLinkPort, owners: Mapping[str, tuple[str, str]]) -> str | None:
        if item.change_type != "ADDED":
            return self._existing.get(item.resource_handle.resource_id)
        node, server = owners.get(item.ext_cp_instance_id, ("", None))
        return self._of(node, server)

    def _made(self, item: AffectedVnfc) -> str | None:
        own = [each.id for each in self._left if each.resource_template_id == item.vdu_id]
        return next((each for each in own if self._zones.get(each) == item.zone_id), next(iter(own), None))

    def _of(self, node: str, server: str | None) -> str | None:
        """The definition of what a VNFC has of a node."""
        key = f"{node}-{self._homes.get(server or '')}"
        return key if key in self._added else None


def _stand_ins(request: GrantRequest) -> dict[str, str]:
    """The definition that is to come in the place of each server that is to go; the VNFC may stay nevertheless."""
    found: dict[str, str] = {}
    coming = [each for each in request.add_resources if each.type == "COMPUTE"]
    for old in request.remove_resources:
        if old.type == "COMPUTE" and old.resource:
            new = next((each for each in coming if each.resource_template_id == old.resource_template_id), None)
            if new:
                coming.remove(new)
                found[old.resource.resource_id] = new.id
    return found


def _owners_of_storages(info: InstantiatedVnfInfo | None) -> dict[str, str]:
    """The server that has a storage, by the storage's id."""
    vnfcs = info.vnfc_resource_info if info else ()
    return {key: vnfc.compute_resource.resource_id for vnfc in vnfcs for key in vnfc.storage_resource_ids}


def _owners_of_ports(info: InstantiatedVnfInfo | None) -> dict[str, tuple[str, str]]:
    """The node and the server that an external CP exposes, by the external CP's id."""
    vnfcs = info.vnfc_resource_info if info else ()
    pairs = ((cp, vnfc.compute_resource.resource_id) for vnfc in vnfcs for cp in vnfc.vnfc_cp_info)
    return {cp.vnf_ext_cp_id: (cp.cpd_id, server) for cp, server in pairs if cp.vnf_ext_cp_id}

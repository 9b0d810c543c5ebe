"""OS::Nova::Server, OS::Nova::ServerGroup and OS::Nova::Flavor."""

from __future__ import annotations

import base64
from typing import Any, ClassVar

from forestay_simvim.config import Flavor as Flavour
from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.model import Failure, Resource
from forestay_simvim.heat.resources.base import (
    ReplaceNeeded,
    ResourceType,
    flavor_exists,
    image_exists,
    network_exists,
    port_exists,
    words,
)
from forestay_simvim.ids import hex_id
from forestay_simvim.nova.api import addresses
from forestay_simvim.table import Row

_LONGEST_NAME = 53


class Server(ResourceType):
    """One server. As in Heat, a replacement takes the old server's ports over before it is made."""

    required = words("flavor")
    optional = words(
        "name image block_device_mapping block_device_mapping_v2 flavor_update_policy image_update_policy key_name "
        "admin_user availability_zone security_groups networks scheduler_hints metadata user_data_format "
        "software_config_transport user_data_update_policy user_data reservation_id config_drive diskConfig personality "
        "admin_pass tags deployment_swift_data"
    )
    updatable = words(
        "name image flavor flavor_update_policy image_update_policy networks metadata software_config_transport "
        "user_data_update_policy user_data admin_pass tags deployment_swift_data"
    )
    constraints: ClassVar = {
        "flavor": flavor_exists,
        "image": image_exists,
        "network": network_exists,
        "port": port_exists,
    }

    def _constrained(self, props: dict[str, Any]) -> list[tuple[str, Any]]:
        found = [(name, props[name]) for name in ("flavor", "image") if props.get(name)]
        for number, each in enumerate(props.get("networks") or []):
            found += [(f"networks[{number}].{key}", each[key]) for key in ("network", "port") if each.get(key)]
        for number, each in enumerate(props.get("block_device_mapping_v2") or []):
            found += [(f"block_device_mapping_v2[{number}].image", each["image"])] if each.get("image") else []
        return found

    def _spec(self, resource: Resource, props: dict[str, Any]) -> dict[str, Any]:
        project = resource.stack.project
        image = self.cloud.glance.find(props["image"], project) if props.get("image") else None
        spec = {
            "name": props.get("name") or _shortened(resource.physical_name),
            "flavorRef": props["flavor"],
            "imageRef": image["id"] if image else None,
            "availability_zone": props.get("availability_zone"),
            "metadata": {key: str(value) for key, value in (props.get("metadata") or {}).items()},
            "tags": props.get("tags"),
            "key_name": props.get("key_name"),
            "config_drive": props.get("config_drive"),
            "networks": self._networks(project, props.get("networks")),
            "block_device_mapping_v2": [self._mapping(project, m) for m in props.get("block_device_mapping_v2") or []],
            "os:scheduler_hints": props.get("scheduler_hints"),
            "user_data": base64.b64encode(str(props.get("user_data") or "").encode()).decode(),
        }
        return {key: value for key, value in spec.items() if value is not None}

    def _networks(self, project: str, given: list[dict[str, Any]] | None) -> Any:
        if not given:
            return None
        if given[0].get("allocate_network"):
            return given[0]["allocate_network"]
        net, wanted = self.cloud.neutron, list[dict[str, Any]]()
        for each in given:
            if each.get("port"):
                found = net.find("ports", each["port"], project)
                wanted.append({"port": found["id"] if found else each["port"]})
                continue
            key = each.get("network") or each.get("uuid") or each.get("subnet") or ""
            row = net.find("networks" if "subnet" not in each else "subnets", key, project)
            network = (row["id"] if "subnet" not in each else row["network_id"]) if row else key
            wanted.append({"uuid": network, "fixed_ip": each.get("fixed_ip")})
        return wanted

    def _mapping(self, project: str, given: dict[str, Any]) -> dict[str, Any]:
        for source in ("volume", "image", "snapshot"):
            key = given.get(f"{source}_id") or given.get(source)
            if key:
                image = self.cloud.glance.find(key, project) if source == "image" else None
                more = {"source_type": source, "uuid": image["id"] if image else key}
                return {k: v for k, v in given.items() if v is not None} | more
        return given | {"source_type": "blank"}

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        stack = resource.stack
        row = self.cloud.nova.create(stack.user, stack.project, self._spec(resource, props))
        resource.physical_id = row["id"]
        built = await self.cloud.nova.built(row["id"])
        self._expect_active(resource, built)

    def _expect_active(self, resource: Resource, row: Row | None) -> None:
        if row is None:
            raise ServiceError("NotFound", 404, f"Instance {resource.physical_id} could not be found.")
        if row["status"] == "ERROR":
            fault = row.get("fault") or {"message": "Unknown", "code": "Unknown"}
            message = f'Went to status ERROR due to "Message: {fault["message"]}, Code: {fault["code"]}"'
            raise Failure(resource.action, "ResourceInError", ("resources", resource.name), message)

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        nova, row = self.cloud.nova, self.cloud.nova.server(resource.physical_id or "")
        replacing = {"flavor": ("flavor_update_policy", "RESIZE"), "image": ("image_update_policy", "REBUILD"),
                     "user_data": ("user_data_update_policy", "REPLACE")}  # fmt: skip
        for name, (policy, default) in replacing.items():
            if name in changed and "REPLACE" in (props.get(policy) or default):
                raise ReplaceNeeded
        if "flavor" in changed:
            nova.resize(row, props["flavor"])
        if "image" in changed:
            image = self.cloud.glance.find(props["image"], resource.stack.project)
            row["image"] = {"id": image["id"]} if image else row["image"]
        if "metadata" in changed:
            row["metadata"] = {key: str(value) for key, value in (props.get("metadata") or {}).items()}
        if "name" in changed:
            nova.servers.change(row, name=props.get("name") or row["name"])
        if "tags" in changed:
            row["tags"] = list(props.get("tags") or [])
        if "networks" in changed:
            self._rewire(row, self._networks(resource.stack.project, props.get("networks")) or [])

    def _rewire(self, row: Row, wanted: list[dict[str, Any]]) -> None:
        have = self.cloud.neutron.ports.find(device_id=row["id"])
        kept: set[str] = set()
        missing: list[dict[str, Any]] = []
        for each in wanted:
            same = next((p["id"] for p in have if p["id"] not in kept and _is_for(p, each)), None)
            if same:
                kept.add(same)
            else:
                missing.append(each)
        for port in have:
            if port["id"] not in kept:
                self.cloud.nova.detach_port(row, port["id"])
        for each in missing:
            self.cloud.nova.attach_port(row, each)

    async def delete(self, resource: Resource) -> None:
        row = self.cloud.nova.servers.get(resource.physical_id or "")
        if row is None:
            return
        self.cloud.nova.delete(row)
        left = self.cloud.nova.servers.get(row["id"])
        if left:
            message = f"Server {row['name']} delete failed: (500) {left['fault']['message']}"
            raise Failure(
                resource.action,
                "ResourceInError",
                ("resources", resource.name),
                f'Went to status ERROR due to "{message}"',
            )

    async def suspend(self, resource: Resource) -> None:
        self.cloud.nova.set_status(self.cloud.nova.server(resource.physical_id or ""), "SUSPENDED")

    async def resume(self, resource: Resource) -> None:
        self.cloud.nova.set_status(self.cloud.nova.server(resource.physical_id or ""), "ACTIVE")

    def check(self, resource: Resource) -> None:
        row = self.cloud.nova.server(resource.physical_id or "")
        self._expect_active(resource, row)
        if row["status"] != "ACTIVE":
            message = f'- Unknown status {row["status"]} due to "Unknown"'
            raise Failure(
                resource.action,
                "ResourceUnknownStatus",
                ("resources", resource.name),
                f"{row['name']} is not active {message}",
            )

    def told_name(self, resource: Resource) -> str:
        return _shortened(resource.physical_name)

    def is_usable(self, resource: Resource) -> bool:
        row = self.cloud.nova.servers.get(resource.physical_id or "")
        return row is not None and row["status"] != "ERROR"

    def prepare_for_replace(self, resource: Resource) -> None:
        if resource.half_made:
            return  # Heat has not noted its ports
        row = self.cloud.nova.servers.get(resource.physical_id or "")
        own: set[str] = row["_own_ports"] if row else set()
        for port in self.cloud.neutron.ports.find(device_id=resource.physical_id) if row else []:
            if port["id"] not in own:
                self.cloud.neutron.bind_port(port, "", "", "")

    def show(self, resource: Resource) -> dict[str, Any]:
        row = self.cloud.nova.servers.get(resource.physical_id or "")
        if row is None:
            return {}
        shown = {key: value for key, value in row.items() if not key.startswith("_")}
        found = addresses(self.cloud.nova, row["id"])
        networks = {name: [each["addr"] for each in entries] for name, entries in found.items()}
        first = next((each[0] for each in networks.values() if each), "")
        flavor = {"id": row["_flavor"]["id"], "original_name": row["_flavor"]["name"]}
        return shown | {
            "addresses": found, "networks": networks, "first_address": first, "flavor": flavor,
            "instance_name": row["OS-EXT-SRV-ATTR:instance_name"],
            "os-extended-volumes:volumes_attached": self.cloud.nova.volumes_of(row),
        }  # fmt: skip


def _shortened(name: str) -> str:
    """Heat's shortening of a server's name: the first two characters, a dash, and the end."""
    return name if len(name) <= _LONGEST_NAME else f"{name[:2]}-{name[3 - _LONGEST_NAME :]}"


def _is_for(port: Row, wanted: dict[str, Any]) -> bool:
    return port["id"] == wanted["port"] if "port" in wanted else port["network_id"] == wanted.get("uuid")


class ServerGroup(ResourceType):
    optional = words("name policies rules")

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        given = {"name": props.get("name") or resource.physical_name, "policies": props.get("policies")}
        row = self.cloud.nova.create_group(resource.stack.user, resource.stack.project, given)
        resource.physical_id = row["id"]

    async def delete(self, resource: Resource) -> None:
        self.cloud.nova.groups.remove(resource.physical_id or "")

    def check(self, resource: Resource) -> None:
        if self.cloud.nova.groups.get(resource.physical_id or "") is None:
            raise ServiceError("NotFound", 404, f"Instance group {resource.physical_id} could not be found.")

    def show(self, resource: Resource) -> dict[str, Any]:
        return dict(self.cloud.nova.groups.get(resource.physical_id or "") or {})


class Flavor(ResourceType):
    """A compute flavour, which Nova lets nobody but an administrator make."""

    required = words("ram vcpus")
    optional = words("name disk ephemeral swap rxtx_factor is_public extra_specs flavorid tenants")
    updatable = words("extra_specs")

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        if not resource.stack.user.is_admin:
            message = "Policy doesn't allow os_compute_api:os-flavor-manage:create to be performed."
            raise ServiceError("Forbidden", 403, message)
        size = Flavour(
            name=props.get("name") or resource.physical_name,
            vcpus=int(props["vcpus"]),
            ram=int(props["ram"]),
            disk=int(props.get("disk") or 0),
        )
        resource.physical_id = self.cloud.nova.add_flavor(hex_id(), size)["id"]

    async def delete(self, resource: Resource) -> None:
        self.cloud.nova.flavors.remove(resource.physical_id or "")

"""OS::Cinder::Volume, OS::Cinder::VolumeAttachment and OS::Cinder::VolumeType."""

from __future__ import annotations

from typing import Any, ClassVar

from forestay_simvim.errors import ServiceError
from forestay_simvim.heat.model import Failure, Resource
from forestay_simvim.heat.resources.base import ReplaceNeeded, ResourceType, image_exists, words


class Volume(ResourceType):
    optional = words(
        "availability_zone size snapshot_id backup_id name description volume_type metadata imageRef image source_volid "
        "scheduler_hints read_only multiattach"
    )
    updatable = words("size backup_id name description volume_type metadata read_only")
    constraints: ClassVar = {"image": image_exists}

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        stack = resource.stack
        image_key = props.get("image") or props.get("imageRef")
        image = self.cloud.glance.find(image_key, stack.project) if image_key else None
        kept = ("size", "description", "volume_type", "metadata", "availability_zone")
        given = {key: props[key] for key in kept if props.get(key) is not None}
        given |= {"name": props.get("name") or resource.physical_name}
        given |= {"imageRef": image["id"]} if image else {}
        row = self.cloud.cinder.create(stack.user.user["id"], stack.project, given)
        resource.physical_id = row["id"]
        made = await self.cloud.cinder.ready(row["id"])
        self._expect_usable(resource, made["status"] if made else "deleted")

    def _expect_usable(self, resource: Resource, status: str) -> None:
        if status not in ("available", "in-use"):
            message = f'Went to status {status} due to "Unknown"'
            raise Failure(resource.action, "ResourceInError", ("resources", resource.name), message)

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        row = self.cloud.cinder.get(resource.physical_id or "")
        if "size" in changed:
            if int(props["size"]) < row["size"]:
                raise ServiceError("NotSupported", 400, "Shrinking volume is not supported.")
            self.cloud.cinder.extend(row, int(props["size"]))
        plain = {key: props.get(key) for key in ("name", "description", "metadata", "volume_type") if key in changed}
        self.cloud.cinder.volumes.change(row, **plain)

    async def delete(self, resource: Resource) -> None:
        row = self.cloud.cinder.volumes.get(resource.physical_id or "")
        if row is None:
            return
        self.cloud.cinder.delete(row)
        if self.cloud.cinder.volumes.get(row["id"]):
            message = f'Went to status {row["status"]} due to "Unknown"'
            raise Failure(resource.action, "ResourceInError", ("resources", resource.name), message)

    def check(self, resource: Resource) -> None:
        self._expect_usable(resource, self.cloud.cinder.get(resource.physical_id or "")["status"])

    def show(self, resource: Resource) -> dict[str, Any]:
        row = self.cloud.cinder.volumes.get(resource.physical_id or "") or {}
        return {key: value for key, value in row.items() if not key.startswith("_")}


class VolumeAttachment(ResourceType):
    required = words("instance_uuid volume_id")
    optional = words("mountpoint")
    updatable = required | optional

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        server = self.cloud.nova.server(props["instance_uuid"])
        volume = self.cloud.cinder.get(props["volume_id"])
        device = props.get("mountpoint") or f"/dev/vd{chr(98 + len(self.cloud.cinder.of_server(server['id'])))}"
        resource.physical_id = self.cloud.cinder.attach(volume, server["id"], device)

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        await self.delete(resource)
        await self.create(resource, props)

    async def delete(self, resource: Resource) -> None:
        volume = self.cloud.cinder.volumes.get(resource.properties.get("volume_id") or "")
        if volume and any(each["attachment_id"] == resource.physical_id for each in volume["attachments"]):
            self.cloud.cinder.detach(volume)

    def prepare_for_replace(self, resource: Resource) -> None:
        volume = self.cloud.cinder.volumes.get(resource.properties.get("volume_id") or "")
        if volume and volume["status"] == "in-use":
            self.cloud.cinder.detach(volume)


class VolumeType(ResourceType):
    required = words("name")
    optional = words("metadata is_public description projects")

    async def create(self, resource: Resource, props: dict[str, Any]) -> None:
        if not resource.stack.user.is_admin:
            raise ServiceError("Forbidden", 403, "Policy doesn't allow volume_extension:type_create to be performed.")
        given = {"name": props["name"], "extra_specs": props.get("metadata") or {}}
        resource.physical_id = self.cloud.cinder.create_type(given)["id"]

    async def update(self, resource: Resource, props: dict[str, Any], changed: set[str]) -> None:
        raise ReplaceNeeded

    def reference(self, resource: Resource) -> Any:
        return resource.properties.get("name")

    async def delete(self, resource: Resource) -> None:
        self.cloud.cinder.types.remove(resource.physical_id or "")

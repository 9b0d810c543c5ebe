"""Cinder's data and rules. A volume takes the time to make that the settings say; :meth:`Volumes.ready` waits for it.

Volume metadata ask for faults as in the lab: ``lab_fault: create`` ends in ``error``, ``lab_fault: delete`` fails the first
delete, ``lab_fault: attach`` refuses the attachment, ``lab_delay: N`` makes the creation take N seconds longer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from forestay_simvim.config import SimConfig
from forestay_simvim.errors import ServiceError
from forestay_simvim.glance.images import Images
from forestay_simvim.ids import isotime, new_id
from forestay_simvim.quota import Quota
from forestay_simvim.table import Row, Table


class Volumes:
    """All block storage of the cloud."""

    def __init__(self, config: SimConfig, quota: Quota, images: Images) -> None:
        self.settings = config.settings
        self.quota = quota
        self.images = images
        self.volumes = Table("project_id", "name")
        self.types = Table("name")
        self.snapshots = Table("project_id", "volume_id")
        self._gigabytes: dict[str, int] = {}
        self._by_server: dict[str, set[str]] = {}
        self._creating: dict[str, asyncio.Future[None]] = {}
        self.default_type = self.create_type({"name": "lab"})

    def create_type(self, given: dict[str, Any]) -> Row:
        """A volume type; Cinder has no two of one name."""
        if self.types.find(name=given["name"]):
            raise ServiceError("Conflict", 409, f"Volume Type {given['name']} already exists.")
        base = {"id": new_id(), "description": None, "is_public": True, "extra_specs": {}, "qos_specs_id": None}
        return self.types.add(base | given | {"os-volume-type-access:is_public": given.get("is_public", True)})

    def get(self, key: str) -> Row:
        """The volume with this id; Cinder's 404."""
        row = self.volumes.get(key)
        if row is None:
            raise ServiceError("NotFound", 404, f"Volume {key} could not be found.")
        return row

    def create(self, user: str, project: str, given: dict[str, Any], *, ready: bool = False) -> Row:
        """Start to make a volume from the ``volume`` object of the API; with *ready* it is available at once."""
        size, wanted_type = int(given.get("size") or 1), given.get("volume_type")
        kinds = self.types.find(name=wanted_type) if wanted_type else [self.default_type]
        kind = kinds[0] if kinds else self.types.get(wanted_type or "")
        if kind is None:
            raise ServiceError("NotFound", 404, f"Volume type with name {wanted_type} could not be found.")
        self._check_quota(project, size)
        image = self.images.get(given["imageRef"]) if given.get("imageRef") else None
        now = isotime(time.time(), fraction=True)
        row = self.volumes.add({
            "id": new_id(), "name": given.get("name"), "description": given.get("description"), "size": size,
            "status": "creating", "bootable": "true" if image else "false", "encrypted": False, "multiattach": False,
            "volume_type": kind["name"], "volume_type_id": kind["id"], "metadata": dict(given.get("metadata") or {}),
            "availability_zone": given.get("availability_zone") or "nova", "attachments": [], "snapshot_id": None,
            "source_volid": None, "consistencygroup_id": None, "group_id": None, "replication_status": None,
            "migration_status": None, "user_id": user, "project_id": project, "created_at": now, "updated_at": now,
            "os-vol-tenant-attr:tenant_id": project, "shared_targets": False, "service_uuid": None, "cluster_name": None,
            **({"volume_image_metadata": {"image_id": image["id"], "image_name": image["name"]}} if image else {}),
        })  # fmt: skip
        self._gigabytes[project] = self._gigabytes.get(project, 0) + size
        if ready:
            self.volumes.change(row, status="available")
            return row
        loop = asyncio.get_running_loop()
        self._creating[row["id"]] = loop.create_future()
        delay = self.settings.build.get("volume", 0.0) + float(row["metadata"].get("lab_delay", 0))
        loop.call_later(delay, self._created, row)
        return row

    def _created(self, row: Row) -> None:
        waiting = self._creating.pop(row["id"], None)
        if self.volumes.get(row["id"]) is row:
            status = "error" if row["metadata"].get("lab_fault") == "create" else "available"
            self.volumes.change(row, status=status)
        if waiting and not waiting.done():
            waiting.set_result(None)

    async def ready(self, key: str) -> Row | None:
        """The volume when its creation has ended, ``None`` when it was deleted meanwhile."""
        waiting = self._creating.get(key)
        if waiting:
            await asyncio.shield(waiting)
        return self.volumes.get(key)

    def delete(self, row: Row) -> None:
        """Remove the volume; refused while a server holds it."""
        has_snapshots = bool(self.snapshots.find(volume_id=row["id"]))
        if has_snapshots or row["status"] not in ("available", "error", "error_deleting", "creating"):
            message = (
                "Invalid volume: Volume status must be available or error or error_restoring or error_extending or "
                "error_managing and must not be migrating, attached, belong to a group, have snapshots, awaiting a "
                "transfer, or be disassociated from snapshots after volume transfer."
            )
            raise ServiceError("BadRequest", 400, message)
        if row["metadata"].get("lab_fault") == "delete":
            del row["metadata"]["lab_fault"]
            self.volumes.change(row, status="error_deleting")
            return
        self.volumes.remove(row["id"])
        self._gigabytes[row["project_id"]] -= row["size"]
        waiting = self._creating.pop(row["id"], None)
        if waiting and not waiting.done():
            waiting.set_result(None)

    def create_snapshot(self, row: Row, given: dict[str, Any]) -> Row:
        """Start to make a snapshot of the volume; one that a server uses needs ``force``."""
        if row["status"] != "available" and not (row["status"] == "in-use" and given.get("force")):
            raise ServiceError("BadRequest", 400, f"Invalid volume: Volume {row['id']} status must be available.")
        now = isotime(time.time(), fraction=True)
        snapshot = self.snapshots.add({
            "id": new_id(), "name": given.get("name"), "description": given.get("description"), "status": "creating",
            "volume_id": row["id"], "size": row["size"], "metadata": dict(given.get("metadata") or {}),
            "created_at": now, "updated_at": now, "project_id": row["project_id"], "user_id": row["user_id"],
        })  # fmt: skip
        delay = self.settings.build.get("snapshot", 0.0)
        asyncio.get_running_loop().call_later(delay, _become_available, self.snapshots, snapshot)
        return snapshot

    def snapshot(self, key: str) -> Row:
        """The snapshot with this id; Cinder's 404."""
        row = self.snapshots.get(key)
        if row is None:
            raise ServiceError("NotFound", 404, f"Snapshot {key} could not be found.")
        return row

    def revert(self, row: Row, snapshot_id: str) -> None:
        """Bring the volume back to its latest snapshot; refused while a server holds it."""
        found = self.snapshots.find(volume_id=row["id"])
        if not found or found[-1]["id"] != snapshot_id:
            message = f"Specified snapshot {snapshot_id} is None or not the latest one of volume {row['id']}."
            raise ServiceError("BadRequest", 400, message)
        if row["status"] != "available":
            message = (
                f"Invalid volume: Can't revert volume {row['id']} to its latest snapshot {snapshot_id}. Volume's status "
                "must be 'available'."
            )
            raise ServiceError("Conflict", 409, message)
        self.volumes.change(row, status="reverting")
        asyncio.get_running_loop().call_later(0, _become_available, self.volumes, row)

    def extend(self, row: Row, size: int) -> None:
        """Make the volume larger, also where it hangs."""
        if size <= row["size"]:
            message = (
                "Invalid input received: New size for extend must be greater than current size. "
                f"(current: {row['size']}, extended: {size})."
            )
            raise ServiceError("BadRequest", 400, message)
        self._check_quota(row["project_id"], size - row["size"], volumes=0)
        self._gigabytes[row["project_id"]] += size - row["size"]
        row["size"] = size

    def attach(self, row: Row, server_id: str, device: str, *, delete_on_termination: bool = False) -> str:
        """Attach to a server; the attachment's id."""
        if row["status"] != "available":
            message = (
                f"Invalid volume: Volume {row['id']} status must be available or downloading to reserve, but the current "
                f"status is {row['status']}."
            )
            raise ServiceError("BadRequest", 400, message)
        if row["metadata"].get("lab_fault") == "attach":
            raise ServiceError("InternalServerError", 500, "lab_fault=attach was asked for by the volume's metadata")
        key = new_id()
        attachment = {
            "server_id": server_id, "attachment_id": key, "volume_id": row["id"], "id": row["id"], "device": device,
            "host_name": None, "attached_at": isotime(time.time(), fraction=True),
        }  # fmt: skip
        self.volumes.change(row, status="in-use", attachments=[attachment], _own=delete_on_termination)
        self._by_server.setdefault(server_id, set()).add(row["id"])
        return key

    def detach(self, row: Row) -> None:
        for attachment in row["attachments"]:
            self._by_server.get(attachment["server_id"], set()).discard(row["id"])
        self.volumes.change(row, status="available", attachments=[])

    def of_server(self, server_id: str) -> list[Row]:
        """The volumes attached to a server."""
        return [row for key in self._by_server.get(server_id, ()) if (row := self.volumes.get(key))]

    def detach_all(self, server_id: str) -> None:
        """Free a deleted server's volumes, and delete those that go with it."""
        for row in self.of_server(server_id):
            self.detach(row)
            if row.get("_own"):
                self.delete(row)
        self._by_server.pop(server_id, None)

    def _check_quota(self, project: str, gigabytes: int, *, volumes: int = 1) -> None:
        have = self.volumes.count("project_id", project)
        if self.quota.exceeded("volumes", have + volumes):
            limit = self.quota.limit("volumes")
            message = f"VolumeLimitExceeded: Maximum number of volumes allowed ({limit}) exceeded for quota 'volumes'."
            raise ServiceError("OverLimit", 413, message, headers={"Retry-After": "0"})
        used = self._gigabytes.get(project, 0)
        if self.quota.exceeded("gigabytes", used + gigabytes):
            limit = self.quota.limit("gigabytes")
            message = (
                "VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed gigabytes quota. Requested "
                f"{gigabytes}G, quota is {limit}G and {used}G has been consumed."
            )
            raise ServiceError("OverLimit", 413, message, headers={"Retry-After": "0"})


def _become_available(table: Table, row: Row) -> None:
    if table.get(row["id"]) is row:
        table.change(row, status="available")

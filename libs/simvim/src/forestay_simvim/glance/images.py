"""Glance's data: images and their bytes' size and checksum (the bytes themselves are kept, too)."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from forestay_simvim.config import SimConfig
from forestay_simvim.errors import ServiceError
from forestay_simvim.ids import isotime, new_id
from forestay_simvim.table import Row, Table


class Images:
    """All images of the cloud."""

    def __init__(self, config: SimConfig, admin_project: str) -> None:
        self.images = Table("name", "owner")
        self.data: dict[str, bytes] = {}
        for name in config.images:
            given = {"name": name, "visibility": "public", "disk_format": "raw", "container_format": "bare"}
            self.upload(self.create(admin_project, given), name.encode().ljust(65_536, b"\0"))

    def get(self, key: str) -> Row:
        """The image with this id; Glance's 404."""
        row = self.images.get(key)
        if row is None:
            raise ServiceError("HTTPNotFound", 404, f"No image found with ID {key}")
        return row

    def find(self, key: str, project: str) -> Row | None:
        """The image with this id or name that the project may use."""
        return self.images.get(key) or next((row for row in self.images.find(name=key) if visible(row, project)), None)

    def create(self, project: str, given: dict[str, Any]) -> Row:
        """A queued image; unknown members are its own properties, as in Glance."""
        now = isotime(time.time())
        key = given.get("id") or new_id()
        if self.images.get(key):
            raise ServiceError("HTTPConflict", 409, f"Image ID {key} already exists!")
        row: Row = {
            "id": key, "name": None, "status": "queued", "visibility": "shared", "protected": False, "min_disk": 0,
            "min_ram": 0, "disk_format": None, "container_format": None, "size": None, "virtual_size": None,
            "checksum": None, "os_hash_algo": None, "os_hash_value": None, "os_hidden": False, "tags": [],
            "created_at": now, "updated_at": now, "self": f"/v2/images/{key}", "file": f"/v2/images/{key}/file",
            "schema": "/v2/schemas/image",
        }  # fmt: skip
        return self.images.add(row | given | {"id": key, "owner": project})

    def upload(self, row: Row, data: bytes) -> None:
        """Put the bytes in; the image is active."""
        if row["status"] != "queued":
            message = f"Image status transition from {row['status']} to saving is not allowed"
            raise ServiceError("HTTPConflict", 409, message)
        self.data[row["id"]] = data
        digest = hashlib.sha512(data).hexdigest()
        self.images.change(
            row, status="active", size=len(data), checksum=hashlib.md5(data).hexdigest(),  # noqa: S324 - Glance's own
            os_hash_algo="sha512", os_hash_value=digest, updated_at=isotime(time.time()),
        )  # fmt: skip

    def delete(self, row: Row) -> None:
        if row["protected"]:
            message = f"Image {row['id']} is protected and cannot be deleted."
            raise ServiceError("HTTPForbidden", 403, message)
        self.images.remove(row["id"])
        self.data.pop(row["id"], None)


def visible(row: Row, project: str) -> bool:
    """Whether a member of *project* sees the image."""
    return row["owner"] == project or row["visibility"] in ("public", "community")

"""VNF snapshots: SOL003 clauses 5.5.2.20 to 5.5.2.25 (the resource) and 5.5.3.20 to 5.5.3.23 (what it holds).

What a VNF snapshot holds of a VNF instance is a copy, made when the snapshot was: here it is JSON, whatever this version says.
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from forestay_sol.vnflcm.base import Identifier, KeyValuePairs, Link, Sol
from forestay_sol.vnflcm.connectivity import ResourceHandle


class StorageSnapshotResource(Sol, frozen=True, kw_only=True):
    """The snapshot of a storage; ``storage_resource_id`` is that of the storage in the copy of the VNF instance."""

    storage_resource_id: Identifier
    storage_snapshot_resource: ResourceHandle | None = None


class VnfcSnapshotInfo(Sol, frozen=True, kw_only=True):
    """The snapshot of a VNFC; ``id`` is unique within the VNF snapshot. Without ``compute_snapshot_resource`` the storages are
    all that there is of it."""

    id: Identifier
    vnfc_instance_id: Identifier
    creation_started_at: str | None = None
    creation_finished_at: str | None = None
    vnfc_resource_info_id: Identifier | None = None
    compute_snapshot_resource: ResourceHandle | None = None
    storage_snapshot_resources: tuple[StorageSnapshotResource, ...] = ()
    user_defined_data: KeyValuePairs | None = None


class VnfSnapshot(Sol, frozen=True, kw_only=True):
    """A VNF snapshot; ``vnf_instance`` is the copy of the "Individual VNF instance" resource."""

    id: Identifier
    vnf_instance_id: Identifier
    creation_started_at: str | None = None
    creation_finished_at: str | None = None
    vnfd_id: Identifier
    vnf_instance: dict[str, Any]
    vnfc_snapshots: tuple[VnfcSnapshotInfo, ...]
    vnf_state_snapshot_info: dict[str, Any] | None = None
    user_defined_data: KeyValuePairs | None = None


class VnfSnapshotInfo(Sol, frozen=True, kw_only=True):
    """The resource "Individual VNF snapshot".

    :ivar deletion: how far its deletion is (an addition to SOL003): ``state`` PROCESSING or FAILED, ``startedAt``, ``error``.
    """

    id: Identifier
    vnf_snapshot_pkg_id: Identifier | None = None
    vnf_snapshot: VnfSnapshot | None = None
    deletion: dict[str, Any] | None = None
    links: dict[str, Link] = field(name="_links")


class ListedVnfSnapshot(Sol, frozen=True, kw_only=True):
    """A VNF snapshot as lists show it: without its bulk, unless the bulk is asked for."""

    id: Identifier
    vnf_instance_id: Identifier
    creation_started_at: str | None = None
    creation_finished_at: str | None = None
    vnfd_id: Identifier
    vnf_instance: dict[str, Any] | None = None
    vnfc_snapshots: tuple[VnfcSnapshotInfo, ...] = ()
    vnf_state_snapshot_info: dict[str, Any] | None = None
    user_defined_data: KeyValuePairs | None = None


class ListedVnfSnapshotInfo(Sol, frozen=True, kw_only=True):
    """The resource "Individual VNF snapshot" in a list."""

    id: Identifier
    vnf_snapshot_pkg_id: Identifier | None = None
    vnf_snapshot: ListedVnfSnapshot | None = None
    deletion: dict[str, Any] | None = None
    links: dict[str, Link] = field(name="_links")


class CreateVnfSnapshotInfoRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_snapshots: empty, or of a VNF snapshot that was extracted from a VNF snapshot package."""

    vnf_snapshot_pkg_id: Identifier | None = None
    vnf_snapshot: VnfSnapshot | None = None


class VnfSnapshotInfoModificationRequest(CreateVnfSnapshotInfoRequest, frozen=True, kw_only=True):
    """PATCH vnf_snapshots/{id}: the same for a resource that is empty yet."""

"""Request bodies of VNF lifecycle management v2: SOL003 clause 5.5.2 and the members that SOL002 adds.

``operationParams`` of an operation occurrence is the request as it was decoded here, so a field is a wire member.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, UnsetType, field

from forestay_sol.vnflcm.base import AtLeastOne, Count, Description, Identifier, KeyValuePairs, LcmOperation, Name, Sol
from forestay_sol.vnflcm.connectivity import (
    ExtManagedVirtualLinkData,
    ExtVirtualLinkData,
    ScaleInfo,
    VimConnectionInfo,
)

VimConnections = dict[Identifier, VimConnectionInfo]


class CreateVnfRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances."""

    vnfd_id: Identifier
    vnf_instance_name: Name | None = None
    vnf_instance_description: Description | None = None
    metadata: KeyValuePairs | None = None


class InstantiateVnfRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/instantiate."""

    flavour_id: Identifier
    instantiation_level_id: Identifier | None = None
    ext_virtual_links: tuple[ExtVirtualLinkData, ...] = ()
    ext_managed_virtual_links: tuple[ExtManagedVirtualLinkData, ...] = ()
    vim_connection_info: VimConnections = field(default_factory=dict)
    localization_language: str | None = None
    additional_params: KeyValuePairs | None = None
    extensions: KeyValuePairs | None = None
    vnf_configurable_properties: KeyValuePairs | None = None


class TerminateVnfRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/terminate; the timeout is in seconds."""

    termination_type: Literal["FORCEFUL", "GRACEFUL"]
    graceful_termination_timeout: AtLeastOne | None = None
    additional_params: KeyValuePairs | None = None


class ScaleVnfRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/scale; no number of steps means one."""

    type: Literal["SCALE_OUT", "SCALE_IN"]
    aspect_id: Identifier
    number_of_steps: AtLeastOne | None = None
    additional_params: KeyValuePairs | None = None


class ScaleVnfToLevelRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/scale_to_level: a level, or levels by aspect."""

    instantiation_level_id: Identifier | None = None
    scale_info: Annotated[tuple[ScaleInfo, ...], Meta(min_length=1)] | None = None
    additional_params: KeyValuePairs | None = None

    def __post_init__(self) -> None:
        """Check the choice (``ValueError``, a 400 when decoding)."""
        if (self.instantiation_level_id is None) == (self.scale_info is None):
            raise ValueError("either instantiationLevelId or scaleInfo shall be present")


class HealVnfRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/heal; ``vnfc_instance_id`` (SOL002) holds ids of VnfcInfo."""

    vnfc_instance_id: tuple[Identifier, ...] = ()
    cause: Name | None = None
    additional_params: KeyValuePairs | None = None
    heal_script: Name | None = None

    @property
    def all(self) -> bool:
        """Whether not only servers are made anew: Tacker's additional parameter ``all``."""
        return (self.additional_params or {}).get("all") is True


class ChangeExtVnfConnectivityRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/change_ext_conn."""

    ext_virtual_links: Annotated[tuple[ExtVirtualLinkData, ...], Meta(min_length=1)]
    vim_connection_info: VimConnections = field(default_factory=dict)
    additional_params: KeyValuePairs | None = None


class ChangeCurrentVnfPkgRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/change_vnfpkg."""

    vnfd_id: Identifier
    ext_virtual_links: tuple[ExtVirtualLinkData, ...] = ()
    ext_managed_virtual_links: tuple[ExtManagedVirtualLinkData, ...] = ()
    vim_connection_info: VimConnections = field(default_factory=dict)
    additional_params: KeyValuePairs | None = None
    extensions: KeyValuePairs | None = None
    vnf_configurable_properties: KeyValuePairs | None = None


class ChangeVnfFlavourRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/change_flavour."""

    new_flavour_id: Identifier
    instantiation_level_id: Identifier | None = None
    ext_virtual_links: tuple[ExtVirtualLinkData, ...] = ()
    ext_managed_virtual_links: tuple[ExtManagedVirtualLinkData, ...] = ()
    vim_connection_info: VimConnections = field(default_factory=dict)
    additional_params: KeyValuePairs | None = None
    extensions: KeyValuePairs | None = None
    vnf_configurable_properties: KeyValuePairs | None = None


class OperateVnfRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/operate; the timeout is in seconds."""

    vnfc_instance_id: tuple[Identifier, ...] = ()
    change_state_to: Literal["STARTED", "STOPPED"]
    stop_type: Literal["FORCEFUL", "GRACEFUL"] | None = None
    graceful_stop_timeout: Count | None = None
    additional_params: KeyValuePairs | None = None


class CreateVnfSnapshotRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/create_snapshot: fills the "Individual VNF snapshot" resource of this id."""

    vnf_snapshot_info_id: Identifier
    additional_params: KeyValuePairs | None = None
    user_defined_data: KeyValuePairs | None = None


class RevertToVnfSnapshotRequest(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/revert_to_snapshot."""

    vnf_snapshot_info_id: Identifier
    additional_params: KeyValuePairs | None = None


TaskRequest = (
    InstantiateVnfRequest
    | TerminateVnfRequest
    | ScaleVnfRequest
    | ScaleVnfToLevelRequest
    | HealVnfRequest
    | ChangeExtVnfConnectivityRequest
    | ChangeVnfFlavourRequest
    | ChangeCurrentVnfPkgRequest
    | OperateVnfRequest
    | CreateVnfSnapshotRequest
    | RevertToVnfSnapshotRequest
)

TASK_REQUESTS: Mapping[LcmOperation, type[TaskRequest]] = {
    "INSTANTIATE": InstantiateVnfRequest,
    "TERMINATE": TerminateVnfRequest,
    "SCALE": ScaleVnfRequest,
    "SCALE_TO_LEVEL": ScaleVnfToLevelRequest,
    "HEAL": HealVnfRequest,
    "CHANGE_EXT_CONN": ChangeExtVnfConnectivityRequest,
    "CHANGE_FLAVOUR": ChangeVnfFlavourRequest,
    "CHANGE_VNFPKG": ChangeCurrentVnfPkgRequest,
    "OPERATE": OperateVnfRequest,
    "CREATE_SNAPSHOT": CreateVnfSnapshotRequest,
    "REVERT_TO_SNAPSHOT": RevertToVnfSnapshotRequest,
}
"""By operation. The path of a task (SOL003 clause 5.4.1) ends in the name of its operation, in small letters."""


class CancelMode(Sol, frozen=True, kw_only=True):
    """POST vnf_lcm_op_occs/{id}/cancel."""

    cancel_mode: Literal["GRACEFUL", "FORCEFUL"]


class VnfcInfoModificationsData(Sol, frozen=True, kw_only=True):
    """SOL002: new configurable properties of one VNFC (``id`` of VnfcInfo)."""

    id: Identifier
    vnfc_configurable_properties: KeyValuePairs


class VnfInfoModificationRequest(Sol, frozen=True, kw_only=True):
    """PATCH vnf_instances/{id}, an RFC 7396 merge patch: absent (``UNSET``) keeps, null (``None``) removes."""

    vnf_instance_name: Name | UnsetType | None = UNSET
    vnf_instance_description: Description | UnsetType | None = UNSET
    vnfd_id: Identifier | UnsetType = UNSET
    vnf_configurable_properties: KeyValuePairs | UnsetType | None = UNSET
    metadata: KeyValuePairs | UnsetType | None = UNSET
    extensions: KeyValuePairs | UnsetType | None = UNSET
    vim_connection_info: dict[Identifier, dict[str, Any] | None] | UnsetType = UNSET
    vnfc_info_modifications: tuple[VnfcInfoModificationsData, ...] | UnsetType = UNSET

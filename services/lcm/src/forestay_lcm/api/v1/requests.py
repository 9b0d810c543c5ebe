"""Request bodies of version 1, and what each means in version 2. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
from forestay_events.errors import Rejected
from forestay_lcm.api.v1.shapes import Json, request_v2
from forestay_lcm.domain.decisions.requested import USER_DATA
from forestay_sol.body import convert
from forestay_sol.faults import pointer
from forestay_sol.types import FreeKeyValuePairs, Identifier, KeyValuePairs, Sol
from forestay_sol.vnflcm import (
    ChangeExtVnfConnectivityRequest,
    CpProtocolData,
    ExtLinkPortData,
    ExtManagedVirtualLinkData,
    HealVnfRequest,
    InstantiateVnfRequest,
    ScaleVnfRequest,
    TerminateVnfRequest,
    VimConnectionInfo,
    VnfInfoModificationRequest,
)
from forestay_sol.vnflcm.base import Count, Description, Name
from msgspec import UNSET, Meta, UnsetType

T = TypeVar("T", bound=msgspec.Struct)

HEAL_STORAGE = "tacker_extension_heal_include_block_storage"
"""Additional parameter of HEAL: whether the volumes of the VNFCs that are named are made anew, too."""


class VimConnectionInfoV1(VimConnectionInfo, frozen=True, kw_only=True):
    """With the id that is a key in version 2."""

    id: Identifier


class VimConnectionPatchV1(Sol, frozen=True, kw_only=True):
    """What is to be different about the VIM connection of this id, or a new one."""

    id: Identifier
    vim_id: Identifier | UnsetType | None = UNSET
    vim_type: Identifier | UnsetType = UNSET
    interface_info: FreeKeyValuePairs | UnsetType | None = UNSET
    access_info: FreeKeyValuePairs | UnsetType | None = UNSET
    extra: FreeKeyValuePairs | UnsetType | None = UNSET


class VnfExtCpConfigV1(Sol, frozen=True, kw_only=True):
    """One instance of an external connection point."""

    cp_instance_id: Identifier | None = None
    link_port_id: Identifier | None = None
    cp_protocol_data: tuple[CpProtocolData, ...] = ()


class VnfExtCpDataV1(Sol, frozen=True, kw_only=True):
    """The instances of the external CPs made from one CPD."""

    cpd_id: Identifier
    cp_config: Annotated[tuple[VnfExtCpConfigV1, ...], Meta(min_length=1)]


class ExtVirtualLinkDataV1(Sol, frozen=True, kw_only=True):
    """An external virtual link and the CPs to connect to it."""

    id: Identifier
    vim_connection_id: Identifier | None = None
    resource_provider_id: Identifier | None = None
    resource_id: Identifier
    ext_cps: Annotated[tuple[VnfExtCpDataV1, ...], Meta(min_length=1)]
    ext_link_ports: tuple[ExtLinkPortData, ...] = ()


class InstantiateVnfRequestV1(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/instantiate; a VNF lives in one VIM."""

    flavour_id: Identifier
    instantiation_level_id: Identifier | None = None
    ext_virtual_links: tuple[ExtVirtualLinkDataV1, ...] = ()
    ext_managed_virtual_links: tuple[ExtManagedVirtualLinkData, ...] = ()
    vim_connection_info: Annotated[tuple[VimConnectionInfoV1, ...], Meta(max_length=1)] = ()
    localization_language: str | None = None
    additional_params: KeyValuePairs | None = None
    extensions: KeyValuePairs | None = None
    vnf_configurable_properties: KeyValuePairs | None = None


class TerminateVnfRequestV1(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/terminate; the timeout is in seconds."""

    termination_type: Literal["FORCEFUL", "GRACEFUL"]
    graceful_termination_timeout: Count | None = None
    additional_params: KeyValuePairs | None = None


class ChangeExtVnfConnectivityRequestV1(Sol, frozen=True, kw_only=True):
    """POST vnf_instances/{id}/change_ext_conn."""

    ext_virtual_links: Annotated[tuple[ExtVirtualLinkDataV1, ...], Meta(min_length=1)]
    vim_connection_info: Annotated[tuple[VimConnectionInfoV1, ...], Meta(max_length=1)] = ()
    additional_params: KeyValuePairs | None = None


class VnfInfoModificationRequestV1(Sol, frozen=True, kw_only=True):
    """PATCH vnf_instances/{id}: absent keeps, null removes; ``vnfd_id`` wins over the id of its package."""

    vnf_instance_name: Name | UnsetType | None = UNSET
    vnf_instance_description: Description | UnsetType | None = UNSET
    vnfd_id: Identifier | UnsetType = UNSET
    vnf_pkg_id: Identifier | UnsetType = UNSET
    vnf_configurable_properties: KeyValuePairs | UnsetType | None = UNSET
    metadata: KeyValuePairs | UnsetType | None = UNSET
    extensions: KeyValuePairs | UnsetType | None = UNSET
    vim_connection_info: tuple[VimConnectionPatchV1, ...] | UnsetType = UNSET
    vim_connection_info_delete_ids: tuple[Identifier, ...] | UnsetType = UNSET


class Translation(NamedTuple):
    """:ivar given: the type of the body in version 1. :ivar translate: body and VnfInstance to the body of version 2."""

    given: type[msgspec.Struct]
    translate: Callable[[Json, Json], Json]


def translated(document: Any, type_: type[T], instance: Json) -> T:
    """The body of a task of version 1 as the request of version 2 that it stands for.

    :param instance: VnfInstance as version 2 shows it.
    :raises Rejected: 400, the body is not valid; pointers are into ``document``.
    """
    given, translate = _TRANSLATIONS[type_]
    return convert(translate(msgspec.to_builtins(convert(document, given)), instance), type_)


def modification(given: VnfInfoModificationRequestV1, vnfd_id: str | None) -> VnfInfoModificationRequest:
    """:param vnfd_id: of the package that ``given`` names, if it names one and no VNFD."""
    body: Json = request_v2(msgspec.to_builtins(given))
    body.pop("vnfPkgId", None)
    if gone := body.pop("vimConnectionInfoDeleteIds", ()):
        body["vimConnectionInfo"] = dict.fromkeys(gone) | body.get("vimConnectionInfo", {})
    return convert(body | ({"vnfdId": vnfd_id} if vnfd_id else {}), VnfInfoModificationRequest)


def _terminate(body: Json, instance: Json) -> Json:
    """Version 1 may wait for 0 seconds, which is not to wait."""
    if body.get("gracefulTerminationTimeout") != 0:
        return body
    return {name: value for name, value in body.items() if name != "gracefulTerminationTimeout"} | {
        "terminationType": "FORCEFUL"
    }


def _scale(body: Json, instance: Json) -> Json:
    params = _user_data(instance) | (body.get("additionalParams") or {})
    return body | ({"additionalParams": params} if params else {})


def _heal(body: Json, instance: Json) -> Json:
    """VNFCs are named by their resources; without names the VNF is made anew, which version 2 has to be told.

    :raises Rejected: 400, a parameter is neither true nor false.
    """
    named = body.get("vnfcInstanceId", ())
    params = body.get("additionalParams") or {}
    with_storage = params.get(HEAL_STORAGE, True)
    if not isinstance(with_storage, bool):
        raise Rejected(400, f"{HEAL_STORAGE} is true or false.", pointer=pointer(["additionalParams", HEAL_STORAGE]))
    known = instance.get("instantiatedVnfInfo", {}).get("vnfcInfo", ())
    vnfcs = {item["vnfcResourceInfoId"]: item["id"] for item in known if "vnfcResourceInfoId" in item}
    return body | {
        "vnfcInstanceId": [vnfcs.get(id_, id_) for id_ in named],
        "additionalParams": {"all": with_storage if named else True} | _user_data(instance) | params,
    }


def _user_data(instance: Json) -> Json:
    """The user data class that the VNF was instantiated with: in version 1 its changes are the class's, too, unasked."""
    metadata: Json = instance.get("instantiatedVnfInfo", {}).get("metadata", {})
    return {name: metadata[name] for name in USER_DATA if name in metadata}


def _shaped(body: Json, instance: Json) -> Json:
    return request_v2(body)


_TRANSLATIONS: Mapping[type[msgspec.Struct], Translation] = {
    InstantiateVnfRequest: Translation(InstantiateVnfRequestV1, _shaped),
    TerminateVnfRequest: Translation(TerminateVnfRequestV1, _terminate),
    ScaleVnfRequest: Translation(ScaleVnfRequest, _scale),
    HealVnfRequest: Translation(HealVnfRequest, _heal),
    ChangeExtVnfConnectivityRequest: Translation(ChangeExtVnfConnectivityRequestV1, _shaped),
}

#: The types of bodies that are others in version 1, by those of version 2.
BODIES: Mapping[Any, Any] = {
    VnfInfoModificationRequest: VnfInfoModificationRequestV1,
    **{type_: given for type_, (given, _) in _TRANSLATIONS.items()},
}

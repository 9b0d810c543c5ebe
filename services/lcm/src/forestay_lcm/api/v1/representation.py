"""What version 1 shows: instances, operation occurrences and notifications of version 2 in its shapes. Pure."""

from __future__ import annotations

from typing import Any

import msgspec
from forestay_lcm.api.links import Links
from forestay_lcm.api.v1.shapes import Json, connections_v1, request_v1

_TASKS = {
    "NOT_INSTANTIATED": ("instantiate",),
    "INSTANTIATED": ("terminate", "scale", "heal", "changeExtConn"),
}
_PATHS = {"changeExtConn": "change_ext_conn"}
_IN_V2 = "/vnflcm/v2/"
_IN_V1 = "/vnflcm/v1/"


class LinksV1(Links):
    """Shows the resources of version 2 as version 1 does, with links below ``/vnflcm/v1``."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self._root = f"{endpoint}/vnflcm/v1"
        self._grants = f"{endpoint}/grant/v1/grants"

    def of_instance(self, document: Json) -> Json:
        """VnfInstance; VIM connections while it is instantiated only."""
        uri = self.instance(document["id"])
        state = document["instantiationState"]
        shown = {
            name: value for name, value in document.items() if name not in ("vimConnectionInfo", "instantiatedVnfInfo")
        }
        if state == "INSTANTIATED":
            shown["vimConnectionInfo"] = connections_v1(document.get("vimConnectionInfo", {}))
            shown["instantiatedVnfInfo"] = instantiated_vnf_info(document.get("instantiatedVnfInfo", {}))
        tasks = {task: {"href": f"{uri}/{_PATHS.get(task, task)}"} for task in _TASKS[state]}
        return shown | {"_links": {"self": {"href": uri}} | tasks}

    def of_op_occ(self, document: Json) -> Json:
        """VnfLcmOpOcc; ``operationParams`` is JSON in a string, as Tacker's clients know it."""
        shown = _without(super().of_op_occ(document), "affectedVipCps")
        if "operationParams" in document:
            shown["operationParams"] = msgspec.json.encode(request_v1(document["operationParams"])).decode()
        if "vimConnectionInfo" in (changed := document.get("changedInfo", {})):
            shown["changedInfo"] = changed | {"vimConnectionInfo": connections_v1(changed["vimConnectionInfo"])}
        if "changedExtConnectivity" in document:
            shown["changedExtConnectivity"] = _ext_links(document["changedExtConnectivity"])
        if "grantId" in document:
            shown["_links"]["grant"] = {"href": f"{self._grants}/{document['grantId']}"}
        return shown


def instantiated_vnf_info(info: Json) -> Json:
    """InstantiatedVnfInfo: no VnfcInfo (clients name VNFCs by their resources), no configurations of CPs; the id of the
    stack as ``instanceId``.
    """
    shown = _without(info, "vnfcInfo", "maxScaleLevels")
    if "extVirtualLinkInfo" in info:
        shown["extVirtualLinkInfo"] = _ext_links(info["extVirtualLinkInfo"])
    if "extCpInfo" in info:
        shown["extCpInfo"] = [_without(cp, "cpConfigId") for cp in info["extCpInfo"]]
    stack = str(info.get("metadata", {}).get("stack_id", "")).rpartition("/")[2]
    return shown | ({"instanceId": stack} if stack else {})


def notification_v1(body: Json) -> Json:
    """A notification of version 2 in the words of version 1.

    There is no verbosity; an error is JSON in a string; of identifiers the links are told as ``links``, too: Tacker does the
    one, SOL003 the other.
    """
    shown = _without(body, "verbosity", "affectedVipCps")
    shown["_links"] = {
        name: {"href": link["href"].replace(_IN_V2, _IN_V1, 1)} for name, link in body.get("_links", {}).items()
    }
    if "error" in body:
        shown["error"] = msgspec.json.encode(body["error"]).decode()
    if "changedExtConnectivity" in body:
        shown["changedExtConnectivity"] = _ext_links(body["changedExtConnectivity"])
    if "vimConnectionInfo" in (changed := body.get("changedInfo", {})):
        shown["changedInfo"] = changed | {"vimConnectionInfo": connections_v1(changed["vimConnectionInfo"])}
    if str(body.get("notificationType")).startswith("VnfIdentifier"):
        shown["links"] = shown["_links"]
    return shown


def _ext_links(links: list[Json]) -> list[Json]:
    return [_without(link, "currentVnfExtCpData") for link in links]


def _without(members: Json, *names: str) -> dict[str, Any]:
    return {name: value for name, value in members.items() if name not in names}

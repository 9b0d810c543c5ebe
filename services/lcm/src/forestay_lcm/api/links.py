"""Links of the LCM resources (SOL003 clauses 5.5.2.2 and 5.5.2.13; which ones when: wire sections 3.2 and 4)."""

from __future__ import annotations

from typing import Any

from forestay_lcm.domain.decisions.handling import CANCELLABLE

Json = dict[str, Any]

_TASKS = {
    "NOT_INSTANTIATED": {"instantiate": "instantiate"},
    "INSTANTIATED": {
        "terminate": "terminate",
        "scale": "scale",
        "scaleToLevel": "scale_to_level",
        "changeFlavour": "change_flavour",
        "heal": "heal",
        "operate": "operate",
        "changeExtConn": "change_ext_conn",
        "createSnapshot": "create_snapshot",
        "revertToSnapshot": "revert_to_snapshot",
    },
}


class Links:
    """Makes links below the server's own address.

    :param endpoint: URL of the API as clients see it, without a slash at the end.
    """

    def __init__(self, endpoint: str) -> None:
        self._root = f"{endpoint}/vnflcm/v2"

    def instance(self, vnf_id: str) -> str:
        return f"{self._root}/vnf_instances/{vnf_id}"

    def op_occ(self, op_id: str) -> str:
        return f"{self._root}/vnf_lcm_op_occs/{op_id}"

    def snapshot(self, snapshot_id: str) -> str:
        return f"{self._root}/vnf_snapshots/{snapshot_id}"

    def of_snapshot(self, document: Json) -> Json:
        """VnfSnapshotInfo with its links; ``takenFrom``, and those of the copied instance, when it was taken here."""
        links, content = {"self": {"href": self.snapshot(document["id"])}}, document.get("vnfSnapshot")
        if content is None or "vnfSnapshotPkgId" in document:
            return document | {"_links": links}
        instance = {"href": self.instance(content["vnfInstanceId"])}
        copy = content["vnfInstance"] | {"_links": {"self": instance}}
        return document | {"vnfSnapshot": content | {"vnfInstance": copy}, "_links": links | {"takenFrom": instance}}

    def of_instance(self, document: Json) -> Json:
        """VnfInstance with its links: itself and the tasks that its state allows."""
        uri = self.instance(document["id"])
        tasks = {name: {"href": f"{uri}/{path}"} for name, path in _TASKS[document["instantiationState"]].items()}
        return document | {"_links": {"self": {"href": uri}} | tasks}

    def of_op_occ(self, document: Json) -> Json:
        """VnfLcmOpOcc with its links: ``cancel`` while that is possible, the others always, as Tacker's clients know it."""
        uri = self.op_occ(document["id"])
        cancel = ("cancel",) if document["operationState"] in CANCELLABLE else ()
        tasks = {task: {"href": f"{uri}/{task}"} for task in ("retry", "rollback", "fail", *cancel)}
        links = {"self": {"href": uri}, "vnfInstance": {"href": self.instance(document["vnfInstanceId"])}}
        return document | {"_links": links | tasks}

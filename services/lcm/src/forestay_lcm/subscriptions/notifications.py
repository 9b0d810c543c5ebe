"""What subscribers are told of a change of a VNF instance (SOL003 5.5.2.17 to 5.5.2.19, wire sections 4.1 and 5).

Rules:

* Creation and deletion of an instance are told, and every state that an operation enters, once. MODIFY_INFO has no STARTING: its
  first notification is that of PROCESSING, with status START. All other states than STARTING have status RESULT.
* What an operation changed is told with its results and with verbosity FULL only.
* What is shown is what the operation occurrence shows, so no secret is told that the API does not tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from forestay_events.archive import Connection
from forestay_events.sealing import mask
from forestay_notify.filter_index import Facts
from forestay_notify.projection import Announcement, SubscriptionProjection
from forestay_notify.vnf_filter import instance_facts
from forestay_sol.types import rfc3339

from forestay_lcm.api.links import Links
from forestay_lcm.domain.state import Operation, Vnf
from forestay_lcm.projections.instances import Change
from forestay_lcm.projections.representation import op_occ_document, without_secrets
from forestay_lcm.subscriptions.filters import NotificationType

Json = dict[str, Any]

_WITH_ERROR = frozenset({"FAILED_TEMP", "FAILED", "ROLLED_BACK"})
_CHANGES = ("changedInfo", "affectedVipCps", "changedExtConnectivity", "modificationsTriggeredByVnfPkgChange")


class Telling:
    """Turns changes into announcements.

    :param endpoint: URL of the API as clients see it, without a slash at the end.
    """

    def __init__(self, subscriptions: SubscriptionProjection, endpoint: str) -> None:
        self._subscriptions = subscriptions
        self._links = Links(endpoint)

    async def watch(self, connection: Connection, changes: Sequence[Change]) -> None:
        """Post the notifications that follow from the changes of a batch."""
        found = (announcement(change, self._links) for change in changes)
        await self._subscriptions.announce(connection, (each for each in found if each is not None))


def announcement(change: Change, links: Links) -> Announcement | None:
    """What a change is announced as; ``None`` when subscribers are not told of such. Pure."""
    before, after, operation = change.before, change.after, change.after.operation
    if before is None:
        return _identifier("VnfIdentifierCreationNotification", change, links)
    if after.deleted and not before.deleted:
        return _identifier("VnfIdentifierDeletionNotification", change, links)
    if operation is None or _state(before.operation) == _state(operation):
        return None
    if (operation.operation, operation.state) == ("MODIFY_INFO", "STARTING"):
        return None
    return _occurrence(change, operation, links)


def _state(operation: Operation | None) -> tuple[str, str] | None:
    return None if operation is None else (operation.id, operation.state)


def _identifier(kind: NotificationType, change: Change, links: Links) -> Announcement:
    linked = {"vnfInstance": {"href": links.instance(change.after.id)}}
    return _announcement(kind, change, {"_links": linked}, {"_links": linked}, {})


def _occurrence(change: Change, operation: Operation, links: Links) -> Announcement:
    shown = _shown(change.after, operation)
    start = operation.state == "STARTING" or (operation.operation == "MODIFY_INFO" and operation.state == "PROCESSING")
    short: Json = {
        "notificationStatus": "START" if start else "RESULT",
        "operationState": operation.state,
        "operation": operation.operation,
        "isAutomaticInvocation": operation.automatic,
        "verbosity": "SHORT",
        "vnfLcmOpOccId": operation.id,
        "_links": {
            "vnfInstance": {"href": links.instance(change.after.id)},
            "vnfLcmOpOcc": {"href": links.op_occ(operation.id)},
        },
    }
    if operation.state in _WITH_ERROR and "error" in shown:
        short["error"] = shown["error"]
    changed = {} if start else shown.get("resourceChanges", {}) | {key: shown[key] for key in _CHANGES if key in shown}
    facts = {"operationTypes": (operation.operation,), "operationStates": (operation.state,)}
    return _announcement(
        "VnfLcmOperationOccurrenceNotification", change, short | {"verbosity": "FULL"} | changed, short, facts
    )


def _shown(vnf: Vnf, operation: Operation) -> Json:
    """The operation occurrence as the API shows it; ``mask`` finds what has a secret not in a member but in its text."""
    return mask(without_secrets(msgspec.json.decode(op_occ_document(vnf, operation))))


def _announcement(kind: NotificationType, change: Change, full: Json, short: Json, facts: Facts) -> Announcement:
    commit, vnf = change.stored.commit, change.after
    common = {"notificationType": kind, "timeStamp": rfc3339(commit.at), "vnfInstanceId": vnf.id}
    instance = instance_facts(
        vnf_id=vnf.id,
        name=vnf.name,
        vnfd_id=vnf.vnfd_id,
        provider=vnf.provider,
        product=vnf.product_name,
        software=vnf.software_version,
        vnfd_version=vnf.vnfd_version,
    )
    return Announcement(
        event=f"{commit.id}/{change.place}",
        seq=change.stored.seq,
        project=vnf.project,
        kind=kind,
        lane=vnf.id,
        at=commit.at,
        facts={**instance, "notificationTypes": (kind,), **facts},
        full=common | full,
        short=common | short,
    )

"""What subscribers are told of a change of a VNF package (SOL005 9.5.2.8 and 9.5.2.9).

Rules: a package is told of when it becomes ONBOARDED; from then on a change of its operational state is told, and its deletion.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forestay_events.archive import Connection
from forestay_notify.projection import Announcement, SubscriptionProjection
from forestay_notify.vnf_filter import product_paths
from forestay_sol.types import rfc3339
from forestay_sol.vnfd import Vnfd

from forestay_package_mgmt.api.edition import onboarded_uri
from forestay_package_mgmt.domain.state import Package
from forestay_package_mgmt.projections.packages import Change
from forestay_package_mgmt.projections.usage import packages_in_use
from forestay_package_mgmt.subscriptions.filters import NotificationType

Json = dict[str, Any]


class Telling:
    """Turns changes into announcements.

    :param endpoint: URL of the API as clients see it, without a slash at the end.
    """

    def __init__(self, subscriptions: SubscriptionProjection, endpoint: str) -> None:
        self._subscriptions = subscriptions
        self._endpoint = endpoint

    async def watch(self, connection: Connection, changes: Sequence[Change]) -> None:
        """Post the notifications that follow from the changes of a batch."""
        told = [change for change in changes if kind_of(change) is not None]
        if not told:
            return
        in_use = await packages_in_use(connection, [change.after.id for change in told])
        await self._subscriptions.announce(
            connection, [announcement(change, self._endpoint, in_use=change.after.id in in_use) for change in told]
        )


def kind_of(change: Change) -> NotificationType | None:
    """What a change is told as, ``None`` if it is not told."""
    before, after = change.before, change.after
    if after.onboarded is not None and (before is None or before.onboarded is None):
        return "VnfPackageOnboardingNotification"
    if before is None or before.onboarded is None:
        return None
    changed = after.deleted or before.operational_state != after.operational_state
    return "VnfPackageChangeNotification" if changed else None


def announcement(change: Change, endpoint: str, *, in_use: bool) -> Announcement:
    """What a change is announced as. Pure.

    :param in_use: whether VNF instances of the package exist.
    """
    commit, package, vnfd = change.stored.commit, change.after, _vnfd(change)
    kind = kind_of(change)
    assert kind is not None, "only such changes are announced"  # noqa: S101
    content: Json = {
        "notificationType": kind,
        "timeStamp": rfc3339(commit.at),
        "vnfPkgId": package.id,
        "vnfdId": vnfd.vnfd_id,
        "_links": {
            "vnfPackage": {"href": f"{endpoint}/vnfpkgm/v2/vnf_packages/{package.id}"},
            "vnfPackageByVnfdId": {"href": onboarded_uri(endpoint, vnfd.vnfd_id)},
        },
        **(_change(package) if kind == "VnfPackageChangeNotification" else {"vnfmInfo": vnfd.vnfm_info}),
    }
    states = {"operationalState": (package.operational_state,), "usageState": ("IN_USE" if in_use else "NOT_IN_USE",)}
    facts = {
        "notificationTypes": (kind,),
        "vnfProductsFromProviders": product_paths(
            vnfd.provider, vnfd.product_name, vnfd.software_version, vnfd.vnfd_version
        ),
        "vnfdId": (vnfd.vnfd_id,),
        "vnfPkgId": (package.id,),
        "vnfmInfo": vnfd.vnfm_info,
        **(states if kind == "VnfPackageChangeNotification" else {}),
    }
    return Announcement(
        event=f"{commit.id}/0", seq=change.stored.seq, project=package.project, kind=kind, lane=package.id,
        at=commit.at, facts=facts, full=content, short=content,
    )  # fmt: skip


def _change(package: Package) -> Json:
    if package.deleted:
        return {"changeType": "PKG_DELETE"}
    return {"changeType": "OP_STATE_CHANGE", "operationalState": package.operational_state}


def _vnfd(change: Change) -> Vnfd:
    """The package's VNFD, which a deletion takes away."""
    found = change.after.onboarded or (change.before.onboarded if change.before else None)
    assert found is not None, "only packages that were ONBOARDED are announced"  # noqa: S101
    return found.vnfd

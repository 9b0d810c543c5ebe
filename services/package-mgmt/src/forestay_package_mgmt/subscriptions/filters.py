"""PkgmNotificationsFilter (SOL005 9.5.3.2, SOL003 10.5.3.4) as wants of the index.

Rules: members are ANDed, the values of one are ORed; an empty list is as good as none. Where the two standards and their
OpenAPI documents differ in whether a member is one value or several, both are taken. States say nothing about an onboarding.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from forestay_notify.api import SubscriptionRequest
from forestay_notify.filter_index import Wanted
from forestay_notify.vnf_filter import ProductsFromProvider, wanted_products
from forestay_sol.streams.package import OperationalState
from forestay_sol.types import Identifier, Sol

NotificationType = Literal["VnfPackageOnboardingNotification", "VnfPackageChangeNotification"]
UsageState = Literal["IN_USE", "NOT_IN_USE"]


class PkgmNotificationsFilter(Sol, frozen=True, kw_only=True):
    """Of which packages, and of what about them."""

    notification_types: NotificationType | tuple[NotificationType, ...] = ()
    vnf_products_from_providers: tuple[ProductsFromProvider, ...] = ()
    vnfd_id: tuple[Identifier, ...] = ()
    vnf_pkg_id: tuple[Identifier, ...] = ()
    operational_state: OperationalState | tuple[OperationalState, ...] = ()
    usage_state: UsageState | tuple[UsageState, ...] = ()
    vnfm_info: tuple[str, ...] = ()


class PkgmSubscriptionRequest(SubscriptionRequest, frozen=True, kw_only=True):
    """The body of POST subscriptions (SOL005 9.5.2.6)."""

    filter: PkgmNotificationsFilter | None = None


def wanted(filter_: dict[str, Any] | None) -> Wanted:
    """What a filter, as it was kept, wants of the facts that :mod:`forestay_package_mgmt.subscriptions.notifications` states."""
    if filter_ is None:
        return {}
    given = msgspec.convert(filter_, PkgmNotificationsFilter)
    members = {
        "notificationTypes": _several(given.notification_types),
        "vnfProductsFromProviders": wanted_products(given.vnf_products_from_providers),
        "vnfdId": given.vnfd_id,
        "vnfPkgId": given.vnf_pkg_id,
        "operationalState": _several(given.operational_state),
        "usageState": _several(given.usage_state),
        "vnfmInfo": given.vnfm_info,
    }
    return {attribute: values for attribute, values in members.items() if values}


def _several(given: str | tuple[str, ...]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else given

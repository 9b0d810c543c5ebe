"""Filters of LCM subscriptions (SOL003 5.5.3.12) as wants of the index.

Rules: members are ANDed, the values of one are ORed; an empty list is as good as none. Operation types and states say nothing
about notifications of other types than VnfLcmOperationOccurrenceNotification.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from forestay_notify.api import SubscriptionRequest
from forestay_notify.filter_index import Wanted
from forestay_notify.vnf_filter import VnfInstanceSubscriptionFilter, wanted_instances
from forestay_sol.vnflcm import LcmOperation, LcmOperationState, Sol

NotificationType = Literal[
    "VnfLcmOperationOccurrenceNotification", "VnfIdentifierCreationNotification", "VnfIdentifierDeletionNotification"
]


class LifecycleChangeNotificationsFilter(Sol, frozen=True, kw_only=True):
    """Of which instances, and of what about them."""

    vnf_instance_subscription_filter: VnfInstanceSubscriptionFilter | None = None
    notification_types: tuple[NotificationType, ...] = ()
    operation_types: tuple[LcmOperation, ...] = ()
    operation_states: tuple[LcmOperationState, ...] = ()


class LccnSubscriptionRequest(SubscriptionRequest, frozen=True, kw_only=True):
    """The body of POST subscriptions (SOL003 5.5.2.15)."""

    filter: LifecycleChangeNotificationsFilter | None = None


def wanted(filter_: dict[str, Any] | None) -> Wanted:
    """What a filter, as it was kept, wants of the facts that :mod:`forestay_lcm.subscriptions.notifications` states."""
    if filter_ is None:
        return {}
    given = msgspec.convert(filter_, LifecycleChangeNotificationsFilter)
    members = {
        "notificationTypes": given.notification_types,
        "operationTypes": given.operation_types,
        "operationStates": given.operation_states,
    }
    chosen = {attribute: values for attribute, values in members.items() if values}
    return {**wanted_instances(given.vnf_instance_subscription_filter), **chosen}

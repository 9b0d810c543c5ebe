"""The resource "Subscriptions" of VNF LCM: ``lcm.subscription.<id>`` in stream LCM, beside the VNF instances."""

from __future__ import annotations

from dataclasses import replace

from forestay_notify.api import Resource
from forestay_notify.subscription import definition
from forestay_sol.api import VNFLCM_V1, VNFLCM_V2

from forestay_lcm.api.v1.representation import notification_v1
from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.reads import STREAM
from forestay_lcm.subscriptions.filters import LccnSubscriptionRequest

_V1 = "v1"

LCCN_SUBSCRIPTIONS = Resource(
    name="LccnSubscription",
    path="/vnflcm/v2/subscriptions",
    api=VNFLCM_V2,
    request=LccnSubscriptionRequest,
    schema=SCHEMA,
    definition=definition(STREAM, "LccnSubscription"),
    version="2.0.0",
    dialects={_V1: notification_v1},
)

LCCN_SUBSCRIPTIONS_V1 = replace(
    LCCN_SUBSCRIPTIONS, path="/vnflcm/v1/subscriptions", api=VNFLCM_V1, version=None, verbose=False, dialect=_V1
)
"""The same subscriptions, as API version 1 knows them."""

"""The resource "Subscriptions" of VNF LCM: ``lcm.subscription.<id>`` in stream LCM, beside the VNF instances."""

from __future__ import annotations

from forestay_notify.api import Resource
from forestay_notify.subscription import definition
from forestay_sol.api import VNFLCM_V2

from forestay_lcm.catalogue import SCHEMA
from forestay_lcm.reads import STREAM
from forestay_lcm.subscriptions.filters import LccnSubscriptionRequest

LCCN_SUBSCRIPTIONS = Resource(
    name="LccnSubscription",
    path="/vnflcm/v2/subscriptions",
    api=VNFLCM_V2,
    request=LccnSubscriptionRequest,
    schema=SCHEMA,
    definition=definition(STREAM, "LccnSubscription"),
    version="2.0.0",
)

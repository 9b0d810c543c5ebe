"""Metrics of the delivery of notifications."""

from __future__ import annotations

from forestay_events.metrics import METRICS
from prometheus_client import Counter, Gauge

TRIES = Counter(
    "forestay_notification_tries",
    "Deliveries tried, by outcome: delivered, rejected (this notification), down (the subscriber)",
    ["outbox", "outcome"],
    registry=METRICS.registry,
)
IN_HAND = Gauge("forestay_notification_lanes_in_hand", "Lanes being emptied", ["outbox"], registry=METRICS.registry)
EXPIRED = Counter("forestay_notifications_expired", "Notifications given up", ["outbox"], registry=METRICS.registry)

"""The metrics of this process, in Prometheus' default registry, which ``/metrics`` shows."""

from __future__ import annotations

from prometheus_client import REGISTRY

from forestay_events.telemetry import Metrics

METRICS = Metrics(REGISTRY)

"""The metrics of the event library, in Prometheus' default registry, which ``/metrics`` shows."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_APPEND_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)  # seconds
_WORK_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)  # seconds


class Metrics:
    """The metrics; services add their own to ``registry``."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry

        def counter(name: str, text: str, label: str) -> Counter:
            return Counter(f"forestay_{name}", text, [label], registry=registry)

        def gauge(name: str, text: str, label: str) -> Gauge:
            return Gauge(f"forestay_{name}", text, [label], registry=registry)

        def seconds(name: str, text: str, label: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"forestay_{name}_seconds", text, [label], buckets=buckets, registry=registry)

        self.appends = counter("log_appends", "Commits appended", "stream")
        self.append_seconds = seconds("log_append", "Time of an append until its outcome", "stream", _APPEND_BUCKETS)
        self.conflicts = counter("log_conflicts", "Appends that lost to another writer", "stream")
        self.projection_position = gauge("projection_position", "Last stream sequence applied", "projection")
        self.projection_lag = gauge("projection_lag", "Commits not yet applied", "projection")
        self.projection_stopped = gauge("projection_stopped", "1 when stopped by a poison event", "projection")
        self.work_done = counter("work_done", "Commands done", "queue")
        self.work_retried = counter("work_retried", "Commands put back for another try", "queue")
        self.work_dead = counter("work_dead", "Commands given up", "queue")
        self.work_unstaffed = gauge("work_unstaffed", "Commands that wait and no process takes", "queue")
        self.work_seconds = seconds("work", "Time of one try of a command", "queue", _WORK_BUCKETS)
        self.timers = counter("timers", "Durable timers by what happened to them: set, fired, cancelled", "outcome")


METRICS = Metrics(REGISTRY)

"""What the gateway counts for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The gateway's metrics; `registry` is what /metrics shows."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attending = Gauge("fedward_gateway_attending", "Trainers attending now", registry=self.registry)
        self.bytes = Counter(
            "fedward_gateway_bytes_total",
            "Bytes relayed, by direction: down is models in, up is updates out of the hospital",
            ["direction"],
            registry=self.registry,
        )
        self.released = Counter(
            "fedward_gateway_released_total", "Updates that the aggregator has acknowledged", registry=self.registry
        )
        self.evaluations = Counter("fedward_gateway_evaluations_total", "Evaluations let out", registry=self.registry)
        self.refusals = Counter(
            "fedward_gateway_refusals_total", "What the gateway or the hub refused", ["reason"], registry=self.registry
        )
        self.filter_seconds = Histogram(
            "fedward_gateway_filter_seconds",
            "Time to filter and encode an update",
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100),
            registry=self.registry,
        )
        self.spent_epsilon = Gauge(
            "fedward_gateway_spent_epsilon",
            "Privacy loss of a dataset so far; absent where an update left without a guarantee",
            ["dataset"],
            registry=self.registry,
        )

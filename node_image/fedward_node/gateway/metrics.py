"""What the gateway counts for Prometheus."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


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
            "fedward_gateway_released_total",
            "Updates let out whole; one that had to be sent again counts again",
            registry=self.registry,
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

    def watch_volumes(self, volumes: Mapping[str, Path]) -> None:
        """Show from now on how full these are, looked at whenever somebody asks."""
        self.registry.register(_Volumes(volumes))


class _Volumes(Collector):
    def __init__(self, volumes: Mapping[str, Path]) -> None:
        self._volumes = volumes

    def collect(self) -> Iterator[Metric]:
        """Look at each volume; one that cannot be read is left out, and the readiness says why."""
        free = GaugeMetricFamily("fedward_gateway_volume_free_bytes", "Room left on a volume", labels=["volume"])
        size = GaugeMetricFamily("fedward_gateway_volume_size_bytes", "Size of a volume", labels=["volume"])
        for name, folder in self._volumes.items():
            with contextlib.suppress(OSError):
                usage = shutil.disk_usage(folder)
                free.add_metric([name], usage.free)
                size.add_metric([name], usage.total)
        yield from (free, size)

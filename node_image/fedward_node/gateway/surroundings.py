"""What a gateway depends on and does not make itself, looked at whenever Prometheus asks: volumes and certificate."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class Volumes(Collector):
    """How full volumes are.

    Attributes:
        folders: what is kept there to where it lies.
    """

    def __init__(self) -> None:
        self.folders: Mapping[str, Path] = {}

    def describe(self) -> Iterator[Metric]:
        """Yield both families, without samples."""
        yield from _volume_families()

    def collect(self) -> Iterator[Metric]:
        """Look at each volume; one that cannot be read is left out, and the readiness says why."""
        free, size = _volume_families()
        for name, folder in self.folders.items():
            with contextlib.suppress(OSError):
                usage = shutil.disk_usage(folder)
                free.add_metric([name], usage.free)
                size.add_metric([name], usage.total)
        yield from (free, size)


class Expiry(Collector):
    """When the site's certificate ends; read anew, as it is renewed while the gateway runs.

    Attributes:
        ends_at: asks for it; None until there is a certificate.
    """

    def __init__(self) -> None:
        self.ends_at: Callable[[], datetime] | None = None

    def describe(self) -> Iterator[Metric]:
        """Yield the family, without a sample."""
        yield _expiry_family()

    def collect(self) -> Iterator[Metric]:
        """Look at the certificate in use."""
        family = _expiry_family()
        if self.ends_at is not None:
            family.add_metric([], self.ends_at().timestamp())
        yield family


def _volume_families() -> tuple[GaugeMetricFamily, GaugeMetricFamily]:
    return (
        GaugeMetricFamily("fedward_gateway_volume_free_bytes", "Room left on a volume", labels=["volume"]),
        GaugeMetricFamily("fedward_gateway_volume_size_bytes", "Size of a volume", labels=["volume"]),
    )


def _expiry_family() -> GaugeMetricFamily:
    name = "fedward_gateway_certificate_not_after_timestamp_seconds"
    return GaugeMetricFamily(name, "When the site's certificate expires", labels=[])

"""Gauges of what the process stands on: its disk and its certificate."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.registry import Collector

from fedward_server.metrics.families import Families, Family

_TABLE = {
    "spool_bytes": Family("Bytes of updates on disk"),
    "volume_free_bytes": Family("Room left on the volume of journal, updates and models"),
    "volume_size_bytes": Family("Size of the volume of journal, updates and models"),
    "certificate_not_after_timestamp_seconds": Family("When the certificate expires"),
}


class HostGauges(Collector):
    """Looks at disk and certificate."""

    def __init__(self, volume: Path, spool_nbytes: Callable[[], int], expires: Callable[[], datetime]) -> None:
        self._volume, self._spool_nbytes, self._expires = volume, spool_nbytes, expires

    def describe(self) -> Iterator[Metric]:
        """Say what there is to look at."""
        return iter(Families(_TABLE))

    def collect(self) -> Iterator[Metric]:
        """Look; what cannot be read is left out, so that the rest is still shown."""
        found = Families(_TABLE)
        with contextlib.suppress(OSError):
            found.add("spool_bytes", self._spool_nbytes())
        with contextlib.suppress(OSError):
            usage = shutil.disk_usage(self._volume)
            found.add("volume_free_bytes", usage.free)
            found.add("volume_size_bytes", usage.total)
        found.add("certificate_not_after_timestamp_seconds", self._expires().timestamp())
        return iter(found)

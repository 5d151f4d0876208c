"""Measures a scrape of the hub's operator: `python -m bench.metrics_operator`; takes no cluster."""

from __future__ import annotations

import gzip
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.registry import Collector

from fedward_operator.hub.caches import HubCaches
from fedward_operator.metrics import Metrics, hub

_NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
_METRICS = ("dice", "dice_et", "dice_tc", "dice_wt")
_REPEATS = 5

_HOLD = {"Admitted": "Planned", "Running": "Training", "QuorumMet": "EnoughSites"}
_DO_NOT = {"Degraded": "AsExpected", "Completed": "NotFinished", "Failed": "NotFailed", "Suspended": "NotSuspended"}


AT_MOST_S, AT_MOST_NBYTES = 0.2, 2_000_000
"""A scrape's CPU seconds and its page, before it is compressed, at the promised scale."""


@dataclass(frozen=True, slots=True)
class Scale:
    """How much a hub has to show."""

    jobs: int
    sites: int


PROMISED = Scale(1000, 4)
OTHERS = Scale(30, 71), Scale(1000, 71)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a scrape: its page, compressed too, and the CPU seconds that it takes.

    Attributes:
        floor_s: what Prometheus' client alone takes to write the same page, of families that are there already.
    """

    series: int
    nbytes: int
    compressed_nbytes: int
    seconds: float
    floor_s: float

    @property
    def ratio(self) -> float:
        """How the scrape stands to its floor."""
        return self.seconds / self.floor_s


def main() -> int:
    """Print a line a scale; the exit status is 1 when the promised one costs more than it may."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; the best of {_REPEATS} scrapes", flush=True)
    promised = measure(PROMISED)
    limits = f", at most {AT_MOST_NBYTES / 1e6:g} MB and {AT_MOST_S * 1e3:g} ms"
    print(row(PROMISED, promised) + limits, flush=True)
    for scale in OTHERS:
        print(row(scale, measure(scale)), flush=True)
    return int(promised.seconds > AT_MOST_S or promised.nbytes > AT_MOST_NBYTES)


def row(scale: Scale, cost: Cost) -> str:
    """Say what a scale costs."""
    return (
        f"{scale.jobs:>5} jobs of {scale.sites:>2} sites: {cost.series:>6} series, {cost.nbytes / 1e6:.2f} MB, "
        f"{cost.compressed_nbytes / 1e6:.3f} MB compressed, {cost.seconds * 1e3:.0f} ms, {cost.ratio:.1f} x floor"
    )


def measure(scale: Scale) -> Cost:
    """Scrape a hub of this scale."""
    metrics, caches = Metrics("hub"), filled(scale)
    metrics.show(lambda: hub.jobs(caches))
    metrics.show(lambda: hub.sites(caches, _NOW))
    bare = CollectorRegistry(auto_describe=False)
    bare.register(Made(list(metrics.registry.collect())))
    seconds, page = _best(metrics.registry)
    series = sum(not line.startswith(b"#") for line in page.splitlines())
    return Cost(series, len(page), len(gzip.compress(page, 1)), seconds, _best(bare)[0])


class Made(Collector):
    """Gives families that were made before."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """Give them."""
        return self._families


def filled(scale: Scale) -> HubCaches:
    """Make the caches of a hub whose jobs all train."""
    caches = HubCaches(lambda _: None, lambda _: None, lambda _: None, lambda: _NOW)
    sites = [f"hospital-{number:02}" for number in range(scale.sites)]
    for site in sites:
        caches.sites.put({"metadata": {"name": site, "uid": site, "resourceVersion": "1"}})
    for number in range(scale.jobs):
        caches.jobs.put(_job(f"brain-tumour-{number:04}", sites))
    return caches


def _best(registry: CollectorRegistry) -> tuple[float, bytes]:
    return min((_timed(registry) for _ in range(_REPEATS)), key=lambda each: each[0])


def _timed(registry: CollectorRegistry) -> tuple[float, bytes]:
    began = time.thread_time()
    page = generate_latest(registry)
    return time.thread_time() - began, page


def _job(name: str, sites: list[str]) -> dict[str, Any]:
    metadata = {"namespace": "research", "name": name, "uid": name, "resourceVersion": "1"}
    spec = {
        "model": {"network": {"name": "SegResNet", "args": {"init_filters": 16}}},
        "data": {"dataset": "brats", "format": "brats", "modalities": ["t1c", "t1n", "t2w", "t2f"]},
        "sites": {"names": sites},
        "rounds": {"count": 300, "quorum": "80%", "minSites": 3, "deadline": "30m", "grace": "60s"},
    }
    means = dict.fromkeys(_METRICS, 0.8125)
    status = {
        "state": "Training",
        "attempt": 1,
        "round": 7,
        "rounds": 300,
        "metrics": means,
        "conditions": list(_conditions()),
        "sites": [
            {"name": site, "state": "Training", "message": "", "round": 7, "samples": 77, "metrics": means}
            for site in sites
        ],
    }
    created = {"creationTimestamp": "2026-03-01T12:00:00Z", "generation": 1}
    return {"metadata": {**metadata, **created}, "spec": spec, "status": status}


def _conditions() -> Iterator[dict[str, Any]]:
    for status, reasons in (("True", _HOLD), ("False", _DO_NOT)):
        for kind, reason in reasons.items():
            yield {
                "type": kind,
                "status": status,
                "observedGeneration": 1,
                "lastTransitionTime": "2026-03-01T12:00:00Z",
                "reason": reason,
                "message": "round 7 of 300",
            }


if __name__ == "__main__":
    sys.exit(main())

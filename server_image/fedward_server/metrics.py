"""What the aggregator counts, for Prometheus; labels take only values from closed lists."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

_SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
SITE_STATES = ("Absent", "Attending", "Training", "Submitted", "Lost", "Failed")


class Metrics:
    """The aggregator's metrics, on a registry of their own; all names begin with `fedward_aggregator_`."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.build = Info("fedward_aggregator_build", "Version of the software", registry=registry)
        self.round = Gauge("fedward_aggregator_round", "The open round", registry=registry)
        self.rounds = Gauge("fedward_aggregator_rounds", "Rounds of the job", registry=registry)
        self.attempt = Gauge("fedward_aggregator_attempt", "Attempt of the job", registry=registry)
        self.arrived = Gauge("fedward_aggregator_updates_arrived", "Updates in the open round", registry=registry)
        self.quorum = Gauge("fedward_aggregator_quorum", "Updates that may close a round", registry=registry)
        self.sites = Gauge("fedward_aggregator_sites", "Sites by state", ["state"], registry=registry)
        self.updates = Counter("fedward_aggregator_updates", "Updates accepted", registry=registry)
        self.refusals = Counter("fedward_aggregator_refusals", "Refusals by reason", ["reason"], registry=registry)
        self.bytes_in = Counter("fedward_aggregator_received_bytes", "Bytes of updates received", registry=registry)
        self.bytes_out = Counter("fedward_aggregator_sent_bytes", "Bytes of models sent", registry=registry)
        self.lost = Counter("fedward_aggregator_sites_lost", "Times a site was found silent or gone", registry=registry)
        self.aggregate_seconds = Histogram(
            "fedward_aggregator_aggregate_seconds", "Time to make a model", buckets=_SECONDS, registry=registry
        )
        self.round_seconds = Histogram(
            "fedward_aggregator_round_seconds",
            "Time from a round's opening to its model",
            buckets=_SECONDS,
            registry=registry,
        )
        self.spool_bytes = Gauge("fedward_aggregator_spool_bytes", "Bytes of updates on disk", registry=registry)
        self.storage_full = Gauge(
            "fedward_aggregator_storage_full", "1 while the last write found no space", registry=registry
        )

    def watch_spool(self, nbytes: Callable[[], int]) -> None:
        """Ask for the spool's size at each scrape."""
        self.spool_bytes.set_function(nbytes)

    def watch_sites(self, states: Callable[[], list[str]]) -> None:
        """Ask for the sites' states at each scrape, so that the count is right without anybody keeping it."""
        for state in SITE_STATES:
            self.sites.labels(state).set_function(partial(_count, states, state))


def _count(states: Callable[[], list[str]], state: str) -> int:
    return states().count(state)

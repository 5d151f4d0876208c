"""What the aggregator shows Prometheus; all names begin with `fedward_aggregator_`, every sample names the job."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from prometheus_client import Counter, Gauge, Info

from fedward_protocol.labelled_registry import LabelledRegistry
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason
from fedward_server import events
from fedward_server.metrics.families import PREFIX
from fedward_server.metrics.host import HostGauges
from fedward_server.metrics.job import JobGauges
from fedward_server.metrics.rounds import RoundCounts
from fedward_server.metrics.sites import SiteGauges
from fedward_server.metrics.watched import Watched
from fedward_server.rounds.state import JobState


class Metrics:
    """The aggregator's metrics; `registry` is what /metrics shows."""

    def __init__(self, plan: Plan) -> None:
        self.registry = LabelledRegistry({"job_namespace": plan.job.namespace, "job_name": plan.job.name})
        build = Info(PREFIX + "build", "Version of the software", registry=self.registry)
        build.info({"version": version("fedward")})
        self._refusals = Counter(
            PREFIX + "refusals",
            "What was refused since this process started, by reason; no site where the caller is none of the job's",
            ["site", "reason"],
            registry=self.registry,
        )
        self.storage_full = Gauge(
            PREFIX + "storage_full", "1 while the last write found no space", registry=self.registry
        )
        self._rounds = RoundCounts(self.registry, plan.sites)
        self._plan = plan

    def watch_job(self, job: Watched) -> None:
        """Read the job's gauges and its sites' at each scrape, so that nobody keeps them."""
        self.registry.register(JobGauges(job))
        self.registry.register(SiteGauges(job))

    def watch_host(self, volume: Path, spool_nbytes: Callable[[], int], expires: Callable[[], datetime]) -> None:
        """Look at disk and certificate at each scrape."""
        self.registry.register(HostGauges(volume, spool_nbytes, expires))

    def take(self, before: JobState, event: events.AnyEvent) -> None:
        """Count what an event adds, those of the journal included; `before` is the state in which it happened."""
        self._rounds.take(before, event)

    def refused(self, site: str, reason: Reason) -> None:
        """Count a refusal; `site` is whoever it was said to claimed to be, and is shown only where it is the job's."""
        self._refusals.labels(site if site in self._plan.sites else "", reason.value).inc()
        if reason is Reason.STORAGE_FULL:
            self.storage_full.set(1)

"""What the gateway counts for Prometheus; a job's series go once the gateway forgets the job."""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prometheus_client import Counter, Gauge, Histogram, Info

from fedward_node.gateway.surroundings import Expiry, Volumes
from fedward_node.gateway.trainers import JOB, Trainer, Trainers
from fedward_protocol.labelled_registry import LabelledRegistry
from fedward_protocol.plan import JobIdentity
from fedward_protocol.reasons import Reason
from fedward_protocol.work_order import WorkOrder

MOST_JOBS = 64
"""Jobs with series of their own; of more, those whose trainers are gone longest lose theirs."""

CALLS = ("Attend", "FetchModel", "SubmitUpdate")

_Job = tuple[str, str]


@dataclass(frozen=True, slots=True)
class JobSeries:
    """What is counted for one job."""

    trainer: Trainer
    up: Counter
    down: Counter
    released: Counter
    evaluations: Counter


class Metrics:
    """The gateway's metrics; `registry` is what /metrics shows.

    Args:
        site: whose gateway this is; each sample says so.
        now: the wall clock, Unix seconds.
    """

    def __init__(self, site: str, now: Callable[[], float] = time.time) -> None:
        self.registry = registry = LabelledRegistry({"site": site})
        self._now = now
        self._jobs: dict[_Job, JobSeries] = {}
        self._trainers: dict[_Job, Trainer] = {}
        self._volumes, self._expiry = Volumes(), Expiry()
        for collector in (Trainers(self._trainers), self._volumes, self._expiry):
            registry.register(collector)
        build = Info("fedward_gateway_build", "Version of the software", registry=registry)
        build.info({"version": importlib.metadata.version("fedward")})
        self._bytes = Counter(
            "fedward_gateway_bytes_total",
            "Bytes relayed, by direction: down is models in, up is updates out of the hospital",
            [*JOB, "direction"],
            registry=registry,
        )
        self._released = Counter(
            "fedward_gateway_released_total",
            "Updates let out whole; one that had to be sent again counts again",
            JOB,
            registry=registry,
        )
        self._evaluations = Counter("fedward_gateway_evaluations_total", "Evaluations let out", JOB, registry=registry)
        self._refusals = Counter(
            "fedward_gateway_refusals_total",
            "What the gateway or the hub refused; without a job where no work order could be believed",
            [*JOB, "reason"],
            registry=registry,
        )
        self._calls_failed = Counter(
            "fedward_gateway_calls_failed_total",
            "Calls to the hub that could not be made or broke; trainers make them again",
            ["call"],
            registry=registry,
        )
        for call in CALLS:
            self._calls_failed.labels(call)
        self.filter_seconds = Histogram(
            "fedward_gateway_filter_seconds",
            "Time to filter and encode an update",
            buckets=(0.1, 0.3, 1, 3, 10, 30, 100),
            registry=registry,
        )
        self.audit_entries = Counter(
            "fedward_gateway_audit_entries_total", "Entries that calls have left in the audit log", registry=registry
        )
        self._spent = Gauge(
            "fedward_gateway_spent_epsilon",
            "Privacy loss of a dataset so far; absent where an update left without a guarantee",
            ["dataset"],
            registry=registry,
        )
        self._budget = Gauge(
            "fedward_gateway_budget_epsilon",
            "Privacy loss that a dataset may ever suffer; absent where the policy sets no limit",
            ["dataset"],
            registry=registry,
        )

    def of(self, job: JobIdentity) -> JobSeries:
        """Return the job's series; from the first time on they are there, at zero."""
        key = (job.namespace, job.name)
        if key not in self._jobs:
            self._make_room()
            self._trainers[key] = Trainer(self._now)
            self._jobs[key] = JobSeries(
                self._trainers[key],
                self._bytes.labels(*key, "up"),
                self._bytes.labels(*key, "down"),
                self._released.labels(*key),
                self._evaluations.labels(*key),
            )
        return self._jobs[key]

    def keep(self, jobs: Collection[JobIdentity]) -> None:
        """Forget the series of other jobs than these, but for one whose trainer is on the line."""
        kept = {(job.namespace, job.name) for job in jobs}
        for key in [key for key, trainer in self._trainers.items() if key not in kept and not trainer.is_on_the_line]:
            self._forget(key)

    def refused(self, job: JobIdentity | None, reason: Reason) -> None:
        """Count a refusal; None where no order was believed, so that nobody can make up a job."""
        key = ("", "")
        if job is not None:
            key = (job.namespace, job.name)
            self.of(job)  # so that what is counted here is forgotten with the rest
        self._refusals.labels(*key, reason.value).inc()

    def call_failed(self, call: str) -> None:
        """Count a call to the hub, one of `CALLS`, that broke."""
        self._calls_failed.labels(call).inc()

    def show_budget(self, order: WorkOrder) -> None:
        """Show what the order's dataset may lose."""
        _show(self._budget, order.dataset, order.budget.epsilon if order.budget else None)

    def show_spent(self, dataset: str, epsilon: float | None) -> None:
        """Show what a dataset has lost; None where there is no sum, as something left without a guarantee."""
        _show(self._spent, dataset, epsilon)

    def watch_volumes(self, folders: Mapping[str, Path]) -> None:
        """Show from now on how full these are."""
        self._volumes.folders = folders

    def watch_certificate(self, ends_at: Callable[[], datetime]) -> None:
        """Show from now on when the certificate expires."""
        self._expiry.ends_at = ends_at

    def _make_room(self) -> None:
        """Forget the job that was heard of longest ago, so that jobs of short orders do not pile up."""
        gone = [key for key, trainer in self._trainers.items() if not trainer.is_on_the_line]
        if len(self._jobs) >= MOST_JOBS and gone:
            self._forget(min(gone, key=lambda key: self._trainers[key].said.heard_at))

    def _forget(self, key: _Job) -> None:
        del self._jobs[key], self._trainers[key]
        for family in (self._bytes, self._released, self._evaluations, self._refusals):
            family.remove_by_labels(dict(zip(JOB, key, strict=True)))


def _show(gauge: Gauge, dataset: str, value: float | None) -> None:
    if value is not None:
        gauge.labels(dataset).set(value)
    else:
        gauge.remove_by_labels({"dataset": dataset})

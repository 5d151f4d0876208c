"""What a site's operator shows, read from what it knows at the moment of the scrape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from fedward_operator.metrics.gauge import Gauge, Sample
from fedward_operator.policy import conditions

if TYPE_CHECKING:
    from fedward_operator.api.policy import SitePolicySpec
    from fedward_operator.site.caches import SiteCaches

_PART = Gauge(
    "fedward_operator_site_job_state",
    "1 for the state that the site's part in a job is in",
    ("job_namespace", "job_name", "state"),
)
_HUB = Gauge("fedward_operator_hub_connected", "1 while the hub hears the site, else 0")
_MEMBERSHIP = Gauge(
    "fedward_operator_membership_not_after_timestamp_seconds",
    "Until when the site's certificate is good, Unix time; absent where it was not the operator that got it",
)
_READY = Gauge("fedward_operator_policy_ready", "1 where one SitePolicy holds, else 0: then nothing runs")
_CASES = Gauge("fedward_operator_dataset_cases", "Cases that the last inspection of a dataset found", ("dataset",))
_ALLOWED = Gauge("fedward_operator_gpus_allowed", "GPUs that the policy lends to all trainers together")
_USED = Gauge("fedward_operator_gpus_used", "GPUs that trainers hold now")

GAUGES = (_PART, _HUB, _MEMBERSHIP, _READY, _CASES, _ALLOWED, _USED)


def parts(caches: SiteCaches) -> Iterator[Sample]:
    """Show the site's part in each job."""
    for part in caches.mirrored.values():
        yield _PART, (*part.job, part.status.get("state", "Pending")), 1


def policy(caches: SiteCaches, spec: SitePolicySpec | None, cases: Mapping[str, int]) -> Iterator[Sample]:
    """Show what the policy allows and what is used of it; `spec` is None where none holds."""
    known = caches.policies.values()
    yield _READY, (), len(known) == 1 and conditions.holds(known[0].status.get("conditions") or (), "Ready")
    for dataset, count in cases.items():
        yield _CASES, (dataset,), count
    yield _ALLOWED, (), spec.gpus.count * spec.concurrency if spec and spec.gpus else 0
    running = (job for job in caches.trainers.values() if not (job.complete or job.failed or job.deleting))
    yield _USED, (), sum(job.gpus for job in running)


def membership(is_heard: bool, not_after: datetime | None) -> Iterator[Sample]:
    """Show whether the hub hears the site, and until when its certificate is good."""
    yield _HUB, (), is_heard
    if not_after is not None:
        yield _MEMBERSHIP, (), not_after.timestamp()

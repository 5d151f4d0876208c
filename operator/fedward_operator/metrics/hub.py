"""What a hub shows of its jobs and its sites, read from what it knows of them at the moment of the scrape."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fedward_operator.hub.tracking.finding import NOT_OFFERED
from fedward_operator.metrics.gauge import Gauge, Sample
from fedward_operator.policy import conditions, naming
from fedward_operator.policy.pods import JobView as AggregatorJob
from fedward_operator.policy.quorum import COUNTS
from fedward_protocol.plan import Evaluation

if TYPE_CHECKING:
    from fedward_operator.hub.authority import HubAuthority
    from fedward_operator.hub.caches import HubCaches

_MOST_JOBS = 2000
"""How many jobs are shown one by one: beyond that, a scrape would cost more than it tells."""

_MOST_PARTS = 1800
"""How many sites of jobs are shown one by one, for the same reason; a job's aggregator shows all of its own."""

_JOB = ("job_namespace", "job_name")

_STATE = Gauge("fedward_operator_job_state", "1 for the state that a job is in", (*_JOB, "state"))
_ROUND = Gauge("fedward_operator_job_round", "The open round", _JOB)
_ROUNDS = Gauge("fedward_operator_job_rounds", "Rounds asked for", _JOB)
_CREATED = Gauge("fedward_operator_job_created_timestamp_seconds", "When a job was created, Unix time", _JOB)
_ATTEMPT = Gauge("fedward_operator_job_attempt", "How often a job has been started", _JOB)
_FAILURES = Gauge(
    "fedward_operator_job_aggregator_failures",
    "How often a job's aggregator has failed since the job was started last; absent before it has one",
    _JOB,
)
_CONDITION = Gauge(
    "fedward_operator_job_condition", "1 for each condition of a job that is true", (*_JOB, "condition", "reason")
)
_TRACKED = Gauge(
    "fedward_operator_job_tracked",
    "1 while all of a job is logged at the MLflow server that it names, 0 while it is not; absent where nobody knows",
    _JOB,
)
_WANTED = Gauge("fedward_operator_job_sites_wanted", "Sites of a job's plan", _JOB)
_READY = Gauge("fedward_operator_job_sites_ready", "Sites of a job's plan that take part or have done theirs", _JOB)
_SCORE = Gauge(
    "fedward_operator_job_score",
    "Mean over the cases of all sites, of the last evaluated model, by the metric that the best one is chosen by",
    (*_JOB, "metric"),
)
_SITE_STATE = Gauge(
    "fedward_operator_job_site_state",
    "1 for the state that a site's part is in, while the job has not ended",
    (*_JOB, "site", "state"),
)
_SITE_ROUND = Gauge("fedward_operator_job_site_round", "A site's round, while the job has not ended", (*_JOB, "site"))

_CONNECTED = Gauge("fedward_operator_site_connected", "1 for a site whose operator is heard, else 0", ("site",))
_SEEN = Gauge(
    "fedward_operator_site_last_seen_timestamp_seconds",
    "When a site's operator was last heard, Unix time of the hub's clock",
    ("site",),
)
_GPUS = Gauge("fedward_operator_site_gpus", "GPUs that a site lends to one job", ("site",))
_REVOKED = Gauge("fedward_operator_site_revoked", "1 for a site that belongs to the federation no more", ("site",))
_AUTHORITY = Gauge(
    "fedward_operator_authority_not_after_timestamp_seconds",
    "Until when the certificate of the federation's authority is good, Unix time",
)

GAUGES = (
    *(_STATE, _ROUND, _ROUNDS, _CREATED, _ATTEMPT, _FAILURES, _CONDITION, _TRACKED, _WANTED, _READY, _SCORE),
    *(_SITE_STATE, _SITE_ROUND, _CONNECTED, _SEEN, _GPUS, _REVOKED, _AUTHORITY),
)


def jobs(caches: HubCaches) -> Iterator[Sample]:
    """Show each job; of one that has not ended, each site's part too."""
    parts, aggregators = 0, _newest(caches.aggregators.values())
    # What changed last is last in a cache: where there are too many, those are left out that stand still.
    for view in caches.jobs.values()[: -_MOST_JOBS - 1 : -1]:
        job = view.read()
        yield from _job(view.key, job)
        aggregator = aggregators.get(view.uid)
        if aggregator is not None:
            yield _FAILURES, view.key, aggregator.failures
        sites = () if _has_ended(job["status"]) else job["status"].get("sites") or ()
        parts += len(sites)
        if parts <= _MOST_PARTS:
            yield from _parts(view.key, sites)


def sites(caches: HubCaches, now: datetime) -> Iterator[Sample]:
    """Show each site that was invited."""
    for site in caches.sites.values():
        who = (site.name,)
        beat = caches.heartbeats.get((naming.mailbox(site.name), naming.HEARTBEAT))
        yield _CONNECTED, who, site.is_connected(beat, now)
        yield _REVOKED, who, site.invited.revoked
        heard = beat.heard if beat else conditions.read_time(site.status.get("lastSeen"))
        if heard is not None:
            yield _SEEN, who, heard.timestamp()
        if beat is not None:
            yield _GPUS, who, beat.gpus


def authority(held: HubAuthority) -> Iterator[Sample]:
    """Show until when the federation's authority is good, once there is one."""
    if held.ready.is_set():
        yield _AUTHORITY, (), held.not_after.timestamp()


def _newest(aggregators: Iterable[AggregatorJob]) -> Mapping[str, AggregatorJob]:
    """Find each job's aggregator, by the job's uid; that of its attempt before may still be going away."""
    return {each.owner: each for each in sorted(aggregators, key=lambda each: each.attempt)}


def _job(who: tuple[str, str], job: Mapping[str, Any]) -> Iterator[Sample]:
    said = job["status"]
    yield _STATE, (*who, said.get("state", "Pending")), 1
    yield _ROUND, who, said.get("round", 0)
    yield _ROUNDS, who, job["spec"]["rounds"]["count"]
    yield _ATTEMPT, who, said.get("attempt", 0)
    created = conditions.read_time(job["metadata"].get("creationTimestamp"))
    if created is not None:
        yield _CREATED, who, created.timestamp()
    for each in said.get("conditions") or ():
        if each["status"] == "True":
            yield _CONDITION, (*who, each["type"], each["reason"]), 1
    tracked = conditions.find(said.get("conditions") or (), "Tracked")
    # A hub that runs no trackers is no fault of a job's.
    if tracked is not None and tracked["status"] != "Unknown" and tracked["reason"] != NOT_OFFERED:
        yield _TRACKED, who, tracked["status"] == "True"
    sites = said.get("sites") or ()
    yield _WANTED, who, len(sites)
    yield _READY, who, sum(site["state"] in COUNTS for site in sites)
    # One metric of up to 64: all of them, of every job, would be too many; a job's aggregator shows them.
    judged_by = job["spec"].get("evaluation", {}).get("metric", Evaluation().metric)
    score = (said.get("metrics") or {}).get(judged_by)
    if score is not None:
        yield _SCORE, (*who, judged_by), score


def _parts(who: tuple[str, str], sites: Sequence[Mapping[str, Any]]) -> Iterator[Sample]:
    for site in sites:
        yield _SITE_STATE, (*who, site["name"], site["state"]), 1
        yield _SITE_ROUND, (*who, site["name"]), site.get("round", 0)


def _has_ended(said: Mapping[str, Any]) -> bool:
    of = said.get("conditions") or ()
    return conditions.holds(of, "Completed") or conditions.holds(of, "Failed")

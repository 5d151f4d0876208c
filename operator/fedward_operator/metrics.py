"""The operator's own metrics, all called `fedward_operator_*`; labels have few values, but for job and site."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Histogram, Info
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

_MOST_JOBS = 2000
"""How many jobs are shown one by one: beyond that, a scrape would cost more than it tells."""


@dataclass(frozen=True, slots=True)
class JobSample:
    """One job, for a scrape."""

    namespace: str
    name: str
    state: str
    round: int
    rounds: int
    age_s: float
    sites: tuple[tuple[str, str, int], ...]
    """Name, state and round."""


class Metrics:
    """Counts what the operator does."""

    def __init__(self, role: str) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Counter(
            "fedward_operator_reconciles", "Reconciliations", ["kind", "result"], registry=self.registry
        )
        self._seconds = Histogram(
            "fedward_operator_reconcile_seconds",
            "Duration of a reconciliation",
            ["kind"],
            buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30),
            registry=self.registry,
        )
        self._calls = Counter(
            "fedward_operator_api_calls",
            "Calls to an API server by verb and HTTP status; code 0 had no answer",
            ["server", "verb", "code"],
            registry=self.registry,
        )
        self._restarts = Counter(
            "fedward_operator_watch_restarts",
            "Watches begun again after an error",
            ["kind", "cause"],
            registry=self.registry,
        )
        build = Info("fedward_operator_build", "What runs", registry=self.registry)
        build.info({"version": version("fedward"), "role": role})

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Count a reconciliation."""
        self._reconciles.labels(kind, result).inc()
        self._seconds.labels(kind).observe(seconds)

    def restarted(self, plural: str, cause: str) -> None:
        """Count a watch's restart."""
        self._restarts.labels(plural, cause).inc()

    def meter(self, server: str) -> ApiMeter:
        """Give a meter of the calls to one API server: `hub` or `site`."""
        return ApiMeter(self._calls, server)

    def watch_queues(self, depths: Callable[[], Iterable[tuple[str, int, float]]]) -> None:
        """Show kind, depth and age in seconds of each queue."""
        self.registry.register(_Gauges(lambda: _queues(depths())))

    def watch_caches(self, sizes: Callable[[], Iterable[tuple[str, int]]]) -> None:
        """Show how many objects of each kind are known."""
        self.registry.register(_Gauges(lambda: _caches(sizes())))

    def watch_jobs(self, jobs: Callable[[], Iterable[JobSample]]) -> None:
        """Show each job and its sites."""
        self.registry.register(_Gauges(lambda: _jobs(jobs())))


class ApiMeter:
    """Counts calls to one API server."""

    def __init__(self, calls: Counter, server: str) -> None:
        self._calls, self._server = calls, server

    def called(self, verb: str, code: int) -> None:
        """Count one."""
        self._calls.labels(self._server, verb, str(code)).inc()


class _Gauges(Collector):
    def __init__(self, read: Callable[[], Iterator[GaugeMetricFamily]]) -> None:
        self._read = read

    def collect(self) -> Iterator[GaugeMetricFamily]:
        return self._read()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return ()  # nothing is read before the first scrape


def _queues(depths: Iterable[tuple[str, int, float]]) -> Iterator[GaugeMetricFamily]:
    depth = GaugeMetricFamily("fedward_operator_queue_depth", "Objects that wait for a look", labels=["kind"])
    age = GaugeMetricFamily("fedward_operator_queue_age_seconds", "How long the first has waited", labels=["kind"])
    for kind, length, seconds in depths:
        depth.add_metric([kind], length)
        age.add_metric([kind], seconds)
    yield depth
    yield age


def _caches(sizes: Iterable[tuple[str, int]]) -> Iterator[GaugeMetricFamily]:
    cached = GaugeMetricFamily("fedward_operator_objects_cached", "Objects known", labels=["kind"])
    for kind, size in sizes:
        cached.add_metric([kind], size)
    yield cached


def _jobs(jobs: Iterable[JobSample]) -> Iterator[GaugeMetricFamily]:
    names = ["namespace", "job"]
    state = GaugeMetricFamily("fedward_operator_job_state", "1 for the state a job is in", labels=[*names, "state"])
    round_ = GaugeMetricFamily("fedward_operator_job_round", "The open round", labels=names)
    rounds = GaugeMetricFamily("fedward_operator_job_rounds", "Rounds asked for", labels=names)
    age = GaugeMetricFamily("fedward_operator_job_age_seconds", "Since it was created", labels=names)
    site = GaugeMetricFamily(
        "fedward_operator_job_site_state", "1 for the state a site's part is in", labels=[*names, "site", "state"]
    )
    site_round = GaugeMetricFamily("fedward_operator_job_site_round", "A site's round", labels=[*names, "site"])
    for number, job in enumerate(jobs):
        if number == _MOST_JOBS:
            break
        who = [job.namespace, job.name]
        state.add_metric([*who, job.state], 1)
        round_.add_metric(who, job.round)
        rounds.add_metric(who, job.rounds)
        age.add_metric(who, job.age_s)
        for name, each, reached in job.sites:
            site.add_metric([*who, name, each], 1)
            site_round.add_metric([*who, name], reached)
    yield from (state, round_, rounds, age, site, site_round)

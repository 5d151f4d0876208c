"""What the process does: reconciliations, calls, watches, queues; and the one registry that a scrape reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Literal

from prometheus_client import Counter, Histogram, Info

from fedward_operator.metrics import hub, site
from fedward_operator.metrics.gauge import Gauge, Gauges, Sample, Source
from fedward_protocol.labelled_registry import LabelledRegistry

_DEPTH = Gauge("fedward_operator_queue_depth", "Objects that wait for a look", ("kind",))
_AGE = Gauge(
    "fedward_operator_queue_age_seconds",
    "How long the object has waited that has waited longest to be made right: in line, in hand or failing; one that is "
    "to be looked at again later waits from then on",
    ("kind",),
)
_CACHED = Gauge("fedward_operator_objects_cached", "Objects known", ("kind",))
_LEADING = Gauge("fedward_operator_leading", "1 for the replica that acts, 0 for one that stands by")
_SYNCED = Gauge("fedward_operator_synced", "1 once everything that it looks at has been listed, 0 before")

_OF_ROLE = {"hub": hub.GAUGES, "site": site.GAUGES}


class Metrics:
    """Counts what the operator does, and shows what it knows; every family is there from the beginning."""

    def __init__(self, role: Literal["hub", "site"], site: str | None = None) -> None:
        """Make one for the hub, or for a hospital, whose name each of its samples carries."""
        self.registry = LabelledRegistry({} if site is None else {"site": site})
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
        self._gauges = Gauges([_DEPTH, _AGE, _CACHED, _LEADING, _SYNCED, *_OF_ROLE[role]])
        self.registry.register(self._gauges)
        self._is_leading: Callable[[], bool] = lambda: True

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

        def read() -> Iterator[Sample]:
            for kind, length, seconds in depths():
                yield _DEPTH, (kind,), length
                yield _AGE, (kind,), seconds

        self._gauges.add(read)

    def watch_caches(self, sizes: Callable[[], Iterable[tuple[str, int]]]) -> None:
        """Show how many objects of each kind are known."""
        self._gauges.add(lambda: ((_CACHED, (kind,), size) for kind, size in sizes()))

    def watch_process(self, is_leading: Callable[[], bool], is_synced: Callable[[], bool]) -> None:
        """Show whether this replica acts, and whether it knows all that it has to."""
        self._is_leading = is_leading
        self._gauges.add(lambda: [(_LEADING, (), is_leading()), (_SYNCED, (), is_synced())])

    def show(self, source: Source) -> None:
        """Show what a source says of the role's gauges, while this replica acts: one that stands by knows nothing."""
        self._gauges.add(lambda: source() if self._is_leading() else ())


class ApiMeter:
    """Counts calls to one API server."""

    def __init__(self, calls: Counter, server: str) -> None:
        self._calls, self._server = calls, server

    def called(self, verb: str, code: int) -> None:
        """Count one."""
        self._calls.labels(self._server, verb, str(code)).inc()

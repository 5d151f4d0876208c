"""What is counted of rounds and updates: from the journal's events, so that a restart forgets none of it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram

from fedward_server import events
from fedward_server.metrics.families import PREFIX
from fedward_server.metrics.stages import SITE_STAGES, stages_of
from fedward_server.rounds.state import JobState

SECONDS = (1, 3, 10, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800)
"""A stage of a small job takes seconds, a round of a large one hours."""


class RoundCounts:
    """Counts updates, and times rounds and their stages."""

    def __init__(self, registry: CollectorRegistry, sites: Iterable[str]) -> None:
        self._updates = Counter(PREFIX + "updates", "Updates accepted", ["site"], registry=registry)
        self._rounds = Histogram(
            PREFIX + "round_duration_seconds",
            "Time from a round's opening to its model",
            buckets=SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            PREFIX + "stage_duration_seconds",
            "Time that a stage took: fetch, evaluate, train, filter and submit at a site; "
            "wait (from the first update to the last) and aggregate in a round",
            ["stage"],
            buckets=SECONDS,
            registry=registry,
        )
        # All series from the start: one that begins with its first event has lost that event for `increase()`.
        for site in sites:
            self._updates.labels(site)
        for stage in (*SITE_STAGES, "wait", "aggregate"):
            self._stages.labels(stage)

    def take(self, before: JobState, event: events.AnyEvent) -> None:
        """Count what an event adds; `before` is the state in which it happened."""
        match event:
            case events.UpdateArrived():
                self._updates.labels(event.site).inc()
            case events.ModelMade() if before.closed is not None:
                self._take_round(before, before.closed, event)

    def _take_round(self, before: JobState, closed: events.RoundClosed, made: events.ModelMade) -> None:
        updates = [before.arrivals[site] for site in closed.counted]
        for update in updates:
            for stage, seconds in stages_of(update, before.opened_at).items():
                self._stages.labels(stage).observe(seconds)
        times = [update.at for update in updates]
        self._stages.labels("wait").observe(max(times) - min(times))
        self._stages.labels("aggregate").observe(made.seconds)
        self._rounds.observe(made.at - before.opened_at)

"""Gauges of the job as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.registry import Collector

from fedward_server.metrics.families import Families, Family
from fedward_server.metrics.watched import Watched
from fedward_server.rounds.state import JobState, Phase
from fedward_server.status import SITE_STATES, site_state

_TABLE = {
    "attempt": Family("Attempt of the job"),
    "round": Family("The open round, or the last one once all are closed; 0 before the first"),
    "rounds": Family("Rounds that the job asks for"),
    "state": Family("1 for the state that the job is in, 0 for the others", ("state",)),
    "round_opened_timestamp_seconds": Family(
        "Since when the open round, or the last model's evaluations, are awaited; absent while neither is"
    ),
    "round_deadline_timestamp_seconds": Family(
        "When the open round's deadline ends, the grace after it not counted; absent while no round is open"
    ),
    "updates_arrived": Family("Updates that have arrived in the open round"),
    "quorum": Family("Updates that may close a round"),
    "sites": Family("Sites by state", ("state",)),
    "metric": Family("Mean over the cases of all sites, of the last model that a whole round evaluated", ("metric",)),
    "best_score": Family(
        "Mean over the cases of all sites, of the best model so far, by the metric that it is chosen by; absent before "
        "a model was evaluated by it",
        ("metric",),
    ),
}


class JobGauges(Collector):
    """Reads the job."""

    def __init__(self, job: Watched) -> None:
        self._job = job

    def describe(self) -> Iterator[Metric]:
        """Say what there is to read."""
        return iter(Families(_TABLE))

    def collect(self) -> Iterator[Metric]:
        """Read it."""
        state, attendance, found = self._job.state, self._job.attendance, Families(_TABLE)
        found.add("attempt", state.attempt)
        found.add("round", state.round)
        found.add("rounds", state.plan.rounds.count)
        for phase in Phase:
            found.add("state", phase is state.phase, phase.value)
        _add_times(found, state)
        found.add("updates_arrived", len(state.arrivals))
        found.add("quorum", state.plan.rounds.quorum)
        counts = Counter(site_state(state, attendance, name) for name in state.plan.sites)
        for each in SITE_STATES:
            found.add("sites", counts[each], each)
        for metric, value in state.scores.items():
            found.add("metric", value, metric)
        if state.best_score is not None:
            found.add("best_score", state.best_score, state.plan.evaluation.metric)
        return iter(found)


def _add_times(found: Families, state: JobState) -> None:
    if state.phase in (Phase.TRAINING, Phase.AGGREGATING, Phase.EVALUATING):
        found.add("round_opened_timestamp_seconds", state.opened_at)
    if state.phase is Phase.TRAINING:
        found.add("round_deadline_timestamp_seconds", state.opened_at + state.plan.rounds.deadline_s)

"""Gauges of each site: how it stands, what it measured, how long it took, what it does right now."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client import Metric
from prometheus_client.registry import Collector

from fedward_protocol.wire import federation_pb2 as pb
from fedward_server.attendance import Visits
from fedward_server.metrics.families import Families, Family
from fedward_server.metrics.stages import stages_of
from fedward_server.metrics.watched import Watched
from fedward_server.rounds.state import JobState, Part
from fedward_server.status import site_state

_SITE = ("site",)
_TABLE = {
    "site_connected": Family("1 while the site attends, 0 while it does not", _SITE),
    "site_state": Family("1 for the state that the site is in; the others are absent", ("site", "state")),
    "site_last_seen_timestamp_seconds": Family(
        "When this process last heard of the site, by the hub's clock; absent before it has", _SITE
    ),
    "site_round_lag": Family(
        "Rounds made into a model since the site's last counted update; 0 while it was in the last one", _SITE
    ),
    "site_samples": Family("Training cases, by the site's own count", _SITE),
    "site_skipped_cases": Family("Cases that the site could not read and left out", _SITE),
    "site_metric": Family("Mean over the site's cases, of the last model that it evaluated", ("site", "metric")),
    "site_metric_round": Family("The round of the model that the site evaluated last; 0 is the first model", _SITE),
    "site_train_loss": Family("Mean loss over the steps of the site's last counted round", _SITE),
    "site_weight": Family("The site's share in the last aggregate, 0 to 1; 0 while it was not in it", _SITE),
    "site_stage_seconds": Family("Duration of a stage in the site's last counted round", ("site", "stage")),
    "site_spent_epsilon": Family(
        "Privacy loss of the site's dataset so far, as its gateway said; absent without a private mechanism", _SITE
    ),
    "site_progress_ratio": Family("How far the site is in the stage that it is in, 0 to 1", _SITE),
    "site_cases_per_second": Family(
        "Training cases that the site works through in a second; absent unless the hospital lets it out", _SITE
    ),
    "site_gpu_utilisation_ratio": Family(
        "How busy the site's GPU is, 0 to 1; absent unless the hospital lets it out", _SITE
    ),
    "received_bytes": Family("Bytes of updates received since this process started", _SITE, counts=True),
    "sent_bytes": Family("Bytes of models sent since this process started", _SITE, counts=True),
    "sites_lost": Family("Times the site was found silent or gone since this process started", _SITE, counts=True),
    "attaches": Family(
        "Streams the site opened since this process started; each after the first is a reconnect", _SITE, counts=True
    ),
}


class SiteGauges(Collector):
    """Reads every site of the plan."""

    def __init__(self, job: Watched) -> None:
        self._job = job

    def describe(self) -> Iterator[Metric]:
        """Say what there is to read."""
        return iter(Families(_TABLE))

    def collect(self) -> Iterator[Metric]:
        """Read it."""
        state, attendance, found = self._job.state, self._job.attendance, Families(_TABLE)
        for name in state.plan.sites:
            found.add("site_state", 1, name, site_state(state, attendance, name))
            _add_visits(found, name, attendance.of(name))
            _add_facts(found, name, state)
            part = state.sites[name].part
            _add_standing(found, name, part, state)
            if part is not None:
                _add_part(found, name, part)
        return iter(found)


def _add_visits(found: Families, name: str, visits: Visits) -> None:
    found.add("site_connected", visits.away_since is None, name)
    if visits.seen_at:
        found.add("site_last_seen_timestamp_seconds", visits.seen_at, name)
    found.add("received_bytes", visits.bytes_up, name)
    found.add("sent_bytes", visits.bytes_down, name)
    found.add("sites_lost", visits.losses, name)
    found.add("attaches", visits.attaches, name)
    progress = visits.progress  # taken once: the event loop may replace it meanwhile
    if progress is not None:
        _add_progress(found, name, progress)


def _add_progress(found: Families, name: str, progress: pb.Progress) -> None:
    vitals = progress.vitals
    _add_ratio(found, "site_progress_ratio", name, progress.fraction)
    if vitals.HasField("gpu_utilisation"):
        _add_ratio(found, "site_gpu_utilisation_ratio", name, vitals.gpu_utilisation)
    if vitals.HasField("cases_per_second") and 0 <= vitals.cases_per_second < math.inf:
        found.add("site_cases_per_second", vitals.cases_per_second, name)


def _add_ratio(found: Families, family: str, name: str, said: float) -> None:
    if math.isfinite(said):
        found.add(family, min(1.0, max(0.0, said)), name)


def _add_facts(found: Families, name: str, state: JobState) -> None:
    site = state.sites[name]
    if site.cases is not None:
        found.add("site_samples", site.cases.training, name)
        found.add("site_skipped_cases", site.cases.skipped, name)
    for metric, mean in site.metrics.items():
        if mean.count and metric in state.metric_names:
            found.add("site_metric", mean.sum / mean.count, name, metric)
    if site.evaluated_round is not None:
        found.add("site_metric_round", site.evaluated_round, name)


def _add_standing(found: Families, name: str, part: Part | None, state: JobState) -> None:
    made = state.latest.round if state.latest is not None else 0
    counted = part.update.round if part is not None else 0
    found.add("site_round_lag", made - counted, name)
    if made:
        found.add("site_weight", part.share if part is not None and counted == made else 0.0, name)


def _add_part(found: Families, name: str, part: Part) -> None:
    found.add("site_train_loss", part.update.report.train_loss, name)
    for stage, seconds in stages_of(part.update, part.opened_at).items():
        found.add("site_stage_seconds", seconds, name, stage)
    release = part.update.release
    if release is not None and release.epsilon > 0 and math.isfinite(release.spent_epsilon):
        found.add("site_spent_epsilon", release.spent_epsilon, name)

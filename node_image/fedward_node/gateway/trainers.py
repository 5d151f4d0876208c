"""What trainers say of themselves, for Prometheus: they are untrusted, have no door, and are gone after their job."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from fedward_node.gateway.vitals import believable
from fedward_protocol.metric_names import first_names
from fedward_protocol.wire import federation_pb2 as pb

JOB = ("job_namespace", "job_name")

STILL_THERE_S = 15.0
"""A trainer whose stream broke comes back after 5 s at most; until then it still attends."""

_GAUGES = {
    "cases_per_second": ("cases_per_second", "Training cases worked through per second, over the last minute"),
    "data_wait_ratio": ("data_wait_ratio", "Share of the last minute's training time spent waiting for data"),
    "gpu_memory_used": ("gpu_memory_used_bytes", "Memory in use on the trainer's GPU"),
    "gpu_memory_size": ("gpu_memory_size_bytes", "Memory of the trainer's GPU"),
    "gpu_utilisation": ("gpu_utilisation_ratio", "Share of time that the trainer's GPU was busy"),
    "amp_scale": ("amp_scale", "Factor on the losses in mixed precision; absent where nothing is scaled"),
}
"""Vitals to the metric that shows them, and its help."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a trainer has last said; never changed, as scrapes read it from another thread."""

    heard_at: float
    round: int = 0
    stage: str = ""
    fraction: float = 0.0
    loss: float | None = None
    vitals: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


class Trainer:
    """One job's trainer, as the gateway knows it.

    Args:
        now: the wall clock, Unix seconds.

    Attributes:
        judged_by: the metric that its job chooses the best model by; empty until its plan is known.
        said: its last words, kept when it has gone.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._streams = self._connections = 0
        self._names: frozenset[str] = frozenset()
        self.judged_by = ""
        self.said = Said(now())

    @property
    def is_on_the_line(self) -> bool:
        """Whether it holds a stream."""
        return self._streams > 0

    @property
    def attends(self) -> bool:
        """Whether it holds a stream, or only just lost it: without the hub it comes and goes."""
        return self.is_on_the_line or self._now() - self.said.heard_at < STILL_THERE_S

    @property
    def has_the_hub(self) -> bool:
        """Whether a stream of its is relayed to the hub, which has answered."""
        return self._connections > 0

    @contextmanager
    def attending(self) -> Iterator[None]:
        """Count a stream of its while it lasts; there may be two, while a broken one is cleared away."""
        self._streams += 1
        try:
            yield
        finally:
            self._streams -= 1

    @contextmanager
    def connected(self) -> Iterator[None]:
        """Count a stream that the hub answers while it lasts."""
        self._connections += 1
        try:
            yield
        finally:
            self._connections -= 1

    def heard(self) -> None:
        """Take note that it is alive."""
        self.said = replace(self.said, heard_at=self._now())

    def progressed(self, progress: pb.Progress) -> None:
        """Take in a report whose stage and fraction were found good; of its vitals only what can be believed.

        Vitals replace the ones before: what is said no more is not known any more. A loss is kept until the next.
        """
        # Who waits works for no round, and is shown with its last.
        number = progress.round or self.said.round
        said = replace(self.said, round=number, stage=progress.stage, fraction=progress.fraction)
        if math.isfinite(progress.loss):
            said = replace(said, loss=progress.loss)
        if progress.HasField("vitals"):
            said = replace(said, vitals=believable(progress.vitals))
        self.said = said

    def evaluated(self, metrics: Mapping[str, pb.MeanMetric]) -> None:
        """Take in the means of an evaluation that was let out; one without any changes nothing.

        Only those are kept whose names are among the job's first.
        """
        if metrics:
            means = {name: mean.sum / mean.count for name, mean in metrics.items() if mean.count}
            self._names = first_names(self._names, means)
            self.said = replace(self.said, metrics={name: means[name] for name in means if name in self._names})


class Trainers(Collector):
    """Shows every job's trainer; `jobs` are namespace and name to trainer."""

    def __init__(self, jobs: Mapping[tuple[str, str], Trainer]) -> None:
        self._jobs = jobs

    def describe(self) -> Iterator[Metric]:
        """Yield every family, without samples."""
        yield from _Families().all()

    def collect(self) -> Iterator[Metric]:
        """Read what each trainer said last."""
        families = _Families()
        for job, trainer in list(self._jobs.items()):
            families.add(job, trainer)
        yield from families.all()


class _Families:
    def __init__(self) -> None:
        self._attending = GaugeMetricFamily(
            "fedward_gateway_attending", "1 while a trainer of the job attends", labels=JOB
        )
        self._connected = GaugeMetricFamily(
            "fedward_gateway_hub_connected", "1 while its stream is relayed to the job's aggregator", labels=JOB
        )
        self._round = _gauge("round", "Round that the trainer works for, or did last")
        self._stage = _gauge("stage", "1 for the stage that the trainer is in", "stage")
        self._progress = _gauge("progress_ratio", "How much of the stage is done")
        self._loss = _gauge("loss", "Loss of the last training step heard of")
        self._metric = _gauge("metric", "Mean over the site's cases in the last evaluation let out", "metric")
        self._score = _gauge(
            "score",
            "Mean over the site's cases in the last evaluation let out, by the metric that the best model is chosen by",
            "metric",
        )
        self._heard = _gauge("last_heard_timestamp_seconds", "When the trainer was last heard")
        self._vitals = {name: _gauge(shown, about) for name, (shown, about) in _GAUGES.items()}
        self._cases = CounterMetricFamily(
            "fedward_trainer_cases", "Training cases worked through since the trainer began", labels=JOB
        )

    def all(self) -> Iterator[Metric]:
        yield from (self._attending, self._connected, self._round, self._stage, self._progress, self._loss)
        yield from (self._metric, self._score, self._heard, *self._vitals.values(), self._cases)

    def add(self, job: tuple[str, str], trainer: Trainer) -> None:
        said = trainer.said
        self._attending.add_metric(job, trainer.attends)
        self._connected.add_metric(job, trainer.has_the_hub)
        self._heard.add_metric(job, said.heard_at)
        if said.stage:
            self._round.add_metric(job, said.round)
            self._stage.add_metric((*job, said.stage), 1)
            self._progress.add_metric(job, said.fraction)
        if said.loss is not None:
            self._loss.add_metric(job, said.loss)
        for name, mean in said.metrics.items():
            self._metric.add_metric((*job, name), mean)
            if name == trainer.judged_by:
                self._score.add_metric((*job, name), mean)
        for name, family in self._vitals.items():
            if name in said.vitals:
                family.add_metric(job, said.vitals[name])
        if "cases" in said.vitals:
            self._cases.add_metric(job, said.vitals["cases"])


def _gauge(name: str, about: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"fedward_trainer_{name}", about, labels=(*JOB, *labels))

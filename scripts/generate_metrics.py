"""Writes docs/metrics.md, or into the folder given: every metric that the code makes, with its labels and meaning.

Usage: python scripts/generate_metrics.py [FOLDER]
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics import Histogram, MetricWrapperBase

from fedward_cli.tracking.at_hub.metrics import Metrics as TrackerMetrics
from fedward_node.gateway.metrics import Metrics as GatewayMetrics
from fedward_operator.metrics import Metrics as OperatorMetrics
from fedward_protocol.labelled_registry import LabelledRegistry
from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Rounds
from fedward_server.attendance import Attendance
from fedward_server.metrics import Metrics as AggregatorMetrics
from fedward_server.metrics.rounds import SECONDS
from fedward_server.rounds.state import JobState, begin

ROOT = Path(__file__).resolve().parent.parent
SITES = 71

SIZES = {
    "site": SITES,
    "job_name": 1,
    "job_namespace": 1,
    "stage": 7,
    "metric": 9,
    "state": 6,
    "direction": 2,
    "dataset": 1,
    "volume": 2,
    "call": 3,
    "version": 1,
    "role": 1,
}
"""Values that a label has in the example: one job of 71 sites, with the metrics of the built-in segmentation task."""

ONE_AT_A_TIME = ("site_state", "job_state", "job_site_state", "site_job_state", "trainer_stage", "_score")
"""Endings of families that show one state, stage or metric at a time, so that these labels make no more series."""

SITE_STAGES = 5
"""Stages that are a site's own."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric as a scrape names it; `labels` without those that each sample of the part carries."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str
    buckets: int = 0

    @property
    def series(self) -> int | None:
        """How many there are in the example; None where that depends on what occurs."""
        labels = [
            label for label in self.labels if not (_is_one_at_a_time(self) and label in ("state", "stage", "metric"))
        ]
        if any(label not in SIZES for label in labels):
            return None
        sizes = [SITE_STAGES if label == "stage" and "site" in labels else SIZES[label] for label in labels]
        return math.prod(sizes) * (self.buckets + 2 if self.buckets else 1)


@dataclass(frozen=True, slots=True)
class Part:
    """What one process shows."""

    title: str
    says: str
    always: tuple[str, ...]
    families: tuple[Family, ...]


def parts() -> tuple[Part, ...]:
    """Make every part's metrics, as its process does, and read what they are."""
    gateway = GatewayMetrics("north").registry
    everything = _part("Gateway", "", gateway)
    trainer = tuple(family for family in everything.families if family.name.startswith("fedward_trainer_"))
    itself = tuple(family for family in everything.families if family not in trainer)
    return (
        _part("Aggregator", "One a job, at the hub.", _aggregator()),
        Part("Gateway", "One a hospital.", everything.always, itself),
        Part(
            "Trainer",
            "One a job and hospital; [its gateway shows them](#a-trainers-numbers).",
            everything.always,
            trainer,
        ),
        _part("Tracker", "One a job that names an MLflow server, at the hub.", TrackerMetrics(_plan()).registry),
        _part("Operator, as hub", "At the hub.", OperatorMetrics("hub").registry),
        _part("Operator, as site", "At each hospital.", OperatorMetrics("site", "north").registry),
    )


def generate(folder: Path) -> None:
    """Write the page."""
    folder.mkdir(parents=True, exist_ok=True)
    found = parts()
    preface = (ROOT / "scripts" / "metrics_preface.md").read_text()
    preface = preface.replace("TOTALS", "\n".join(_totals(found))).replace("BUCKETS", ", ".join(map(str, SECONDS)))
    tables = "\n".join(line for part in found for line in _table(part))
    (folder / "metrics.md").write_text(f"{preface.rstrip()}\n\n{tables}\n")


class _NoJob:
    """Stands for the job that an aggregator's gauges are read from; nobody reads them here."""

    def __init__(self, plan: Plan) -> None:
        self.state: JobState = begin(plan)
        self.attendance = Attendance(plan.sites, 0.0)


def _plan() -> Plan:
    return Plan(
        federation="example",
        job=JobIdentity(name="job", namespace="research", uid="0123456789"),
        sites=("north",),
        model=Model(network=Network()),
        data=Data(dataset="brats"),
        rounds=Rounds(count=1, quorum=1, deadline_s=1, grace_s=0),
    )


def _aggregator() -> CollectorRegistry:
    plan = _plan()
    metrics = AggregatorMetrics(plan)
    metrics.watch_job(_NoJob(plan))
    metrics.watch_host(ROOT, lambda: 0, lambda: datetime.now(UTC))
    return metrics.registry


def _part(title: str, says: str, registry: CollectorRegistry) -> Part:
    always = tuple(registry.labels) if isinstance(registry, LabelledRegistry) else ()
    families = sorted(_families(registry), key=lambda family: family.name)
    return Part(title, says, always, tuple(families))


def _families(registry: CollectorRegistry) -> Iterator[Family]:
    # The client library has no public way to ask a metric for its labels before it has samples.
    for collector in registry._collector_to_names:
        if isinstance(collector, MetricWrapperBase):
            buckets = len(collector._upper_bounds) if isinstance(collector, Histogram) else 0
            labels = tuple(collector._labelnames)
            if collector._type == "info":
                labels = tuple(label for metric in collector.collect() for label in metric.samples[0].labels)
            yield _family(collector._name, collector._type, labels, collector._documentation, buckets)
        else:
            for metric in collector.describe():
                yield _family(metric.name, metric.type, _labels_of(metric), metric.documentation)


def _family(name: str, kind: str, labels: tuple[str, ...], meaning: str, buckets: int = 0) -> Family:
    ending = {"counter": "_total", "info": "_info"}.get(kind, "")
    return Family(name + ending, kind, labels, meaning, buckets)


def _labels_of(metric: Metric) -> tuple[str, ...]:
    return tuple(metric._labelnames)


def _is_one_at_a_time(family: Family) -> bool:
    return family.name.endswith(ONE_AT_A_TIME)


def _totals(found: Sequence[Part]) -> Iterator[str]:
    yield "| part | metrics | series |"
    yield "|---|---|---|"
    for part in found:
        total = sum(family.series or 0 for family in part.families)
        yield f"| {part.title} | {len(part.families)} | {total} |"


def _table(part: Part) -> Iterator[str]:
    yield f"## {part.title}\n"
    names = " and ".join(f"`{label}`" for label in part.always)
    yield part.says + (f" Each sample also carries {names}.\n" if names else "\n")
    yield "| metric | type | labels | series | meaning |"
    yield "|---|---|---|---|---|"
    for family in part.families:
        labels = ", ".join(f"`{label}`" for label in family.labels)
        series = "as they occur" if family.series is None else family.series
        yield f"| `{family.name}` | {family.kind} | {labels} | {series} | {family.meaning.replace('|', '&#124;')} |"
    yield ""


if __name__ == "__main__":
    generate(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT / "docs")

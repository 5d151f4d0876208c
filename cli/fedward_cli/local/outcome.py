"""How a run ended, as `result.json` says it: from the plan, the last status and the rounds' records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import Literal

from fedward_cli.local.attempt import Attempt
from fedward_cli.local.history import History, means
from fedward_cli.results import (
    Metrics,
    ModelRecord,
    Network,
    Problem,
    Result,
    RoundRecord,
    SiteResult,
    mean_over_sites,
)
from fedward_protocol.plan import Plan
from fedward_protocol.wire import federation_pb2 as pb

State = Literal["Running", "Completed", "Failed", "Stopped"]


@dataclass(frozen=True, slots=True)
class Ending:
    """How and when it ended; `failure` only where it failed, `finished_at` only where it ended."""

    state: State
    finished_at: datetime | None = None
    failure: Problem | None = None
    problems: tuple[Problem, ...] = ()
    parameters: int = 0


def result_of(attempt: Attempt, history: History, started_at: datetime, ending: Ending) -> Result:
    """Say what came out of the run so far."""
    plan, status = attempt.plan, history.status
    delivered = status.best if status.HasField("best") else status.latest if status.HasField("latest") else None
    sites = tuple(_site(name, history, delivered.round if delivered else -1) for name in plan.sites)
    return Result(
        state=ending.state,
        name=plan.job.name,
        namespace=plan.job.namespace,
        federation=plan.federation,
        network=_network(plan),
        seed=plan.seed,
        attempt=attempt.number,
        software=f"fedward {version('fedward')}",
        plan_digest=plan.digest().hex(),
        started_at=started_at,
        finished_at=ending.finished_at,
        rounds_planned=plan.rounds.count,
        rounds_done=max(history.closed, default=0),
        model=_model(delivered, ending.parameters) if delivered else None,
        metrics=mean_over_sites({site.name: site.metrics for site in sites}),
        sites=sites,
        nbytes_up=sum(record.nbytes_up for record in history.records),
        nbytes_down=sum(record.nbytes_down for record in history.records),
        aggregate_seconds=sum(closed.aggregate_seconds for closed in history.closed.values()),
        failure=ending.failure,
        problems=(*_missing(history), *ending.problems),
    )


def _network(plan: Plan) -> Network:
    network = plan.model.network
    return Network(
        name=network.name if network else "MONAI bundle",
        local_epochs=plan.training.local_epochs,
        modalities=plan.data.modalities,
        aggregation=plan.aggregation.algorithm,
        filters=tuple(each.name for each in plan.privacy.filters),
    )


def _model(model: pb.ModelRef, parameters: int) -> ModelRecord:
    return ModelRecord(round=model.round, digest=model.digest.hex(), nbytes=model.nbytes, parameters=parameters)


def _site(name: str, history: History, delivered_round: int) -> SiteResult:
    status = next((each for each in history.status.sites if each.name == name), pb.SiteStatus(name=name))
    records = [record for record in history.records if record.site == name]
    spent = [record.release for record in records if record.release is not None]
    return SiteResult(
        name=name,
        state="Finished" if _saw_the_end(records, history) else status.state,
        training_cases=status.training_cases,
        validation_cases=status.validation_cases,
        skipped_cases=status.skipped_cases,
        rounds=len({record.round for record in records if record.samples}),
        metrics=_metrics_of(records, delivered_round, status),
        nbytes_up=sum(record.nbytes_up for record in records),
        nbytes_down=sum(record.nbytes_down for record in records),
        refusals=status.refusals,
        spent_epsilon=max((release.spent_epsilon for release in spent), default=0.0),
        delta=max((release.delta for release in spent), default=0.0),
        meaningful=bool(spent) and spent[-1].meaningful,
    )


def _saw_the_end(records: Sequence[RoundRecord], history: History) -> bool:
    """Tell whether the site was there to the end: it evaluated the last model, or its last update was counted."""
    last = max(history.closed, default=0)
    return history.status.state == "Completed" and any(record.round == last for record in records)


def _metrics_of(records: Sequence[RoundRecord], delivered_round: int, status: pb.SiteStatus) -> Metrics:
    """Return what the site measured of the delivered model; of the last one it saw where it never saw that."""
    for record in reversed(records):
        if record.evaluated_round == delivered_round and record.metrics:
            return record.metrics
    return means(status.metrics)


def _missing(history: History) -> list[Problem]:
    """Say which sites were missing from which rounds."""
    return [
        Problem(reason="RoundClosed", detail="the round closed by quorum without it", site=site, round=closed.round)
        for _, closed in sorted(history.closed.items())
        for site in closed.missing
    ]

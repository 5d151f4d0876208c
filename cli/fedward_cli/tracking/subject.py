"""What a run on an MLflow server is about: which job, by which plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from fedward_cli.tracking.parameters import parameters
from fedward_protocol.plan import Plan


@dataclass(frozen=True, slots=True)
class Subject:
    """What a run is about.

    Attributes:
        uid: the job's.
        name: the run's, for people.
        experiment: where the run lies.
        started_at: Unix seconds.
        parameters, tags: what stands beside the metrics from the start.
    """

    uid: str
    name: str
    experiment: str
    started_at: float
    parameters: Mapping[str, str]
    tags: Mapping[str, str]


def subject_of(plan: Plan, experiment: str | None, started_at: float) -> Subject:
    """Describe the run of a plan's job; the experiment is named after the job where it is left out."""
    job = f"{plan.job.namespace}/{plan.job.name}"
    return Subject(
        uid=plan.job.uid,
        name=plan.job.name,
        experiment=experiment or job,
        started_at=started_at,
        parameters=parameters(plan),
        tags={
            "fedward.job": job,
            "fedward.federation": plan.federation,
            "fedward.plan_digest": plan.digest().hex(),
            "fedward.version": version("fedward"),
        },
    )

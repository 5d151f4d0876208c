"""Whether a job is logged where it wants to be: its condition Tracked."""

from __future__ import annotations

from dataclasses import dataclass

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.policy.conditions import Finding
from fedward_operator.policy.pods import JobView
from fedward_operator.policy.problem import Problem

NOT_OFFERED = "HubDoesNotTrack"
"""The reason of a hub that runs no trackers."""
_NOT_ACTED_UPON = (
    "spec.tracking is not acted upon: nothing at this hub logs to MLflow (the chart's tracking.enabled); once the job "
    "has ended, fetch it with fedward report JOB, and log what that wrote with fedward track FOLDER"
)


@dataclass(frozen=True, slots=True)
class Trackers:
    """What is known of a job's trackers.

    Attributes:
        offered: whether this hub runs any.
        follower: the Job that follows the attempt.
        finisher: the Job that logs what is left after the end.
        refused: why one could not be made.
    """

    offered: bool = False
    follower: JobView | None = None
    finisher: JobView | None = None
    refused: Problem | None = None


UNTRACKED = Trackers()
"""Of a hub that runs no trackers."""


def tracked(spec: FederatedJobSpec, trackers: Trackers, *, runs: bool, ended: bool) -> Finding | None:
    """Say how the job is logged; None where it does not want to be.

    Args:
        spec: the job's.
        trackers: what is known of them.
        runs: whether an attempt runs.
        ended: whether the job is over.
    """
    if spec.tracking is None:
        return None
    if not trackers.offered:
        return Finding("Tracked", False, NOT_OFFERED, _NOT_ACTED_UPON)
    if trackers.refused is not None:
        return Finding("Tracked", False, trackers.refused.reason, trackers.refused.message)
    server = f"MLflow at {spec.tracking.mlflow.uri}"
    if ended:
        return _finished(trackers.finisher, server)
    if not runs:
        return Finding("Tracked", None, "NotRunning", f"{server} is told of rounds once they are trained")
    return _followed(trackers.follower, server)


def _followed(job: JobView | None, server: str) -> Finding:
    if job is None:
        return Finding("Tracked", None, "Starting", "the tracker is starting")
    if job.ready:
        return Finding("Tracked", True, "Following", f"{server} is told of each round as it closes")
    if job.failed is not None:
        why = f"the tracker has failed ({job.failed[1]}); {server} is told the rest once the job has ended"
        return Finding("Tracked", False, "TrackerFailed", why)
    why = f"{server} has not been told all yet; {_advice(job)} says why if that stays so. Training goes on all the same"
    return Finding("Tracked", False, "Behind", why)


def _finished(job: JobView | None, server: str) -> Finding:
    if job is None:
        return Finding("Tracked", None, "Finishing", f"{server} is told how the job ended once its volume is free")
    if job.complete:
        return Finding("Tracked", True, "Logged", f"{server} has everything")
    if job.failed is not None:
        why = f"{server} lacks a part: {job.failed[1]}; fedward report JOB and then fedward track FOLDER log the rest"
        return Finding("Tracked", False, "NotLogged", why)
    return Finding("Tracked", None, "Finishing", f"{server} is being told the rest; {_advice(job)} says how it goes")


def _advice(job: JobView) -> str:
    return f"kubectl logs -n {job.namespace} job/{job.name}"

"""Whether a job is logged where it wants to be: its condition Tracked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.api.tracking import PATIENCE
from fedward_operator.policy.conditions import Finding, find, read_time
from fedward_operator.policy.pods import JobView
from fedward_operator.policy.problem import Problem

NOT_OFFERED = "HubDoesNotTrack"
"""The reason of a hub that runs no trackers."""
LOGGED = "Logged"
"""The reason of a job that has ended and of which nothing is missing."""
_SLACK = timedelta(hours=1)
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
        has_volume: whether the job has a volume, on which it could leave something to log.
    """

    offered: bool = False
    follower: JobView | None = None
    finisher: JobView | None = None
    refused: Problem | None = None
    has_volume: bool = True


UNTRACKED = Trackers()
"""Of a hub that runs no trackers."""


@dataclass(frozen=True, slots=True)
class TrackedJob:
    """What of a job matters here.

    Attributes:
        status: as the API server has it.
        runs: whether an attempt runs.
        heard: whether its aggregator has been.
        ended: whether the job is over.
    """

    spec: FederatedJobSpec
    status: Mapping[str, Any]
    now: datetime
    runs: bool
    heard: bool
    ended: bool


def tracked(seen: TrackedJob, trackers: Trackers) -> Finding | None:
    """Say how the job is logged; None where it does not want to be."""
    if seen.spec.tracking is None:
        return None
    server = f"MLflow at {seen.spec.tracking.mlflow.uri}"
    if seen.ended and trackers.finisher is None and is_settled(seen.status, seen.now):
        return _as_before(seen.status)
    if not trackers.offered:
        return Finding("Tracked", False, NOT_OFFERED, _NOT_ACTED_UPON)
    if trackers.refused is not None:
        return Finding("Tracked", False, trackers.refused.reason, trackers.refused.message)
    if seen.ended:
        return _finished(trackers, server)
    if not seen.runs:
        return Finding("Tracked", None, "NotRunning", f"{server} is told of rounds once they are trained")
    return _followed(trackers.follower, server, heard=seen.heard)


def is_settled(status: Mapping[str, Any], now: datetime) -> bool:
    """Tell of a job that has ended, and for which no tracker is there, that none is needed or wanted any more.

    All is logged; or it ended long before its hub ran any trackers, and nobody waits for it.
    """
    before = find(status.get("conditions") or (), "Tracked")
    if before is None:
        return False
    ended = read_time(status.get("completionTime"))
    was_long_ago = ended is not None and now - ended > PATIENCE
    return before["reason"] == LOGGED or (before["reason"] == NOT_OFFERED and was_long_ago)


def is_being_logged(spec: FederatedJobSpec, trackers: Trackers, status: Mapping[str, Any], now: datetime) -> bool:
    """Tell of a job that has ended whether it is to stay for what is not logged yet; not for more than a day."""
    if spec.tracking is None or not trackers.offered or not trackers.has_volume:
        return False
    if trackers.finisher is None and is_settled(status, now):
        return False
    ended = read_time(status.get("completionTime"))
    in_time = ended is None or now - ended <= PATIENCE + _SLACK
    return in_time and not (trackers.finisher is not None and trackers.finisher.ended)


def _as_before(status: Mapping[str, Any]) -> Finding:
    before = find(status.get("conditions") or (), "Tracked") or {}
    return Finding("Tracked", before["status"] == "True", before["reason"], before.get("message", ""))


def _followed(job: JobView | None, server: str, *, heard: bool) -> Finding:
    if job is None:
        return Finding("Tracked", None, "Starting", "the tracker is starting")
    if job.ready:
        return Finding("Tracked", True, "Following", f"{server} is told of each round as it closes")
    if job.failed is not None:
        why = f"the tracker has failed ({job.failed[1]}); {server} is told the rest once the job has ended"
        return Finding("Tracked", False, "TrackerFailed", why)
    if job.complete:
        return Finding("Tracked", None, "Finishing", f"{server} is told the rest once the job has ended")
    if not heard:
        return Finding("Tracked", None, "Starting", "there is nothing to log before the aggregator has started")
    why = f"{server} has not been told all yet; {_advice(job)} says why if that stays so. Training goes on all the same"
    return Finding("Tracked", False, "Behind", why)


def _finished(trackers: Trackers, server: str) -> Finding:
    job = trackers.finisher
    if job is None and not trackers.has_volume:
        return Finding("Tracked", False, "NotLogged", f"{server} is not told more: the job has left no volume")
    if job is None:
        return Finding("Tracked", None, "Finishing", f"{server} is told how the job ended once its volume is free")
    if job.complete:
        return Finding("Tracked", True, LOGGED, f"{server} has everything")
    if job.failed is not None:
        why = f"{server} lacks a part: {job.failed[1]}; fedward report JOB and then fedward track FOLDER log the rest"
        return Finding("Tracked", False, "NotLogged", why)
    return Finding("Tracked", None, "Finishing", f"{server} is being told the rest; {_advice(job)} says how it goes")


def _advice(job: JobView) -> str:
    return f"kubectl logs -n {job.namespace} job/{job.name}"

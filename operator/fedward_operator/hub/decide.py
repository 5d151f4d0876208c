"""What becomes of a FederatedJob: a pure function of what was observed and of the time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.hub.progress import Progress
from fedward_operator.hub.tracking.finding import UNTRACKED, Trackers, is_being_logged
from fedward_operator.hub.views import PartView
from fedward_operator.policy import conditions, deadline, suspend, ttl
from fedward_operator.policy.failure import diagnose
from fedward_operator.policy.pods import JobView, PodView
from fedward_operator.policy.problem import Problem
from fedward_operator.policy.quorum import quorum_of

_LOOK_FOR_LOGGED_S = 60.0
"""How often a job whose time to live is over is looked at for whether it is logged by now."""


class Stage(Enum):
    """Which of the job's children are to be there."""

    UNPLANNED = "no plan, nothing there"
    WAITING = "nothing started"
    RUNNING = "all of them"
    SUSPENDED = "no aggregator; trainers are told to stop"
    COMPLETED = "left as they ended"
    FAILED = "no aggregator, and none again"
    DELETED = "none at the sites"


@dataclass(frozen=True, slots=True)
class Observed:
    """A job and all that is known about it.

    Attributes:
        status: its status as the API server has it.
        sites: the sites that its plan names; None while there is no plan.
        connected: which of all sites can be heard.
        revoked: which of its plan's sites belong to the federation no more.
        trackers: what logs it.
        unplanned: why there is no plan.
        parts: its SiteJobs by site.
        aggregator: the Job of the attempt that runs, if there is one.
        not_created: what Kubernetes said about a pod that it could not create.
        progress: what the aggregator says.
        refused: why the last write was refused.
    """

    spec: FederatedJobSpec
    generation: int
    deleting: bool
    status: Mapping[str, Any]
    sites: Sequence[str] | None
    connected: Mapping[str, bool]
    now: datetime
    unplanned: Problem | None = None
    parts: Mapping[str, PartView] = None  # type: ignore[assignment]
    aggregator: JobView | None = None
    pods: Sequence[PodView] = ()
    not_created: str | None = None
    progress: Progress | None = None
    refused: Problem | None = None
    revoked: frozenset[str] = frozenset()
    trackers: Trackers = UNTRACKED


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a job.

    Attributes:
        why: what keeps it from going on, or how it ended.
        expired: its time to live is over: delete it.
        look_again_s: when time alone will change the decision.
    """

    stage: Stage
    attempt: int
    why: Problem | None
    expired: bool = False
    look_again_s: float | None = None


def decide(seen: Observed) -> Decision:
    """Decide what of a job is to be there."""
    before = seen.status.get("conditions") or ()
    attempt = seen.status.get("attempt", 0)
    if seen.deleting:
        return Decision(Stage.DELETED, attempt, None)
    for stage, kind in ((Stage.COMPLETED, "Completed"), (Stage.FAILED, "Failed")):
        condition = conditions.find(before, kind)
        if condition is not None and condition["status"] == "True":
            return _finished(seen, stage, Problem(condition["reason"], condition.get("message", "")))
    if seen.sites is None:
        return Decision(Stage.UNPLANNED, attempt, seen.unplanned)
    ended = _ended(seen)
    if ended is not None:
        return ended  # a suspension that comes after the end changes nothing
    if seen.spec.suspend:
        why = Problem("Suspended", "spec.suspend holds the job; set it to false and it goes on from its checkpoint")
        return Decision(Stage.SUSPENDED, attempt, why)
    return _run(seen, suspend.attempt_to_run(attempt, conditions.holds(before, "Suspended") and attempt > 0))


def _run(seen: Observed, attempt: int) -> Decision:
    resumed = conditions.holds(seen.status.get("conditions") or (), "Suspended")
    started = None if resumed else conditions.read_time(seen.status.get("startTime"))
    left = deadline.seconds_left(started, seen.spec.active_deadline_seconds, seen.now)
    if left is not None and left <= 0:
        text = f"the job ran longer than activeDeadlineSeconds ({seen.spec.active_deadline_seconds} s)"
        return Decision(Stage.FAILED, attempt, Problem("DeadlineExceeded", text))
    if seen.aggregator is None and started is None:
        missing = _missing_sites(seen)
        if missing is not None:
            return Decision(Stage.WAITING, attempt if resumed else seen.status.get("attempt", 0), missing)
    return Decision(Stage.RUNNING, attempt, _trouble(seen), look_again_s=left)


def _ended(seen: Observed) -> Decision | None:
    job = seen.aggregator
    if job is None:
        return None
    if job.complete:
        return Decision(Stage.COMPLETED, job.attempt, Problem("Completed", "every round is trained"))
    if job.failed is None:
        return None
    if seen.progress is not None and seen.progress.failure is not None:
        reason, message = seen.progress.failure
        return Decision(Stage.FAILED, job.attempt, Problem(reason, message))
    reason, message = job.failed
    trouble = diagnose(seen.pods, seen.not_created)
    words = f"{message}; {trouble.reason}: {trouble.message}" if trouble else message
    return Decision(Stage.FAILED, job.attempt, Problem(reason or "BackoffLimitExceeded", words))


def _finished(seen: Observed, stage: Stage, why: Problem) -> Decision:
    finished = conditions.read_time(seen.status.get("completionTime"))
    kept = ttl.seconds_kept(finished, seen.spec.ttl_seconds_after_finished, seen.now)
    if kept is not None and kept <= 0 and is_being_logged(seen.spec, seen.trackers, seen.status, seen.now):
        return Decision(stage, seen.status.get("attempt", 0), why, look_again_s=_LOOK_FOR_LOGGED_S)
    expired = kept is not None and kept <= 0
    return Decision(stage, seen.status.get("attempt", 0), why, expired, kept)


def _missing_sites(seen: Observed) -> Problem | None:
    sites = seen.sites or ()
    here = [site for site in sites if seen.connected.get(site)]
    quorum = quorum_of(seen.spec.rounds, len(sites))
    if len(here) >= quorum:
        return None
    absent = ", ".join(site for site in sites if not seen.connected.get(site))
    text = f"{len(here)} of {len(sites)} sites are connected and the quorum is {quorum}; not connected: {absent}"
    return Problem("WaitingForSites", text[:2048])


def _trouble(seen: Observed) -> Problem | None:
    return seen.refused or diagnose(seen.pods, seen.not_created)

"""What becomes of a SiteJob at the hospital: a pure function of what was observed and of the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

from fedward_operator.api.site_job import SiteJobSpec, SiteJobStatus
from fedward_operator.policy import conditions
from fedward_operator.policy.admission.verdict import Grant, Refused, Waits
from fedward_operator.policy.conditions import Finding
from fedward_operator.policy.failure import diagnose
from fedward_operator.policy.pods import JobView, PodView
from fedward_operator.policy.problem import Problem


class Stage(Enum):
    """Whether the trainer is to be there."""

    REFUSED = "no trainer: the policy says no"
    WAITING = "no trainer yet"
    SUSPENDED = "no trainer: the hub holds the job"
    RUNNING = "a trainer"
    COMPLETED = "the trainer has ended well"
    FAILED = "the trainer has failed for good"


@dataclass(frozen=True, slots=True)
class Observed:
    """A SiteJob and all that is known about it.

    Attributes:
        verdict: what the policy says.
        has_turn: whether the policy's concurrency leaves it a place.
        trainer: the Job of this attempt, if there is one.
        refused: why the last write was refused.
    """

    spec: SiteJobSpec
    generation: int
    status: Mapping[str, Any]
    verdict: Grant | Refused | Waits
    has_turn: bool
    trainer: JobView | None
    pods: Sequence[PodView]
    not_created: str | None
    refused: Problem | None
    now: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a SiteJob, and why."""

    stage: Stage
    why: Problem | None
    look_again_s: float | None = None


def decide(seen: Observed) -> Decision:
    """Decide whether a trainer is to be there."""
    ended = _ended(seen)
    if ended is not None:
        return ended
    if seen.spec.suspend:
        return Decision(Stage.SUSPENDED, Problem("Suspended", "the hub holds the job"))
    if isinstance(seen.verdict, Refused):
        return Decision(Stage.REFUSED, Problem(seen.verdict.reason, seen.verdict.message))
    if isinstance(seen.verdict, Waits):
        return Decision(Stage.WAITING, Problem(seen.verdict.reason, seen.verdict.message), seen.verdict.seconds)
    if not seen.has_turn:
        return Decision(Stage.WAITING, Problem("WaitingForTurn", "other trainers have the site's places"))
    return Decision(Stage.RUNNING, seen.refused or diagnose(seen.pods, seen.not_created), seen.verdict.closes_s)


def has_ended(status: Mapping[str, Any], attempt: int) -> bool:
    """Tell whether a status says that this attempt's part is over."""
    said = status.get("conditions") or ()
    over = conditions.holds(said, "Completed") or conditions.holds(said, "Failed")
    return over and status.get("attempt") == attempt


def status_of(seen: Observed, decision: Decision, approval: tuple[str, str | None]) -> dict[str, Any]:
    """Write the status, defaults and all; `approval` is the digest that needs approval, and the one that has it."""
    state = _state(seen, decision)
    before = seen.status
    same = before.get("attempt") == seen.spec.attempt
    started = before.get("startedAt") if same else None
    if decision.stage is Stage.RUNNING and started is None:
        started = conditions.show_time(seen.now)
    document: dict[str, Any] = {
        "observedGeneration": seen.generation,
        "attempt": seen.spec.attempt,
        "state": state,
        "message": decision.why.message[:2048] if decision.why else "",
        "approvalDigest": approval[0],
        "approvedDigest": approval[1],
        "startedAt": started,
        "conditions": conditions.join(
            before.get("conditions") or (), tuple(_findings(seen, decision, state)), seen.generation, seen.now
        ),
    }
    checked = SiteJobStatus.model_validate({name: value for name, value in document.items() if value is not None})
    return checked.model_dump(mode="json", by_alias=True, exclude_none=True)


def _ended(seen: Observed) -> Decision | None:
    if has_ended(seen.status, seen.spec.attempt):
        said = seen.status["conditions"]
        for stage, kind in ((Stage.COMPLETED, "Completed"), (Stage.FAILED, "Failed")):
            condition = conditions.find(said, kind)
            if condition is not None and condition["status"] == "True":
                return Decision(stage, Problem(condition["reason"], condition.get("message", "")))
    job = seen.trainer
    if job is None or job.deleting:
        return None
    if job.complete:
        return Decision(Stage.COMPLETED, Problem("Completed", "the trainer has done its part"))
    if job.failed is None:
        return None
    trouble = diagnose(seen.pods, seen.not_created)
    reason, message = job.failed
    if reason == "PodFailurePolicy":
        reason = "TrainerRefused"
    return Decision(Stage.FAILED, Problem(reason or "BackoffLimitExceeded", trouble.message if trouble else message))


def _state(seen: Observed, decision: Decision) -> str:
    if decision.stage is not Stage.RUNNING:
        return decision.stage.name.capitalize()
    if decision.why is not None:
        return decision.why.reason
    # One that has ended well has trained, until its Job says so a moment later.
    trains = any((pod.ready or pod.phase == "Succeeded") and not pod.deleting for pod in seen.pods)
    return "Training" if trains else "Starting"


def _findings(seen: Observed, decision: Decision, state: str) -> Iterator[Finding]:
    stage, why = decision.stage, decision.why
    reason = why.reason if why else state
    match seen.verdict:
        case Refused(refusal, message):
            yield Finding("Admitted", False, refusal, message)
        case Waits(wait, message, _):
            yield Finding("Admitted", None, wait, message)
        case Grant():
            yield Finding("Admitted", True, "PolicyAllows")
    yield Finding("Running", stage is Stage.RUNNING and why is None, reason, why.message if why else "")
    completed, failed = stage is Stage.COMPLETED, stage is Stage.FAILED
    yield Finding(
        "Completed", completed, "Completed" if completed else "NotFinished", why.message if completed and why else ""
    )
    yield Finding("Failed", failed, reason if failed else "NotFailed", why.message if failed and why else "")

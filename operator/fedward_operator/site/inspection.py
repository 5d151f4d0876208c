"""When a dataset is inspected and what that found: a pure function of what was observed and of the time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fedward_operator.api.policy import Dataset, InspectedDataset
from fedward_operator.policy.conditions import Finding, read_time, show_time
from fedward_operator.policy.failure import diagnose
from fedward_operator.policy.problem import Problem
from fedward_operator.site.views import Preflight, PreflightPod
from fedward_protocol.inspection import Inspection

_COUNTED_AGAIN = timedelta(days=1)
_FAILED_AGAIN = timedelta(hours=1)
_REPORT_COMES_WITHIN = timedelta(seconds=30)
"""A Job's end may be heard of before its pod's."""

_STARTS_WITHIN = timedelta(minutes=5)

_UNDER_WAY = ("Waiting", "Inspecting")


@dataclass(frozen=True, slots=True)
class Observed:
    """A policy's datasets and all that is known about their inspections.

    Attributes:
        asked: the policy's `fedward.io/inspect`.
        before: what the policy's status says, by dataset.
        jobs: inspections' Jobs, those that have ended too.
        pods: their pods, by the Job's uid.
        not_created: the last thing said about a pod that could not be created, by the Job's uid.
        in_use: datasets that trainers have.
    """

    datasets: Sequence[Dataset]
    asked: str
    before: Mapping[str, InspectedDataset]
    jobs: Sequence[Preflight]
    pods: Mapping[str, Sequence[PreflightPod]]
    not_created: Mapping[str, str]
    in_use: frozenset[str]
    now: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """What to say of the datasets, which one to inspect now, and which Jobs are not needed any more."""

    said: tuple[InspectedDataset, ...]
    start: Dataset | None
    delete: tuple[Preflight, ...]
    look_again_s: float | None


@dataclass(frozen=True, slots=True)
class _Step:
    said: InspectedDataset
    is_due: bool = False
    is_over: bool = False
    look_again_s: float | None = None


def basis_of(dataset: Dataset, asked: str) -> str:
    """Digest what an inspection is about: another basis is a reason for another inspection."""
    about = [dataset.name, dataset.volume.model_dump(mode="json"), dataset.format, asked]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:32]


def decide(seen: Observed) -> Decision:
    """Decide what to say and do; one inspection at a time, and none of data that a trainer has."""
    jobs = {job.basis: job for job in seen.jobs}
    steps: list[_Step] = []
    due: list[Dataset] = []
    over: list[Preflight] = []
    for dataset in seen.datasets:
        basis = basis_of(dataset, seen.asked)
        job = jobs.pop(basis, None)
        step = _step(dataset, basis, job, seen)
        steps.append(step)
        if step.is_due:
            due.append(dataset)
        if step.is_over and job is not None:
            over.append(job)
    # What is left is of datasets that are gone, or that have changed.
    over += [job for job in jobs.values() if not job.deleting]
    said = {step.said.name: step.said for step in steps}
    due.sort(key=lambda dataset: said[dataset.name].inspected_at or "")
    waits = [step.look_again_s for step in steps if step.look_again_s is not None]
    return Decision(
        said=tuple(step.said for step in steps),
        start=due[0] if due and not seen.jobs else None,
        delete=tuple(over),
        look_again_s=min(waits) if waits else None,
    )


def refused(dataset: Dataset, basis: str, why: Problem, now: datetime) -> InspectedDataset:
    """Say that an inspection could not begin; it is tried again when others that fail are."""
    return _failed(dataset.name, basis, why, show_time(now))


def sound(said: Sequence[InspectedDataset]) -> Finding:
    """Say of all datasets together whether something is wrong with them."""
    stopped = [each for each in said if each.reason is not None and each.reason not in _UNDER_WAY]
    spoilt = [each for each in said if each.problems and each not in stopped]
    sentences = [f"{each.name}: {each.message or each.reason}" for each in stopped]
    sentences += [f"{each.name}: {_counted(each).summary()}" for each in spoilt]
    if sentences:
        reason = stopped[0].reason if stopped else None
        return Finding("DataSound", False, reason or "ProblemsFound", "; ".join(sentences))
    waiting = [each for each in said if each.cases is None]
    if waiting:
        return Finding("DataSound", None, "Inspecting", ", ".join(each.name for each in waiting))
    return Finding("DataSound", True, "NothingWrong")


def _step(dataset: Dataset, basis: str, job: Preflight | None, seen: Observed) -> _Step:
    before = seen.before.get(dataset.name)
    if before is None or before.basis != basis:
        before = InspectedDataset(name=dataset.name, basis=basis)
    if job is None:
        return _without_job(before, dataset.name in seen.in_use, seen.now)
    if job.ended is not None:
        if before.inspected_at == job.ended:
            return _Step(before, is_over=not job.deleting)
        return _ended(before, job, seen)
    if dataset.name in seen.in_use:
        # A volume that only one node can have at a time would keep the trainer waiting.
        return _Step(_under_way(before, "Waiting"), is_over=not job.deleting)
    return _running(before, job, seen)


def _without_job(before: InspectedDataset, is_in_use: bool, now: datetime) -> _Step:
    last = read_time(before.inspected_at)
    left = timedelta(0)
    if last is not None:
        left = last + (_FAILED_AGAIN if before.cases is None else _COUNTED_AGAIN) - now
    if left > timedelta(0):
        return _Step(before, look_again_s=left.total_seconds())
    said = before if before.inspected_at else _under_way(before, "Waiting")
    return _Step(said, is_due=not is_in_use)


def _running(before: InspectedDataset, job: Preflight, seen: Observed) -> _Step:
    pods = [each.pod for each in seen.pods.get(job.uid, ())]
    trouble = diagnose(pods, seen.not_created.get(job.uid))
    left: float | None = None
    if trouble is None and not any(pod.phase in ("Running", "Succeeded") for pod in pods):
        created = read_time(job.created) or seen.now
        left = (created + _STARTS_WITHIN - seen.now).total_seconds()
        if left <= 0:
            left, trouble = None, Problem("NotStarted", f"{job.name} does not start; kubectl describe pod says why")
    if trouble is None:
        return _Step(_under_way(before, "Inspecting"), look_again_s=left)
    return _Step(before.model_copy(update={"reason": trouble.reason, "message": trouble.message[:2048]}))


def _ended(before: InspectedDataset, job: Preflight, seen: Observed) -> _Step:
    assert job.ended is not None  # this is how it got here
    pods = sorted(seen.pods.get(job.uid, ()), key=lambda each: each.pod.created, reverse=True)
    report = next((report for report in (Inspection.read(each.said) for each in pods) if report), None)
    if report is not None and report.obstacle is None:
        return _Step(
            InspectedDataset(
                name=before.name,
                basis=before.basis,
                cases=report.cases,
                labelled=report.labelled,
                complete=report.complete,
                problems=report.problems or None,
                inspected_at=job.ended,
            )
        )
    if report is not None and report.obstacle is not None:
        return _Step(_failed(before.name, before.basis, Problem(report.obstacle, report.summary()), job.ended))
    trouble = diagnose([each.pod for each in pods], seen.not_created.get(job.uid)) if job.failed else None
    if trouble is None:
        late = read_time(job.ended) or seen.now
        left = (late + _REPORT_COMES_WITHIN - seen.now).total_seconds()
        if left > 0:
            return _Step(before, look_again_s=left)
        reason, message = job.failed or ("ReportMissing", "the inspection ended without a report that can be read")
        trouble = Problem(reason or "BackoffLimitExceeded", message)
    return _Step(_failed(before.name, before.basis, trouble, job.ended))


def _under_way(before: InspectedDataset, word: str) -> InspectedDataset:
    """Keep the counts that there are, which hold until there are new ones."""
    return before.model_copy(update={"reason": word if before.cases is None else None, "message": None})


def _failed(name: str, basis: str, why: Problem, at: str) -> InspectedDataset:
    return InspectedDataset(name=name, basis=basis, reason=why.reason, message=why.message[:2048], inspected_at=at)


def _counted(said: InspectedDataset) -> Inspection:
    return Inspection(
        cases=said.cases or 0,
        labelled=said.labelled or 0,
        complete=said.complete or 0,
        problems=said.problems or {},
    )

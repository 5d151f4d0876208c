"""What the operator looks at in a pod and in a Job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedward_operator.policy.naming import (
    LABEL_ATTEMPT,
    LABEL_JOB,
    LABEL_NAMESPACE,
    LABEL_SITE_JOB,
    LABEL_UID,
    ORDER,
)


@dataclass(frozen=True, slots=True)
class PodView:
    """A pod.

    Attributes:
        owner: the uid of the job, or the name of the SiteJob, that it runs for.
        family: namespace and name of the FederatedJob.
        waiting: reason and message of a container that does not start.
        terminated: reason, exit code and last words of a container that ended badly.
        unschedulable: why the scheduler found no node.
        disrupted: reason and message of what took the pod away (eviction, preemption, drain).
    """

    name: str
    uid: str
    owner: str
    family: tuple[str, str]
    attempt: int
    created: str
    phase: str
    ready: bool
    deleting: bool
    reason: str
    message: str
    unschedulable: str | None
    waiting: tuple[str, str] | None
    terminated: tuple[str, int, str] | None
    disrupted: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class JobView:
    """A Job of batch/v1.

    Attributes:
        owner: the uid of the job, or the name of the SiteJob, that it runs for.
        failed: reason and message once it has failed for good.
        order: which work order a trainer holds.
        gpus: accelerators that its pod is given.
        failures: how many of its pods have failed, without those that a disruption took away.
        ready: whether a pod of it says that it is.
    """

    namespace: str
    name: str
    uid: str
    owner: str
    family: tuple[str, str]
    attempt: int
    complete: bool
    failed: tuple[str, str] | None
    deleting: bool
    order: str
    gpus: int = 0
    failures: int = 0
    ready: bool = False

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs, or will."""
        return self.complete or self.failed is not None


def view_pod(item: Mapping[str, Any]) -> PodView:
    """Look at a pod as the API server shows it."""
    metadata, status = item["metadata"], item.get("status") or {}
    labels = metadata.get("labels") or {}
    conditions = {each["type"]: each for each in status.get("conditions") or ()}
    states = [
        each.get("state") or {}
        for each in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    ]
    scheduled, disruption = conditions.get("PodScheduled", {}), conditions.get("DisruptionTarget", {})
    return PodView(
        name=metadata["name"],
        uid=metadata["uid"],
        owner=labels.get(LABEL_SITE_JOB) or labels.get(LABEL_UID, ""),
        family=_family(labels),
        attempt=_number(labels.get(LABEL_ATTEMPT)),
        created=metadata.get("creationTimestamp", ""),
        phase=status.get("phase", "Pending"),
        ready=conditions.get("Ready", {}).get("status") == "True",
        deleting="deletionTimestamp" in metadata,
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        unschedulable=scheduled.get("message", "") if scheduled.get("reason") == "Unschedulable" else None,
        waiting=next((_waiting(each["waiting"]) for each in states if _is_stuck(each)), None),
        terminated=next((_terminated(each["terminated"]) for each in states if _failed(each)), None),
        disrupted=(disruption.get("reason", ""), disruption.get("message", ""))
        if disruption.get("status") == "True"
        else None,
    )


def view_job(item: Mapping[str, Any]) -> JobView:
    """Look at a Job as the API server shows it."""
    metadata, status = item["metadata"], item.get("status") or {}
    labels = metadata.get("labels") or {}
    true = {each["type"]: each for each in status.get("conditions") or () if each["status"] == "True"}
    failed = true.get("Failed") or true.get("FailureTarget")
    return JobView(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        owner=labels.get(LABEL_SITE_JOB) or labels.get(LABEL_UID, ""),
        family=_family(labels),
        attempt=_number(labels.get(LABEL_ATTEMPT)),
        complete="Complete" in true or "SuccessCriteriaMet" in true,
        failed=(failed.get("reason", ""), failed.get("message", "")) if failed else None,
        deleting="deletionTimestamp" in metadata,
        order=labels.get(ORDER, ""),
        gpus=_gpus(item),
        failures=status.get("failed", 0),
        ready=status.get("ready", 0) > 0,
    )


def _gpus(job: Mapping[str, Any]) -> int:
    pod = ((job.get("spec") or {}).get("template") or {}).get("spec") or {}
    limits = [(each.get("resources") or {}).get("limits") or {} for each in pod.get("containers") or ()]
    # Only extended resources have a slash in their name.
    return sum(int(count) for limit in limits for name, count in limit.items() if "/" in name)


def _family(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get(LABEL_NAMESPACE, ""), labels.get(LABEL_JOB, "")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An Event: a Job's pod that Kubernetes did not create, and why."""

    job: tuple[str, str]
    message: str


def view_refusal(item: Mapping[str, Any]) -> Refusal:
    """Look at such an Event."""
    about = item.get("involvedObject") or {}
    return Refusal((about.get("namespace", ""), about.get("name", "")), item.get("message", ""))


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _is_stuck(state: Mapping[str, Any]) -> bool:
    # A container whose image is being pulled must not hide the one after it whose image does not exist.
    return "waiting" in state and state["waiting"].get("reason") not in (None, "ContainerCreating", "PodInitializing")


def _waiting(state: Mapping[str, Any]) -> tuple[str, str]:
    return state.get("reason", ""), state.get("message", "")


def _failed(state: Mapping[str, Any]) -> bool:
    return bool("terminated" in state and state["terminated"].get("exitCode", 0) != 0)


def _terminated(state: Mapping[str, Any]) -> tuple[str, int, str]:
    return state.get("reason", ""), state["exitCode"], state.get("message", "")

"""What is wrong with pods, as the operator itself judges them, and with Deployments that get none."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from fedward_operator.checks.finding import Finding, Trouble, fine, skipped, warning, wrong
from fedward_operator.checks.lifetime import span
from fedward_operator.policy.conditions import find, read_time
from fedward_operator.policy.failure import diagnose, explain_refusal
from fedward_operator.policy.pods import PodView, view_pod
from fedward_operator.policy.problem import Problem

_SOON = timedelta(minutes=2)
"""A pod that is not ready by then has something that keeps it."""

_RESTARTS = 5
"""Of one container: nothing that works is started so often."""

_HAS_LOG = ("CrashLoop", "ContainerFailed", "OutOfMemory", "PodFailed")


def pods(found: Sequence[Mapping[str, Any]], now: datetime) -> Iterator[Finding]:
    """Judge pods: of those that somebody starts again and again, the newest."""
    families: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in found:
        owners = each["metadata"].get("ownerReferences") or ()
        families[owners[0]["uid"] if owners else each["metadata"]["uid"]].append(each)
    for family in families.values():
        views = {each["metadata"]["uid"]: each for each in family}
        seen = [view_pod(each) for each in family]
        # A Deployment's pods serve side by side, so that each counts; of a Job's, the newest.
        groups = [seen] if _are_attempts(family) else [[each] for each in seen]
        for group in groups:
            newest = max(group, key=lambda pod: pod.created)
            yield _judge(newest, diagnose(group, None), views[newest.uid], now)


def without_pods(deployments: Sequence[Mapping[str, Any]], namespace: str) -> Iterator[Finding]:
    """Judge Deployments whose pods Kubernetes does not create."""
    for each in deployments:
        said = find((each.get("status") or {}).get("conditions") or (), "ReplicaFailure")
        if said is not None and said["status"] == "True":
            name, why = each["metadata"]["name"], explain_refusal(said.get("message", ""))
            yield wrong(
                f"pods of {name}", why.reason, why.message, f"kubectl describe deployment {name} -n {namespace}"
            )


def _are_attempts(family: Sequence[Mapping[str, Any]]) -> bool:
    owners = family[0]["metadata"].get("ownerReferences") or ()
    return any(each["kind"] == "Job" for each in owners)


def _judge(pod: PodView, problem: Problem | None, found: Mapping[str, Any], now: datetime) -> Finding:
    about, where = f"pod {pod.name}", f"{pod.name} -n {found['metadata']['namespace']}"
    look = f"kubectl describe pod {where}"
    if problem is not None and not (pod.phase == "Running" and pod.ready):
        then = f"kubectl logs {where}" if problem.reason in _HAS_LOG else look
        return wrong(about, problem.reason, problem.message.removeprefix(f"{pod.name}: "), then)
    if pod.phase == "Succeeded":
        return fine(about, "it has done its work")
    if pod.deleting:
        return skipped(about, "it is being deleted")
    if not pod.ready:
        age = now - (read_time(pod.created) or now)
        if age < _SOON:
            return skipped(about, f"it starts, {span(age)} ago")
        return wrong(about, Trouble.NOT_READY, f"it is not ready after {span(age)}{_words(found)}", look)
    restarts = max((each.get("restartCount", 0) for each in found["status"].get("containerStatuses") or ()), default=0)
    if restarts >= _RESTARTS:
        said = f"it is ready, and was started again {restarts} times"
        return warning(about, "CrashLoop", said, f"kubectl logs {where} --previous")
    return fine(about, "it is ready")


def _words(found: Mapping[str, Any]) -> str:
    statuses = found["status"].get("containerStatuses") or ()
    waiting = [(each.get("state") or {}).get("waiting") or {} for each in statuses]
    words = [f"{each['reason']} {each.get('message', '')}".strip() for each in waiting if each.get("reason")]
    return f": {', '.join(words)}" if words else ""

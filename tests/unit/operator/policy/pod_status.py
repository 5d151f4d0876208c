"""Pods and Jobs as the API server shows them, in the words of the kubelet, the scheduler and the controllers."""

from __future__ import annotations

from fedward_operator.policy.pods import view_pod


def pod(name="glioma-aggregator-1-x7k2p", *, minute=0, deleting=False, phase="Pending", attempt="1", **status):
    metadata = {
        "name": name,
        "namespace": "research",
        "uid": f"uid of {name}",
        "creationTimestamp": f"2026-03-01T12:{minute:02}:00Z",
        "labels": {
            "fedward.io/job": "glioma",
            "fedward.io/job-namespace": "research",
            "fedward.io/job-uid": "5f6e7d8c",
            "fedward.io/attempt": attempt,
            "fedward.io/component": "aggregator",
        },
    }
    if deleting:
        metadata["deletionTimestamp"] = "2026-03-01T13:00:00Z"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "status": {"phase": phase, **status}}


def look(*args, **kwargs):
    return view_pod(pod(*args, **kwargs))


def container(name="aggregator", **state):
    return {"name": name, "state": state, "ready": "running" in state, "restartCount": 0}


def waiting(reason, message="", name="aggregator"):
    return container(name, waiting={"reason": reason, "message": message} if message else {"reason": reason})


def terminated(code, reason="Error", message="", name="aggregator"):
    return container(name, terminated={"exitCode": code, "reason": reason, "message": message})


def running(name="aggregator"):
    return container(name, running={"startedAt": "2026-03-01T12:00:10Z"})


def condition(kind, status, reason="", message=""):
    return {"type": kind, "status": status, "reason": reason, "message": message}


READY = [condition("PodScheduled", "True"), condition("Initialized", "True"), condition("Ready", "True")]
SCHEDULED = [condition("PodScheduled", "True"), condition("Ready", "False", "ContainersNotReady")]


def unschedulable(message):
    return {"phase": "Pending", "conditions": [condition("PodScheduled", "False", "Unschedulable", message)]}


def healthy(name="healthy", minute=0, **more):
    return look(name, minute=minute, phase="Running", conditions=READY, containerStatuses=[running()], **more)


def failed(name="failed", minute=0, code=1, reason="Error", message=""):
    statuses = [terminated(code, reason, message)]
    return look(name, minute=minute, phase="Failed", conditions=SCHEDULED, containerStatuses=statuses)

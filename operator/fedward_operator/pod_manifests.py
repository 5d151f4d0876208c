"""Pods as both roles make them: by the restricted Pod Security Standard, without a token, and which ends count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

UID = 65532
"""The user that every image of ours runs as."""

TMP = "/tmp"  # noqa: S108 a volume of the pod's own: the root file system is read-only


def restricted_container(
    name: str,
    image: str,
    arguments: Sequence[str],
    *,
    resources: Mapping[str, Any],
    mounts: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Make a container that can gain nothing and write only to its volumes."""
    return {
        "name": name,
        "image": image,
        "args": list(arguments),
        "resources": dict(resources),
        "volumeMounts": list(mounts),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def restricted_pod(
    containers: Sequence[Mapping[str, Any]],
    volumes: Sequence[Mapping[str, Any]],
    init_containers: Sequence[Mapping[str, Any]] = (),
    pull_secrets: Sequence[str] = (),
) -> dict[str, Any]:
    """Make the pod's spec around them."""
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": list(containers),
        "volumes": list(volumes),
    }
    if init_containers:
        pod["initContainers"] = list(init_containers)
    if pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    return pod


def failure_policy(container: str, final: int) -> dict[str, Any]:
    """Say which of a pod's ends count: one exit code ends the Job, a disruption does not count as a failure."""
    return {
        "rules": [
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": container, "operator": "In", "values": [final]},
            },
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
        ]
    }

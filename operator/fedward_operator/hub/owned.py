"""What the children of a job have in common: whose they are, and how their pods are selected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedward_operator.kube import kinds
from fedward_operator.kube.kinds import Kind
from fedward_operator.policy import naming

PORT = 8443
AGGREGATOR, TRACKER = "aggregator", "tracker"
"""The components of a job's pods."""

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Owner:
    """The FederatedJob that children belong to."""

    namespace: str
    name: str
    uid: str
    labels: Mapping[str, str]


def head_of(kind: Kind, owner: Owner, name: str) -> Manifest:
    """Make what every child of a job has: whose it is, for people and for the garbage collector."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {
            "namespace": owner.namespace,
            "name": name,
            "labels": labels(owner),
            "ownerReferences": [
                {
                    "apiVersion": kinds.FEDERATED_JOB.api_version,
                    "kind": kinds.FEDERATED_JOB.name,
                    "name": owner.name,
                    "uid": owner.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
    }


def labels(owner: Owner) -> dict[str, str]:
    """Give the labels that tell whose something is."""
    return {
        naming.LABEL_JOB: owner.name,
        naming.LABEL_NAMESPACE: owner.namespace,
        naming.LABEL_UID: owner.uid,
    }


def selector(owner: Owner, component: str) -> dict[str, str]:
    """Give the labels by which a job's pods of one component are selected."""
    return {naming.LABEL_COMPONENT: component, naming.LABEL_UID: owner.uid}


def pod_labels(owner: Owner, component: str, attempt: int) -> dict[str, str]:
    """Give the labels of such a pod."""
    return {**labels(owner), naming.LABEL_COMPONENT: component, naming.LABEL_ATTEMPT: str(attempt)}

"""What a running trainer consists of at the hospital: its Job, its state's claim, and the fence around its network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from fedward_operator.api.policy import SitePolicySpec, Volume
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.kube import kinds
from fedward_operator.pod_manifests import TMP, failure_policy, restricted_container, restricted_pod
from fedward_operator.policy import naming
from fedward_operator.policy.admission.limits import quantity
from fedward_operator.policy.admission.verdict import Grant
from fedward_operator.site.settings import SiteSettings
from fedward_operator.site.views import Mirrored

REFUSED = 4
"""The trainer's exit code when it was refused: starting it again would not help."""

GRACE_S = 120
"""What a trainer gets to write its checkpoint once it is told to stop."""

_SHARED_MEMORY = "2Gi"
"""Where nothing bounds the trainer's memory, so that no data loader fills the node's."""

NETWORK_POLICY = "fedward-trainers"

Manifest = dict[str, Any]


def head(kind: kinds.Kind, owner: Mirrored, name: str, settings: SiteSettings) -> Manifest:
    """Make the top of a manifest of something that a SiteJob owns."""
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {
            "namespace": settings.namespace,
            "name": name,
            "labels": {naming.LABEL_SITE_JOB: owner.name},
            "ownerReferences": [
                {
                    "apiVersion": kinds.SITE_JOB.api_version,
                    "kind": kinds.SITE_JOB.name,
                    "name": owner.name,
                    "uid": owner.uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
    }


def state_claim(owner: Mirrored, policy: SitePolicySpec, settings: SiteSettings) -> Manifest | None:
    """Make the claim of the trainer's state, where the policy gives it one."""
    if policy.state is None:
        return None
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": policy.state.size}}}
    if policy.state.storage_class_name is not None:
        spec["storageClassName"] = policy.state.storage_class_name
    return {**head(kinds.CLAIM, owner, naming.state(owner.name), settings), "spec": spec}


def trainer_job(
    owner: Mirrored, asked: SiteJobSpec, grant: Grant, policy: SitePolicySpec, basis: str, settings: SiteSettings
) -> Manifest:
    """Make the Job of the trainer; `basis` says which work order it holds."""
    manifest = head(kinds.JOB, owner, naming.trainer_job(owner.name, asked.attempt), settings)
    labels = {
        naming.LABEL_COMPONENT: "trainer",
        naming.LABEL_SITE_JOB: owner.name,
        naming.LABEL_ATTEMPT: str(asked.attempt),
        naming.ORDER: basis,
    }
    manifest["metadata"]["labels"] |= labels
    manifest["spec"] = {
        "backoffLimit": asked.backoff_limit,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": failure_policy("trainer", REFUSED),
        "template": {"metadata": {"labels": labels}, "spec": _pod(owner, grant, policy, settings)},
    }
    return manifest


def network_policy(settings: SiteSettings) -> Manifest:
    """Make the fence: nothing reaches a trainer, and a trainer reaches the gateway alone.

    Not even the names' server, for whoever may ask it for any name can tell somebody outside anything.
    """
    gateway = {"matchLabels": {naming.LABEL_COMPONENT: "gateway"}}
    port = int(settings.gateway.rpartition(":")[2])
    return {
        "apiVersion": kinds.NETWORK_POLICY.api_version,
        "kind": kinds.NETWORK_POLICY.name,
        "metadata": {"namespace": settings.namespace, "name": NETWORK_POLICY},
        "spec": {
            "podSelector": {"matchLabels": {naming.LABEL_COMPONENT: "trainer"}},
            "policyTypes": ["Ingress", "Egress"],
            # Said, not left out: else what somebody adds here would not be taken away.
            "ingress": [],
            "egress": [{"to": [{"podSelector": gateway}], "ports": [{"protocol": "TCP", "port": port}]}],
        },
    }


def _pod(owner: Mirrored, grant: Grant, policy: SitePolicySpec, settings: SiteSettings) -> Manifest:
    volumes: list[Manifest] = [
        {"name": "order", "secret": {"secretName": naming.order(owner.name), "defaultMode": 0o440}},
        {"name": "data", **data_source(grant.volume)},
        {"name": "gateway", "configMap": {"name": settings.gateway_ca}},
        {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": _shared_memory(grant.memory)}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if policy.state is None:
        volumes.append({"name": "state", "emptyDir": {}})
    else:
        volumes.append({"name": "state", "persistentVolumeClaim": {"claimName": naming.state(owner.name)}})
    trainer = restricted_container(
        "trainer",
        grant.image,
        [
            *("run", "--plan", "/order/plan.json", "--work-order", "/order/work-order", "--data", "/data"),
            *("--state", "/state", "--gateway", settings.gateway, "--gateway-ca", "/gateway/ca.crt"),
        ],
        resources=_resources(grant),
        mounts=[
            {"name": "order", "mountPath": "/order", "readOnly": True},
            {"name": "data", "mountPath": "/data", "readOnly": True},
            {"name": "gateway", "mountPath": "/gateway", "readOnly": True},
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108 a volume of the pod's own
            {"name": "state", "mountPath": "/state"},
            {"name": "tmp", "mountPath": TMP},
        ],
    )
    trainer["env"] = list(_surroundings(grant))
    pod = restricted_pod(containers=[trainer], volumes=volumes, pull_secrets=settings.pull_secrets)
    # Kubernetes tells a trainer the gateway's address, so that it need not ask for a name.
    pod["enableServiceLinks"] = True
    pod["terminationGracePeriodSeconds"] = GRACE_S
    if grant.node_selector:
        pod["nodeSelector"] = dict(grant.node_selector)
    if grant.tolerations:
        pod["tolerations"] = [each.model_dump(by_alias=True, exclude_none=True) for each in grant.tolerations]
    if grant.runtime_class_name:
        pod["runtimeClassName"] = grant.runtime_class_name
    if grant.priority_class_name:
        pod["priorityClassName"] = grant.priority_class_name
    return pod


def _surroundings(grant: Grant) -> Iterator[Manifest]:
    if grant.cpu:
        # It sees all of the node's cores, and threads beyond those that it was given only get in each other's way.
        yield {"name": "OMP_NUM_THREADS", "value": str(math.ceil(quantity(grant.cpu)))}
    if not grant.gpus:
        # An image may ask NVIDIA's runtime for every GPU of the node; whom none was lent gets none.
        yield {"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}


def data_source(volume: Volume) -> Manifest:
    """Say where a dataset lies, as a pod does, to be read only."""
    if volume.host_path is not None:
        return {"hostPath": {"path": volume.host_path.path, "type": "Directory"}}
    claim = volume.persistent_volume_claim
    return {"persistentVolumeClaim": {"claimName": claim.claim_name if claim else "", "readOnly": True}}


def _shared_memory(memory: str | None) -> str:
    """Size /dev/shm, of which a container has 64 MiB by itself, for PyTorch's data loaders to hand batches over in.

    Half the memory, as a machine's own has: what lies there counts towards the trainer's limit.
    """
    return _SHARED_MEMORY if memory is None else str(int(quantity(memory) / 2))


def _resources(grant: Grant) -> Manifest:
    requests: Manifest = {}
    if grant.cpu:
        requests["cpu"] = grant.cpu
    if grant.memory:
        requests["memory"] = grant.memory
    limits = {name: str(count) for name, count in grant.gpus.items()}
    if grant.memory:
        limits["memory"] = grant.memory
    return {"requests": requests, "limits": limits}

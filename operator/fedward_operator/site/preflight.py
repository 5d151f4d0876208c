"""What looks at a dataset: a Job of the hospital's own trainer image that sees the data and no network at all."""

from __future__ import annotations

from typing import Any

from fedward_operator.api.policy import Dataset, SitePolicySpec
from fedward_operator.kube import kinds
from fedward_operator.pod_manifests import failure_policy, restricted_container, restricted_pod
from fedward_operator.policy import naming
from fedward_operator.site.settings import SiteSettings
from fedward_operator.site.trainer import REFUSED, data_source
from fedward_operator.site.views import Policy

COMPONENT = "preflight"
NETWORK_POLICY = "fedward-preflight"

_TRIES = 3
_LONGEST_S = 4 * 3600
"""Some ten thousand cases, each of them read in full."""

_RESOURCES = {"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "4Gi"}}
"""One volume at a time is in memory; a large CT needs most of the limit."""

Manifest = dict[str, Any]


def preflight_job(
    policy: Policy, spec: SitePolicySpec, dataset: Dataset, basis: str, settings: SiteSettings
) -> Manifest:
    """Make the Job that inspects one dataset."""
    labels = {naming.LABEL_COMPONENT: COMPONENT, naming.LABEL_DATASET: dataset.name, naming.LABEL_BASIS: basis}
    owner = {
        "apiVersion": kinds.SITE_POLICY.api_version,
        "kind": kinds.SITE_POLICY.name,
        "name": policy.name,
        "uid": policy.uid,
        "controller": True,
    }
    return {
        "apiVersion": kinds.JOB.api_version,
        "kind": kinds.JOB.name,
        "metadata": {
            "namespace": settings.namespace,
            "name": naming.preflight_job(dataset.name, basis),
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {
            "backoffLimit": _TRIES - 1,
            "activeDeadlineSeconds": _LONGEST_S,
            "podReplacementPolicy": "Failed",
            "podFailurePolicy": failure_policy(COMPONENT, REFUSED),
            "template": {"metadata": {"labels": labels}, "spec": _pod(spec, dataset, settings)},
        },
    }


def network_policy(settings: SiteSettings) -> Manifest:
    """Make the fence: nothing reaches an inspection, and it reaches nothing."""
    return {
        "apiVersion": kinds.NETWORK_POLICY.api_version,
        "kind": kinds.NETWORK_POLICY.name,
        "metadata": {"namespace": settings.namespace, "name": NETWORK_POLICY},
        "spec": {
            "podSelector": {"matchLabels": {naming.LABEL_COMPONENT: COMPONENT}},
            "policyTypes": ["Ingress", "Egress"],
            # Said, not left out: else what somebody adds here would not be taken away.
            "ingress": [],
            "egress": [],
        },
    }


def _pod(spec: SitePolicySpec, dataset: Dataset, settings: SiteSettings) -> Manifest:
    container = restricted_container(
        COMPONENT,
        settings.trainer_image,
        ["inspect", "--data", "/data", "--format", dataset.format or "auto"],
        resources=_RESOURCES,
        mounts=[{"name": "data", "mountPath": "/data", "readOnly": True}],
    )
    # The report and nothing else: what a log may hold must not become a status.
    container["terminationMessagePolicy"] = "File"
    pod = restricted_pod(
        containers=[container],
        volumes=[{"name": "data", **data_source(dataset.volume)}],
        pull_secrets=settings.pull_secrets,
    )
    if spec.gpus is not None:
        # On the trainers' nodes: a folder of a node is on no other.
        pod["nodeSelector"] = dict(spec.gpus.node_selector)
        pod["tolerations"] = [each.model_dump(by_alias=True, exclude_none=True) for each in spec.gpus.tolerations]
    return pod

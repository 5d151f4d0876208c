"""What a running job consists of in the hub's cluster: the manifests, and what of each has to stay as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fedward_operator.api.job import FederatedJobSpec
from fedward_operator.hub import scraped, views
from fedward_operator.hub.owned import (
    AGGREGATOR,
    PORT,
    TRACKER,
    Manifest,
    Owner,
    head_of,
    labels,
    pod_labels,
    selector,
)
from fedward_operator.hub.settings import HubSettings
from fedward_operator.kube import kinds
from fedward_operator.pod_manifests import TMP, failure_policy, restricted_container, restricted_pod
from fedward_operator.policy import naming
from fedward_protocol.identity import aggregator_name
from fedward_protocol.tracing.exporting import ENDPOINT

DOOR, OPERATOR = "door", "hub-operator"
"""The components whose pods the chart labels so, and which may reach an aggregator."""

JOB_FAILED = 3
"""The aggregator's exit code when the federated job itself has failed: starting it again would not help."""

_QUEUE_LABELS = ("kueue.x-k8s.io/queue-name", "kueue.x-k8s.io/priority-class")


def plan_map(owner: Owner, plan: str) -> Manifest:
    """Make the ConfigMap of the plan, which nobody can change."""
    return {**head_of(kinds.CONFIG_MAP, owner, naming.plan(owner.name)), "immutable": True, "data": {"plan.json": plan}}


def claim(owner: Owner, settings: HubSettings) -> Manifest:
    """Make the claim for the journal, the updates and the models; it stays until the job is deleted."""
    spec: Manifest = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": settings.storage}}}
    if settings.storage_class is not None:
        spec["storageClassName"] = settings.storage_class
    return {**head_of(kinds.CLAIM, owner, naming.aggregator(owner.name)), "spec": spec}


def service(owner: Owner) -> Manifest:
    """Make the Service that the door sends sites' connections to."""
    spec = {
        "selector": selector(owner, AGGREGATOR),
        "ports": [{"name": "grpc", "port": PORT, "targetPort": PORT, "protocol": "TCP", "appProtocol": "grpc"}],
    }
    return {**head_of(kinds.SERVICE, owner, naming.aggregator(owner.name)), "spec": spec}


def service_held(owner: Owner) -> Mapping[str, Any]:
    """Say what of the Service has to stay."""
    return {"selector": selector(owner, AGGREGATOR), "ports": [(PORT, PORT)]}


def network_policy(owner: Owner, settings: HubSettings, *, tracked: bool) -> Manifest:
    """Make the fence: door, operator and tracker reach an aggregator, scrapers its metrics; it reaches a collector."""
    home = {"matchLabels": {"kubernetes.io/metadata.name": settings.namespace}}
    callers: list[Manifest] = [
        {"namespaceSelector": home, "podSelector": {"matchLabels": {naming.LABEL_COMPONENT: component}}}
        for component in (DOOR, OPERATOR)
    ]
    if tracked:
        callers.append({"podSelector": {"matchLabels": selector(owner, TRACKER)}})
    ingress = [{"from": callers, "ports": [{"protocol": "TCP", "port": PORT}]}]
    ingress += scraped.from_scrapers(settings)
    spec = {
        "podSelector": {"matchLabels": selector(owner, AGGREGATOR)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        # Said, not left out: else what somebody adds here would not be taken away.
        "egress": [dict(rule) for rule in settings.tracing_egress],
    }
    return {**head_of(kinds.NETWORK_POLICY, owner, naming.aggregator(owner.name)), "spec": spec}


def network_policy_held(manifest: Manifest) -> Mapping[str, Any]:
    """Say what of the fence has to stay: all that it allows."""
    return {"fence": views.fence(manifest["spec"])}


def aggregator_job(owner: Owner, spec: FederatedJobSpec, attempt: int, settings: HubSettings) -> Manifest:
    """Make the Job of the aggregator, which first makes the initial model."""
    head = head_of(kinds.JOB, owner, naming.aggregator_job(owner.name, attempt))
    labels = pod_labels(owner, AGGREGATOR, attempt)
    head["metadata"]["labels"] |= labels | {name: owner.labels[name] for name in _QUEUE_LABELS if name in owner.labels}
    plan: Manifest = {"name": "plan", "mountPath": "/plan", "readOnly": True}
    tmp: Manifest = {"name": "tmp", "mountPath": TMP}
    initialise = restricted_container(
        "initialise",
        spec.image or settings.trainer_image,
        ["initialise", "--plan", "/plan/plan.json", "--out", "/initial/model.safetensors"],
        resources={"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}},
        # It runs the researcher's code: not where single sites' updates lie.
        mounts=[plan, {"name": "initial", "mountPath": "/initial"}, {"name": "scratch", "mountPath": TMP}],
    )
    aggregator = restricted_container(
        "aggregator",
        settings.aggregator_image,
        [
            *("--plan", "/plan/plan.json", "--attempt", str(attempt), "--state", "/state", "--tls", "/tls"),
            *("--listen", f"0.0.0.0:{PORT}", *scraped.arguments(settings)),
            *("--initial", "/initial/model.safetensors"),
        ],
        resources={"requests": {"cpu": "500m", "memory": "512Mi"}, "limits": {"memory": "2Gi"}},
        mounts=[
            *(plan, tmp, {"name": "state", "mountPath": "/state"}),
            {"name": "initial", "mountPath": "/initial", "readOnly": True},
            {"name": "tls", "mountPath": "/tls", "readOnly": True},
            *scraped.mounts(settings),
        ],
    )
    aggregator["ports"] = [{"name": "grpc", "containerPort": PORT}, *scraped.ports(settings)]
    if settings.tracing_endpoint:
        aggregator["env"] = [{"name": ENDPOINT, "value": settings.tracing_endpoint}]
    aggregator["readinessProbe"] = {"tcpSocket": {"port": PORT}, "periodSeconds": 2}
    aggregator["livenessProbe"] = {"httpGet": {"path": "/healthz", "port": "metrics"}, "periodSeconds": 20}
    pod = restricted_pod(
        containers=[aggregator],
        init_containers=[initialise],
        volumes=[
            {"name": "plan", "configMap": {"name": naming.plan(owner.name)}},
            {"name": "state", "persistentVolumeClaim": {"claimName": naming.aggregator(owner.name)}},
            {"name": "tls", "secret": {"secretName": naming.aggregator_tls(owner.name), "defaultMode": 0o440}},
            *scraped.volumes(settings, naming.aggregator_tls(owner.name)),
            *({"name": name, "emptyDir": {}} for name in ("initial", "scratch", "tmp")),
        ],
        pull_secrets=settings.pull_secrets,
    )
    job = {
        "backoffLimit": spec.backoff_limit,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": failure_policy("aggregator", JOB_FAILED),
        "template": {"metadata": {"labels": labels, **scraped.pod_annotations(settings)}, "spec": pod},
    }
    return {**head, "spec": job}


def site_job(
    owner: Owner,
    spec: FederatedJobSpec,
    site: str,
    plan: tuple[str, str],
    settings: HubSettings,
    held: Mapping[str, Any],
) -> Manifest:
    """Make what one site is asked; `plan` is its text and its digest, `held` what changes between attempts."""
    text, digest = plan
    document: Manifest = {
        "job": {"namespace": owner.namespace, "name": owner.name, "uid": owner.uid},
        "site": site,
        "federation": settings.federation,
        "attempt": held["attempt"],
        "suspend": held["suspend"],
        "aggregator": {
            "address": held["address"],
            "serverName": aggregator_name(owner.name, owner.namespace, settings.federation),
        },
        "plan": text,
        "planDigest": digest,
        "dataset": spec.data.dataset,
        "resources": _dumped(spec.resources),
        "podTemplate": _dumped(spec.pod_template),
        "backoffLimit": spec.backoff_limit,
    }
    if spec.image is not None:
        document["image"] = spec.image
    marks = {**labels(owner), naming.LABEL_SIDE: "hub"}
    metadata = {"namespace": naming.mailbox(site), "name": naming.site_job(owner.name, owner.namespace)}
    return {
        "apiVersion": kinds.SITE_JOB.api_version,
        "kind": kinds.SITE_JOB.name,
        "metadata": {**metadata, "labels": marks},
        "spec": document,
    }


def _dumped(model: Any) -> Manifest:
    found: Manifest = json.loads(model.model_dump_json(by_alias=True, exclude_none=True))
    return found

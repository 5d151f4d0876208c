"""A job's trackers in the hub's cluster: the manifests. In pods of their own, so that an aggregator stays fenced in."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from fedward_operator.api.tracking import CREDENTIALS, Tracking
from fedward_operator.hub import scraped
from fedward_operator.hub.owned import (
    AGGREGATOR,
    PORT,
    TRACKER,
    Manifest,
    Owner,
    head_of,
    pod_labels,
    selector,
)
from fedward_operator.hub.settings import HubSettings
from fedward_operator.kube import kinds
from fedward_operator.pod_manifests import TMP, failure_policy, restricted_container, restricted_pod
from fedward_operator.policy import naming

GAVE_UP = 3
"""The tracker's exit code when starting it again would not help."""

_RESOURCES: Manifest = {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"memory": "1Gi"}}

_BACKOFF_LIMIT = 10
"""How often one that crashed is started again; the waits between double up to six minutes."""


def network_policy(owner: Owner, settings: HubSettings) -> Manifest:
    """Make the fence: trackers reach the job's aggregator and what the hub's administrator opened to them."""
    to_aggregator: Manifest = {
        "to": [{"podSelector": {"matchLabels": selector(owner, AGGREGATOR)}}],
        "ports": [{"protocol": "TCP", "port": PORT}],
    }
    spec = {
        "podSelector": {"matchLabels": selector(owner, TRACKER)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": scraped.from_scrapers(settings),
        "egress": [to_aggregator, *(dict(rule) for rule in settings.tracking_egress)],
    }
    return {**head_of(kinds.NETWORK_POLICY, owner, naming.tracker(owner.name)), "spec": spec}


def follower_job(owner: Owner, tracking: Tracking, attempt: int, settings: HubSettings) -> Manifest:
    """Make the Job that watches an attempt's aggregator and logs each round as it closes."""
    address = f"{naming.aggregator(owner.name)}.{owner.namespace}.svc:{PORT}"
    return _job(
        owner,
        naming.follower_job(owner.name, attempt),
        tracking,
        attempt,
        settings,
        arguments=["follow", "--attempt", str(attempt), "--aggregator", address, "--tls", "/tls"],
        volumes=[{"name": "tls", "secret": {"secretName": naming.tracker_tls(owner.name), "defaultMode": 0o440}}],
    )


def finisher_job(
    owner: Owner, tracking: Tracking, attempt: int, ended: Mapping[str, object], settings: HubSettings
) -> Manifest:
    """Make the Job that logs, from the job's volume, what is missing once it has ended: its model and report too.

    Args:
        owner: the job.
        tracking: where it is logged.
        attempt: the last one.
        ended: how it ended, as the tracker reads it.
        settings: the hub's.
    """
    plan: Manifest = {"name": "plan", "mountPath": "/plan", "readOnly": True}
    collect = restricted_container(
        "collect",
        settings.tracker_image,
        ["collect", "--plan", "/plan/plan.json", "--state", "/state", "--out", "/left"],
        resources=_RESOURCES,
        mounts=[
            *(plan, {"name": "state", "mountPath": "/state", "readOnly": True}),
            *({"name": "left", "mountPath": "/left"}, {"name": "tmp", "mountPath": TMP}),
        ],
    )
    return _job(
        owner,
        naming.finisher_job(owner.name),
        tracking,
        attempt,
        settings,
        arguments=["finish", "--state", "/left", "--ended", json.dumps(ended, separators=(",", ":"))],
        volumes=[
            {"name": "left", "emptyDir": {}},
            {"name": "state", "persistentVolumeClaim": {"claimName": naming.aggregator(owner.name)}},
        ],
        # What speaks with a server of the researcher's never has the volume with single hospitals' updates.
        first=[collect],
    )


def _job(
    owner: Owner,
    name: str,
    tracking: Tracking,
    attempt: int,
    settings: HubSettings,
    *,
    arguments: Sequence[str],
    volumes: Sequence[Manifest],
    first: Sequence[Manifest] = (),
) -> Manifest:
    head = head_of(kinds.JOB, owner, name)
    labels = pod_labels(owner, TRACKER, attempt)
    head["metadata"]["labels"] |= labels
    told = tracking.model_dump_json(by_alias=True, exclude_none=True)
    secret = tracking.mlflow.secret_name
    container = restricted_container(
        "tracker",
        settings.tracker_image,
        [
            *(arguments[0], "--plan", "/plan/plan.json", "--tracking", _verbatim(told)),
            *map(_verbatim, arguments[1:]),
            *scraped.arguments(settings),
        ],
        resources=_RESOURCES,
        mounts=[
            {"name": "plan", "mountPath": "/plan", "readOnly": True},
            # The first is what it reads.
            {"name": volumes[0]["name"], "mountPath": f"/{volumes[0]['name']}", "readOnly": True},
            *([{"name": "mlflow", "mountPath": "/mlflow", "readOnly": True}] if secret else ()),
            *scraped.mounts(settings),
            {"name": "tmp", "mountPath": TMP},
        ],
    )
    container["ports"] = scraped.ports(settings)
    container["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": "metrics"}, "periodSeconds": 5}
    container["livenessProbe"] = {"httpGet": {"path": "/healthz", "port": "metrics"}, "periodSeconds": 20}
    pod = restricted_pod(
        containers=[container],
        init_containers=first,
        volumes=[
            {"name": "plan", "configMap": {"name": naming.plan(owner.name)}},
            *volumes,
            *(_secret_volume(secret) if secret else ()),
            *scraped.volumes(settings, naming.tracker_tls(owner.name)),
            {"name": "tmp", "emptyDir": {}},
        ],
        pull_secrets=settings.pull_secrets,
    )
    job = {
        "backoffLimit": _BACKOFF_LIMIT,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": failure_policy("tracker", GAVE_UP),
        "template": {"metadata": {"labels": labels, **scraped.pod_annotations(settings)}, "spec": pod},
    }
    return {**head, "spec": job}


def _secret_volume(secret: str) -> list[Manifest]:
    """Mount these keys and no other: whoever may make a job need not be allowed to read Secrets.

    As files: what is in the environment, the job's own texts could have put into an argument, by $(NAME).
    """
    items = [{"key": key, "path": key} for key in (*CREDENTIALS, "ca.crt")]
    source = {"secretName": secret, "optional": True, "items": items, "defaultMode": 0o440}
    return [{"name": "mlflow", "secret": source}]


def _verbatim(argument: str) -> str:
    """Write an argument that Kubernetes is to hand on as it is."""
    return argument.replace("$", "$$")

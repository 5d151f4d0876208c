"""A pod for some seconds that reads the volume of a job that has ended, and hands out what a report is made of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from fedward_cli.cluster.doctor_pods import pods
from fedward_cli.cluster.kubectl import ClusterError, Kubectl, Object, find, listed, within
from fedward_cli.cluster.whose import AtHub
from fedward_operator.checks.finding import Level
from fedward_operator.pod_manifests import TMP, restricted_container, restricted_pod
from fedward_operator.policy import naming

PROGRAM = ("python3.11", "-m", "fedward_server.export")
"""In the aggregator's image, which has no shell."""

_LONGEST_S = 1800
"""After which Kubernetes ends a pod that was left behind."""

_STARTS_WITHIN = "180s"


@contextmanager
def reader(found: AtHub, run: Kubectl, now: datetime) -> Iterator[str]:
    """Make the pod, give its name once it runs, and take it away.

    Raises:
        ClusterError: it does not start, the job never had an aggregator, or a right is missing.
    """
    image, pull_secrets = _image(found, run)
    made = json.loads(run(["create", "-o", "json", "-f", "-"], json.dumps(manifest(found, image, pull_secrets))))
    name = str(made["metadata"]["name"])
    try:
        try:
            run(
                [
                    "wait",
                    f"pod/{name}",
                    "--for=condition=Ready",
                    f"--timeout={_STARTS_WITHIN}",
                    *within(found.namespace),
                ]
            )
        except ClusterError as error:
            raise ClusterError(_why(found, name, run, now) or str(error)) from error
        yield name
    finally:
        run(["delete", "pod", name, "--wait=false", "--ignore-not-found", *within(found.namespace)])


def manifest(found: AtHub, image: str, pull_secrets: tuple[str, ...]) -> Object:
    """Make the pod: by the restricted standard, no token, no network needed, the volume read-only."""
    # Of no component whose pods a Service or a fence selects.
    labels = {naming.LABEL_COMPONENT: "reader", naming.LABEL_JOB: found.name, naming.LABEL_NAMESPACE: found.namespace}
    owner = {key: found.job[key] for key in ("apiVersion", "kind")}
    owner |= {"name": found.name, "uid": found.job["metadata"]["uid"]}
    container = restricted_container(
        "reader",
        image,
        [],
        resources={"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        mounts=[
            {"name": "state", "mountPath": "/state", "readOnly": True},
            {"name": "plan", "mountPath": "/plan", "readOnly": True},
            {"name": "tmp", "mountPath": TMP},
        ],
    )
    container["command"] = [*PROGRAM, "--hold"]
    spec = restricted_pod(
        containers=[container],
        volumes=[
            {"name": "state", "persistentVolumeClaim": {"claimName": naming.aggregator(found.name)}},
            {"name": "plan", "configMap": {"name": naming.plan(found.name)}},
            {"name": "tmp", "emptyDir": {}},
        ],
        pull_secrets=pull_secrets,
    )
    spec |= {
        "activeDeadlineSeconds": _LONGEST_S,
        "terminationGracePeriodSeconds": 1,
        "affinity": _beside_tracker(found),
    }
    metadata = {
        "generateName": f"{found.name}-report-",
        "namespace": found.namespace,
        "labels": labels,
        # With the job it goes, should nobody take it away.
        "ownerReferences": [owner],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _beside_tracker(found: AtHub) -> Object:
    """Prefer the node of the job's tracker, which may still read the volume: most volumes are one node's at a time."""
    selector = {naming.LABEL_COMPONENT: "tracker", naming.LABEL_UID: found.job["metadata"]["uid"]}
    term = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": selector}}
    return {
        "podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": term}]}
    }


def _image(found: AtHub, run: Kubectl) -> tuple[str, tuple[str, ...]]:
    """Find the image that the job's aggregator ran, and the secrets that it was pulled with."""
    selector = f"{naming.LABEL_COMPONENT}=aggregator,{naming.LABEL_JOB}={found.name}"
    specs: list[Any] = [each["spec"] for each in listed(run, "pods", "-l", selector, *within(found.namespace))]
    if not specs:
        jobs = listed(run, "jobs.batch", "-l", selector, *within(found.namespace))
        specs = [each["spec"]["template"]["spec"] for each in jobs]
    if not specs:
        raise ClusterError(f"{found.name} never had an aggregator, so there is nothing to report")
    containers = [each for each in specs[-1]["containers"] if each["name"] == "aggregator"]
    secrets = tuple(each["name"] for each in specs[-1].get("imagePullSecrets") or ())
    return str(containers[0]["image"]), secrets


def _why(found: AtHub, name: str, run: Kubectl, now: datetime) -> str:
    pod = find(run, "pod", name, found.namespace)
    wrong = [each for each in pods([pod], now) if each.level is Level.WRONG] if pod else []
    return "; ".join(f"the pod that reads the volume does not start: {each.reason}: {each.said}" for each in wrong)

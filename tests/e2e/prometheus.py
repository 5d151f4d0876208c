"""A Prometheus in a pod of its own: it follows the pods' annotations, and knows nothing of Fedward but its alerts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from tests.cluster.annotations import RELABELINGS
from tests.kube import scratch_image
from tests.kube.cluster import Cluster

NAMESPACE = "monitoring"
"""What the charts' networkPolicy.scrapers lets in unless told otherwise."""

_IMAGE = "localhost/prometheus:1"
_ROOT = Path(__file__).resolve().parents[2]
_RULES = [*sorted(_ROOT.glob("charts/*/rules/*.yaml"))]
_THERE = {"name": "prometheus", "namespace": NAMESPACE}
_ENDED = {"source_labels": ["__meta_kubernetes_pod_phase"], "regex": "Succeeded|Failed", "action": "drop"}


def archive(folder: Path, binaries: Path) -> Path:
    """Make its image."""
    arguments = ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/data"]
    return scratch_image.write(folder / "prometheus.tar", _IMAGE, binaries / "prometheus", arguments)


class Prometheus:
    """What scrapes one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.moment = 0.0
        """A time at which there was much to see, in Unix seconds."""

    def start(self) -> None:
        """Start it and wait until it is ready."""
        self._cluster.kubectl(
            "apply", "-f", "-", manifest={"apiVersion": "v1", "kind": "List", "items": [*_rights(), *_manifests()]}
        )
        self._cluster.kubectl("wait", "pod/prometheus", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s")

    def ask(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Evaluate PromQL, at a time in Unix seconds or now."""
        asked = f"query={quote(expression)}" + (f"&time={at:.3f}" if at is not None else "")
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/prometheus:9090/proxy/api/v1/query?{asked}"
        found: list[dict[str, Any]] = json.loads(self._cluster.kubectl("get", "--raw", path))["data"]["result"]
        return found


def _rights() -> list[dict[str, Any]]:
    """Let it look at pods, as every Prometheus may that discovers them."""
    rule = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "prometheus"}
    named = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "prometheus"}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _THERE},
        {**named, "kind": "ClusterRole", "rules": [rule]},
        {
            **named,
            "kind": "ClusterRoleBinding",
            "roleRef": role,
            "subjects": [{"kind": "ServiceAccount", **_THERE}],
        },
    ]


def _manifests() -> list[Mapping[str, Any]]:
    config = {
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
        "rule_files": [f"/etc/prometheus/{path.name}" for path in _RULES],
        "scrape_configs": [
            {
                "job_name": "pods",
                "honor_labels": True,
                "kubernetes_sd_configs": [{"role": "pod"}],
                "relabel_configs": [_ENDED, *RELABELINGS],
            }
        ],
    }
    files = {"prometheus.yml": yaml.safe_dump(config)} | {path.name: path.read_text() for path in _RULES}
    container = {
        "name": "prometheus",
        "image": _IMAGE,
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/prometheus"}, {"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "config", "configMap": {"name": "prometheus"}}, {"name": "data", "emptyDir": {}}]
    return [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _THERE, "data": files},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": _THERE,
            "spec": {"serviceAccountName": "prometheus", "containers": [container], "volumes": volumes},
        },
    ]

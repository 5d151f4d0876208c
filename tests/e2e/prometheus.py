"""A Prometheus in a pod of its own: it looks for the usual annotations, and knows nothing of Fedward but its alerts."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml
from tests.kube import scratch_image
from tests.kube.cluster import Cluster

NAMESPACE = "monitoring"
"""What the charts' networkPolicy.scrapers lets in unless told otherwise."""

_IMAGE = "localhost/prometheus:1"
_ROOT = Path(__file__).resolve().parents[2]
_RULES = [*sorted(_ROOT.glob("charts/*/rules/*.yaml"))]
_POD = "__meta_kubernetes_pod"
_CONFIG = {
    "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
    "rule_files": [f"/etc/prometheus/{path.name}" for path in _RULES],
    "scrape_configs": [
        {
            "job_name": "pods",
            "kubernetes_sd_configs": [{"role": "pod"}],
            "relabel_configs": [
                {"source_labels": [f"{_POD}_annotation_prometheus_io_scrape"], "action": "keep", "regex": "true"},
                {"source_labels": [f"{_POD}_phase"], "action": "keep", "regex": "Running"},
                {"source_labels": [f"{_POD}_annotation_prometheus_io_scheme"], "target_label": "__scheme__"},
                {"source_labels": [f"{_POD}_annotation_prometheus_io_path"], "target_label": "__metrics_path__"},
                {
                    "source_labels": [f"{_POD}_ip", f"{_POD}_annotation_prometheus_io_port"],
                    "separator": ":",
                    "target_label": "__address__",
                },
                {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
                {"source_labels": [f"{_POD}_label_fedward_io_component"], "target_label": "component"},
            ],
        }
    ],
}


def archive(folder: Path) -> Path:
    """Make the image from this machine's own Prometheus."""
    binary = shutil.which("prometheus")
    assert binary is not None, "no Prometheus: scripts/prepare_monitoring.sh"
    shown = subprocess.run(["ldd", binary], capture_output=True, text=True).stdout
    libraries = [Path(path) for path in re.findall(r"(/\S+) \(0x", shown)]
    arguments = ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/data"]
    return scratch_image.write(folder / "prometheus.tar", _IMAGE, Path(binary), arguments, libraries)


class Prometheus:
    """What scrapes one cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.moment = 0.0
        """A time at which there was much to see, in Unix seconds."""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        items = {"apiVersion": "v1", "kind": "List", "items": _manifests()}
        self._cluster.kubectl("apply", "-f", "-", manifest=items)
        self._cluster.kubectl("wait", "pod/prometheus", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s")

    def ask(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Evaluate PromQL, at a time in Unix seconds or now."""
        asked = f"query={quote(expression)}" + (f"&time={at:.3f}" if at is not None else "")
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/prometheus:9090/proxy/api/v1/query?{asked}"
        found: list[dict[str, Any]] = json.loads(self._cluster.kubectl("get", "--raw", path))["data"]["result"]
        return found


def _manifests() -> list[dict[str, Any]]:
    there = {"name": "prometheus", "namespace": NAMESPACE}
    group = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    files = {"prometheus.yml": yaml.safe_dump(_CONFIG)} | {path.name: path.read_text() for path in _RULES}
    container = {
        "name": "prometheus",
        "image": _IMAGE,
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/prometheus"}, {"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "config", "configMap": {"name": "prometheus"}}, {"name": "data", "emptyDir": {}}]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": there},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": "prometheus"}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "prometheus"},
            "subjects": [{"kind": "ServiceAccount", **there}],
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "prometheus"},
        },
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": there, "data": files},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": there,
            "spec": {"serviceAccountName": "prometheus", "containers": [container], "volumes": volumes},
        },
    ]

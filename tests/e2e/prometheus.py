"""A Prometheus in a pod of its own: it follows the pods' annotations, and knows nothing of Fedward but its alerts.

Debian builds it without the part that asks Kubernetes, so what a usual configuration makes of annotations is made here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
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
        """Start it over the pods that are there and say that they want to be scraped, and wait until it is ready."""
        pods = self._cluster.plane.request("GET", "/api/v1/pods")["items"]
        items = {"apiVersion": "v1", "kind": "List", "items": _manifests(list(map(_target, filter(_is_scraped, pods))))}
        self._cluster.kubectl("apply", "-f", "-", manifest=items)
        self._cluster.kubectl("wait", "pod/prometheus", "-n", NAMESPACE, "--for=condition=Ready", "--timeout=60s")

    def ask(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """Evaluate PromQL, at a time in Unix seconds or now."""
        asked = f"query={quote(expression)}" + (f"&time={at:.3f}" if at is not None else "")
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/prometheus:9090/proxy/api/v1/query?{asked}"
        found: list[dict[str, Any]] = json.loads(self._cluster.kubectl("get", "--raw", path))["data"]["result"]
        return found


def _is_scraped(pod: Mapping[str, Any]) -> bool:
    annotations = pod["metadata"].get("annotations", {})
    return annotations.get("prometheus.io/scrape") == "true" and pod["status"]["phase"] == "Running"


def _target(pod: Mapping[str, Any]) -> dict[str, Any]:
    metadata = pod["metadata"]
    said = {name: metadata["annotations"][f"prometheus.io/{name}"] for name in ("scheme", "port", "path")}
    labels = {
        "namespace": metadata["namespace"],
        "component": metadata["labels"]["fedward.io/component"],
        "__scheme__": said["scheme"],
        "__metrics_path__": said["path"],
    }
    return {"targets": [f"{pod['status']['podIP']}:{said['port']}"], "labels": labels}


def _manifests(targets: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    there = {"name": "prometheus", "namespace": NAMESPACE}
    config = {
        "global": {"scrape_interval": "2s", "evaluation_interval": "2s"},
        "rule_files": [f"/etc/prometheus/{path.name}" for path in _RULES],
        "scrape_configs": [{"job_name": "pods", "static_configs": list(targets)}],
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
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": there, "data": files},
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": there,
            "spec": {"automountServiceAccountToken": False, "containers": [container], "volumes": volumes},
        },
    ]

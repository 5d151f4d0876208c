"""The Prometheus Operator over a cluster without machines, and what it writes for a Prometheus."""

from __future__ import annotations

import base64
import gzip
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.kube.component import Component
from tests.kube.control_plane import ControlPlane, free_ports

NEEDED = ("prometheus-operator", "prometheus-operator.yaml", "prometheus", "promtool")
MISSING = "no Prometheus Operator and no Prometheus that asks Kubernetes: run `make kube` (takes Go)"
MOUNTED = "/etc/prometheus"
"""Where the operator has all of it in the pod."""

_USER = "system:serviceaccount:default:prometheus-operator"


@dataclass(frozen=True, slots=True)
class Written:
    """What a Prometheus is started with.

    Attributes:
        configuration: its configuration.
        files: what that names, by path below `MOUNTED`: rules, certificates and keys.
    """

    configuration: Mapping[str, Any]
    files: Mapping[str, bytes]


class PrometheusOperator:
    """A process with the rights that its own manifest gives it.

    Raises:
        RuntimeError: the API server does not take its kinds.
    """

    def __init__(self, binaries: Path, folder: Path, plane: ControlPlane) -> None:
        folder.mkdir(parents=True)
        self._plane = plane
        _apply_manifest(binaries, plane)
        certificate, key = plane.authority.client(_USER)
        (port,) = free_ports(1)
        self._process = Component(
            [
                *(binaries / "prometheus-operator", f"--apiserver={plane.url}", f"--ca-file={plane.authority.ca}"),
                *(f"--cert-file={certificate}", f"--key-file={key}", f"--web.listen-address=127.0.0.1:{port}"),
            ],
            folder / "prometheus-operator.log",
        )

    def written(self, namespace: str, name: str) -> Written | None:
        """Read what it has written for a Prometheus; None until it has."""
        kept = f"prometheus-{name}"
        secrets = {each["metadata"]["name"]: each for each in self._items(namespace, "secrets")}
        compressed = secrets.get(kept, {}).get("data", {}).get("prometheus.yaml.gz")
        if compressed is None:
            return None
        files = {
            f"rules/{each['metadata']['name']}/{file}": text.encode()
            for each in self._items(namespace, "configmaps")
            if each["metadata"]["name"].startswith(f"{kept}-rulefiles-")
            for file, text in each.get("data", {}).items()
        }
        files |= {
            f"certs/{file}": base64.b64decode(content)
            for secret, each in secrets.items()
            if secret.startswith(f"{kept}-tls-assets-")
            for file, content in each.get("data", {}).items()
        }
        return Written(yaml.safe_load(gzip.decompress(base64.b64decode(compressed))), files)

    def stop(self) -> None:
        """End it."""
        self._process.stop()

    def _items(self, namespace: str, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._plane.request("GET", f"/api/v1/namespaces/{namespace}/{kind}")["items"]
        return found


def _apply_manifest(binaries: Path, plane: ControlPlane) -> None:
    """Apply its kinds and its rights, and not what would run it."""
    text = (binaries / "prometheus-operator.yaml").read_text()
    wanted = "\n---\n".join(each for each in text.split("\n---\n") if "\nkind: Deployment\n" not in each)
    kubectl = [str(binaries / "kubectl"), f"--kubeconfig={plane.admin_kubeconfig}"]
    for arguments, given in (
        (("apply", "--server-side", "-f", "-"), wanted),
        (("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s"), None),
    ):
        done = subprocess.run([*kubectl, *arguments], input=given, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise RuntimeError(done.stderr)

"""What every cluster has beside its own processes: a pod's first image, names, a default StorageClass."""

from __future__ import annotations

import ipaddress
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kube import scratch_image
from tests.kube.container_runtime import PAUSE

_COREDNS = "localhost/coredns:1"
_PAUSE_SOURCE = """\
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGINT, syscall.SIGTERM)
	<-asked
}
"""
STORAGE_CLASS = "folders"


def archives(binaries: Path, folder: Path) -> list[Path]:
    """Return the archives of the images that a node needs before any of ours; made where they are missing."""
    folder.mkdir(parents=True, exist_ok=True)
    pause, coredns = folder / "pause.tar", folder / "coredns.tar"
    if not pause.exists():
        scratch_image.write(pause, PAUSE, _build_pause(folder))
    if not coredns.exists():
        scratch_image.write(coredns, _COREDNS, binaries / "coredns")
    return [pause, coredns]


def dns_address(services: str) -> str:
    """Say where a cluster's names are asked for."""
    return str(ipaddress.ip_network(services)[10])


def manifests(services: str, hosts: Mapping[str, str]) -> list[dict[str, Any]]:
    """Make what is applied to a new cluster; `hosts` are names out there and their addresses."""
    known = "\n".join(f"    {address} {name}" for name, address in hosts.items())
    corefile = (
        ".:53 {\n  errors\n  health\n  ready\n"
        "  kubernetes cluster.local in-addr.arpa ip6.arpa\n"
        f"  hosts {{\n{known}\n    fallthrough\n  }}\n  cache 5\n}}\n"
    )
    labels = {"k8s-app": "kube-dns"}
    system = {"namespace": "kube-system"}
    account = {"kind": "ServiceAccount", "name": "coredns", "namespace": "kube-system"}
    watched = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    rbac, group = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"
    proxier = {"apiGroup": group, "kind": "User", "name": "system:kube-proxy"}
    return [
        _of("v1", "ServiceAccount", {"name": "coredns", **system}),
        _of(rbac, "ClusterRole", {"name": "coredns"}, rules=watched),
        _of(rbac, "ClusterRoleBinding", {"name": "coredns"}, subjects=[account], roleRef=_role(group, "coredns")),
        _of(
            *(rbac, "ClusterRoleBinding", {"name": "kube-proxy"}),
            subjects=[proxier],
            roleRef=_role(group, "system:node-proxier"),
        ),
        _of("v1", "ConfigMap", {"name": "coredns", **system}, data={"Corefile": corefile}),
        _of(
            *("v1", "Service", {"name": "kube-dns", **system}),
            spec={
                "clusterIP": dns_address(services),
                "selector": labels,
                "ports": [
                    {"name": "dns", "port": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                ],
            },
        ),
        _of(
            *("apps/v1", "Deployment", {"name": "coredns", **system}),
            spec={
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": _coredns_pod()},
            },
        ),
        _of(
            *("storage.k8s.io/v1", "StorageClass"),
            {"name": STORAGE_CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
            provisioner="fedward.io/folders",
            reclaimPolicy="Delete",
            volumeBindingMode="Immediate",
        ),
        _of("node.k8s.io/v1", "RuntimeClass", {"name": "accelerated"}, handler="accelerated"),
    ]


def _coredns_pod() -> dict[str, Any]:
    return {
        "serviceAccountName": "coredns",
        "dnsPolicy": "Default",
        "containers": [
            {
                "name": "coredns",
                "image": _COREDNS,
                "args": ["-conf", "/etc/coredns/Corefile"],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns"}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }


def _of(version: str, kind: str, metadata: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _role(group: str, name: str) -> dict[str, str]:
    return {"apiGroup": group, "kind": "ClusterRole", "name": name}


def _build_pause(folder: Path) -> Path:
    (folder / "pause.go").write_text(_PAUSE_SOURCE)
    target = folder / "pause"
    command = ["go", "build", "-trimpath", "-ldflags", "-s -w", "-o", str(target), "pause.go"]
    subprocess.run(command, cwd=folder, check=True, env={**os.environ, "CGO_ENABLED": "0"})
    return target

"""A Prometheus' configuration that follows the annotations prometheus.io/… of pods, as many a cluster has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.kube.prometheus_operator import Written

_POD = "__meta_kubernetes_pod"
_SAYS = f"{_POD}_annotation_prometheus_io"

RELABELINGS: Sequence[Mapping[str, Any]] = [
    {"action": "keep", "source_labels": [f"{_SAYS}_scrape"], "regex": "true"},
    {"source_labels": [f"{_SAYS}_scheme"], "regex": "(https?)", "target_label": "__scheme__"},
    {"source_labels": [f"{_SAYS}_path"], "regex": "(.+)", "target_label": "__metrics_path__"},
    {"source_labels": [f"{_POD}_ip", f"{_SAYS}_port"], "separator": ":", "target_label": "__address__"},
    {"action": "labelmap", "regex": f"{_POD}_label_(.+)"},
    {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
    {"source_labels": [f"{_POD}_name"], "target_label": "pod"},
]
"""What makes a target of a pod that says how to scrape it, and its labels the target's."""


def following_annotations(
    access: Mapping[str, Any], rules: Sequence[Path], shows: Path, server_name: str, *, honors_labels: bool
) -> Written:
    """Make one that makes labels of the pods' labels, too.

    Args:
        access: how to ask the API server.
        rules: rule files.
        shows: the folder of tls.crt and tls.key for who asks for a certificate, and of the ca.crt to believe.
        server_name: the name in the certificates of those.
        honors_labels: whether a label that a metric has wins over one of the target's.
    """
    pods = {
        "job_name": "pods",
        "honor_labels": honors_labels,
        "kubernetes_sd_configs": [{"role": "pod", **access}],
        "relabel_configs": RELABELINGS,
        "tls_config": {
            "ca_file": str(shows / "ca.crt"),
            "cert_file": str(shows / "tls.crt"),
            "key_file": str(shows / "tls.key"),
            "server_name": server_name,
        },
    }
    often = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    return Written({"global": often, "rule_files": [str(path) for path in rules], "scrape_configs": [pods]}, {})

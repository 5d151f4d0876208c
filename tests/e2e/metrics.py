"""What a pod's metrics say, read through the API server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.kube.cluster import Cluster


def scrape(cluster: Cluster, pod: Mapping[str, Any]) -> str:
    """Read a pod's metrics as Prometheus would."""
    metadata = pod["metadata"]
    path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}:9090/proxy/metrics"
    return cluster.kubectl("get", "--raw", path)

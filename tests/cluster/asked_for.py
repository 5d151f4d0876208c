"""The Prometheus that a cluster's administrator asks the Prometheus Operator for, and what each may."""

from __future__ import annotations

from collections.abc import Mapping

from tests.charts.helm import Manifest
from tests.kube.control_plane import ControlPlane

MONITORING = "monitoring"
ASKED_FOR: Mapping[str, Mapping[str, str]] = {
    "the-oldest": {"version": "v2.42.0", "serviceDiscoveryRole": "Endpoints"},
    "a-new-one": {"serviceDiscoveryRole": "EndpointSlice"},
    # It says of every target and every alert that they are of the namespace where the monitor or the rules are.
    "one-of-many-tenants": {"enforcedNamespaceLabel": "namespace"},
}
"""The Prometheus that are asked for: by name, what is special about them."""

_MAY_LOOK = [
    {"apiGroups": [""], "resources": ["pods", "services", "endpoints"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
]
"""What a Prometheus may, as its operator's documentation has it, as far as it concerns pods."""


def rights() -> list[Manifest]:
    """Let each look for pods, as a user of the API server."""
    group = "rbac.authorization.k8s.io"
    head, metadata = {"apiVersion": f"{group}/v1"}, {"name": "prometheus"}
    role = {"apiGroup": group, "kind": "ClusterRole", "name": "prometheus"}
    subject = {"apiGroup": group, "kind": "User", "name": "prometheus"}
    return [
        {**head, "kind": "ClusterRole", "metadata": metadata, "rules": _MAY_LOOK},
        {**head, "kind": "ClusterRoleBinding", "metadata": metadata, "roleRef": role, "subjects": [subject]},
    ]


def prometheus(plane: ControlPlane, name: str, special: Mapping[str, str]) -> Manifest:
    """Ask for a Prometheus that selects by labels, in all namespaces, as is the custom."""
    certificate, key = plane.authority.client("prometheus")
    files = {"caFile": str(plane.authority.ca), "certFile": str(certificate), "keyFile": str(key)}
    by_release, by_role = {"matchLabels": {"release": "monitoring"}}, {"matchLabels": {"role": "alert-rules"}}
    spec = {
        "serviceMonitorSelector": by_release,
        "podMonitorSelector": by_release,
        "ruleSelector": by_role,
        **{f"{kind}NamespaceSelector": {} for kind in ("serviceMonitor", "podMonitor", "rule")},
        "evaluationInterval": "1s",
        # Where it would use its service account in a pod.
        "apiserverConfig": {"host": plane.url, "tlsConfig": files},
        **special,
    }
    metadata = {"name": name, "namespace": MONITORING}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": "Prometheus", "metadata": metadata, "spec": spec}

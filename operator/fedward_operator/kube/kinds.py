"""The kinds that the operator reads and writes, and where the API server keeps them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object.

    Attributes:
        group: API group; empty for the core one.
        metadata_only: read without spec, data and status: that is all we look at, and secrets stay where they are.
    """

    group: str
    version: str
    plural: str
    name: str
    namespaced: bool = True
    metadata_only: bool = False

    @property
    def api_version(self) -> str:
        """As manifests say it: `batch/v1`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """Give the path of a collection or of one object; no namespace means all of them."""
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name is not None:
            parts.append(name)
        if subresource:
            parts.append(subresource)
        return "/" + "/".join(parts)


FEDERATED_JOB = Kind("fedward.io", "v1alpha1", "federatedjobs", "FederatedJob")
FEDERATED_SITE = Kind("fedward.io", "v1alpha1", "federatedsites", "FederatedSite", namespaced=False)
SITE_JOB = Kind("fedward.io", "v1alpha1", "sitejobs", "SiteJob")
SITE_POLICY = Kind("fedward.io", "v1alpha1", "sitepolicies", "SitePolicy")
JOB = Kind("batch", "v1", "jobs", "Job")
POD = Kind("", "v1", "pods", "Pod")
SERVICE = Kind("", "v1", "services", "Service")
CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap", metadata_only=True)
SECRET = Kind("", "v1", "secrets", "Secret", metadata_only=True)
CLAIM = Kind("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", metadata_only=True)
SERVICE_ACCOUNT = Kind("", "v1", "serviceaccounts", "ServiceAccount", metadata_only=True)
CERTIFICATE_REQUEST = Kind(
    "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", namespaced=False
)
LEASE = Kind("coordination.k8s.io", "v1", "leases", "Lease")
EVENT = Kind("", "v1", "events", "Event")
NETWORK_POLICY = Kind("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")

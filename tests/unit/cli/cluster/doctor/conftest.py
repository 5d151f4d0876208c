"""A hospital and a hub that work; a test breaks what it likes."""

from __future__ import annotations

import pytest
from tests.unit.cli.cluster.doctor.looked_at import (
    AUTHORITY,
    FEDERATION,
    HELD,
    Kubectl,
    condition,
    deployment,
    kind_of,
    meta,
    pod,
)

from fedward_operator.api.crds import KINDS


@pytest.fixture
def site():
    """A hospital that works; a test breaks what it likes."""
    spec = {"datasets": [], "gpus": {"count": 1}}
    status = {"observedGeneration": 1, "conditions": [condition("Ready"), condition("DataSound")]}
    return Kubectl(
        secrets={"fedward-gateway-tls": {"tls.crt": HELD.cert_pem, "ca.crt": HELD.ca_pem, "tls.key": HELD.key_pem}},
        deployments=[
            deployment("fedward-site-operator", "site", "--site", "north", "--federation", FEDERATION),
            deployment("fedward-gateway"),
        ],
        pods=[pod("gateway-0"), pod("operator-0", component="site-operator")],
        persistentvolumeclaims=[{"metadata": meta("state"), "status": {"phase": "Bound"}}],
        customresourcedefinitions=[kind_of("sitejobs"), kind_of("sitepolicies")],
        sitepolicies=[{"metadata": meta("north", generation=1), "spec": spec, "status": status}],
        nodes=[{"metadata": {"name": "node-1"}, "status": {"allocatable": {"nvidia.com/gpu": "1"}}}],
    )


@pytest.fixture
def hub():
    """A hub that works."""
    operator = deployment("fedward-hub-operator", "hub", "--federation", FEDERATION, "--authority-secret", "own", "--x")
    slices = {"metadata": meta("door-1", labels={"kubernetes.io/service-name": "fedward-door"})}
    site = {"metadata": {"name": "north"}, "status": {"conditions": [condition("Connected")], "version": "0.1.0"}}
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    return Kubectl(
        secrets={"own": {"tls.crt": AUTHORITY.ca_pem, "tls.key": AUTHORITY.key_pem, "ca.crt": AUTHORITY.trusted_pem}},
        deployments=[operator, deployment("fedward-door")],
        pods=[pod("hub-operator-0", component="hub-operator")],
        customresourcedefinitions=[kind_of(kind.plural) for kind in KINDS],
        endpointslices=[slices | {"endpoints": [{"conditions": {"ready": True}}]}],
        storageclasses=[{"metadata": {"name": "fast", "annotations": default}}],
        federatedsites=[site],
    )

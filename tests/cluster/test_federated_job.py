"""A FederatedJob from apply to its end: two API servers, the operator in both roles and with its own rights."""

from __future__ import annotations

import json

import pytest
from tests.cluster.conftest import run_kubectl
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster

POLICY = {
    "datasets": [{"name": "brats", "volume": {"persistentVolumeClaim": {"claimName": "scans"}}}],
    "gpus": {"count": 1},
    "concurrency": 4,
}


def names(plane, kind, namespace, *arguments):
    found = run_kubectl(plane, "get", kind, "-n", namespace, "-o", "name", *arguments)
    return [line.partition("/")[2] for line in found.stdout.split()]


def test_a_job_runs_at_the_hub_and_at_a_hospital(federation):
    north = federation.invite("north", POLICY)
    hub, site = federation.start_hub(), federation.start_site(north)
    federation.submit("brain", [north])
    federation.wait_for("brain", "Running", "True")
    assert names(federation.hub, "jobs", federation.namespace) == ["brain-aggregator-1"]
    (mirrored,) = names(federation.hospital, "sitejobs", north)
    trainer = wait_until("a trainer", lambda: names(federation.hospital, "jobs", north))
    assert trainer == [f"{mirrored}-1"]
    assert hub.metric("fedward_operator_api_calls_total", code="403") == 0
    assert site.metric("fedward_operator_api_calls_total", code="403") == 0
    print(run_kubectl(federation.hub, "get", "fjob,fsite", "-A", "-o", "wide").stdout)
    print(json.dumps(federation.found("brain")["status"], indent=1))
    print(hub.log.read_text(), site.log.read_text())

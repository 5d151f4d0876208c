"""The fences that the operators keep: there before the pods behind them, and put back when somebody opens them."""

from __future__ import annotations

import pytest
from tests.cluster.operators import POLICY, make
from tests.kube.waiting import wait_until

from fedward_operator.hub import owned

pytestmark = pytest.mark.cluster

POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies/brain-aggregator"


def test_an_aggregator_is_fenced_before_it_is_started(running):
    federation, *_ = running
    fence = federation.hub.request("GET", POLICIES.format(federation.namespace))
    job = federation.hub.request("GET", f"/apis/batch/v1/namespaces/{federation.namespace}/jobs/brain-aggregator-1")

    assert int(fence["metadata"]["resourceVersion"]) < int(job["metadata"]["resourceVersion"])
    assert fence["metadata"]["creationTimestamp"] <= job["metadata"]["creationTimestamp"]
    assert "egress" not in fence["spec"]
    assert fence["spec"]["ingress"][0]["from"][0]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": federation.system
    }


def test_a_fence_that_was_taken_down_or_opened_is_put_back(running):
    federation, *_ = running
    path = POLICIES.format(federation.namespace)
    wanted = federation.hub.request("GET", path)["spec"]

    federation.hub.request("PATCH", path, {"spec": {"egress": [{}]}}, "application/merge-patch+json")
    wait_until("the fence is closed again", lambda: federation.hub.request("GET", path)["spec"], 10, wanted.__eq__)

    federation.hub.request("DELETE", path)
    policies = path.removesuffix("/brain-aggregator")
    found = wait_until("a fence is there again", lambda: federation.hub.request("GET", policies)["items"], 10)
    assert found[0]["spec"] == wanted
    assert wanted["ingress"][0]["ports"][0]["port"] == owned.PORT


@pytest.mark.parametrize("name", ["fedward-trainers", "fedward-preflight"])
def test_a_hospitals_fence_that_was_opened_while_the_operator_was_away_is_closed_when_it_is_back(federation, name):
    north = federation.invite("north", POLICY)
    policies = f"/apis/networking.k8s.io/v1/namespaces/{north}/networkpolicies"
    opened = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
    make(federation.hospital, policies, {"metadata": {"name": name}, "spec": opened})

    federation.start_site(north)

    closed = wait_until(
        "the fence is as it should be",
        lambda: federation.hospital.request("GET", f"{policies}/{name}")["spec"],
        10,
        lambda spec: spec["podSelector"] != {},
    )
    assert "ingress" not in closed
    assert {} not in closed.get("egress", [])

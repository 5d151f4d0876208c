"""Accelerators by the hospital's policy, on nodes that offer each vendor's: what is lent, and what is not there."""

from __future__ import annotations

import itertools
import urllib.error

import pytest
from tests.cluster.operators import GROUP, POLICY, end_pod, jobs, make, resource, the_pod
from tests.kube.nodes import GPU, node
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster

SECONDS = 15.0

OFFERS = {
    "nvidia.com/gpu": {},
    "nvidia.com/mig-1g.10gb": {"migProfile": "1g.10gb"},
    "nvidia.com/mig-1g.10gb.me": {"migProfile": "1g.10gb+me"},
    "nvidia.com/gpu.shared": {"resource": "nvidia.com/gpu.shared"},
    "nvidia.com/mig-1g.10gb.shared": {"resource": "nvidia.com/gpu.shared", "migProfile": "1g.10gb"},
    "amd.com/gpu": {"resource": "amd.com/gpu"},
    "amd.com/cpx_nps4": {"resource": "amd.com/cpx_nps4"},
    "gpu.intel.com/i915": {"resource": "gpu.intel.com/i915"},
    "gpu.intel.com/xe": {"resource": "gpu.intel.com/xe"},
}
"""What a policy says, by what it is called on a node."""

_numbers = itertools.count()


@pytest.fixture
def workstation(federation):
    """A node of the hospital's with one of each: its name."""
    name = f"workstation-{next(_numbers)}"
    make(federation.hospital, "/api/v1/nodes", node(name, dict.fromkeys(OFFERS, 1)))
    yield name
    federation.hospital.request("DELETE", f"/api/v1/nodes/{name}")


@pytest.fixture
def started(federation):
    """Start a federation of one hospital that lends these GPUs, and a job; return the site's name."""

    def start(gpus, **more):
        policy = {name: value for name, value in {**POLICY, "gpus": gpus, **more}.items() if value is not None}
        north = federation.invite("north", policy)
        federation.start_hub()
        federation.start_site(north)
        federation.submit("brain", [north])
        return north

    return start


def on(workstation, **offer):
    return {"nodeSelector": {"kubernetes.io/hostname": workstation}, **offer}


def change(federation, north, gpus):
    """Change what the hospital lends."""
    path = f"{GROUP}/namespaces/{north}/sitepolicies/{north}"
    federation.hospital.request(
        "PATCH", path, [{"op": "replace", "path": "/spec/gpus", "value": gpus}], "application/json-patch+json"
    )


def site_of(federation, name="brain"):
    sites = federation.found(name).get("status", {}).get("sites", [])
    return sites[0] if sites else {}


def runs_with(federation, north, limits, name="brain"):
    """Wait for a trainer that runs with these limits, and return its pod."""

    def look():
        path = f"/api/v1/namespaces/{north}/pods?labelSelector=fedward.io/component=trainer"
        pods = federation.hospital.request("GET", path)["items"]
        return [pod for pod in pods if pod["status"].get("phase") == "Running" and limits_of(pod) == limits]

    return wait_until(f"a trainer with {limits} runs", look, is_it=lambda pods: len(pods) == 1)[0]


def limits_of(pod):
    return pod["spec"]["containers"][0]["resources"].get("limits", {})


def test_a_trainer_gets_what_the_hospital_lends_by_whatever_name(federation, started, workstation):
    north = started(on(workstation))
    for name, offer in OFFERS.items():
        change(federation, north, on(workstation, **offer))
        pod = runs_with(federation, north, {name: "1", "memory": "4Gi"})
        assert pod["spec"]["nodeName"] == workstation
    (shared,) = (each for each in pod["spec"]["volumes"] if each["name"] == "shared-memory")
    assert shared["emptyDir"] == {"medium": "Memory", "sizeLimit": str(2 * 2**30)}


@pytest.mark.parametrize(
    "missing", ["amd.com/gpu", "gpu.intel.com/xe", "nvidia.com/mig-1g.10gb.shared", "example.org/t4"]
)
def test_what_no_node_has_is_said_at_both_ends_and_a_policy_that_is_put_right_frees_the_trainer(
    federation, started, missing
):
    north = started({"resource": missing})
    wait_until("a trainer", lambda: jobs(federation.hospital, north))
    seen = wait_until(
        "the researcher sees it",
        lambda: site_of(federation),
        SECONDS,
        is_it=lambda site: site.get("state") == "GpuUnschedulable",
    )
    assert f"Insufficient {missing}" in seen["message"]
    said = federation.wait_for("brain", "Degraded", "True", "GpuUnschedulable", SECONDS)
    assert missing in said["message"]
    for plane, namespace in ((federation.hospital, north), (federation.hub, f"fedward-site-{north}")):
        (part,) = plane.request("GET", f"{GROUP}/namespaces/{namespace}/sitejobs")["items"]
        assert part["status"]["state"] == "GpuUnschedulable"
        (running,) = (each for each in part["status"]["conditions"] if each["type"] == "Running")
        assert (running["status"], running["reason"]) == ("False", "GpuUnschedulable")
    change(federation, north, {"resource": GPU})
    wait_until("it trains", lambda: site_of(federation), is_it=lambda site: site.get("state") == "Training")
    federation.wait_for("brain", "Degraded", "False")


def test_a_gpu_that_another_trainer_has_is_waited_for(federation, started, workstation):
    north = started(on(workstation))
    first = the_pod(federation.hospital, north, "trainer")
    federation.submit("second", [north])
    wait_until(
        "the second waits",
        lambda: site_of(federation, "second"),
        is_it=lambda site: site.get("state") == "GpuUnschedulable",
    )
    end_pod(federation.hospital, first, 0)
    wait_until("its turn", lambda: site_of(federation, "second"), is_it=lambda site: site.get("state") == "Training")


def test_pods_with_a_gpu_have_the_runtime_class_and_one_that_is_not_there_is_named(federation, started, workstation):
    name = f"nvidia-{workstation}"
    north = started(on(workstation, runtimeClassName=name))
    seen = wait_until("not created", lambda: site_of(federation), is_it=lambda site: site.get("state") == "NotCreated")
    assert name in seen["message"]
    runtime = {"apiVersion": "node.k8s.io/v1", "kind": "RuntimeClass", "metadata": {"name": name}, "handler": "nvidia"}
    make(federation.hospital, "/apis/node.k8s.io/v1/runtimeclasses", runtime)
    pod = the_pod(federation.hospital, north, "trainer")
    assert pod["spec"]["runtimeClassName"] == name


def test_where_no_gpu_is_lent_and_cpus_may_do_the_trainer_gets_none(federation, started):
    north = started(None, withoutGpu="train")
    pod = runs_with(federation, north, {"memory": "4Gi"})
    assert "runtimeClassName" not in pod["spec"]
    assert pod["spec"]["containers"][0]["env"] == [{"name": "NVIDIA_VISIBLE_DEVICES", "value": "void"}]
    wait_until("it trains", lambda: site_of(federation), is_it=lambda site: site.get("state") == "Training")


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        ({"resource": "gpu"}, "spec.gpus.resource"),
        ({"resource": "memory"}, "spec.gpus.resource"),
        ({"resource": "amd.com/gpu", "migProfile": "1g.10gb"}, "migProfile goes with the resource nvidia.com/gpu"),
        ({"migProfile": "half"}, "spec.gpus.migProfile"),
    ],
)
def test_what_no_device_plugin_offers_is_refused_at_apply(federation, offer, says):
    north = federation.invite("north")
    policy = resource("SitePolicy", "north", north, {**POLICY, "gpus": offer})
    with pytest.raises(urllib.error.HTTPError) as refused:
        make(federation.hospital, f"{GROUP}/namespaces/{north}/sitepolicies", policy)
    assert refused.value.code == 422
    assert says in refused.value.read().decode()

"""Every failure that Kubernetes can name is on the FederatedJob as a reason, within seconds."""

from __future__ import annotations

import pytest
from tests.cluster.operators import GROUP, POLICY, container, end_pod, jobs, make, resource, set_status, the_pod
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster

SECONDS = 15.0


def site_of(federation, name="brain"):
    sites = federation.found(name).get("status", {}).get("sites", [])
    return sites[0] if sites else {}


def waiting(pod, reason, message=""):
    return {"containerStatuses": container(pod, waiting={"reason": reason, "message": message})}


SAID_BY_A_KUBELET = {
    "ImagePullFailed": lambda pod: waiting(pod, "ImagePullBackOff", 'Back-off pulling image "x"'),
    "CrashLoop": lambda pod: waiting(pod, "CrashLoopBackOff", "back-off 10s restarting failed container"),
    "ContainerCannotStart": lambda pod: waiting(pod, "CreateContainerConfigError", 'secret "x" not found'),
    "OutOfMemory": lambda pod: {
        "phase": "Failed",
        "containerStatuses": container(pod, terminated={"exitCode": 137, "reason": "OOMKilled"}),
    },
    "NodeLost": lambda pod: {"reason": "NodeLost", "message": "Node hub-1 which was running pod is unresponsive"},
}


@pytest.mark.parametrize("reason", SAID_BY_A_KUBELET)
def test_what_is_wrong_with_the_aggregator_is_said(federation, reason):
    north = federation.invite("north")
    federation.start_hub()
    federation.heartbeat(north)
    federation.submit("brain", [north], backoffLimit=0)
    pod = the_pod(federation.hub, federation.namespace, "aggregator")
    set_status(federation.hub, pod, **SAID_BY_A_KUBELET[reason](pod))
    if reason == "OutOfMemory":  # with no attempt left it is how the job ends
        assert "OutOfMemory" in federation.wait_for("brain", "Failed", "True", seconds=SECONDS)["message"]
    else:
        federation.wait_for("brain", "Running", "False", reason, SECONDS)
        federation.wait_for("brain", "Degraded", "True", reason, SECONDS)


@pytest.mark.parametrize("reason", ["ImagePullFailed", "CrashLoop", "NodeLost"])
def test_what_is_wrong_with_a_trainer_is_said_at_its_site(running, reason):
    federation, north, _, _ = running
    pod = the_pod(federation.hospital, north, "trainer")
    set_status(federation.hospital, pod, **SAID_BY_A_KUBELET[reason](pod))
    seen = wait_until(reason, lambda: site_of(federation), SECONDS, is_it=lambda site: site.get("state") == reason)
    assert seen["message"]


def test_a_trainer_that_was_refused_is_not_started_again(running):
    federation, north, _, _ = running
    end_pod(federation.hospital, the_pod(federation.hospital, north, "trainer"), 4, message="WorkOrderExpired")
    seen = wait_until("failed", lambda: site_of(federation), SECONDS, is_it=lambda site: site.get("state") == "Failed")
    assert (seen["reason"], "WorkOrderExpired" in seen["message"]) == ("TrainerRefused", True)
    federation.wait_for("brain", "Degraded", "True", "TrainerRefused", SECONDS)


def test_a_gpu_that_no_node_has(federation):
    north = federation.invite("north", {**POLICY, "gpus": {"count": 16, "resource": "amd.com/gpu"}})
    federation.start_hub()
    federation.start_site(north)
    federation.submit("brain", [north])
    seen = wait_until(
        "unschedulable", lambda: site_of(federation), 30, is_it=lambda site: site.get("state") == "GpuUnschedulable"
    )
    assert "Insufficient amd.com/gpu" in seen["message"]


def test_a_claim_that_is_not_bound(federation):
    north = federation.invite("north")
    federation.start_hub()
    federation.heartbeat(north)
    federation.submit("brain", [north], volume=False)
    federation.wait_for("brain", "Running", "False", "VolumePending")


@pytest.mark.parametrize(
    ("hard", "reason"), [({"pods": "0"}, "QuotaExceeded"), ({"persistentvolumeclaims": "0"}, "QuotaExceeded")]
)
def test_a_quota_that_is_used_up(federation, hard, reason):
    north = federation.invite("north")
    federation.hub.request(
        "POST",
        f"/api/v1/namespaces/{federation.namespace}/resourcequotas",
        {"metadata": {"name": "q"}, "spec": {"hard": hard}},
    )
    path = f"/api/v1/namespaces/{federation.namespace}/resourcequotas/q"
    wait_until("the quota holds", lambda: federation.hub.request("GET", path)["status"].get("hard"))
    federation.start_hub()
    federation.heartbeat(north)
    federation.submit("brain", [north])
    said = federation.wait_for("brain", "Running", "False", reason)
    assert "exceeded quota: q" in said["message"]


def test_a_namespace_that_does_not_admit_the_pod(federation):
    north = federation.invite(
        "north", {**POLICY, "datasets": [{"name": "brats", "volume": {"hostPath": {"path": "/d"}}}]}
    )
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    federation.hospital.request("PATCH", f"/api/v1/namespaces/{north}", labels, "application/merge-patch+json")
    federation.start_hub()
    federation.start_site(north)
    federation.submit("brain", [north])
    wait_until(
        "not admitted", lambda: site_of(federation), 30, is_it=lambda site: site.get("state") == "AdmissionRefused"
    )


def test_the_pods_of_both_clusters_meet_the_restricted_standard(federation):
    north = federation.invite("north", POLICY)
    labels = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    for plane, namespace in ((federation.hub, federation.namespace), (federation.hospital, north)):
        plane.request("PATCH", f"/api/v1/namespaces/{namespace}", labels, "application/merge-patch+json")
    federation.start_hub()
    federation.start_site(north)
    federation.submit("brain", [north])
    the_pod(federation.hub, federation.namespace, "aggregator")
    the_pod(federation.hospital, north, "trainer")


def test_an_evicted_aggregator_comes_back(federation):
    north = federation.invite("north")
    federation.start_hub()
    federation.heartbeat(north)
    federation.submit("brain", [north], backoffLimit=0)
    pod = the_pod(federation.hub, federation.namespace, "aggregator")
    disrupted = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    set_status(
        federation.hub,
        pod,
        phase="Failed",
        conditions=disrupted,
        containerStatuses=container(pod, terminated={"exitCode": 143, "reason": "Error"}),
    )
    wait_until(
        "another pod",
        lambda: the_pod(federation.hub, federation.namespace, "aggregator"),
        is_it=lambda now: now["metadata"]["uid"] != pod["metadata"]["uid"],
    )
    federation.wait_for("brain", "Running", "True")
    assert jobs(federation.hub, federation.namespace) == ["brain-aggregator-1"]


def test_a_site_without_a_mailbox_is_named(federation):
    north = federation.invite("north")
    federation.start_hub()
    federation.heartbeat(north)
    stranger = f"no-mailbox-{north}"
    make(federation.hub, f"{GROUP}/federatedsites", resource("FederatedSite", stranger, None, {}))
    federation.submit("brain", [north, stranger], rounds={"count": 1, "quorum": 1})
    said = federation.wait_for("brain", "Running", "False", "MailboxMissing")
    assert f"fedward-site-{stranger}" in said["message"]

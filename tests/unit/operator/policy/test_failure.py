"""What Kubernetes writes about a pod becomes one reason and a sentence that says what to do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pod_status import (
    READY,
    SCHEDULED,
    condition,
    failed,
    healthy,
    look,
    running,
    terminated,
    unschedulable,
    waiting,
)

from fedward_operator.policy.failure import diagnose, explain_refusal

BACK_OFF = 'Back-off pulling image "registry.example/trainer:2": ErrImagePull: not found'
OUT_OF_MEMORY = (
    "The node was low on resource: memory. Threshold quantity: 100Mi, available: 64Mi. "
    "Container aggregator was using 3Gi, request is 512Mi, has larger consumption of memory."
)
NO_GPU = (
    "0/4 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, "
    "3 Insufficient nvidia.com/gpu. preemption: 0/4 nodes are available: 1 Preemption is not helpful for scheduling, "
    "3 No preemption victims found for incoming pod."
)
QUOTA = (
    'Error creating: pods "glioma-aggregator-1-x7k2p" is forbidden: exceeded quota: compute, '
    "requested: limits.memory=4Gi, used: limits.memory=30Gi, limited: limits.memory=32Gi"
)
POD_SECURITY = (
    'Error creating: pods "glioma-aggregator-1-x7k2p" is forbidden: violates PodSecurity "restricted:latest": '
    'allowPrivilegeEscalation != false (container "sidecar" must set securityContext.allowPrivilegeEscalation=false)'
)


@pytest.mark.parametrize(
    ("status", "reason", "says"),
    [
        pytest.param(
            {"conditions": SCHEDULED, "containerStatuses": [waiting("ImagePullBackOff", BACK_OFF)]},
            "ImagePullFailed",
            BACK_OFF,
            id="an image that is not there, backing off",
        ),
        pytest.param(
            {"conditions": SCHEDULED, "containerStatuses": [waiting("ErrImagePull", "unauthorized")]},
            "ImagePullFailed",
            "unauthorized",
            id="an image that may not be pulled",
        ),
        pytest.param(
            {"conditions": SCHEDULED, "containerStatuses": [waiting("InvalidImageName")]},
            "ImagePullFailed",
            "InvalidImageName",
            id="an image whose name is none, without a message",
        ),
        pytest.param(
            {
                "conditions": SCHEDULED,
                "initContainerStatuses": [waiting("ImagePullBackOff", BACK_OFF, "initialise")],
                "containerStatuses": [waiting("PodInitializing")],
            },
            "ImagePullFailed",
            BACK_OFF,
            id="an init container's image",
        ),
        pytest.param(
            {
                "conditions": SCHEDULED,
                "containerStatuses": [waiting("ContainerCreating"), waiting("ImagePullBackOff", BACK_OFF, "trainer")],
            },
            "ImagePullFailed",
            BACK_OFF,
            id="the second container's image while the first one's is still on its way",
        ),
        pytest.param(
            {"conditions": SCHEDULED, "containerStatuses": [waiting("SignatureValidationFailed", "unsigned")]},
            "ImagePullFailed",
            "unsigned",
            id="an image whose signature is refused",
        ),
        pytest.param(
            {
                "phase": "Running",
                "conditions": SCHEDULED,
                "containerStatuses": [
                    {
                        **waiting("CrashLoopBackOff", "back-off 40s restarting failed container"),
                        "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}},
                        "restartCount": 3,
                    }
                ],
            },
            "CrashLoop",
            "back-off 40s",
            id="a container that keeps ending",
        ),
        pytest.param(
            {
                "conditions": SCHEDULED,
                "containerStatuses": [
                    waiting("CreateContainerConfigError", 'secret "glioma-aggregator-tls" not found')
                ],
            },
            "ContainerCannotStart",
            "glioma-aggregator-tls",
            id="a secret that is missing",
        ),
        pytest.param(
            {"phase": "Failed", "conditions": SCHEDULED, "containerStatuses": [terminated(137, "OOMKilled")]},
            "OutOfMemory",
            "more memory than its limit",
            id="killed for its memory",
        ),
        pytest.param(
            {
                "phase": "Running",
                "conditions": SCHEDULED,
                "containerStatuses": [running("gateway"), terminated(137, "OOMKilled", name="trainer")],
            },
            "OutOfMemory",
            "limit",
            id="one of two killed for its memory while the other goes on",
        ),
        pytest.param(
            {
                "phase": "Failed",
                "containerStatuses": [
                    terminated(
                        2, message="Traceback (most recent call last):\n...\nValueError: 3 channels wanted, 4 found\n"
                    )
                ],
            },
            "ContainerFailed",
            "exit code 2: ValueError: 3 channels wanted, 4 found",
            id="its last words are its last line",
        ),
        pytest.param(
            {"phase": "Failed", "containerStatuses": [terminated(1, message=" \n")]},
            "ContainerFailed",
            "exit code 1: Error",
            id="ended without a word",
        ),
        pytest.param(
            {
                "phase": "Failed",
                "initContainerStatuses": [terminated(1, message="unknown network", name="initialise")],
                "containerStatuses": [waiting("PodInitializing")],
            },
            "ContainerFailed",
            "unknown network",
            id="an init container that fails",
        ),
        pytest.param(
            {
                "phase": "Failed",
                "reason": "Evicted",
                "message": OUT_OF_MEMORY,
                "containerStatuses": [terminated(137)],
            },
            "Evicted",
            "low on resource: memory",
            id="evicted by the kubelet",
        ),
        pytest.param(
            {
                "phase": "Failed",
                "conditions": [
                    condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting")
                ],
                "containerStatuses": [terminated(143)],
            },
            "Evicted",
            "Eviction API: evicting",
            id="a drained node",
        ),
        pytest.param(
            {
                "phase": "Failed",
                "conditions": [condition("DisruptionTarget", "True", "PreemptionByScheduler")],
                "containerStatuses": [terminated(143)],
            },
            "Evicted",
            "PreemptionByScheduler",
            id="preempted, without a message",
        ),
        pytest.param(
            {
                "phase": "Running",
                "reason": "NodeLost",
                "message": "Node n1 which was running pod glioma-aggregator-1-x7k2p is unresponsive",
                "conditions": [condition("Ready", "False")],
                "containerStatuses": [running()],
            },
            "NodeLost",
            "Node n1",
            id="a node that is not heard",
        ),
        pytest.param({"phase": "Unknown"}, "NodeLost", "not heard", id="nobody knows"),
        pytest.param(unschedulable(NO_GPU), "GpuUnschedulable", "3 Insufficient nvidia.com/gpu", id="no GPU is free"),
        pytest.param(
            unschedulable("0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient nvidia.com/mig-1g.5gb."),
            "GpuUnschedulable",
            "mig-1g.5gb",
            id="no slice of a GPU is free",
        ),
        *(
            pytest.param(
                unschedulable(f"0/1 nodes are available: 1 Insufficient {resource}, 1 Insufficient memory. no victims"),
                "GpuUnschedulable",
                resource,
                id=f"no {resource} is free",
            )
            for resource in ("amd.com/gpu", "gpu.intel.com/xe", "nvidia.com/mig-1g.10gb.shared", "example.org/tesla-t4")
        ),
        pytest.param(
            unschedulable("0/1 nodes are available: 1 Insufficient hugepages-2Mi, 1 Insufficient ephemeral-storage."),
            "Unschedulable",
            "hugepages",
            id="nothing that a device plugin offers",
        ),
        pytest.param(
            unschedulable("0/3 nodes are available: 3 Insufficient memory. preemption: not helpful"),
            "Unschedulable",
            "Insufficient memory",
            id="no memory is free",
        ),
        pytest.param(
            unschedulable("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."),
            "Unschedulable",
            "selector",
            id="no node bears the label",
        ),
        pytest.param(
            unschedulable("0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
            "VolumePending",
            "unbound",
            id="a claim that is not bound",
        ),
        pytest.param(
            unschedulable('0/3 nodes are available: persistentvolumeclaim "brats" not found.'),
            "VolumePending",
            "brats",
            id="a claim that is not there",
        ),
        pytest.param(
            unschedulable("0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind."),
            "VolumePending",
            "to bind",
            id="no volume for the claim",
        ),
        pytest.param(
            unschedulable("0/3 nodes are available: 3 node(s) had volume node affinity conflict."),
            "VolumePending",
            "conflict",
            id="a volume on another node",
        ),
        pytest.param(unschedulable(""), "Unschedulable", "", id="a scheduler that gives no reason"),
        pytest.param(
            {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "Allocate failed due to no GPU"},
            "PodFailed",
            "no GPU",
            id="refused by the kubelet",
        ),
        pytest.param({"phase": "Failed"}, "PodFailed", "failed", id="failed and nobody says why"),
    ],
)
def test_what_is_wrong_with_a_pod(status, reason, says):
    found = diagnose([look(**status)], None)

    assert found.reason == reason
    assert says in found.message


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({}, id="just created"),
        pytest.param(
            {"conditions": SCHEDULED, "containerStatuses": [waiting("ContainerCreating")]}, id="being created"
        ),
        pytest.param(
            {
                "conditions": SCHEDULED,
                "initContainerStatuses": [running("initialise")],
                "containerStatuses": [waiting("PodInitializing")],
            },
            id="making the first model",
        ),
        pytest.param(
            {
                "phase": "Running",
                "conditions": READY,
                "initContainerStatuses": [terminated(0, "Completed", name="initialise")],
                "containerStatuses": [running()],
            },
            id="running",
        ),
        pytest.param(
            {"phase": "Running", "conditions": SCHEDULED, "containerStatuses": [running()]}, id="running, not ready yet"
        ),
        pytest.param(
            {
                "phase": "Running",
                "conditions": [*READY, condition("DisruptionTarget", "False", "EvictionByEvictionAPI")],
                "containerStatuses": [running()],
            },
            id="was to be evicted and is not any more",
        ),
        pytest.param(
            {"phase": "Succeeded", "containerStatuses": [terminated(0, "Completed")]}, id="ended as it should"
        ),
        pytest.param(
            {"conditions": [condition("PodScheduled", "False", "SchedulingGated")]}, id="held back by a queue"
        ),
    ],
)
def test_nothing_is_wrong_with_a_pod_that_runs_or_starts_as_it_should(status):
    assert diagnose([look(**status)], None) is None


@pytest.mark.parametrize(
    ("pods", "reason"),
    [
        ([failed(minute=0), healthy(minute=5)], None),
        ([healthy(minute=0), failed(minute=5)], None),
        ([failed(minute=0), look("new", minute=5)], None),
        ([failed(minute=0), failed("second", minute=5, code=137, reason="OOMKilled")], "OutOfMemory"),
        ([failed("first", minute=0, code=137, reason="OOMKilled"), failed("second", minute=5)], "ContainerFailed"),
        ([healthy("old", minute=0, deleting=True), look("new", minute=5, **unschedulable(NO_GPU))], "GpuUnschedulable"),
        ([healthy("old", minute=5, deleting=True), healthy("new", minute=0)], None),
    ],
    ids=[
        "a healthy one after a failed one",
        "a healthy one before a failed one",
        "a starting one after a failed one",
        "of two failed ones the newer counts",
        "of two failed ones the newer counts, also when the older one's end was worse",
        "one that goes counts less than the one that cannot come",
        "one that goes counts less than one that runs",
    ],
)
def test_of_several_pods_the_one_that_is_to_run_counts(pods, reason):
    for order in (pods, pods[::-1]):
        found = diagnose(order, None)
        assert (found and found.reason) == reason


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (QUOTA, "QuotaExceeded"),
        (POD_SECURITY, "AdmissionRefused"),
        ('admission webhook "policy.example" denied the request: no latest tags', "AdmissionRefused"),
        ("ValidatingAdmissionPolicy 'images' with binding 'all' denied request: not ours", "AdmissionRefused"),
        ('Error creating: serviceaccount "trainer" not found', "NotCreated"),
    ],
)
def test_a_pod_that_was_not_created_is_explained_in_the_api_servers_own_words(message, reason):
    found = diagnose([], message)

    assert found == explain_refusal(message)
    assert (found.reason, found.message) == (reason, message)


def test_no_pod_and_no_refusal_is_no_problem_yet():
    assert diagnose([], None) is None
    assert diagnose([], "") is None


def test_what_was_refused_before_a_pod_was_created_is_over():
    assert diagnose([healthy()], QUOTA) is None


PODS = st.lists(
    st.builds(
        lambda make, minute: make(f"pod-{minute}", minute),
        st.sampled_from([healthy, failed, lambda name, minute: look(name, minute=minute, **unschedulable(NO_GPU))]),
        st.integers(0, 59),
    ),
    unique_by=lambda pod: pod.name,
)


@given(PODS, st.randoms(use_true_random=False))
def test_the_order_in_which_pods_are_known_does_not_matter(pods, chance):
    shuffled = list(pods)
    chance.shuffle(shuffled)

    assert diagnose(pods, None) == diagnose(shuffled, None)

"""Pods and claims that are not as they should be, found by `fedward doctor` and named with what shows more."""

from __future__ import annotations

import pytest
from tests.unit.cli.cluster.doctor.looked_at import (
    UNSCHEDULABLE,
    ago,
    condition,
    container,
    event,
    found,
    meta,
    pod,
    then,
    troubles,
)

from fedward_operator.checks.finding import Level


@pytest.mark.parametrize(
    ("sick", "reason", "command"),
    [
        (
            pod("x", "Pending", False, containerStatuses=[container(waiting={"reason": "ImagePullBackOff"})]),
            "ImagePullFailed",
            "kubectl describe pod x -n fedward",
        ),
        (
            pod("x", ready=False, containerStatuses=[container(3, waiting={"reason": "CrashLoopBackOff"})]),
            "CrashLoop",
            "kubectl logs x -n fedward",
        ),
        (
            pod("x", "Pending", False, conditions=[UNSCHEDULABLE]),
            "GpuUnschedulable",
            "kubectl describe pod x -n fedward",
        ),
        (pod("x", "Pending", False), "NotReady", "kubectl describe pod x -n fedward"),
        (
            pod("x", "Pending", False, containerStatuses=[container(waiting={"reason": "ContainerCreating"})]),
            "NotReady",
            "kubectl describe pod x -n fedward",
        ),
        (
            pod("x", "Failed", False, containerStatuses=[container(terminated={"exitCode": 1, "message": "no hub"})]),
            "ContainerFailed",
            "kubectl logs x -n fedward",
        ),
    ],
)
def test_a_pod_that_does_not_run_is_said_why_and_what_shows_more(site, sick, reason, command):
    site.kinds["pods"].append(sick)

    assert troubles(site) == {"pod x": ("wrong", reason)}
    assert then(site, "pod x") == command


def test_pods_that_are_as_they_should_be_are_not_troubles(site):
    site.kinds["pods"] += [
        pod("young", "Pending", False, created=ago(seconds=20)),
        pod("done", "Succeeded", False),
        pod("failed-once", "Failed", False, owner="Job/a", created=ago(hours=1), component="trainer"),
        pod("then-ran", owner="Job/a", created=ago(minutes=30), component="trainer"),
        pod("of-somebody-else", "Failed", False) | {"metadata": meta("of-somebody-else")},
    ]
    assert troubles(site) == {}


def test_each_pod_of_a_deployment_counts(site):
    site.kinds["pods"] += [
        pod("door-a", ready=False, owner="ReplicaSet/door"),
        pod("door-b", owner="ReplicaSet/door", created=ago(minutes=5)),
    ]
    assert troubles(site) == {"pod door-a": ("wrong", "NotReady")}


def test_a_pod_that_is_started_again_and_again_is_a_warning(site):
    site.kinds["pods"].append(pod("x", containerStatuses=[container(7)]))

    assert troubles(site) == {"pod x": ("warning", "CrashLoop")}
    assert then(site, "pod x") == "kubectl logs x -n fedward --previous"


def test_a_deployment_that_gets_no_pods_is_said_why(site):
    refused = condition("ReplicaFailure", message='pods "x" is forbidden: exceeded quota: small')
    site.kinds["deployments"][1]["status"] = {"conditions": [refused]}

    assert troubles(site) == {"pods of fedward-gateway": ("wrong", "QuotaExceeded")}


def test_a_claim_without_a_volume_is_said_with_the_last_thing_said_of_it(site):
    site.kinds["persistentvolumeclaims"].append({"metadata": meta("audit"), "status": {"phase": "Pending"}})
    site.kinds["events"] = [
        event("PersistentVolumeClaim", "audit", "ProvisioningFailed", "older", minutes=50),
        event("PersistentVolumeClaim", "audit", "ProvisioningFailed", "no class is the default"),
    ]
    assert troubles(site) == {"claim audit": ("wrong", "VolumePending")}
    assert "no class is the default" in str(found(site))

    site.kinds["events"].append(
        event("PersistentVolumeClaim", "audit", "WaitForFirstConsumer", minutes=1, type_="Normal")
    )
    assert "claim audit" not in troubles(site)


def test_a_claim_that_lost_its_volume_is_wrong(site):
    site.kinds["persistentvolumeclaims"][0]["status"]["phase"] = "Lost"

    assert troubles(site) == {"claim state": ("wrong", "VolumeLost")}


def test_warnings_of_the_last_hour_are_told_once_and_not_again_of_what_is_wrong_already(site):
    site.kinds["pods"].append(pod("x", "Pending", False))
    site.kinds["events"] = [
        event("Pod", "x", "FailedMount"),
        event("Pod", "gateway-0", "Unhealthy", "first", minutes=30),
        event("Pod", "gateway-0", "Unhealthy", "again", minutes=2),
        event("Pod", "gateway-0", "BackOff", minutes=90),
        event("Pod", "gateway-0", "Pulled", type_="Normal"),
    ]
    assert troubles(site) == {"pod x": ("wrong", "NotReady"), "pod gateway-0": ("warning", "")}
    (warned,) = [each for each in found(site).findings if each.level is Level.WARNING]
    assert warned.said == "Unhealthy, 2 minutes ago: again"
    assert warned.then == "kubectl describe pod gateway-0 -n fedward"


def test_more_warnings_than_one_reads_are_counted(site):
    site.kinds["events"] = [event("Pod", f"p-{n}", "Unhealthy", minutes=n) for n in range(1, 14)]

    assert len(troubles(site)) == 10
    assert "3 warnings more" in str(found(site))
    assert "pod p-1" in troubles(site)

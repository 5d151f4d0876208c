"""From a hospital's scans to what the hub knows of them: counted by a pod, kept in the policy, told as it says."""

from __future__ import annotations

import json

import pytest
from tests.cluster.operators import GROUP, POLICY, end_pod, jobs, names, the_pod
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster

SCANS = {"persistentVolumeClaim": {"claimName": "scans"}}
COUNTED = {"cases": 120, "labelled": 118, "complete": 115, "problems": {"LabelMissing": 2, "CaseUnreadable": 3}}


@pytest.fixture
def heard(federation):
    """A hospital with two datasets, and a hub that hears it: federation and site."""
    datasets = [{"name": "brats", "volume": SCANS, "share": "counts"}, {"name": "kits", "volume": SCANS}]
    north = federation.invite("north", {**POLICY, "datasets": datasets})
    federation.start_hub()
    federation.start_site(north)
    return federation, north


def inspections(federation, north):
    path = f"/apis/batch/v1/namespaces/{north}/jobs?labelSelector=fedward.io/component=preflight"
    return names(federation.hospital, path)


def policy_of(federation, north):
    return federation.hospital.request("GET", f"{GROUP}/namespaces/{north}/sitepolicies/{north}")


def said(federation, north, name):
    datasets = policy_of(federation, north).get("status", {}).get("datasets", [])
    return next((each for each in datasets if each["name"] == name), {})


def patch(federation, north, change):
    path = f"{GROUP}/namespaces/{north}/sitepolicies/{north}"
    federation.hospital.request("PATCH", path, change, "application/merge-patch+json")


def inspector_of(federation, north, name):
    """Wait for the pod that inspects this dataset."""

    def look():
        pod = the_pod(federation.hospital, north, "preflight")
        return pod if pod["metadata"]["labels"]["fedward.io/dataset"] == name else None

    return wait_until(f"{name} is inspected", look, 30)


def end_inspection(federation, north, name, report=None, code=0):
    """End it with a report, and wait until that is on record and its Job is gone."""
    pod = inspector_of(federation, north, name)
    end_pod(federation.hospital, pod, code, message=json.dumps(report or COUNTED))
    job = pod["metadata"]["ownerReferences"][0]["name"]
    wait_until(f"{job} is removed", lambda: job not in inspections(federation, north), 30)
    return said(federation, north, name)


def at_the_hub(federation, north):
    return federation.hub.request("GET", f"{GROUP}/federatedsites/{north}").get("status", {})


def test_counts_come_to_the_policy_and_as_far_as_it_says_to_the_hub(heard):
    federation, north = heard
    found = end_inspection(federation, north, "brats")
    assert {name: found[name] for name in COUNTED} == COUNTED
    assert "reason" not in found
    end_inspection(federation, north, "kits", {"cases": 7, "labelled": 7, "complete": 7, "problems": {}})
    seen = wait_until(
        "the hub knows", lambda: at_the_hub(federation, north), 30, lambda status: status.get("cases") is not None
    )
    assert (seen["cases"], seen["datasets"]) == ({"brats": 120}, ["brats", "kits"])
    (condition,) = (
        each for each in policy_of(federation, north)["status"]["conditions"] if each["type"] == "DataSound"
    )
    assert (condition["status"], condition["reason"]) == ("False", "ProblemsFound")
    assert condition["message"].startswith("brats: 120 cases, 118 labelled, 115 complete")
    datasets = policy_of(federation, north)["spec"]["datasets"]
    patch(federation, north, {"spec": {"datasets": [each | {"share": "none"} for each in datasets]}})
    wait_until(
        "the hub knows nothing", lambda: at_the_hub(federation, north), 30, lambda status: not status["datasets"]
    )
    assert "cases" not in at_the_hub(federation, north)
    assert inspections(federation, north) == []  # what is shared is no reason to look at the data again


def test_a_dataset_is_inspected_anew_when_asked_and_says_why_when_it_cannot_be(heard):
    federation, north = heard
    before = end_inspection(federation, north, "brats")
    end_inspection(federation, north, "kits")
    patch(federation, north, {"metadata": {"annotations": {"fedward.io/inspect": "again"}}})
    after = end_inspection(federation, north, "brats", {"obstacle": "DatasetEmpty"}, code=4)
    assert (after["reason"], after.get("cases")) == ("DatasetEmpty", None)
    assert after["basis"] != before["basis"]


def test_an_inspection_can_reach_nothing(heard):
    federation, north = heard
    pod = inspector_of(federation, north, "brats")
    path = f"/apis/networking.k8s.io/v1/namespaces/{north}/networkpolicies/fedward-preflight"
    fence = wait_until("a fence", lambda: federation.hospital.request("GET", path))["spec"]
    assert fence["podSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    assert sorted(fence["policyTypes"]) == ["Egress", "Ingress"]
    assert not {"egress", "ingress"} & fence.keys()
    assert pod["spec"]["automountServiceAccountToken"] is False


def test_an_inspection_makes_way_for_a_trainer_and_leaves_it_alone(heard):
    federation, north = heard
    inspector_of(federation, north, "brats")
    federation.submit("brain", [north])
    wait_until("a trainer", lambda: jobs(federation.hospital, north))
    trainer = the_pod(federation.hospital, north, "trainer")
    end_inspection(federation, north, "kits")
    wait_until(
        "brats waits", lambda: said(federation, north, "brats"), 30, lambda each: each.get("reason") == "Waiting"
    )
    assert inspections(federation, north) == []
    assert the_pod(federation.hospital, north, "trainer")["metadata"]["uid"] == trainer["metadata"]["uid"]
    end_pod(federation.hospital, trainer, 0)
    assert end_inspection(federation, north, "brats")["cases"] == 120


def test_an_operator_that_dies_between_a_report_and_its_record_loses_nothing(federation):
    north = federation.invite("north", {**POLICY, "datasets": [{"name": "brats", "volume": SCANS}]})
    operator = federation.start_site(north)
    pod = inspector_of(federation, north, "brats")
    operator.kill()
    end_pod(federation.hospital, pod, 0, message=json.dumps(COUNTED))
    federation.restart(operator)
    found = wait_until(
        "counted", lambda: said(federation, north, "brats"), 60, lambda each: each.get("cases") is not None
    )
    assert found["cases"] == 120
    wait_until("no inspection is left", lambda: not inspections(federation, north), 30)

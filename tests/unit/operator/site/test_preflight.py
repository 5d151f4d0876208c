"""The pod that sees patients' data before any job does: what it can reach, and what can be seen of it."""

from __future__ import annotations

import dataclasses

import pytest

from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.policy import naming
from fedward_operator.site.preflight import network_policy, preflight_job
from fedward_operator.site.settings import SiteSettings
from fedward_operator.site.views import Policy, view_policy, view_preflight, view_preflight_pod

SETTINGS = SiteSettings("north", "fed.example.org", "fedward", "example.org/trainer:1", "gateway:8443")
POLICY = Policy("north", "u1", 1, b"{}", {})
VOLUME = {"persistentVolumeClaim": {"claimName": "scans"}}
BASIS = "0123456789abcdef" * 2


def made(gpus=None, **dataset):
    document = {"datasets": [{"name": "brats", "volume": VOLUME} | dataset]} | ({"gpus": gpus} if gpus else {})
    spec = SitePolicySpec.model_validate(document)
    return preflight_job(POLICY, spec, spec.datasets[0], BASIS, SETTINGS)


def pod_of(job):
    return job["spec"]["template"]["spec"]


def test_it_has_the_data_read_only_and_nothing_else():
    pod = pod_of(made())
    (container,) = pod["containers"]
    source = {"claimName": "scans", "readOnly": True}
    assert pod["volumes"] == [{"name": "data", "persistentVolumeClaim": source}]
    assert container["volumeMounts"] == [{"name": "data", "mountPath": "/data", "readOnly": True}]
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert "env" not in container


def test_it_is_the_installed_image_and_is_told_the_format():
    assert pod_of(made())["containers"][0]["image"] == "example.org/trainer:1"
    assert pod_of(made())["containers"][0]["args"] == ["inspect", "--data", "/data", "--format", "auto"]
    assert pod_of(made(format="brats2023"))["containers"][0]["args"][-1] == "brats2023"


def test_its_image_is_pulled_with_the_secrets_that_the_hospital_named():
    spec = SitePolicySpec.model_validate({"datasets": [{"name": "brats", "volume": VOLUME}]})
    settings = dataclasses.replace(SETTINGS, pull_secrets=("mirror",))
    job = preflight_job(POLICY, spec, spec.datasets[0], BASIS, settings)

    assert pod_of(job)["imagePullSecrets"] == [{"name": "mirror"}]
    assert "imagePullSecrets" not in pod_of(made())


def test_a_log_does_not_become_its_last_words():
    assert pod_of(made())["containers"][0]["terminationMessagePolicy"] == "File"


def test_no_network_reaches_it_and_it_reaches_none():
    fence, labels = network_policy(SETTINGS)["spec"], made()["spec"]["template"]["metadata"]["labels"]
    assert fence["podSelector"]["matchLabels"].items() <= labels.items()
    assert sorted(fence["policyTypes"]) == ["Egress", "Ingress"]
    assert (fence["ingress"], fence["egress"]) == ([], [])


def test_it_runs_on_the_trainers_nodes_without_taking_a_gpu():
    taint = {"key": "gpu", "operator": "Exists"}
    pod = pod_of(made(gpus={"nodeSelector": {"pool": "research"}, "tolerations": [taint]}))
    assert pod["nodeSelector"] == {"pool": "research"}
    assert pod["tolerations"][0].items() >= taint.items()
    assert "nvidia.com/gpu" not in str(pod)
    assert "nodeSelector" not in pod_of(made())


def test_it_ends_by_itself_and_goes_with_its_policy():
    job = made()
    assert job["spec"]["backoffLimit"] == 2
    assert job["spec"]["activeDeadlineSeconds"] > 0
    (owner,) = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("SitePolicy", "u1")


@pytest.mark.parametrize("name", ["brats", "d" * 63, "a" * 39 + "-" + "b" * 23])
def test_its_name_fits_and_tells_datasets_apart(name):
    found = naming.preflight_job(name, BASIS)
    assert len(found) <= 63
    assert "--" not in found


def test_its_end_is_read_from_the_job():
    metadata = {"namespace": "fedward", "name": "p", "uid": "j", "labels": {naming.LABEL_BASIS: BASIS}}
    job = {"metadata": metadata | {"creationTimestamp": "2026-03-04T12:00:00Z"}}

    def view(*conditions):
        return view_preflight({**job, "status": {"conditions": list(conditions)}})

    def said(kind, **more):
        return {"type": kind, "status": "True", "lastTransitionTime": "2026-03-04T12:01:00Z"} | more

    assert (view_preflight(job).ended, view_preflight(job).basis) == (None, BASIS)
    assert view(said("SuccessCriteriaMet")).ended is None  # its pods may still run
    complete = view(said("SuccessCriteriaMet"), said("Complete"))
    assert (complete.ended, complete.failed) == ("2026-03-04T12:01:00Z", None)
    lost = view(said("FailureTarget"), said("Failed", reason="DeadlineExceeded", message="too long"))
    assert (lost.ended, lost.failed) == ("2026-03-04T12:01:00Z", ("DeadlineExceeded", "too long"))


def test_a_pod_is_known_by_the_job_that_it_belongs_to_and_not_by_one_of_the_same_name():
    owners = [{"kind": "Job", "name": "p", "uid": "j1", "controller": True}]
    item = {"metadata": {"name": "p-x", "uid": "p", "ownerReferences": owners}}
    states = [{"state": {"terminated": {"exitCode": 0, "message": "{}"}}}]
    found = view_preflight_pod({**item, "status": {"containerStatuses": states}})
    assert (found.job_uid, found.said) == ("j1", "{}")
    assert view_preflight_pod(item).said == ""
    assert view_preflight_pod({"metadata": {"name": "p-x", "uid": "p"}}).job_uid == ""


def test_an_annotation_asks_for_another_look():
    metadata = {"name": "north", "uid": "u1", "annotations": {naming.INSPECT: "today"}}
    assert view_policy({"metadata": metadata, "spec": {}}).asked == "today"
    assert view_policy({"metadata": {"name": "north", "uid": "u1"}, "spec": {}}).asked == ""

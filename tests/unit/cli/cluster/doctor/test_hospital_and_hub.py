"""What a hospital or a hub lacks, and jobs that do not go on, found by `fedward doctor` and named."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.cli.cluster.doctor.looked_at import (
    NAMESPACE,
    NOW,
    ago,
    condition,
    found,
    job,
    meta,
    pod,
    then,
    troubles,
)

from fedward_cli.cluster.doctor import examine
from fedward_operator.checks.finding import Level


@pytest.mark.parametrize(
    ("break_it", "about", "trouble"),
    [
        (lambda it: it.secrets.clear(), "certificate of the site", ("wrong", "NotJoined")),
        (lambda it: it.kinds["sitepolicies"].clear(), "policy", ("wrong", "NoSitePolicy")),
        (
            lambda it: it.kinds["sitepolicies"].append({"metadata": meta("b")}),
            "policy",
            ("wrong", "SeveralSitePolicies"),
        ),
        (lambda it: it.kinds["nodes"].clear(), "GPUs", ("wrong", "GpuMissing")),
        (lambda it: it.kinds["customresourcedefinitions"].pop(), "kind SitePolicy", ("wrong", "KindMissing")),
        (lambda it: it.kinds["customresourcedefinitions"].clear(), "kind SiteJob", ("wrong", "KindMissing")),
    ],
)
def test_what_a_hospital_lacks_is_found(site, break_it, about, trouble):
    break_it(site)

    assert troubles(site)[about] == trouble


def test_a_certificate_that_expires_or_has_is_found(site):
    for days, trouble in ((28, ("warning", "CertificateExpiring")), (30, ("wrong", "CertificateExpired"))):
        (diagnosis,) = examine(None, NAMESPACE, NOW + timedelta(days=days), site)
        (judged,) = [each for each in diagnosis.findings if each.about == "certificate of the site"]
        assert (judged.level.value, judged.reason) == trouble


ADMITTED, RUNS = condition("Admitted"), condition("Running")


@pytest.mark.parametrize(
    ("asked", "trouble"),
    [
        (job("a", condition("Completed")), None),
        (job("a", ADMITTED, RUNS, state="Training"), None),
        (job("a", ADMITTED, condition("Running", "False"), state="Suspended"), None),
        (job("a", condition("Admitted", "Unknown", "OutsideWindow")), None),
        (job("a", condition("Admitted", "Unknown", "ApprovalPending")), ("warning", "ApprovalPending")),
        (job("a", condition("Admitted", "False", "GpuNotOffered")), ("warning", "GpuNotOffered")),
        (job("a", ADMITTED, condition("Failed", reason="BackoffLimitExceeded")), ("warning", "BackoffLimitExceeded")),
        (job("a", ADMITTED, condition("Running", "False", "GpuUnschedulable")), ("wrong", "GpuUnschedulable")),
        (job("a"), ("wrong", "Pending")),
    ],
)
def test_a_part_in_a_job_that_does_not_go_on_is_said_why(site, asked, trouble):
    site.kinds["sitejobs"] = [asked]

    assert troubles(site) == ({} if trouble is None else {"job a": trouble})


def test_what_waits_for_a_person_is_told_with_the_command(site):
    site.kinds["sitejobs"] = [job("a", condition("Admitted", "Unknown", "ApprovalPending"))]

    assert then(site, "job a") == "fedward approve a -n fedward"


@pytest.mark.parametrize(
    ("asked", "trouble"),
    [
        (job("a", condition("Completed"), condition("Degraded")), None),
        (job("a", condition("Suspended"), condition("Running", "False")), None),
        (job("a", ADMITTED, RUNS, state="Training", progress="7/30", participation="3/4"), None),
        (job("a", ADMITTED, RUNS, condition("Degraded", reason="SiteOffline")), ("warning", "SiteOffline")),
        (job("a", ADMITTED, condition("Failed", reason="QuorumLost")), ("warning", "QuorumLost")),
        (job("a", condition("Admitted", "False", "SpecInvalid")), ("wrong", "SpecInvalid")),
        (job("a", ADMITTED, condition("Running", "False", "WaitingForSites")), ("wrong", "WaitingForSites")),
        (job("a"), ("wrong", "Pending")),
    ],
)
def test_a_job_that_does_not_go_on_is_said_why(hub, asked, trouble):
    hub.kinds["federatedjobs"] = [asked]

    assert troubles(hub) == ({} if trouble is None else {"job fedward/a": trouble})


@pytest.mark.parametrize(
    ("break_it", "about", "trouble"),
    [
        (lambda it: it.secrets.clear(), "authority", ("wrong", "AuthorityMissing")),
        (lambda it: it.kinds["storageclasses"].clear(), "storage class", ("wrong", "StorageClassMissing")),
        (lambda it: it.kinds["endpointslices"].clear(), "pods of the door", ("wrong", "DoorWithoutPods")),
        (lambda it: it.kinds["customresourcedefinitions"].pop(0), "kind FederatedJob", ("wrong", "KindMissing")),
        (
            lambda it: it.kinds["federatedsites"][0]["status"].update(
                conditions=[condition("Connected", "False", "HeartbeatMissed")]
            ),
            "site north",
            ("wrong", "HeartbeatMissed"),
        ),
    ],
)
def test_what_a_hub_lacks_is_found(hub, break_it, about, trouble):
    break_it(hub)

    assert troubles(hub) == {about: trouble}


def test_an_aggregator_in_a_researchers_namespace_is_looked_at_too(hub):
    hub.kinds["pods"].append(pod("agg", "Pending", False, component="aggregator", namespace="research"))
    hub.kinds["pods"].append(pod("at-home", component="aggregator"))

    assert [each.about for each in found(hub).findings].count("pod at-home") == 1
    assert troubles(hub) == {"pod agg": ("wrong", "NotReady")}
    assert then(hub, "pod agg") == "kubectl describe pod agg -n research"


def test_a_hospital_that_waits_to_be_let_in_is_told_with_the_command(hub):
    user = "system:serviceaccount:fedward-site-south:fedward-invitation"
    hub.kinds["certificatesigningrequests"] = [
        {"metadata": {"name": "x", "creationTimestamp": ago(hours=1)}, "spec": {"username": user}},
        {"metadata": {"name": "y"}, "spec": {"username": user}, "status": {"conditions": [condition("Approved")]}},
        {"metadata": {"name": "z"}, "spec": {"username": "somebody"}},
    ]
    assert troubles(hub) == {"site south": ("warning", "ApprovalPending")}
    assert then(hub, "site south") == "fedward approve site south"


def test_what_may_not_be_seen_is_said_and_nothing_is_made_of_it(site, hub):
    seen = ("nodes", "secret", "customresourcedefinitions", "events", "persistentvolumeclaims", "sitepolicies", "pods")
    site.forbidden = seen
    assert troubles(site) == {}
    assert {each.about for each in found(site).findings if each.level is Level.SKIPPED} >= {"pods", "events"}
    assert "Forbidden" in str(found(site))

    hub.forbidden = (*seen, "endpointslices", "storageclasses", "federatedsites", "federatedjobs")
    hub.forbidden = (*hub.forbidden, "certificatesigningrequests")
    assert troubles(hub) == {}

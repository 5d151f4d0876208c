"""What a hospital decides: the researcher sees the reason, the hospital keeps the rest to itself."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.cluster.operators import GROUP, POLICY, end_pod, jobs, site_jobs, the_pod
from tests.kube.binaries import binaries
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster


def site_of(federation, name="brain"):
    sites = federation.found(name).get("status", {}).get("sites", [])
    return sites[0] if sites else {}


def asked(federation, policy, **spec):
    """Start a federation of one hospital with this policy and a job; return the site's name."""
    north = federation.invite("north", policy)
    federation.start_hub()
    federation.start_site(north)
    federation.submit("brain", [north], **spec)
    return north


def fedward(federation, *arguments):
    """Run the command as somebody of the hospital does."""
    environment = {
        **os.environ,
        "KUBECONFIG": str(federation.hospital.admin_kubeconfig),
        "PATH": f"{binaries()}{os.pathsep}{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "fedward_cli.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def change(federation, north, spec):
    path = f"{GROUP}/namespaces/{north}/sitepolicies/{north}"
    federation.hospital.request("PATCH", path, {"spec": spec}, "application/merge-patch+json")


BRATS = POLICY["datasets"][0]


@pytest.mark.parametrize(
    ("policy", "spec", "reason"),
    [
        ({"gpus": None}, {}, "GpuNotOffered"),
        ({}, {"resources": {"gpu": {"count": 2}}}, "TooManyGpus"),
        ({"limits": {"memory": "2Gi"}}, {}, "TooMuchMemory"),
        ({}, {"image": "example.org/mine:1"}, "ImageNotAllowed"),
        ({"datasets": [{**BRATS, "name": "other"}]}, {}, "DatasetNotOffered"),
        (
            {"datasets": [{**BRATS, "format": "brats2018"}]},
            {"data": {"dataset": "brats", "format": "brats2023"}},
            "DatasetFormatMismatch",
        ),
    ],
)
def test_a_refusal_reaches_the_researcher_as_a_reason(federation, policy, spec, reason):
    stated = {name: value for name, value in {**POLICY, **policy}.items() if value is not None}
    north = asked(federation, stated, **spec)
    seen = wait_until("refused", lambda: site_of(federation), is_it=lambda site: site.get("state") == "Refused")
    assert seen["reason"] == reason
    federation.wait_for("brain", "Degraded", "True", reason)
    assert not jobs(federation.hospital, north)


def test_a_refusal_does_not_tell_what_the_hospital_keeps_to_itself(federation):
    secret = {
        **POLICY,
        "images": ["internal.hospital/trainer:*"],
        "datasets": [{**BRATS, "name": "hidden"}],
    }
    asked(federation, secret, image="example.org/mine:1")
    wait_until("refused", lambda: site_of(federation), is_it=lambda site: site.get("state") == "Refused")
    told = str(federation.found("brain")["status"])
    assert "hidden" not in told
    assert "internal.hospital" not in told
    assert "scans" not in told


def test_a_job_that_a_person_has_to_approve_waits_for_the_digest_of_what_it_is(federation):
    north = asked(federation, {**POLICY, "approval": "manual"})
    seen = wait_until("waits", lambda: site_of(federation), is_it=lambda site: site.get("reason") == "ApprovalPending")
    assert seen["state"] == "Waiting"
    (name,) = site_jobs(federation.hospital, north)
    path = f"{GROUP}/namespaces/{north}/sitejobs/{name}"
    another = {"metadata": {"annotations": {"fedward.io/approved-digest": "0" * 64}}}
    federation.hospital.request("PATCH", path, another, "application/merge-patch+json")
    wait_until(
        "another approval is on record",
        lambda: federation.hospital.request("GET", path)["status"].get("approvedDigest"),
        is_it=lambda approved: approved == "0" * 64,
    )
    assert not jobs(federation.hospital, north)
    listed = fedward(federation, "approve", "-n", north)
    assert name in listed.stdout
    digest = federation.hospital.request("GET", path)["status"]["approvalDigest"]
    approved = fedward(federation, "approve", name, "-n", north, "--yes")
    assert approved.returncode == 0, approved.stderr
    assert digest in approved.stdout
    wait_until("a trainer", lambda: jobs(federation.hospital, north))
    assert "Approved already" in fedward(federation, "approve", name, "-n", north).stdout
    wrong = fedward(federation, "approve", "nobody", "-n", north)
    assert (wrong.returncode, "not found" in wrong.stderr) == (2, True)


def test_a_policy_that_changes_its_mind_stops_the_trainer_and_starts_it_again(running):
    federation, north, _, _ = running
    change(federation, north, {"datasets": [{**BRATS, "name": "other"}]})
    wait_until("no trainer", lambda: jobs(federation.hospital, north), is_it=lambda left: not left)
    federation.wait_for("brain", "Degraded", "True", "DatasetNotOffered")
    change(federation, north, {"datasets": POLICY["datasets"]})
    wait_until("a trainer", lambda: jobs(federation.hospital, north))
    federation.wait_for("brain", "Degraded", "False")


def test_a_stricter_floor_reaches_a_trainer_that_runs(running):
    federation, north, _, _ = running
    before = the_pod(federation.hospital, north, "trainer")["metadata"]["uid"]
    change(federation, north, {"privacy": {"floor": [{"name": "normClip", "maxNorm": 1.0}]}})
    after = wait_until(
        "a trainer with the new order",
        lambda: the_pod(federation.hospital, north, "trainer"),
        is_it=lambda pod: pod["metadata"]["uid"] != before,
    )
    assert after["metadata"]["labels"]["fedward.io/order"]


def test_one_place_is_taken_in_turn(federation):
    north = asked(federation, {**POLICY, "concurrency": 1})
    wait_until("a trainer", lambda: jobs(federation.hospital, north))
    federation.submit("second", [north])
    seen = wait_until(
        "its turn", lambda: site_of(federation, "second"), is_it=lambda site: site.get("reason") == "WaitingForTurn"
    )
    assert seen["state"] == "Waiting"
    assert "brain" not in seen["message"]
    end_pod(federation.hospital, the_pod(federation.hospital, north, "trainer"), 0)
    wait_until("the next", lambda: site_of(federation, "second"), is_it=lambda site: site.get("state") == "Training")


def test_outside_the_window_nothing_starts(federation):
    never = {"windows": [{"days": ["Mon"], "begins": "03:00", "ends": "03:01"}]}
    asked(federation, {**POLICY, "schedule": never})
    wait_until("waits", lambda: site_of(federation), is_it=lambda site: site.get("reason") == "OutsideWindow")


def test_without_a_policy_nothing_starts(federation):
    asked(federation, None)
    wait_until("waits", lambda: site_of(federation), is_it=lambda site: site.get("reason") == "NoSitePolicy")

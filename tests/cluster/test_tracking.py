"""A job that names an MLflow server: its trackers, when there is which, and that none of it stands in the job's way."""

from __future__ import annotations

import base64
import json

import pytest
from cryptography import x509
from tests.cluster.operators import POLICY, end_pod, jobs, make, names, the_pod
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster

TRACKING = {"mlflow": {"uri": "https://mlflow.example.org", "secretName": "mlflow"}}
EGRESS = [{"to": [{"ipBlock": {"cidr": "192.0.2.7/32"}}], "ports": [{"protocol": "TCP", "port": 443}]}]
IMAGE = ["--tracker-image=example.org/tracker:1", f"--tracking-egress={json.dumps(EGRESS)}"]


def tracked(federation, more=IMAGE):
    """Run a job "brain" that wants to be tracked."""
    north = federation.invite("north", POLICY)
    operator = federation.start_hub(more=more)
    federation.start_site(north)
    federation.submit("brain", [north], tracking=TRACKING)
    federation.wait_for("brain", "Running", "True")
    return operator


def trackers(federation):
    """Name the trackers' Jobs."""
    return names(
        federation.hub,
        f"/apis/batch/v1/namespaces/{federation.namespace}/jobs?labelSelector=fedward.io/component=tracker",
    )


def told(federation, job):
    """Read what a tracker is told: its arguments by name."""
    path = f"/apis/batch/v1/namespaces/{federation.namespace}/jobs/{job}"
    (container,) = federation.hub.request("GET", path)["spec"]["template"]["spec"]["containers"]
    arguments = container["args"]
    return arguments[0], dict(zip(arguments[1::2], arguments[2::2], strict=True))


def fence(federation, name):
    """Read a NetworkPolicy's spec."""
    path = f"/apis/networking.k8s.io/v1/namespaces/{federation.namespace}/networkpolicies/{name}"
    return federation.hub.request("GET", path)["spec"]


def test_a_tracker_follows_the_job_behind_a_fence_and_with_an_identity_of_its_own(federation):
    operator = tracked(federation)
    federation.wait_for("brain", "Tracked", "True", "Following")

    assert trackers(federation) == ["brain-tracker-1"]
    command, arguments = told(federation, "brain-tracker-1")
    assert command == "follow"
    assert json.loads(arguments["--tracking"]) == TRACKING
    assert arguments["--aggregator"] == f"brain-aggregator.{federation.namespace}.svc:8443"
    aggregators = {
        "fedward.io/component": "aggregator",
        "fedward.io/job-uid": federation.found("brain")["metadata"]["uid"],
    }
    to_aggregator = {
        "to": [{"podSelector": {"matchLabels": aggregators}}],
        "ports": [{"protocol": "TCP", "port": 8443}],
    }
    assert fence(federation, "brain-tracker")["egress"] == [to_aggregator, *EGRESS]
    assert "egress" not in fence(federation, "brain-aggregator"), "what holds the hospitals' updates stays fenced in"
    callers = fence(federation, "brain-aggregator")["ingress"][0]["from"]
    assert aggregators | {"fedward.io/component": "tracker"} in [each["podSelector"]["matchLabels"] for each in callers]
    secret = federation.hub.request("GET", f"/api/v1/namespaces/{federation.namespace}/secrets/brain-tracker-tls")
    shown = x509.load_pem_x509_certificate(base64.b64decode(secret["data"]["tls.crt"]))
    names_ = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names_.get_values_for_type(x509.UniformResourceIdentifier)
    assert uri.endswith(f"/observer/{aggregators['fedward.io/job-uid']}")
    assert operator.metric("fedward_operator_api_calls_total", code="403") == 0


def test_after_the_end_another_logs_the_rest_from_the_volume(federation):
    operator = tracked(federation)
    wait_until("a tracker", lambda: trackers(federation))
    end_pod(federation.hub, the_pod(federation.hub, federation.namespace, "aggregator"), 0)
    federation.wait_for("brain", "Completed", "True")

    wait_until("the other tracker", lambda: trackers(federation), is_it=lambda left: left == ["brain-tracker-end"])
    command, arguments = told(federation, "brain-tracker-end")
    ended = json.loads(arguments["--ended"])
    assert (command, ended["state"], ended["attempt"], ended["failure"]) == ("finish", "Completed", 1, None)
    assert ended["completionTime"] == federation.found("brain")["status"]["completionTime"]
    assert federation.condition("brain", "Tracked")["reason"] == "Finishing"
    end_pod(federation.hub, the_pod(federation.hub, federation.namespace, "tracker"), 0)
    federation.wait_for("brain", "Tracked", "True", "Logged")
    operator.kill()
    federation.start_hub(more=IMAGE)
    federation.patch("brain", {"ttlSecondsAfterFinished": 3600})
    wait_until("seen again", lambda: federation.found("brain"), is_it=_is_seen)
    assert trackers(federation) == ["brain-tracker-end"]


def test_what_could_not_be_logged_is_said_and_the_job_is_as_complete_as_any(federation):
    tracked(federation)
    wait_until("a tracker", lambda: trackers(federation))
    end_pod(federation.hub, the_pod(federation.hub, federation.namespace, "aggregator"), 0)
    wait_until("the other tracker", lambda: trackers(federation), is_it=lambda left: left == ["brain-tracker-end"])
    end_pod(federation.hub, the_pod(federation.hub, federation.namespace, "tracker"), 3, message="cannot be reached")

    said = federation.wait_for("brain", "Tracked", "False", "NotLogged")
    assert "fedward track FOLDER" in said["message"]
    assert federation.condition("brain", "Completed")["status"] == "True"


def test_a_failed_job_is_logged_as_failed(federation):
    tracked(federation)
    wait_until("a tracker", lambda: trackers(federation))
    pod = the_pod(federation.hub, federation.namespace, "aggregator")
    end_pod(federation.hub, pod, 3, message="QuorumLost: too few sites are left to reach the quorum")
    federation.wait_for("brain", "Failed", "True")

    wait_until("the other tracker", lambda: trackers(federation), is_it=lambda left: left == ["brain-tracker-end"])
    ended = json.loads(told(federation, "brain-tracker-end")[1]["--ended"])
    assert ended["state"] == "Failed"
    assert "too few sites are left" in ended["failure"]["message"]


def test_a_suspended_job_has_no_tracker_and_a_resumed_one_another(federation):
    tracked(federation)
    wait_until("a tracker", lambda: trackers(federation))
    federation.patch("brain", {"suspend": True})
    wait_until("no tracker", lambda: trackers(federation), is_it=lambda left: not left)
    federation.wait_for("brain", "Tracked", "Unknown", "NotRunning")

    federation.patch("brain", {"suspend": False})
    wait_until("a tracker of the second attempt", lambda: trackers(federation), is_it=["brain-tracker-2"].__eq__)


def test_a_tracker_that_is_refused_is_said_and_the_job_runs(federation):
    quota = {"metadata": {"name": "jobs"}, "spec": {"hard": {"count/jobs.batch": "1"}}}
    make(federation.hub, f"/api/v1/namespaces/{federation.namespace}/resourcequotas", quota)
    wait_until(
        "the quota is counted",
        lambda: federation.hub.request("GET", f"/api/v1/namespaces/{federation.namespace}/resourcequotas/jobs"),
        is_it=lambda found: "hard" in found.get("status", {}),
    )
    tracked(federation)

    said = federation.wait_for("brain", "Tracked", "False", "QuotaExceeded")
    assert "count/jobs.batch" in said["message"]
    assert federation.condition("brain", "Running")["status"] == "True"
    assert jobs(federation.hub, federation.namespace) == ["brain-aggregator-1"]


def test_a_hub_without_trackers_says_so_and_takes_away_what_it_had(federation):
    operator = tracked(federation)
    wait_until("a tracker", lambda: trackers(federation))
    operator.kill()
    federation.start_hub()

    said = federation.wait_for("brain", "Tracked", "False", "HubDoesNotTrack")
    assert "tracking.enabled" in said["message"]
    wait_until("no tracker", lambda: trackers(federation), is_it=lambda left: not left)
    assert federation.condition("brain", "Running")["status"] == "True"


def _is_seen(job):
    return job["metadata"]["generation"] == job["status"]["observedGeneration"]

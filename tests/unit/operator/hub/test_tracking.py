"""What logs a job to MLflow: what its pods may do, and what the job's condition says of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from situation import UID, Life, aggregator, connected, part, spec

from fedward_operator.api.tracking import Tracking
from fedward_operator.hub.owned import Owner
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.tracking import children
from fedward_operator.hub.tracking.finding import Trackers
from fedward_operator.policy.problem import Problem

OWNER = Owner("research", "glioma", UID, {})
SETTINGS = HubSettings("fed.example", "hub.example:443", "aggregator:1", "trainer:1", tracker_image="tracker:1")
TOLD = {"mlflow": {"uri": "https://mlflow.example.org", "experiment": "glioma", "secretName": "ours"}}
TRACKING = Tracking.model_validate(TOLD)
ENDED = {"state": "Completed", "attempt": 2}
FOLLOWER = children.follower_job(OWNER, TRACKING, 2, SETTINGS)
FINISHER = children.finisher_job(OWNER, TRACKING, 2, ENDED, SETTINGS)
WANTED = spec(tracking=TOLD)


def pod(job):
    return job["spec"]["template"]["spec"]


@pytest.mark.parametrize("job", [FOLLOWER, FINISHER], ids=["follower", "finisher"])
def test_a_tracker_can_gain_nothing_and_change_nothing_of_the_job(job):
    (container,) = pod(job)["containers"]

    assert container["image"] == "tracker:1"
    assert pod(job)["automountServiceAccountToken"] is False
    assert pod(job)["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    writable = {mount["name"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"tmp"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod(job)["volumes"]}


@pytest.mark.parametrize("job", [FOLLOWER, FINISHER], ids=["follower", "finisher"])
def test_of_the_secret_the_credentials_alone_are_taken_and_none_has_to_be_there(job):
    taken = [each["valueFrom"]["secretKeyRef"] for each in pod(job)["containers"][0]["env"]]
    (mounted,) = [volume["secret"] for volume in pod(job)["volumes"] if volume["name"] == "mlflow"]

    assert {each["key"] for each in taken} == {
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
    }
    assert {(each["name"], each["optional"]) for each in taken} == {("ours", True)}
    assert mounted == {"secretName": "ours", "optional": True, "items": [{"key": "ca.crt", "path": "ca.crt"}]}


def test_without_a_secret_there_is_nothing_of_one():
    bare = Tracking.model_validate({"mlflow": {"uri": "http://mlflow"}})
    job = children.follower_job(OWNER, bare, 1, SETTINGS)

    assert "env" not in pod(job)["containers"][0]
    assert {volume["name"] for volume in pod(job)["volumes"]} == {"plan", "tls", "tmp"}


def test_each_is_told_what_it_needs():
    follow, finish = (pod(job)["containers"][0]["args"] for job in (FOLLOWER, FINISHER))

    assert (follow[0], finish[0]) == ("follow", "finish")
    for words in (follow, finish):
        assert json.loads(words[words.index("--tracking") + 1]) == TOLD
    assert json.loads(finish[finish.index("--ended") + 1]) == ENDED
    assert follow[follow.index("--aggregator") + 1] == "glioma-aggregator.research.svc:8443"
    assert "--state" not in follow, "the volume is the aggregator's alone while it runs"


def test_a_tracker_that_gave_up_is_not_started_again_and_one_that_crashed_is():
    (given_up, disrupted) = FINISHER["spec"]["podFailurePolicy"]["rules"]

    assert given_up["onExitCodes"]["values"] == [3]
    assert given_up["onExitCodes"]["containerName"] == pod(FINISHER)["containers"][0]["name"]
    assert disrupted["action"] == "Ignore"
    assert FINISHER["spec"]["backoffLimit"] > 0


@pytest.mark.parametrize("name", ["", "Ours", "our secret", "-ours", "a" * 254])
def test_a_secret_with_an_impossible_name_is_refused_with_the_job(name):
    with pytest.raises(ValueError, match="secretName"):
        Tracking.model_validate({"mlflow": {"uri": "http://mlflow", "secretName": name}})


FOLLOWING = replace(aggregator(), name="glioma-tracker-1")
RUNNING = {"spec": WANTED, "aggregator": aggregator(), "parts": {"east": part("east")}}
DONE = {"spec": WANTED, "aggregator": aggregator(complete=True)}


@pytest.mark.parametrize(
    ("facts", "trackers", "said", "words"),
    [
        (RUNNING, Trackers(), ("False", "HubDoesNotTrack"), "tracking.enabled"),
        (RUNNING, Trackers(True, refused=Problem("QuotaExceeded", "no more")), ("False", "QuotaExceeded"), "no more"),
        (RUNNING, Trackers(True), ("Unknown", "Starting"), "starting"),
        (RUNNING, Trackers(True, replace(FOLLOWING, ready=True)), ("True", "Following"), "mlflow.example.org"),
        (RUNNING, Trackers(True, FOLLOWING), ("False", "Behind"), "kubectl logs -n research job/glioma-tracker-1"),
        (
            RUNNING,
            Trackers(True, replace(FOLLOWING, failed=("BackoffLimitExceeded", "too often"))),
            ("False", "TrackerFailed"),
            "too often",
        ),
        ({"spec": WANTED, "connected": connected("east", "north")}, Trackers(True), ("Unknown", "NotRunning"), "once"),
        (
            {"spec": spec(tracking=TOLD, suspend=True)},
            Trackers(True, FOLLOWING),
            ("Unknown", "NotRunning"),
            "once they are trained",
        ),
        (DONE, Trackers(True, replace(FOLLOWING, ready=True)), ("Unknown", "Finishing"), "volume"),
        (DONE, Trackers(True, None, FOLLOWING), ("Unknown", "Finishing"), "being told the rest"),
        (DONE, Trackers(True, None, replace(FOLLOWING, complete=True)), ("True", "Logged"), "everything"),
        (
            DONE,
            Trackers(True, None, replace(FOLLOWING, failed=("PodFailurePolicy", "exit code 3"))),
            ("False", "NotLogged"),
            "fedward track",
        ),
    ],
)
def test_the_condition_says_how_it_is_logged(facts, trackers, said, words):
    life = Life().after(**facts, trackers=trackers)

    assert life.said("Tracked") == said
    (condition,) = [each for each in life.status["conditions"] if each["type"] == "Tracked"]
    assert words in condition["message"]


def test_a_job_that_does_not_want_to_be_tracked_has_no_such_condition():
    life = Life().after(aggregator=aggregator(), trackers=Trackers(True))

    assert not any(each["type"] == "Tracked" for each in life.status["conditions"])

"""What logs a job to MLflow: what its pods may do, and what the job's condition says of it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from situation import NOON, UID, Life, aggregator, connected, observed, part, progress, spec

from fedward_operator.api.tracking import Tracking
from fedward_operator.hub.decide import decide
from fedward_operator.hub.owned import Owner
from fedward_operator.hub.settings import HubSettings
from fedward_operator.hub.tracking import children
from fedward_operator.hub.tracking.finding import Trackers, is_settled
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
    everybody = [*pod(job)["containers"], *pod(job).get("initContainers", ())]
    mounted = {mount["name"] for each in everybody for mount in each["volumeMounts"]}
    assert mounted == {volume["name"] for volume in pod(job)["volumes"]}


@pytest.mark.parametrize("job", [FOLLOWER, FINISHER], ids=["follower", "finisher"])
def test_of_the_secret_the_credentials_alone_are_taken_as_files_and_none_has_to_be_there(job):
    (mounted,) = [volume["secret"] for volume in pod(job)["volumes"] if volume["name"] == "mlflow"]

    assert (mounted["secretName"], mounted["optional"]) == ("ours", True)
    assert {each["key"] for each in mounted["items"]} == {
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "ca.crt",
    }
    assert "env" not in pod(job)["containers"][0], "Kubernetes would put what is in there into arguments"


def as_kubernetes_hands_on(argument, env):
    """Expand an argument: $(NAME) where there is one, and $$ is a dollar."""

    def expanded(found):
        return "$" if found[0] == "$$" else env.get(found[1], found[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", expanded, argument)


@pytest.mark.parametrize("text", ["$(MLFLOW_TRACKING_PASSWORD)", "$$(HOME)", "$", "a$$b"])
def test_what_a_job_says_reaches_a_tracker_as_it_is(text):
    told = Tracking.model_validate({"mlflow": {"uri": "http://mlflow/", "experiment": text, "secretName": "ours"}})
    ended = {"failure": {"message": text}}
    words = pod(children.finisher_job(OWNER, told, 1, ended, SETTINGS))["containers"][0]["args"]

    handed = [as_kubernetes_hands_on(word, {"MLFLOW_TRACKING_PASSWORD": "a secret", "HOME": "/"}) for word in words]
    assert json.loads(handed[handed.index("--tracking") + 1])["mlflow"]["experiment"] == text
    assert json.loads(handed[handed.index("--ended") + 1]) == ended


def test_who_speaks_with_the_server_never_has_the_volume_with_single_updates():
    (collect,) = pod(FINISHER)["initContainers"]
    (tracker,) = pod(FINISHER)["containers"]
    claims = {volume["name"] for volume in pod(FINISHER)["volumes"] if "persistentVolumeClaim" in volume}

    assert not claims & {mount["name"] for mount in tracker["volumeMounts"]}
    assert claims & {mount["name"] for mount in collect["volumeMounts"] if mount.get("readOnly")} == claims
    assert not {"mlflow", "tls"} & {mount["name"] for mount in collect["volumeMounts"]}


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
HEARD = RUNNING | {"progress": progress()}
DONE = {"spec": WANTED, "aggregator": aggregator(complete=True)}


@pytest.mark.parametrize(
    ("facts", "trackers", "said", "words"),
    [
        (RUNNING, Trackers(), ("False", "HubDoesNotTrack"), "tracking.enabled"),
        (RUNNING, Trackers(True, refused=Problem("QuotaExceeded", "no more")), ("False", "QuotaExceeded"), "no more"),
        (RUNNING, Trackers(True), ("Unknown", "Starting"), "starting"),
        (RUNNING, Trackers(True, replace(FOLLOWING, ready=True)), ("True", "Following"), "mlflow.example.org"),
        (HEARD, Trackers(True, FOLLOWING), ("False", "Behind"), "kubectl logs -n research job/glioma-tracker-1"),
        (RUNNING, Trackers(True, FOLLOWING), ("Unknown", "Starting"), "before the aggregator has started"),
        (HEARD, Trackers(True, replace(FOLLOWING, complete=True)), ("Unknown", "Finishing"), "once the job has ended"),
        (DONE, Trackers(True, has_volume=False), ("False", "NotLogged"), "no volume"),
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


def test_what_is_logged_stays_so_whatever_becomes_of_the_trackers():
    life = Life().after(**DONE, trackers=Trackers(True, None, replace(FOLLOWING, complete=True)))
    assert life.after(10, **DONE, trackers=Trackers()).said("Tracked") == ("True", "Logged")
    assert life.after(10, **DONE, trackers=Trackers(True)).said("Tracked") == ("True", "Logged")


def test_of_a_job_that_ended_long_before_its_hub_ran_trackers_nothing_is_made():
    life = Life().after(**DONE, trackers=Trackers())
    assert not is_settled(life.status, NOON + timedelta(hours=23))
    assert is_settled(life.status, NOON + timedelta(hours=25))
    assert life.after(25 * 3600, **DONE, trackers=Trackers(True)).said("Tracked") == ("False", "HubDoesNotTrack")


@pytest.mark.parametrize(
    ("trackers", "hours", "expired"),
    [
        (Trackers(True), 1, False),
        (Trackers(True, None, FOLLOWING), 24, False),
        (Trackers(True, None, FOLLOWING), 26, True),
        (Trackers(True, None, replace(FOLLOWING, complete=True)), 1, True),
        (Trackers(True, None, replace(FOLLOWING, failed=("PodFailurePolicy", "it gave up"))), 1, True),
        (Trackers(True, has_volume=False), 1, True),
        (Trackers(), 1, True),
    ],
)
def test_a_job_whose_time_is_over_stays_until_it_is_logged_but_not_for_ever(trackers, hours, expired):
    facts = {**DONE, "spec": spec(tracking=TOLD, ttlSecondsAfterFinished=0)}
    life = Life().after(**facts, trackers=trackers)
    decision = decide(observed(life.status, NOON + timedelta(hours=hours), **facts, trackers=trackers))

    assert decision.expired is expired
    assert expired or decision.look_again_s

"""What a job's status says, situation by situation, and that it says the same until something changes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from situation import DIGEST, SITES, Life, aggregator, connected, part, parts, pod, progress, said, spec, states

from fedward_operator.api.job import FederatedJobStatus
from fedward_operator.api.status import CamelCase
from fedward_operator.hub.decide import Stage, decide
from fedward_operator.hub.notes import notes
from fedward_operator.hub.progress import Progress, SiteProgress
from fedward_operator.hub.status import is_mere_progress, status_of
from fedward_operator.policy.problem import Problem
from fedward_protocol.reasons import Reason

RUNNING = {"aggregator": aggregator(), "pods": [pod()], "parts": parts(), "progress": progress()}
REFUSED = part("east", state="Refused", reason="DatasetUnknown", message="no brats here")
NO_GPU = part(
    "east",
    state="GpuUnschedulable",
    reason="GpuUnschedulable",
    message="0/2 nodes are available: 2 Insufficient amd.com/gpu",
)


def test_without_a_plan_it_says_what_is_wrong_with_the_job():
    life = Life().after(sites=None, unplanned=Problem("SpecInvalid", "no FederatedSite is called soth"))

    assert life.said("Admitted") == ("False", "SpecInvalid")
    assert life.said("Running") == ("False", "Unplanned")
    assert life.said("QuorumMet") == ("Unknown", "Unplanned")
    assert life.status["state"] == "Unplanned"
    assert life.status["sites"] == []
    assert "planDigest" not in life.status
    assert life.told == [("Warning", "SpecInvalid"), ("Warning", "Unplanned")]


def test_while_sites_are_missing_it_says_which():
    life = Life().after(connected=connected("east", "south"))

    assert life.said("Admitted") == ("True", "Planned")
    assert life.said("Running") == ("False", "WaitingForSites")
    assert life.said("QuorumMet") == ("False", "TooFewSites")
    assert life.said("Degraded") == ("True", "SiteOffline")
    assert states(life.status) == {"east": "Offline", "north": "Pending", "south": "Offline"}
    assert (life.status["participation"], life.status["planDigest"]) == ("0/3", DIGEST)
    assert "startTime" not in life.status


def test_while_it_starts_it_says_so_and_since_when():
    life = Life().after(sites=None).after(5, parts=parts(state="Pending"), aggregator=aggregator())

    assert life.said("Running") == ("True", "Starting")
    assert life.said("QuorumMet") == ("False", "TooFewSites")
    assert life.said("Degraded") == ("False", "AsExpected")
    assert life.status["startTime"] == "2026-03-01T12:00:05Z"
    assert (life.status["attempt"], life.status["progress"]) == (1, "0/5")


def test_a_job_that_wants_to_be_tracked_is_told_that_it_is_not_and_what_to_do():
    wanted = spec(tracking={"mlflow": {"uri": "https://mlflow.example.org"}})
    life = Life().after(spec=wanted).after(10, spec=wanted)

    assert life.said("Tracked") == ("False", "HubDoesNotTrack")
    assert life.told.count(("Warning", "HubDoesNotTrack")) == 1
    assert not any(each["type"] == "Tracked" for each in Life().after().status["conditions"])


def test_while_it_trains_it_says_how_far_it_is():
    life = Life().started().after(10, **RUNNING | {"progress": progress("Evaluating", 3, metrics={"dice": 0.8})})

    assert life.said("Running") == ("True", "Evaluating")
    assert life.said("QuorumMet") == ("True", "EnoughSites")
    assert life.said("Completed") == ("False", "NotFinished")
    assert life.said("Failed") == ("False", "NotFailed")
    assert life.said("Suspended") == ("False", "NotSuspended")
    assert (life.status["round"], life.status["rounds"], life.status["progress"]) == (3, 5, "3/5")
    assert (life.status["participation"], life.status["state"]) == ("3/3", "Evaluating")
    assert life.status["metrics"] == {"dice": 0.8}
    assert life.status["sites"][0] == {
        "name": "east",
        "state": "Training",
        "message": "",
        "round": 3,
        "samples": 70,
        "metrics": {"dice": 0.8},
    }


def test_its_score_is_by_the_metric_that_it_asks_for():
    asked = {"spec": spec(evaluation={"metric": "accuracy"})}
    measured = {"progress": progress("Evaluating", 3, metrics={"dice": 0.8, "accuracy": 0.9})}
    assert Life().started().after(10, **RUNNING | measured).status["score"] == 0.8
    assert Life().started().after(10, **RUNNING | measured | asked).status["score"] == 0.9
    assert "score" not in Life().started().after(10, **RUNNING | asked).status


def test_an_aggregator_that_waits_for_its_sites_says_so():
    life = Life().started().after(10, **RUNNING | {"progress": progress("Waiting", 0)})

    assert life.said("Running") == ("True", "WaitingForQuorum")


@pytest.mark.parametrize(
    ("facts", "state", "reason", "words"),
    [
        pytest.param(
            {"parts": parts(REFUSED), "progress": progress(east="Absent")},
            *("Refused", "DatasetUnknown", "no brats here"),
            id="refused by its policy",
        ),
        pytest.param(
            {
                "parts": parts(part("east", answered=0)),
                "progress": progress(east="Absent"),
                "connected": connected("east"),
            },
            *("Offline", "SiteOffline", "not heard"),
            id="not heard",
        ),
        pytest.param(
            {"parts": parts(part("east", state="Failed", reason="BackoffLimitExceeded")), "progress": progress()},
            *("Failed", "BackoffLimitExceeded", "BackoffLimitExceeded"),
            id="its trainer failed",
        ),
        pytest.param(
            {"progress": progress(east="Lost")}, "Lost", "SiteLost", "east: Lost", id="lost by the aggregator"
        ),
        pytest.param(
            {"parts": parts(NO_GPU), "progress": progress(east="Absent")},
            *("GpuUnschedulable", "GpuUnschedulable", "Insufficient amd.com/gpu"),
            id="no node has its trainer's GPU",
        ),
    ],
)
def test_a_site_in_trouble_degrades_the_job_and_does_not_stop_it(facts, state, reason, words):
    life = Life().started().after(10, **RUNNING | facts)

    assert states(life.status) == {"east": state, "north": "Training", "south": "Training"}
    assert life.said("Degraded") == ("True", reason)
    assert words in next(each for each in life.status["conditions"] if each["type"] == "Degraded")["message"]
    assert life.said("Running")[0] == "True"
    assert life.said("QuorumMet") == ("True", "EnoughSites")
    assert life.status["participation"] == "2/3"

    life.after(10, **RUNNING)
    assert life.said("Degraded") == ("False", "AsExpected")


def test_a_site_whose_operator_is_away_but_whose_trainer_attends_is_not_offline():
    life = Life().started().after(10, **RUNNING | {"connected": connected("east")})

    assert states(life.status)["east"] == "Training"
    assert life.said("Degraded") == ("False", "AsExpected")


def revoked_at_the_aggregator(*names):
    """What the aggregator says once it has dismissed these sites."""
    heard = progress()
    gone = {name: SiteProgress("Failed", 2, "SiteRevoked", 70, {}) for name in names}
    return replace(heard, sites={**heard.sites, **gone})


def site_of(life, name):
    site = next(each for each in life.status["sites"] if each["name"] == name)
    return site["state"], site.get("reason"), site["message"]


def test_a_revoked_site_is_shown_as_such_and_whether_the_aggregator_knows():
    facts = {**RUNNING, "revoked": frozenset({"east"}), "connected": connected("east")}

    life = Life().started().after(1, **facts)
    words = "the site belongs to the federation no more; the aggregator does not know it yet"
    assert site_of(life, "east") == ("Failed", "SiteRevoked", words)
    assert life.status["participation"] == "2/3"

    life.after(1, **{**facts, "progress": revoked_at_the_aggregator("east")})
    assert site_of(life, "east") == ("Failed", "SiteRevoked", "the site belongs to the federation no more")
    assert life.said("Degraded") == ("True", "SiteRevoked")
    assert life.said("Running") == ("True", "Training")


def test_a_dismissed_site_stays_out_of_its_job_when_it_is_let_back_into_the_federation():
    life = Life().started().after(1, **{**RUNNING, "progress": revoked_at_the_aggregator("east")})
    assert site_of(life, "east")[:2] == ("Failed", "SiteRevoked")


def test_a_job_that_revocations_ended_says_who_was_revoked_also_when_nobody_is_heard_any_more():
    heard = replace(revoked_at_the_aggregator("east", "north"), failure=("QuorumLost", "1 of 3 sites are left"))
    ended = {**RUNNING, "aggregator": aggregator(failed=("PodFailurePolicy", "exit code 3")), "progress": heard}
    life = Life().started().after(1, **ended).after(1, parts=parts(), revoked=frozenset({"east", "north", "south"}))
    assert life.said("Failed") == ("True", "QuorumLost")
    assert [site_of(life, name)[1] for name in SITES] == ["SiteRevoked", "SiteRevoked", None]


def test_what_a_site_answered_to_an_earlier_attempt_does_not_count():
    life = Life().after(aggregator=aggregator(), parts=parts(part("east", 2, answered=1, state="Refused")))

    assert states(life.status)["east"] == "Pending"


def test_an_aggregator_that_cannot_run_is_told_and_the_job_is_not_running():
    life = Life().started()
    evicted = pod("Failed", reason="Evicted", message="The node was low on resource: memory.")
    life.after(10, **RUNNING | {"pods": [evicted]})

    assert life.said("Running") == ("False", "Evicted")
    assert life.said("Degraded") == ("True", "Evicted")
    assert life.said("Failed") == ("False", "NotFailed")
    assert life.status["state"] == "Evicted"


def test_while_it_is_suspended_it_says_so_and_nobody_takes_part():
    life = Life().started().after(10, spec=spec(suspend=True), parts=parts(state="Suspended"), progress=None)

    assert life.said("Suspended") == ("True", "Suspended")
    assert life.said("Running") == ("False", "Suspended")
    assert life.said("Degraded") == ("False", "NotRunning")
    assert (life.status["participation"], life.status["round"], life.status["state"]) == ("0/3", 2, "Suspended")
    assert "startTime" not in life.status


def test_what_is_resumed_starts_anew_as_the_next_attempt():
    life = Life().started().after(10, spec=spec(suspend=True)).after(50)

    assert life.status["attempt"] == 2
    assert life.status["startTime"] == "2026-03-01T12:02:00Z"
    assert life.said("Running") == ("True", "Starting")
    assert life.said("Suspended") == ("False", "NotSuspended")


def test_a_site_that_stopped_is_not_shown_as_training():
    stopped = parts(state="Suspended")
    life = Life().started().after(10, spec=spec(suspend=True), parts=stopped, progress=progress())

    assert set(states(life.status).values()) == {"Suspended"}


def test_what_was_heard_of_the_attempt_before_is_not_taken_for_this_one():
    life = Life().started().after(10, spec=spec(suspend=True), progress=progress())
    life.after(10, parts=parts(attempt=2, state="Pending"), progress=progress(attempt=1))

    assert life.status["attempt"] == 2
    assert life.said("Running") == ("True", "Starting")
    assert set(states(life.status).values()) == {"Pending"}


def test_what_is_completed_says_when_and_keeps_its_numbers():
    life = Life().started().after(100, **RUNNING | {"aggregator": aggregator(complete=True)})
    life.after(1000, aggregator=aggregator(complete=True), parts=parts(state="Completed"))

    assert life.said("Completed") == ("True", "Completed")
    assert life.said("Running") == ("False", "Completed")
    assert life.said("Failed") == ("False", "NotFailed")
    assert life.said("QuorumMet") == ("True", "Completed")
    assert (life.status["completionTime"], life.status["progress"]) == ("2026-03-01T12:02:40Z", "5/5")
    assert (life.status["state"], life.status["participation"]) == ("Completed", "3/3")
    assert life.told[-1] == ("Normal", "Completed")


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (
            {
                "aggregator": aggregator(failed=("PodFailurePolicy", "exit code 3")),
                "progress": progress("Failed", failure=("QuorumLost", "east (TrainingFailed)")),
            },
            "QuorumLost",
        ),
        ({"aggregator": aggregator(failed=("BackoffLimitExceeded", "reached"))}, "BackoffLimitExceeded"),
        ({"spec": spec(activeDeadlineSeconds=100)}, "DeadlineExceeded"),
    ],
)
def test_what_failed_says_why_and_when_also_after_the_aggregator_is_gone(facts, reason):
    life = Life().started().after(100, **RUNNING | facts)
    for _ in range(2):
        assert life.said("Failed") == ("True", reason)
        assert life.said("Completed") == ("False", "NotFinished")
        assert life.said("Running") == ("False", "Failed")
        assert life.said("Degraded") == ("False", "NotRunning")
        assert life.status["completionTime"] == "2026-03-01T12:02:40Z"
        life.after(1000, progress=None, pods=[])

    assert ("Warning", "Failed") in life.told


def test_an_operator_that_did_not_hear_the_end_keeps_what_was_said_of_the_sites():
    life = Life().started().after(10, **RUNNING | {"progress": progress(east="Lost")})
    life.after(10, aggregator=aggregator(failed=("BackoffLimitExceeded", "reached")), progress=None)

    assert states(life.status) == {"east": "Lost", "north": "Training", "south": "Training"}
    assert life.status["sites"][0]["samples"] == 70


def test_a_status_survives_its_schema_whatever_happened_to_a_job_of_many_sites():
    many = tuple(f"hospital-{n}" for n in range(256))
    trouble = {name: replace(REFUSED, site=name, message="x" * 2048) for name in many}
    life = Life().after(sites=many, connected=dict.fromkeys(many, True), parts=trouble)

    FederatedJobStatus.model_validate(life.status)
    assert life.said("Degraded") == ("True", "DatasetUnknown")


def test_every_reason_that_the_wire_knows_can_stand_in_a_condition():
    for reason in Reason:
        TypeAdapter(CamelCase).validate_python(reason.value)


def test_numbers_that_go_on_are_mere_progress_and_nothing_else_is():
    before = Life().started().status

    def afterwards(**facts):
        life = Life().started()
        assert life.status == before
        return life.after(10, **RUNNING | facts).status

    assert is_mere_progress(before, afterwards(progress=progress(round_=3, metrics={"dice": 0.9})))
    assert is_mere_progress(before, afterwards(progress=progress(east="Submitted", north="Attending")))
    assert not is_mere_progress(before, afterwards(progress=progress("Evaluating")))
    assert not is_mere_progress(before, afterwards(progress=progress(east="Lost")))
    assert not is_mere_progress(before, afterwards(spec=spec(suspend=True)))
    assert not is_mere_progress(before, afterwards(generation=2))
    assert not is_mere_progress(before, afterwards(aggregator=aggregator(complete=True)))
    assert not is_mere_progress({}, before)


# ---------------------------------------------------------------- whatever happens

PART_STATES = st.sampled_from(["Pending", "Refused", "Training", "Failed", "Completed", "Suspended"])
SITE_STATES = st.sampled_from(["Absent", "Attending", "Training", "Submitted", "Lost", "Failed"])
PODS = st.sampled_from(
    [
        [],
        [pod()],
        [pod("Failed", reason="Evicted")],
        [pod("Pending", conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}])],
    ]
)


@st.composite
def progresses(draw, attempt):
    sites = {
        name: SiteProgress(
            draw(SITE_STATES), draw(st.integers(0, 5)), "", draw(st.sampled_from([0, 70])), {"dice": 0.5}
        )
        for name in SITES
    }
    failure = draw(st.sampled_from([None, None, ("QuorumLost", "words")]))
    state = draw(st.sampled_from(["Waiting", "Training", "Aggregating", "Evaluating", "Completed", "Failed"]))
    return Progress(state, draw(st.integers(0, 5)), attempt, True, sites, {"dice": 0.5}, failure)


@st.composite
def facts(draw, recorded):
    """Anything that may be seen of a job whose record shows this attempt."""
    found = {
        "spec": spec(
            suspend=draw(st.booleans()),
            activeDeadlineSeconds=draw(st.sampled_from([None, None, 30, 300])),
            ttlSecondsAfterFinished=draw(st.sampled_from([None, 30])),
        ),
        "generation": draw(st.integers(1, 3)),
        "connected": {site: draw(st.booleans()) for site in SITES},
        "parts": {
            site: part(site, max(recorded, 1), draw(st.integers(0, max(recorded, 1))), draw(PART_STATES), message="so")
            for site in SITES
            if draw(st.booleans())
        },
        "pods": draw(PODS),
        "not_created": draw(st.sampled_from([None, "exceeded quota"])),
        "refused": draw(st.sampled_from([None, None, Problem("MailboxMissing", "x" * 9000)])),
    }
    if recorded == 0 and draw(st.booleans()):
        return found | {"sites": None, "unplanned": draw(st.sampled_from([None, Problem("SpecInvalid", "words")]))}
    if draw(st.booleans()):
        attempt = max(recorded, 1)
        ending = draw(st.sampled_from(["runs", "runs", "complete", "failed", "failed silently"]))
        failed = {"failed": ("BackoffLimitExceeded", "words"), "failed silently": ("", "")}.get(ending)
        found["aggregator"] = aggregator(attempt, ending == "complete", failed)
        found["progress"] = draw(st.none() | progresses(attempt))
    return found


@settings(deadline=None)
@given(st.data())
def test_whatever_happens_a_job_ends_one_way_for_good_and_its_attempts_never_fall(data):
    life, ended, attempt = Life(), None, 0
    for _ in range(data.draw(st.integers(1, 12))):
        life.after(data.draw(st.integers(0, 60)), **data.draw(facts(life.status.get("attempt", 0))))
        true = [kind for kind in ("Completed", "Failed") if said(life.status, kind)[0] == "True"]

        assert len(true) <= 1
        if ended is not None:
            assert true == [ended[0]]
            assert life.status["completionTime"] == ended[1]
        elif true:
            ended = true[0], life.status["completionTime"]
        assert attempt <= life.status["attempt"] <= attempt + 1
        attempt = life.status["attempt"]
        assert life.decision.stage in (Stage.COMPLETED, Stage.FAILED) or ended is None


@settings(deadline=None)
@given(st.data())
def test_whatever_is_seen_it_is_said_once(data):
    life = Life()
    for _ in range(data.draw(st.integers(1, 6))):
        life.after(data.draw(st.integers(0, 60)), **data.draw(facts(life.status.get("attempt", 0))))
        digest = life.status.get("planDigest")

        seen = replace(life.seen, status=life.status)
        again = status_of(seen, decide(seen), digest)
        assert again == life.status
        assert list(notes(life.status, again)) == []
        assert is_mere_progress(life.status, again)

        later = replace(seen, now=seen.now + timedelta(seconds=0.4))
        assert status_of(later, life.decision, digest) == life.status


def test_metrics_that_are_gone_are_left_out_because_an_applied_empty_map_is_refused():
    life = Life().started().after(10, **RUNNING | {"progress": progress("Training", 1, metrics={"dice": 0.8})})
    assert life.status["sites"][0]["metrics"] == {"dice": 0.8}
    life.after(10, **RUNNING | {"progress": progress("Training", 2, metrics={})})
    assert "metrics" not in life.status
    assert not [site for site in life.status["sites"] if "metrics" in site]

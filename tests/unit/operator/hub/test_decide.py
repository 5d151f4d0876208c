"""What becomes of a job, situation by situation."""

from __future__ import annotations

from datetime import timedelta

import pytest
from situation import NOON, SITES, Life, aggregator, connected, observed, part, parts, pod, progress, spec

from fedward_operator.hub.decide import Stage, decide
from fedward_operator.policy.problem import Problem

RUNNING = {
    "attempt": 1,
    "startTime": "2026-03-01T12:00:00Z",
    "conditions": [
        {"type": "Running", "status": "True", "reason": "Training", "lastTransitionTime": "2026-03-01T12:00:00Z"},
        {
            "type": "Suspended",
            "status": "False",
            "reason": "NotSuspended",
            "lastTransitionTime": "2026-03-01T12:00:00Z",
        },
    ],
}
SUSPENDED = {
    "attempt": 1,
    "conditions": [
        {"type": "Suspended", "status": "True", "reason": "Suspended", "lastTransitionTime": "2026-03-01T12:00:00Z"}
    ],
}
HOUR = timedelta(hours=1)


def ended(kind, reason, **more):
    condition = {"type": kind, "status": "True", "reason": reason, "message": "words", "lastTransitionTime": "x"}
    return {"attempt": 3, "completionTime": "2026-03-01T12:00:00Z", "conditions": [condition], **more}


@pytest.mark.parametrize(
    ("seen", "stage", "attempt", "reason"),
    [
        pytest.param(
            observed(sites=None, unplanned=Problem("SpecInvalid", "no such site")),
            *(Stage.UNPLANNED, 0, "SpecInvalid"),
            id="no plan can be made",
        ),
        pytest.param(observed(), Stage.RUNNING, 1, None, id="planned, every site connected"),
        pytest.param(observed(connected=connected("east")), Stage.RUNNING, 1, None, id="planned, a quorum connected"),
        pytest.param(
            observed(connected=connected("east", "north")),
            *(Stage.WAITING, 0, "WaitingForSites"),
            id="planned, too few sites connected",
        ),
        pytest.param(observed(connected={}), Stage.WAITING, 0, "WaitingForSites", id="no site was ever heard"),
        pytest.param(
            observed(RUNNING, connected={}), Stage.RUNNING, 1, None, id="started, then every site lost: it goes on"
        ),
        pytest.param(
            observed(aggregator=aggregator(), connected={}),
            *(Stage.RUNNING, 1, None),
            id="started by an operator that died before it said so",
        ),
        pytest.param(
            observed(RUNNING, aggregator=aggregator(), pods=[pod("Failed", reason="Evicted", message="low on memory")]),
            *(Stage.RUNNING, 1, "Evicted"),
            id="the aggregator's pod was evicted and comes again",
        ),
        pytest.param(
            observed(RUNNING, aggregator=aggregator(), not_created="exceeded quota: compute"),
            *(Stage.RUNNING, 1, "QuotaExceeded"),
            id="no pod because of a quota",
        ),
        pytest.param(
            observed(RUNNING, refused=Problem("MailboxMissing", "invite the site")),
            *(Stage.RUNNING, 1, "MailboxMissing"),
            id="a child was refused",
        ),
        pytest.param(observed(spec=spec(suspend=True)), Stage.SUSPENDED, 0, "Suspended", id="born suspended"),
        pytest.param(
            observed(RUNNING, spec=spec(suspend=True), aggregator=aggregator()),
            *(Stage.SUSPENDED, 1, "Suspended"),
            id="suspended while it runs",
        ),
        pytest.param(observed(SUSPENDED), Stage.RUNNING, 2, None, id="resumed: the next attempt"),
        pytest.param(
            observed({**SUSPENDED, "attempt": 0}), Stage.RUNNING, 1, None, id="resumed before it ever ran: the first"
        ),
        pytest.param(
            observed(sites=None, spec=spec(suspend=True), unplanned=Problem("SpecInvalid", "")),
            *(Stage.UNPLANNED, 0, "SpecInvalid"),
            id="a suspended job's mistakes are told all the same",
        ),
        pytest.param(
            observed(RUNNING, aggregator=aggregator(complete=True)), Stage.COMPLETED, 1, "Completed", id="completed"
        ),
        pytest.param(
            observed(RUNNING, aggregator=aggregator(attempt=4, complete=True)),
            *(Stage.COMPLETED, 4, "Completed"),
            id="completed in an attempt that is newer than what is on record",
        ),
        pytest.param(
            observed(
                RUNNING,
                spec=spec(activeDeadlineSeconds=60),
                aggregator=aggregator(complete=True),
                now=NOON + HOUR,
            ),
            *(Stage.COMPLETED, 1, "Completed"),
            id="completed in time, looked at too late",
        ),
        pytest.param(
            observed(
                RUNNING,
                aggregator=aggregator(failed=("PodFailurePolicy", "exit code 3")),
                progress=progress("Failed", failure=("QuorumLost", "east has failed")),
            ),
            *(Stage.FAILED, 1, "QuorumLost"),
            id="failed by the aggregator's own reason",
        ),
        pytest.param(
            observed(RUNNING, aggregator=aggregator(failed=("BackoffLimitExceeded", "reached the limit"))),
            *(Stage.FAILED, 1, "BackoffLimitExceeded"),
            id="failed too often",
        ),
        pytest.param(
            observed(RUNNING, aggregator=aggregator(failed=("", ""))),
            *(Stage.FAILED, 1, "BackoffLimitExceeded"),
            id="failed, and nobody says why",
        ),
        pytest.param(
            observed(RUNNING, spec=spec(activeDeadlineSeconds=3600), aggregator=aggregator(), now=NOON + HOUR),
            *(Stage.FAILED, 1, "DeadlineExceeded"),
            id="ran too long",
        ),
        pytest.param(
            observed(SUSPENDED, spec=spec(activeDeadlineSeconds=3600), now=NOON + 9 * HOUR),
            *(Stage.RUNNING, 2, None),
            id="a resumed job's time is counted anew",
        ),
        pytest.param(
            observed(ended("Completed", "Completed"), aggregator=None),
            Stage.COMPLETED,
            3,
            "Completed",
            id="it stays so",
        ),
        pytest.param(
            observed(ended("Failed", "QuorumLost"), aggregator=aggregator(attempt=3, complete=True)),
            *(Stage.FAILED, 3, "QuorumLost"),
            id="what has failed does not complete any more",
        ),
        pytest.param(
            observed(ended("Failed", "QuorumLost"), spec=spec(suspend=True)),
            *(Stage.FAILED, 3, "QuorumLost"),
            id="what has failed cannot be suspended",
        ),
        pytest.param(
            observed(ended("Completed", "Completed"), sites=None),
            Stage.COMPLETED,
            3,
            "Completed",
            id="without its plan",
        ),
        pytest.param(observed(RUNNING, deleting=True), Stage.DELETED, 1, None, id="being deleted"),
        pytest.param(
            observed(ended("Completed", "Completed"), deleting=True), Stage.DELETED, 3, None, id="ended, being deleted"
        ),
        pytest.param(observed(sites=None, deleting=True), Stage.DELETED, 0, None, id="deleted before it had a plan"),
    ],
)
def test_what_becomes_of_a_job(seen, stage, attempt, reason):
    decision = decide(seen)

    assert (decision.stage, decision.attempt) == (stage, attempt)
    assert (decision.why and decision.why.reason) == reason
    assert not decision.expired


def test_sites_that_are_missing_are_named():
    why = decide(observed(connected=connected("east", "south"))).why

    assert why.message == "1 of 3 sites are connected and the quorum is 2; not connected: east, south"


def test_a_thousand_missing_sites_fit_into_a_sentence():
    many = [f"a-hospital-with-a-long-name-{n}" for n in range(256)]

    assert len(decide(observed(sites=many, connected={})).why.message) <= 2048


def test_the_backoff_limit_says_what_happened_to_the_last_pod():
    status = {"name": "aggregator", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    seen = observed(
        RUNNING,
        aggregator=aggregator(failed=("BackoffLimitExceeded", "Job has reached the specified backoff limit")),
        pods=[pod("Failed", containerStatuses=[status])],
    )

    why = decide(seen).why
    assert why.reason == "BackoffLimitExceeded"
    assert why.message == (
        "Job has reached the specified backoff limit; "
        "OutOfMemory: glioma-aggregator-1-x7k2p used more memory than its limit"
    )


def test_a_deadline_says_when_to_look_again():
    seen = observed(RUNNING, spec=spec(activeDeadlineSeconds=3600), now=NOON + HOUR - timedelta(seconds=90))

    assert decide(seen).look_again_s == 90


@pytest.mark.parametrize(
    ("ttl_s", "seconds_later", "expired", "look_again_s"),
    [
        pytest.param(None, 10**6, False, None, id="kept for ever"),
        pytest.param(600, 0, False, 600, id="just ended"),
        pytest.param(600, 599, False, 1, id="a second before"),
        pytest.param(600, 600, True, 0, id="now"),
        pytest.param(0, 0, True, 0, id="at once"),
    ],
)
@pytest.mark.parametrize("kind", ["Completed", "Failed"])
def test_an_ended_job_is_kept_as_long_as_it_says(kind, ttl_s, seconds_later, expired, look_again_s):
    seen = observed(
        ended(kind, "Why"), spec=spec(ttlSecondsAfterFinished=ttl_s), now=NOON + timedelta(seconds=seconds_later)
    )

    decision = decide(seen)
    assert (decision.expired, decision.look_again_s) == (expired, look_again_s)


def test_a_suspension_costs_one_attempt_however_often_it_is_looked_at():
    life = Life().started()
    held = spec(suspend=True)
    for _ in range(3):
        life.after(10, spec=held, parts=parts(), progress=progress())
        assert life.decision.attempt == 1
    for _ in range(3):
        life.after(10, parts=parts(attempt=2))
        assert life.decision.attempt == 2
    life.after(10, spec=held, aggregator=aggregator(2))
    life.after(10)

    assert life.decision.attempt == 3


def test_a_job_that_is_resumed_while_sites_are_missing_goes_on_as_a_new_attempt():
    life = Life().started()
    life.after(10, spec=spec(suspend=True))
    life.after(10, connected=connected(*SITES))
    assert life.decision.stage is Stage.WAITING
    life.after(10, connected=connected())

    assert (life.decision.stage, life.decision.attempt) == (Stage.RUNNING, 2)


def test_a_site_that_refuses_does_not_stop_the_others():
    life = Life().started()
    refusal = part("east", state="Refused", reason="DatasetUnknown", message="no brats here")
    life.after(10, aggregator=aggregator(), pods=[pod()], parts=parts(refusal), progress=progress(east="Absent"))

    assert (life.decision.stage, life.decision.why) == (Stage.RUNNING, None)


@pytest.mark.parametrize(
    ("facts", "stage"),
    [
        ({"complete": True}, Stage.COMPLETED),
        ({"failed": ("BackoffLimitExceeded", "too often")}, Stage.FAILED),
    ],
)
def test_a_suspension_that_comes_after_the_end_changes_nothing(facts, stage):
    seen = observed(RUNNING, spec=spec(suspend=True), aggregator=aggregator(**facts))
    assert decide(seen).stage is stage

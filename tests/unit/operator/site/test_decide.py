"""What becomes of a SiteJob, and what is answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fedward_operator.api.policy import Volume
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.policy.admission.verdict import Grant, Refused, Waits
from fedward_operator.policy.pods import JobView, view_pod
from fedward_operator.site.decide import Observed, Stage, decide, status_of

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
VOLUME = Volume.model_validate({"hostPath": {"path": "/d"}})
GRANT = Grant(VOLUME, "image", {}, {}, (), None, None, None, None, 60.0)
DIGEST = "a" * 64


def spec(**changes):
    fields = {
        "job": {"namespace": "research", "name": "brain", "uid": "0123456789"},
        "site": "north",
        "federation": "fed.example.org",
        "attempt": 2,
        "aggregator": {"address": "hub:443", "serverName": "x"},
        "plan": "{}",
        "planDigest": DIGEST,
        "dataset": "brats",
    }
    return SiteJobSpec.model_validate(fields | changes)


def trainer(**changes):
    fields = {
        "namespace": "n",
        "name": "t",
        "uid": "u",
        "owner": "o",
        "family": ("", ""),
        "attempt": 2,
        "complete": False,
        "failed": None,
        "deleting": False,
        "order": "",
    }
    return JobView(**(fields | changes))


def seen(**changes):
    fields = {
        "spec": spec(),
        "generation": 4,
        "status": {},
        "verdict": GRANT,
        "has_turn": True,
        "trainer": None,
        "pods": (),
        "not_created": None,
        "refused": None,
        "now": NOW,
    }
    return Observed(**(fields | changes))


def pod(**changes):
    status = {"phase": "Running", "ready": True} | changes
    labels = {"fedward.io/site-job": "o", "fedward.io/attempt": "2"}
    metadata = {"name": "p", "uid": "p", "creationTimestamp": "2026-03-04T11:00:00Z", "labels": labels}
    conditions = [{"type": "Ready", "status": str(status["ready"])}]
    return view_pod({"metadata": metadata, "status": {"phase": status["phase"], "conditions": conditions}})


DONE = pod(phase="Succeeded", ready=False)
SITUATIONS = {
    "granted": (seen(), Stage.RUNNING, "Starting"),
    "refused": (seen(verdict=Refused("ImageNotAllowed", "no")), Stage.REFUSED, "Refused"),
    "waits": (seen(verdict=Waits("OutsideWindow", "later", 5.0)), Stage.WAITING, "Waiting"),
    "no turn": (seen(has_turn=False), Stage.WAITING, "Waiting"),
    "suspended": (seen(spec=spec(suspend=True), trainer=trainer()), Stage.SUSPENDED, "Suspended"),
    "complete": (seen(trainer=trainer(complete=True), verdict=Refused("X", "x")), Stage.COMPLETED, "Completed"),
    "failed": (seen(trainer=trainer(failed=("BackoffLimitExceeded", "often"))), Stage.FAILED, "Failed"),
    "going": (seen(trainer=trainer(complete=True, deleting=True)), Stage.RUNNING, "Starting"),
    "trains": (seen(trainer=trainer(), pods=(pod(),)), Stage.RUNNING, "Training"),
    "its pod starts": (seen(trainer=trainer(), pods=(pod(ready=False),)), Stage.RUNNING, "Starting"),
    "its pod has ended well": (
        seen(trainer=trainer(), pods=(pod(phase="Succeeded", ready=False),)),
        Stage.RUNNING,
        "Training",
    ),
    "no pod": (seen(trainer=trainer(), not_created="exceeded quota: q"), Stage.RUNNING, "QuotaExceeded"),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_is_to_be_there_and_what_is_said(situation):
    observed, stage, state = SITUATIONS[situation]
    decision = decide(observed)
    assert decision.stage is stage
    assert status_of(observed, decision, (DIGEST, None))["state"] == state


@pytest.mark.parametrize("situation", SITUATIONS)
def test_saying_it_again_changes_nothing(situation):
    observed, _, _ = SITUATIONS[situation]
    first = status_of(observed, decide(observed), (DIGEST, None))
    fields = {name: getattr(observed, name) for name in Observed.__slots__}
    later = Observed(**(fields | {"status": first, "now": NOW + timedelta(hours=1)}))
    assert status_of(later, decide(later), (DIGEST, None)) == first


def test_a_part_that_is_over_stays_over_until_another_attempt():
    observed = seen(trainer=trainer(complete=True))
    status = status_of(observed, decide(observed), (DIGEST, None))
    assert decide(seen(status=status)).stage is Stage.COMPLETED
    assert decide(seen(status=status, spec=spec(attempt=3))).stage is Stage.RUNNING


def test_a_trainer_that_was_refused_by_its_gateway_is_told_apart():
    observed = seen(trainer=trainer(failed=("PodFailurePolicy", "exit code 4")))
    status = status_of(observed, decide(observed), (DIGEST, None))
    reasons = {each["type"]: each["reason"] for each in status["conditions"]}
    assert reasons["Failed"] == "TrainerRefused"


def test_time_alone_is_waited_for():
    assert decide(seen(verdict=Waits("OutsideWindow", "later", 5.0))).look_again_s == 5.0
    assert decide(seen()).look_again_s == 60.0


def test_a_waiting_approval_is_neither_yes_nor_no():
    status = status_of(*(lambda o: (o, decide(o)))(seen(verdict=Waits("ApprovalPending", "p", None))), (DIGEST, None))
    admitted = next(each for each in status["conditions"] if each["type"] == "Admitted")
    assert (admitted["status"], admitted["reason"], status["approvalDigest"]) == ("Unknown", "ApprovalPending", DIGEST)

"""What is looked at in pods and Jobs."""

from __future__ import annotations

import pytest
from pod_status import READY, condition, look, pod, running

from fedward_operator.policy.pods import view_job, view_pod


def job(*conditions, labels=None, **metadata):
    family = {"fedward.io/job": "glioma", "fedward.io/job-namespace": "research", "fedward.io/attempt": "4"}
    metadata = {"name": "glioma-aggregator-4", "namespace": "research", "uid": "j4", **metadata}
    metadata["labels"] = {**family, **(labels or {"fedward.io/job-uid": "5f6e7d8c"})}
    return {"metadata": metadata, "status": {"conditions": list(conditions)}}


def test_a_pod_is_of_a_job_and_an_attempt():
    found = look(attempt="12", phase="Running", conditions=READY, containerStatuses=[running()])

    assert (found.owner, found.family, found.attempt) == ("5f6e7d8c", ("research", "glioma"), 12)
    assert (found.phase, found.ready, found.deleting) == ("Running", True, False)
    assert (found.waiting, found.terminated, found.unschedulable, found.disrupted) == (None, None, None, None)


def test_a_trainers_pod_is_of_its_site_job():
    item = pod()
    item["metadata"]["labels"]["fedward.io/site-job"] = "glioma-2795c132"

    assert view_pod(item).owner == "glioma-2795c132"


@pytest.mark.parametrize("attempt", ["", "x", "-1", "1.5"])
def test_an_attempt_that_is_no_number_is_none(attempt):
    assert look(attempt=attempt).attempt == 0


def test_a_pod_of_which_nothing_is_known_yet_is_pending():
    found = view_pod({"metadata": {"name": "x", "uid": "1"}})

    assert (found.phase, found.owner, found.family, found.ready) == ("Pending", "", ("", ""), False)


def test_lists_that_are_null_are_empty():
    found = look(conditions=None, containerStatuses=None, initContainerStatuses=None)

    assert found.phase == "Pending"


@pytest.mark.parametrize(
    ("conditions", "complete", "failed"),
    [
        ([], False, None),
        ([condition("Complete", "True", "CompletionsReached")], True, None),
        ([condition("SuccessCriteriaMet", "True", "CompletionsReached")], True, None),
        ([condition("Complete", "False")], False, None),
        ([condition("Failed", "False", "x")], False, None),
        ([condition("Suspended", "True", "JobSuspended")], False, None),
        (
            [condition("FailureTarget", "True", "PodFailurePolicy", "exit code 3")],
            False,
            ("PodFailurePolicy", "exit code 3"),
        ),
        (
            [
                condition("FailureTarget", "True", "BackoffLimitExceeded", "first"),
                condition("Failed", "True", "BackoffLimitExceeded", "Job has reached the specified backoff limit"),
            ],
            False,
            ("BackoffLimitExceeded", "Job has reached the specified backoff limit"),
        ),
    ],
)
def test_how_a_job_ended(conditions, complete, failed):
    found = view_job(job(*conditions))

    assert (found.complete, found.failed) == (complete, failed)


def test_a_job_is_of_a_family_an_owner_and_an_attempt():
    found = view_job(job(deletionTimestamp="2026-03-01T12:00:00Z"))

    assert (found.namespace, found.name, found.uid) == ("research", "glioma-aggregator-4", "j4")
    assert (found.owner, found.family, found.attempt) == ("5f6e7d8c", ("research", "glioma"), 4)
    assert found.deleting


@pytest.mark.parametrize(("status", "failures"), [({}, 0), ({"active": 1, "failed": 2}, 2)])
def test_a_job_says_how_many_of_its_pods_have_failed(status, failures):
    assert view_job({**job(), "status": status}).failures == failures


def test_a_trainers_job_says_which_order_it_holds():
    found = view_job(job(labels={"fedward.io/site-job": "glioma-2795c132", "fedward.io/order": "abc"}))

    assert (found.owner, found.order) == ("glioma-2795c132", "abc")

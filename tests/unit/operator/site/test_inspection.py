"""When a dataset is inspected, what is said of it, and that nothing of it goes further than the policy says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.api.policy import Dataset, InspectedDataset, SitePolicySpec
from fedward_operator.policy.conditions import show_time
from fedward_operator.policy.pods import view_pod
from fedward_operator.policy.problem import Problem as Trouble
from fedward_operator.site.heartbeat import offer_of
from fedward_operator.site.inspection import Observed, basis_of, decide, refused, sound
from fedward_operator.site.inspector import said_before
from fedward_operator.site.policy_status import policy_status
from fedward_operator.site.views import Policy, Preflight, PreflightPod, canonical
from fedward_protocol.inspection import Inspection, Obstacle, Problem

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
BRATS = Dataset.model_validate({"name": "brats", "volume": {"persistentVolumeClaim": {"claimName": "scans"}}})
BASIS = basis_of(BRATS, "")
REPORT = Inspection(cases=120, labelled=118, complete=115, problems={Problem.LABEL_MISSING: 2})


def at(**ago):
    return show_time(NOW - timedelta(**ago))


def counted(**ago):
    return InspectedDataset(name="brats", basis=BASIS, cases=9, labelled=9, complete=9, inspected_at=at(**ago))


def failed(**ago):
    return InspectedDataset(name="brats", basis=BASIS, reason="DatasetEmpty", message="no", inspected_at=at(**ago))


def job(basis=BASIS, ended=None, why=None, deleting=False, created=10):
    return Preflight("fedward", "preflight-brats", "j1", basis, at(seconds=created), ended, why, deleting)


def pod(said="", phase="Running", **status):
    item = {"metadata": {"name": "p", "uid": "p", "creationTimestamp": at(seconds=9)}, "status": {"phase": phase}}
    return PreflightPod("j1", view_pod({**item, "status": {"phase": phase, **status}}), said)


def ended_badly(reason="Error", code=1):
    state = {"state": {"terminated": {"reason": reason, "exitCode": code, "message": ""}}}
    return pod(phase="Failed", containerStatuses=[state])


def seen(before=(), jobs=(), pods=(), datasets=(BRATS,), asked="", not_created=None, in_use=()):
    return Observed(
        datasets=datasets,
        asked=asked,
        before={each.name: each for each in before},
        jobs=jobs,
        pods={"j1": pods},
        not_created={"j1": not_created} if not_created else {},
        in_use=frozenset(in_use),
        now=NOW,
    )


@pytest.mark.parametrize(
    ("before", "is_started", "look_again"),
    [
        pytest.param([], True, None, id="never inspected"),
        pytest.param([counted(hours=23)], False, 3600, id="counted not a day ago"),
        pytest.param([counted(hours=24)], True, None, id="counted a day ago"),
        pytest.param([failed(minutes=59)], False, 60, id="failed not an hour ago"),
        pytest.param([failed(minutes=60)], True, None, id="failed an hour ago"),
    ],
)
def test_a_dataset_is_inspected_when_it_is_new_and_again_when_that_is_long_ago(before, is_started, look_again):
    decision = decide(seen(before))
    assert (decision.start is not None, decision.look_again_s) == (is_started, look_again)
    assert decision.delete == ()


@pytest.mark.parametrize(
    ("change", "asked"),
    [
        pytest.param({"volume": {"persistentVolumeClaim": {"claimName": "others"}}}, "", id="another volume"),
        pytest.param({"volume": {"hostPath": {"path": "/scans"}}}, "", id="another kind of volume"),
        pytest.param({"format": "brats2023"}, "", id="another format"),
        pytest.param({}, "today", id="asked anew"),
    ],
)
def test_a_dataset_that_has_changed_is_inspected_anew_and_its_counts_hold_no_more(change, asked):
    changed = Dataset.model_validate(BRATS.model_dump(by_alias=True, exclude_none=True) | change)
    decision = decide(seen([counted(hours=1)], datasets=(changed,), asked=asked))
    assert decision.start == changed
    assert (decision.said[0].cases, decision.said[0].reason) == (None, "Waiting")


def test_what_is_told_of_a_dataset_is_no_reason_to_inspect_it():
    assert basis_of(BRATS.model_copy(update={"share": "none"}), "") == BASIS


def test_the_inspection_of_data_that_have_changed_since_is_ended():
    old = job(basis="0" * 32)
    decision = decide(seen(jobs=[old]))
    assert (decision.delete, decision.start) == ((old,), None)  # one at a time: the next begins when this is gone
    assert decide(seen(jobs=[replace(old, deleting=True)])).delete == ()


def test_one_is_inspected_at_a_time_and_the_one_that_was_not_looked_at_longest_is_first():
    names = ("a", "b", "c")
    datasets = [BRATS.model_copy(update={"name": name}) for name in names]

    def before(name, hours):
        basis = basis_of(datasets[names.index(name)], "")
        return counted(hours=hours).model_copy(update={"name": name, "basis": basis})

    assert decide(seen([before("a", 25), before("b", 50)], datasets=datasets)).start.name == "c"
    assert decide(seen([before("a", 25), before("b", 50), before("c", 30)], datasets=datasets)).start.name == "b"
    running = job(basis=basis_of(datasets[0], ""))
    assert decide(seen(jobs=[running], pods=[pod()], datasets=datasets)).start is None


def test_a_trainer_comes_first():
    assert decide(seen(in_use=["brats"])).start is None
    under_way = decide(seen([counted(hours=25)], [job()], [pod()], in_use=["brats"]))
    assert (under_way.delete, under_way.said) == ((job(),), (counted(hours=25),))
    assert decide(seen(in_use=["others"])).start == BRATS


def test_an_inspection_that_has_ended_is_recorded_before_its_job_is_removed():
    jobs, pods = [job(ended=at(seconds=5))], [pod(REPORT.write(), "Succeeded")]
    first = decide(seen(jobs=jobs, pods=pods))
    (said,) = first.said
    assert (said.cases, said.labelled, said.complete, said.problems) == (120, 118, 115, {"LabelMissing": 2})
    assert (said.inspected_at, said.reason, first.delete) == (at(seconds=5), None, ())
    second = decide(seen(first.said, jobs, pods))
    assert (second.said, second.delete, second.start) == (first.said, tuple(jobs), None)
    # Whether the pod is still there does not matter then.
    assert decide(seen(first.said, jobs)).said == first.said


FAILED = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")


@pytest.mark.parametrize(
    ("end", "why", "pods", "reason"),
    [
        pytest.param(
            5,
            ("PodFailurePolicy", ""),
            [pod(Inspection(obstacle=Obstacle.DATASET_EMPTY).write(), "Failed")],
            "DatasetEmpty",
            id="it said why",
        ),
        pytest.param(5, FAILED, [ended_badly("OOMKilled", 137)], "OutOfMemory", id="too little memory"),
        pytest.param(5, FAILED, [ended_badly()], "ContainerFailed", id="it said nothing"),
        pytest.param(5, None, [], None, id="complete, and its pod not heard of yet"),
        pytest.param(5, None, [pod()], None, id="complete, and its pod's end not heard of yet"),
        pytest.param(31, None, [pod("?", "Succeeded")], "ReportMissing", id="complete without a report"),
        pytest.param(31, ("DeadlineExceeded", "too long"), [], "DeadlineExceeded", id="too slow"),
    ],
)
def test_an_inspection_that_found_nothing_out_says_why(end, why, pods, reason):
    decision = decide(seen(jobs=[job(ended=at(seconds=end), why=why)], pods=pods))
    (said,) = decision.said
    if reason is None:
        assert (said.inspected_at, decision.look_again_s) == (None, 25)
    else:
        assert (said.reason, said.cases, said.inspected_at) == (reason, None, at(seconds=end))


def test_a_failed_inspection_leaves_no_counts_that_may_be_wrong():
    over = [job(ended=at(seconds=5), why=FAILED)]
    assert decide(seen([counted(hours=25)], over, [ended_badly()])).said[0].cases is None


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "Insufficient cpu"}


@pytest.mark.parametrize(
    ("created", "pods", "not_created", "reason"),
    [
        pytest.param(10, [pod()], None, "Inspecting", id="runs"),
        pytest.param(10, [pod(phase="Pending")], None, "Inspecting", id="starts"),
        pytest.param(10, [], None, "Inspecting", id="just made"),
        pytest.param(301, [pod(phase="Pending")], None, "NotStarted", id="does not start, nobody knows why"),
        pytest.param(301, [pod()], None, "Inspecting", id="runs for long"),
        pytest.param(10, [pod(phase="Pending", conditions=[UNSCHEDULABLE])], None, "Unschedulable", id="no node"),
        pytest.param(10, [], "exceeded quota: pods", "QuotaExceeded", id="not let in"),
    ],
)
def test_while_an_inspection_is_under_way_it_says_what_is_in_its_way(created, pods, not_created, reason):
    under_way = [job(created=created)]
    fresh = decide(seen(jobs=under_way, pods=pods, not_created=not_created))
    assert (fresh.said[0].reason, fresh.delete, fresh.start) == (reason, (), None)
    again = decide(seen([counted(hours=25)], under_way, pods, not_created=not_created)).said[0]
    assert again.cases == 9  # what was counted holds until it is counted again
    assert again.reason == (None if reason == "Inspecting" else reason)
    assert decide(seen([again], under_way, [pod()])).said == (counted(hours=25),)


def test_a_look_comes_again_when_a_pod_should_have_started():
    assert decide(seen(jobs=[job(created=100)])).look_again_s == 200


def test_an_inspection_that_is_refused_is_tried_again_in_an_hour():
    said = refused(BRATS, BASIS, Trouble("QuotaExceeded", "count/jobs.batch"), NOW)
    decision = decide(seen([said]))
    assert (decision.start, decision.look_again_s, decision.said) == (None, 3600, (said,))


@given(
    st.lists(st.sampled_from([None, counted(hours=1), counted(hours=30), failed(hours=2)]), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.lists(st.booleans(), min_size=4, max_size=4),
)
def test_whatever_is_seen_there_is_one_entry_a_dataset_and_never_a_second_inspection(before, used, jobs):
    datasets = [BRATS.model_copy(update={"name": f"d{n}"}) for n in range(len(before))]
    bases = [basis_of(dataset, "") for dataset in datasets]
    entries = [
        each.model_copy(update={"name": f"d{n}", "basis": bases[n]})
        for n, each in enumerate(before)
        if each is not None
    ]
    running = [job(basis=basis) for basis, is_there in zip(bases, jobs, strict=False) if is_there]
    in_use = [dataset.name for dataset, is_used in zip(datasets, used, strict=False) if is_used]
    decision = decide(seen(entries, running, [pod()], datasets, in_use=in_use))
    assert [each.name for each in decision.said] == [dataset.name for dataset in datasets]
    assert decision.start is None or (not running and decision.start.name not in in_use)


@pytest.mark.parametrize(
    ("said", "status", "reason", "message"),
    [
        pytest.param([counted(hours=1)], True, "NothingWrong", "", id="all is well"),
        pytest.param(
            [counted(hours=1).model_copy(update={"problems": {Problem.LABEL_MISSING: 2}, "complete": 7})],
            False,
            "ProblemsFound",
            "brats: 9 cases, 9 labelled, 7 complete; LabelMissing 2",
            id="cases are not complete",
        ),
        pytest.param([failed(hours=1)], False, "DatasetEmpty", "brats: no", id="cannot be inspected"),
        pytest.param(
            [InspectedDataset(name="brats", basis=BASIS, reason="Waiting")], None, "Inspecting", "brats", id="not yet"
        ),
        pytest.param(
            [
                failed(hours=1),
                counted(hours=1).model_copy(update={"name": "x", "problems": {Problem.LABEL_MISSING: 2}}),
            ],
            False,
            "DatasetEmpty",
            "brats: no; x: 9 cases, 9 labelled, 9 complete; LabelMissing 2",
            id="both",
        ),
    ],
)
def test_one_condition_says_it_of_all_datasets_together(said, status, reason, message):
    finding = sound(said)
    assert (finding.holds, finding.reason, finding.message) == (status, reason, message)


def the_policy(status=None):
    return Policy("north", "uid", 2, canonical({"datasets": []}), status or {})


def test_a_status_is_read_back_as_it_was_written():
    said = (counted(hours=1).model_copy(update={"problems": {Problem.LABEL_MISSING: 2}}),)
    status = policy_status(the_policy(), 1, [], said, NOW)
    assert tuple(said_before(the_policy(status)).values()) == said


def test_what_another_version_has_written_is_forgotten():
    entries = [{"name": "brats", "basis": BASIS, "cases": "many"}, {"basis": "?"}, "?"]
    assert said_before(the_policy({"datasets": entries})) == {}


def test_while_no_policy_holds_what_was_said_of_the_data_stays():
    before = policy_status(the_policy(), 1, [], (counted(hours=1),), NOW)
    after = policy_status(the_policy(before), 2, [], None, NOW)
    assert after["datasets"] == before["datasets"]
    assert [each["type"] for each in after["conditions"]] == ["Ready"]


def sharing(**shares):
    datasets = [BRATS.model_dump(by_alias=True, exclude_none=True) | {"name": n, "share": s} for n, s in shares.items()]
    return SitePolicySpec.model_validate({"datasets": datasets})


def test_the_hub_is_told_what_the_policy_says_and_no_more():
    offer = offer_of(sharing(a="none", b="name", c="counts", d="counts"), {"a": 1, "b": 2, "c": 3})
    assert (offer["datasets"], offer["cases"]) == (["b", "c", "d"], {"c": 3})
    assert offer_of(None, {"a": 1})["cases"] == {}


def test_a_site_tells_the_hub_when_its_certificate_expires_where_it_keeps_one():
    assert offer_of(None, {}, datetime(2026, 4, 1, 12, tzinfo=UTC))["certificateExpires"] == "2026-04-01T12:00:00Z"
    assert "certificateExpires" not in offer_of(None, {})


def test_a_dataset_is_told_of_by_its_name_where_the_policy_says_nothing():
    assert BRATS.share == "name"

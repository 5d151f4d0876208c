"""The Events of a job's life: what happened, once each, and nothing of what happens every round."""

from __future__ import annotations

import pytest
from situation import SITES, Life, aggregator, connected, parts, pod, progress, spec

from fedward_operator.hub.notes import notes
from fedward_operator.policy.problem import Problem

RUNNING = {"aggregator": aggregator(), "pods": [pod()], "parts": parts(), "progress": progress()}


def running(state="Training", **facts):
    return RUNNING | {"progress": progress(state, **facts)}


def test_from_the_plan_to_the_first_round_each_step_is_told():
    life = Life().after(connected=connected(*SITES[:2]))
    assert life.told[:2] == [("Normal", "Planned"), ("Normal", "WaitingForSites")]
    life.after(10, aggregator=aggregator(), parts=parts())
    life.after(10, **running("Waiting", round_=0))
    life.after(10, **running(round_=1))
    told = [each for each in life.told if each[0] == "Normal"]
    assert [reason for _, reason in told if reason not in ("EnoughSites", "SiteBack")] == [
        *("Planned", "WaitingForSites", "Starting", "WaitingForQuorum", "Training"),
    ]


def test_rounds_are_not_told_one_by_one_and_the_last_evaluation_is():
    life = Life().started()
    life.told.clear()
    for number in range(2, 6):
        life.after(10, **running(round_=number))
        life.after(10, **running("Aggregating", round_=number))
    assert life.told == []
    life.after(10, **running("Evaluating", round_=5))
    life.after(10, aggregator=aggregator(complete=True))
    assert [reason for _, reason in life.told] == ["Evaluating", "Completed"]


def test_a_site_that_is_lost_and_comes_back_is_told_each_time_by_name():
    life = Life().started()
    life.told.clear()
    found = []
    for seconds in (10, 10, 20, 20):
        before = life.status
        life.after(seconds, **running(east="Lost") if seconds == 10 else running())
        found += list(notes(before, life.status))
    before = life.status
    life.after(5, **running(east="Lost"))
    found += list(notes(before, life.status))
    assert [(note.type, note.reason, note.message) for note in found] == [
        ("Warning", "SiteLost", "east"),
        ("Normal", "SiteBack", "east"),
        ("Warning", "SiteLost", "east"),
    ]
    assert len({note.occasion for note in found}) == 3


def test_a_second_site_that_is_lost_is_told_too_and_several_at_once_together():
    life = Life().started().after(10, **running(east="Lost"))
    before = life.status
    after = life.after(10, **running(east="Lost", north="Lost", south="Lost")).status
    lost = [note.message for note in notes(before, after) if note.reason == "SiteLost"]
    assert lost == ["north; south"]


def test_a_quorum_that_is_missed_and_met_again_is_told():
    life = Life().started()
    life.told.clear()
    life.after(10, **running(**dict.fromkeys(SITES, "Lost")))
    assert ("Warning", "TooFewSites") in life.told
    life.after(10, **running())
    assert ("Normal", "EnoughSites") in life.told


def test_a_suspension_is_no_loss_of_sites_or_quorum_and_its_end_is_told():
    life = Life().started()
    life.told.clear()
    life.after(10, spec=spec(suspend=True), parts=parts(state="Suspended"))
    assert life.told == [("Normal", "Suspended")]
    life.after(10, parts=parts())
    assert ("Normal", "Resumed") in life.told


@pytest.mark.parametrize(("complete", "failed"), [(True, None), (False, ("BackoffLimitExceeded", "no more"))])
def test_after_the_end_nothing_of_the_sites_is_told(complete, failed):
    life = Life().started()
    life.told.clear()
    life.after(10, aggregator=aggregator(complete=complete, failed=failed), parts=parts(state="Failed"))
    assert len(life.told) == 1


def test_what_keeps_a_job_from_running_is_a_warning():
    life = Life().after(sites=None, unplanned=Problem("SpecInvalid", "no FederatedSite is called soth"))
    assert life.told == [("Warning", "SpecInvalid"), ("Warning", "Unplanned")]

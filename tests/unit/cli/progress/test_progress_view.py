"""What a watcher shows: lines for people, documents for programs, a drawing on a terminal; and how a watch ends."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from tests.unit.cli.jobs import NOW, condition, job, site

from fedward_cli.progress.of_cluster import read
from fedward_cli.progress.view import Documents, Drawn, Lines
from fedward_cli.watch_command import watch

ENDED = job(condition("Completed", "True", "Completed"), state="Completed", round=30)


def watched(view, *jobs):
    return watch((read(each) for each in jobs), view, lambda: NOW)


def test_a_line_is_written_for_each_change_and_none_for_what_is_no_news():
    lines = []
    absent = [site("north", "Training", dice=0.7), site("south", "Lost", "SiteLost", "it is silent")]
    submitted = [site("north", "Submitted", dice=0.7), site("south", "Submitted", dice=0.66)]
    outcome = watched(Lines(lines.append), job(), job(), job(sites=submitted), job(sites=absent), job(round=8), ENDED)
    assert outcome == "Completed"
    assert [line.split(", about")[0] for line in lines] == [
        "12:00:00 brain: Training, round 7/30, sites 2/2, dice 0.680",
        "12:00:00 brain: Training, round 7/30, sites 1/2, dice 0.680",
        "12:00:00 brain: site south Lost (SiteLost it is silent)",
        "12:00:00 brain: Training, round 8/30, sites 2/2, dice 0.680",
        "12:00:00 brain: site south Submitted",
        "12:00:00 brain: Completed, round 30/30, sites 2/2, dice 0.680: round 7 of 30",
    ]


def test_why_a_job_does_not_go_on_stands_in_its_line():
    lines = []
    waits = condition("Running", "False", "WaitingForSites", "south is not connected")
    watched(Lines(lines.append), job(waits, state="WaitingForSites", sites=[], metrics={}, round=0))
    assert lines == ["12:00:00 brain: WaitingForSites, round 0/30: south is not connected"]


def test_a_program_gets_a_document_for_each_change_and_nothing_else():
    documents, complaints = [], []
    view = Documents(documents.append, complaints.append)
    view.say("the cluster does not answer")
    watched(view, job(), job(), ENDED)
    first, last = documents
    assert (first["round"], first["value"], first["sites"][0]["name"]) == (7, 0.68, "north")
    assert first["remainingSeconds"] > 0
    assert (last["outcome"], last["remainingSeconds"]) == ("Completed", None)
    assert complaints == ["the cluster does not answer"]


def test_a_drawing_has_the_rounds_the_metrics_line_and_the_sites():
    screen = io.StringIO()
    view = Drawn(Console(file=screen, width=100, force_terminal=True, color_system=None), lambda: NOW)
    better = job(round=8, metrics={"dice": 0.75}, sites=[site("west", "Refused", "ImageNotAllowed", "not this one")])
    assert watched(view, job(), better) is None
    last = screen.getvalue()
    for part in ("research/brain", "round 8/30", "dice 0.750 ▁█", "west", "Refused", "ImageNotAllowed not this one"):
        assert part in last


def test_a_watch_that_breaks_off_leaves_the_terminal_as_it_was():
    closed = []

    class Closing(Lines):
        def close(self):
            closed.append(True)

    def breaks():
        yield read(job())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(breaks(), Closing(lambda line: None), lambda: NOW)
    assert closed == [True]

"""`fedward describe`: what is wrong with a job, first and in words, at the hub, at a hospital and in a folder."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from tests.unit.cli.jobs import NOW, UNKNOWN, Kubectl, ago, condition, forbidden, job, part, site
from tests.unit.cli.report.runs import STARTED

from fedward_cli.cluster.kubectl import ClusterError, ForbiddenError
from fedward_cli.describe.command import describe
from fedward_cli.output import Format, written
from fedward_cli.problems import InputError
from fedward_cli.results import RESULT, Problem, Result, write_record
from fedward_operator.checks.finding import Level


def described(found, **kinds):
    return describe("brain", "research", NOW, Kubectl(federatedjobs=[found], **kinds))


def told(description):
    return [(each.level, each.about, each.reason) for each in description.findings if each.level is not Level.OK]


def text_of(description):
    return [str(each) for each in description.text(NOW)]


def test_a_job_that_goes_well_has_nothing_wrong():
    description = described(job())
    assert description.what == "research/brain: Training, round 7 of 30, sites 2/2, dice 0.680"
    assert (told(description), text_of(description)[2]) == ([], "nothing is wrong with it")
    assert description.details == {
        "created": "5 hours ago",
        "started": "4 hours ago",
        "attempt": "1",
        "dataset": "brats",
    }


@pytest.mark.parametrize(
    ("conditions", "reason", "then"),
    [
        (
            [condition("Admitted", "False", "SpecInvalid", "no such site")],
            "SpecInvalid",
            "correct the field",
        ),
        ([condition("Running", "False", "WaitingForSites", "south is away")], "WaitingForSites", "fedward sites"),
        ([condition("Running", "False", "CrashLoop", "it ends")], "CrashLoop", "fedward logs brain -n research"),
        ([condition("Failed", "True", "QuorumLost", "two are gone")], "QuorumLost", "fedward logs brain -n research"),
        ([condition("QuorumMet", "False", "TooFewSites", "1 takes part")], "TooFewSites", "fedward sites"),
    ],
)
def test_what_keeps_it_is_said_with_since_when_and_what_to_do(conditions, reason, then):
    (finding,) = [each for each in described(job(*conditions)).findings if each.level is not Level.OK]
    assert (finding.level, finding.reason) == (Level.WRONG, reason)
    assert finding.said.endswith("(for 3 hours)")
    assert finding.then.startswith(then)


@pytest.mark.parametrize(
    ("reason", "then"),
    [
        ("Behind", "kubectl logs -n research -l fedward.io/component=tracker,fedward.io/job=brain"),
        ("HubDoesNotTrack", "once it has ended: fedward report brain -n research"),
        ("QuotaExceeded", ""),
    ],
)
def test_a_job_that_is_not_logged_where_it_wants_to_be_is_no_more_than_warned_of(reason, then):
    found = described(job(condition("Tracked", "False", reason, "not told all"))).findings
    (finding,) = [each for each in found if each.level is not Level.OK]
    assert (finding.level, finding.about, finding.reason) == (Level.WARNING, "tracking", reason)
    assert finding.said == "not told all (for 3 hours)"
    assert finding.then.startswith(then)


def test_a_job_that_is_logged_or_will_be_is_not_warned_of():
    assert told(described(job(condition("Tracked", "True", "Following")))) == []
    assert told(described(job(condition("Tracked", "Unknown", "Finishing")))) == []


def test_a_suspended_job_is_not_wrong_and_how_to_resume_it_is_said():
    held = [condition("Suspended", "True", "Suspended"), condition("Running", "False", "Suspended")]
    (finding,) = described(job(*held, state="Suspended")).findings
    assert (finding.level, '{"spec":{"suspend":false}}' in finding.then) == (Level.SKIPPED, True)


def test_each_site_in_trouble_is_told_once_and_the_sum_of_them_is_not():
    sites = [
        site("north", "Training"),
        site("south", "Refused", "ImageNotAllowed", "not this image"),
        site("west", "Waiting", "OutsideWindow", "from 20:00 on"),
    ]
    description = described(job(condition("Degraded", "True", "ImageNotAllowed", "south: ..."), sites=sites))
    assert told(description) == [
        (Level.WARNING, "site south", "ImageNotAllowed"),
        (Level.WARNING, "site west", "OutsideWindow"),
    ]
    assert "ask the administrator of south" in description.findings[0].then


def test_since_when_a_site_is_away_is_the_hubs_word_where_it_may_be_read():
    away = job(sites=[site("south", "Offline", "SiteOffline", "it is not heard")])
    heard = {
        "metadata": {"name": "south"},
        "status": {"conditions": [condition("Connected", "False", "HeartbeatMissed")]},
    }
    (finding,) = [each for each in described(away, federatedsites=[heard]).findings if each.reason]
    assert finding.said == "it is not heard (for 3 hours)"

    hidden = described(away, federatedsites=forbidden("list", "federatedsites", ""))
    assert told(hidden)[-1] == (Level.SKIPPED, "federatedsites.fedward.io", "")
    assert "the right to list federatedsites in the whole cluster is missing" in hidden.findings[-1].said


def test_a_job_that_the_operator_has_not_looked_at_is_told_so():
    stale = job()
    stale["metadata"]["generation"] = 2
    assert told(described(stale)) == [(Level.WRONG, "job", "Pending")]
    bare = job()
    bare["status"] = {}
    assert told(described(bare)) == [(Level.WRONG, "job", "Pending")]


def test_the_events_of_the_job_and_its_aggregator_are_shown_and_no_others():
    def event(name, minutes):
        about = {"kind": "Pod", "name": name}
        return {"involvedObject": about, "reason": "R", "message": "m\nn", "lastTimestamp": ago(minutes=minutes)}

    events = [
        event("brain-aggregator-1-x", 2),
        event("brain", 5),
        event("brain-two", 1),
        event("brain-two-aggregator", 1),
    ]
    description = described(job(), events=events)
    assert [(each.about, each.message) for each in description.events] == [
        ("pod brain", "m n"),
        ("pod brain-aggregator-1-x", "m n"),
    ]


def test_what_a_hospital_says_cannot_reach_the_terminal_itself():
    words = "\x1b[2Jgone\x07\r\nnothing is wrong [red]"
    sites = [site("west", "Refused", "ImageNotAllowed", words)]
    events = [{"involvedObject": {"kind": "Pod", "name": "brain"}, "message": words}]
    description = described(job(condition("Running", "False", "CrashLoop", words), sites=sites), events=events)
    screen = io.StringIO()
    for each in description.text(NOW):
        Console(file=screen, width=200, markup=False, force_terminal=True, color_system=None).print(each)
    assert not {"\x1b", "\x07", "\r"} & set(screen.getvalue())
    assert screen.getvalue().count("[red]") == 4


def test_programs_get_the_same_as_people():
    description = described(job(condition("Running", "False", "WaitingForSites", "south is away")))
    document = json.loads(written(description.document(), Format.JSON))
    assert document["findings"][0]["see"] == "docs/troubleshooting.md#waitingforsites"
    assert document["progress"]["round"] == 7


def at_hospital(found, **kinds):
    run = Kubectl(federatedjobs=UNKNOWN, sitejobs=[found], **kinds)
    return describe("brain", "fedward", NOW, run)


def test_at_a_hospital_the_part_is_found_by_the_jobs_name_and_described_with_its_policy():
    waits = [condition("Admitted", "Unknown", "ApprovalPending", "a person has to approve it")]
    description = at_hospital(part(state="Waiting", conditions=waits))
    assert description.what == "the part of north in research/brain: Waiting"
    assert told(description)[:2] == [
        (Level.WARNING, "job brain-00000000", "ApprovalPending"),
        (Level.WRONG, "policy", "NoSitePolicy"),
    ]
    assert description.findings[0].then == "fedward approve brain-00000000 -n fedward"


@pytest.mark.parametrize(
    ("kinds", "kind", "words"),
    [
        ({}, ClusterError, "there is no job brain in the namespace research"),
        ({"federatedjobs": UNKNOWN}, ClusterError, "this cluster knows no FederatedJobs"),
        ({"federatedjobs": forbidden("get", "federatedjobs")}, ClusterError, "there is no job"),
        (
            {"federatedjobs": forbidden("get", "federatedjobs"), "sitejobs": forbidden("list", "sitejobs")},
            ForbiddenError,
            "the right to get federatedjobs in the namespace research is missing",
        ),
        ({"sitejobs": [part(), part("brain-11111111")]}, ClusterError, "name one of brain-00000000, brain-11111111"),
    ],
)
def test_a_job_that_is_not_found_is_said_with_where_it_was_looked_for(kinds, kind, words):
    with pytest.raises(kind, match=words):
        describe("brain", "research", NOW, Kubectl(**kinds))


def test_a_hubs_own_copies_of_parts_are_no_hospitals():
    copy = part()
    copy["metadata"]["labels"]["fedward.io/side"] = "hub"
    with pytest.raises(ClusterError, match="there is no job"):
        describe("brain", None, NOW, Kubectl(sitejobs=[copy]))


def test_a_local_run_is_described_from_its_folder(tmp_path):
    failure = Problem(reason="QuorumLost", detail="two are gone", round=2)
    missing = Problem(reason="RoundClosed", detail="the round closed without it", site="west", round=1, count=2)
    said = {"name": "glioma", "started_at": STARTED, "rounds_planned": 6, "failure": failure, "problems": (missing,)}
    write_record(tmp_path / RESULT, Result.model_validate({"state": "Failed", **said}))

    description = describe(tmp_path, None, NOW, Kubectl())

    assert told(description) == [(Level.WRONG, "job", "QuorumLost"), (Level.WARNING, "site west", "RoundClosed")]
    assert description.findings[1].said == "round 1: the round closed without it (2 times)"
    assert description.findings[1].then == f"fedward logs {tmp_path} --site west"


def test_a_run_that_has_written_no_result_yet_is_bad_input(tmp_path):
    with pytest.raises(InputError, match=f"{tmp_path}: the run has written no result yet; its logs are in"):
        describe(tmp_path, None, NOW, Kubectl())


def test_what_was_fetched_of_a_suspended_job_leads_back_to_the_hub(tmp_path):
    missing = Problem(reason="RoundClosed", detail="the round closed without it", site="west", round=1)
    said = {"name": "brain", "namespace": "research", "started_at": STARTED, "rounds_planned": 6, "fetched": True}
    write_record(tmp_path / RESULT, Result.model_validate({"state": "Stopped", "problems": (missing,), **said}))

    description = describe(tmp_path, None, NOW, Kubectl())

    suspended, closed = description.findings
    assert "suspended when fedward report fetched it" in suspended.said
    assert suspended.said == description.progress.message
    assert closed.then == "fedward logs brain -n research --site west"
    assert "logs" not in description.details
    assert not any("goes on from there" in line for line in text_of(description))

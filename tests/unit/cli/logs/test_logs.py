"""`fedward logs`: which lines, from where, and what cannot be seen."""

from __future__ import annotations

import fcntl
import json
from datetime import timedelta

import pytest
from tests.unit.cli.jobs import NOW, UNKNOWN, Kubectl, Stream, job, part, site

from fedward_cli.cluster.kubectl import ClusterError
from fedward_cli.logs import of_folder
from fedward_cli.logs.command import lines
from fedward_cli.logs.line import Line
from fedward_cli.logs.of_cluster import names, of_part
from fedward_cli.problems import InputError

AGGREGATOR = {"metadata": {"name": "brain-aggregator-1-x"}}


def printed(run, stream, site=None, since=None, follow=False):
    said = []
    found = lines(
        "brain", "research", site, since, follow=follow, now=NOW, complain=said.append, run=run, stream=stream
    )
    return list(map(str, found)), said


def test_at_the_hub_the_aggregators_containers_are_read():
    stream = Stream(["[pod/a/initialise] one", "[pod/a/aggregator] two"])
    found, said = printed(Kubectl(federatedjobs=[job()], pods=[AGGREGATOR]), stream, since="10m", follow=True)
    assert (found, said) == (["[pod/a/initialise] one", "[pod/a/aggregator] two"], [])
    (asked,) = stream.asked
    assert asked[:3] == ["logs", "-l", "fedward.io/component=aggregator,fedward.io/job=brain"]
    assert {"--since=10m", "--follow", "--all-containers", "--prefix"} <= set(asked)
    assert asked[-2:] == ["--namespace", "research"]


def test_of_one_site_the_hub_knows_its_state_and_what_the_aggregator_says_of_it():
    refused = job(sites=[site("north", "Refused", "ImageNotAllowed", "not this image")])
    about = json.dumps({"message": "refused", "site": "north"})
    stream = Stream([f"[pod/a/aggregator] {about}", "[pod/a/aggregator] 2026 INFO x site=northern", "y site=north z"])
    found, said = printed(Kubectl(federatedjobs=[refused], pods=[AGGREGATOR]), stream, site="north")
    assert found == [f"[pod/a/aggregator] {about}", "y site=north z"]
    assert "north is Refused: ImageNotAllowed not this image" in said[0]
    assert "logs stay at the hospital" in said[0]
    assert "fedward logs brain -n fedward" in said[0]


@pytest.mark.parametrize(
    ("kinds", "site", "words"),
    [
        ({"federatedjobs": [job()]}, None, r"no aggregator's pod now \(Training\): fedward describe brain -n research"),
        ({"federatedjobs": [job()]}, "west", "west takes no part in brain; its sites are north, south"),
        ({"federatedjobs": UNKNOWN, "sitejobs": [part()]}, "south", "this is the hospital north: nothing of south"),
    ],
)
def test_what_cannot_be_seen_is_said(kinds, site, words):
    with pytest.raises(ClusterError, match=words):
        printed(Kubectl(**kinds), Stream(), site=site)


def test_at_a_hospital_the_jobs_trainer_and_what_the_gateway_says_of_the_job_are_read():
    kept = [
        "[pod/brain-00000000-1-abcde/trainer] loss 0.4",
        '[pod/fedward-gateway-0/gateway] {"message":"released","job":"research/brain"}',
        "[pod/fedward-gateway-0/gateway] t INFO gateway g released job=research/brain attempt=1",
    ]
    others = [
        "[pod/brain-00000000-2-1-abcde/trainer] of another SiteJob",
        "[pod/brain-11111111-1-abcde/trainer] of another job",
        '[pod/fedward-gateway-0/gateway] {"message":"research/brain","job":"research/other"}',
        "[pod/fedward-gateway-0/gateway] {broken",
        "[pod/fedward-gateway-0/gateway] serving",
    ]
    run = Kubectl(federatedjobs=UNKNOWN, sitejobs=[part()])
    stream = Stream([*others, *kept])
    assert printed(run, stream) == (kept, [])
    assert stream.asked[0][2] == "fedward.io/component in (trainer,gateway)"
    assert list(of_part(map(Line.of_kubectl, others), "brain-00000000", "research/brain")) == []


def test_a_trainer_cannot_move_the_cursor_or_speak_for_the_gateway():
    said = '[pod/brain-00000000-1-abcde/trainer] x\r[pod/fedward-gateway-0/gateway] {"job":"research/brain"}\x1b[2J'
    (found,), _ = printed(Kubectl(federatedjobs=UNKNOWN, sitejobs=[part()]), Stream([said]))
    assert found == said.replace("\r", " ").replace("\x1b", " ")


def test_a_field_is_known_in_both_formats_and_its_value_as_a_whole():
    assert names(Line("", "t INFO a b c site=north"), "site", "north")
    assert names(Line("", '{"site": "north"}'), "site", "north")
    assert not names(Line("", "t INFO a b c site=north-2"), "site", "north")
    assert not names(Line("", '{"message": "site=north "}'), "site", "north")


@pytest.mark.parametrize(
    ("line", "document"),
    [
        ("[pod/a/aggregator] two", {"from": "a/aggregator", "text": "two", "fields": None}),
        ("[pod/a/aggregator]   at", {"from": "a/aggregator", "text": "  at", "fields": None}),
        ("[pod/a/gateway] {broken", {"from": "a/gateway", "text": "{broken", "fields": None}),
        ('[pod/a/g] {"a":"b"}', {"from": "a/g", "text": '{"a":"b"}', "fields": {"a": "b"}}),
        ("error: of kubectl's", {"from": None, "text": "error: of kubectl's", "fields": None}),
        ("[pod/a/t] \x1b[2J", {"from": "a/t", "text": " [2J", "fields": None}),
        (r'[pod/a/t] {"a":"\u001b"}', {"from": "a/t", "text": r'{"a":"\u001b"}', "fields": {"a": " "}}),
    ],
)
def test_programs_get_who_wrote_a_line_and_what_it_holds(line, document):
    assert Line.of_kubectl(line).document() == document


def test_a_trainer_that_writes_brackets_without_end_ends_nobody():
    assert Line("t", '{"a":' + "[" * 100_000).document()["fields"] is None


@pytest.mark.parametrize("since", ["10", "1d", "-5m", "0s", "soon"])
def test_a_time_that_cannot_be_read_is_bad_input(since):
    with pytest.raises(InputError, match="write it as 90s, 10m or 2h"):
        printed(Kubectl(), Stream(), since=since)


@pytest.fixture
def out(tmp_path):
    (tmp_path / "logs").mkdir()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").touch()
    (tmp_path / "logs/aggregator.log").write_text("2026-03-01T11:00:00.000Z A\n2026-03-01T11:59:00.000Z C\n")
    (tmp_path / "logs/trainer-north.log").write_text("2026-03-01T11:30:00.000Z B\n  goes on\nhalf a li")
    return tmp_path


def texts(found):
    return [f"{line.source}|{line.text.rsplit(' ', 1)[1]}" for line in found]


def test_the_logs_of_a_run_are_joined_in_the_order_of_their_times(out):
    found = list(of_folder.lines(out, None, None, follow=False, pause=pytest.fail))
    assert texts(found) == ["aggregator|A", "trainer-north|B", "trainer-north|on", "aggregator|C"]
    words = ("2026", "2026", "  goes", "2026")
    assert {str(line).index(word) for line, word in zip(found, words, strict=True)} == {14}
    assert found[2].document() == {"from": "trainer-north", "text": "  goes on", "fields": None}


def test_a_runs_lines_are_those_of_a_site_or_since_a_time(out):
    of_north = of_folder.lines(out, "north", None, follow=False, pause=pytest.fail)
    assert texts(of_north) == ["trainer-north|B", "trainer-north|on"]
    lately = of_folder.lines(out, None, NOW - timedelta(minutes=20), follow=False, pause=pytest.fail)
    assert texts(lately) == ["aggregator|C"]
    with pytest.raises(InputError, match="logs: holds no log of a site west"):
        list(of_folder.lines(out, "west", None, follow=False, pause=pytest.fail))


def test_a_process_of_a_run_cannot_move_the_cursor_or_speak_for_another(out):
    with (out / "logs/trainer-north.log").open("ab") as file:
        file.write(b"ne\r2026-03-01T11:31:00.000Z \x1b[2J\xff\n")
    found = list(lines(out, None, "north", None, follow=False, now=NOW, complain=pytest.fail))
    assert [str(line)[14:] for line in found][2:] == ["half a line 2026-03-01T11:31:00.000Z  [2J\ufffd"]


def test_a_run_is_followed_until_nobody_works_on_it(out):
    with (out / "run/lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def pause(_):
            with (out / "logs/trainer-north.log").open("a") as file:
                file.write("ne\n")
            fcntl.flock(lock, fcntl.LOCK_UN)

        found = list(of_folder.lines(out, None, None, follow=True, pause=pause))
    assert found[-1].text == "half a line"

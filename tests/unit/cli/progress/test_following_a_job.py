"""How a FederatedJob is followed: each change as it comes, through whatever happens to the watch."""

from __future__ import annotations

import json

import pytest
from tests.unit.cli.jobs import UNKNOWN, Stream, condition, event, forbidden, job, site

from fedward_cli.cluster.kubectl import ClusterError, ForbiddenError
from fedward_cli.progress.of_cluster import documents, follow, read


def followed(stream, until):
    """Follow until so many moments were seen; give them, the pauses and what was said."""
    pauses, said = [], []
    source = follow("brain", "research", pauses.append, said.append, stream)
    return [next(source) for _ in range(until)], pauses, said


def test_a_status_is_read_as_a_moment_of_the_job():
    found = read(job())
    assert (found.state, found.round, found.rounds, found.rounds_done, found.value) == ("Training", 7, 30, 6, 0.68)
    assert [(each.name, each.value) for each in found.sites] == [("north", 0.7), ("south", 0.66)]
    assert found.outcome is None


def test_a_job_that_nobody_has_looked_at_is_pending():
    bare = job()
    bare["status"] = {}
    found = read(bare)
    assert (found.state, found.round, found.rounds, found.sites) == ("Pending", 0, 30, ())


@pytest.mark.parametrize(
    ("told", "outcome", "message"),
    [
        (condition("Completed", "True", "Completed"), "Completed", "round 7 of 30"),
        (condition("Failed", "True", "QuorumLost", "too few are left"), "Failed", "too few are left"),
        (condition("Admitted", "False", "SpecInvalid", "no such site"), None, "no such site"),
    ],
)
def test_how_it_ended_and_why_are_the_conditions_words(told, outcome, message):
    found = read(job(told))
    assert (found.outcome, found.message) == (outcome, message)


def test_the_metric_is_the_jobs_own():
    found = job(metrics={"dice": 0.5, "auc": 0.9}, sites=[site("north", "Training")])
    found["spec"]["evaluation"] = {"metric": "auc"}
    assert (read(found).metric, read(found).value, read(found).sites[0].value) == ("auc", 0.9, None)


def test_documents_come_as_soon_as_they_are_complete_indented_or_on_one_line():
    given = [*json.dumps({"a": {"b": 1}}, indent=4).splitlines(), '{"c":2}']
    came = documents(iter(given[:5]))
    assert next(came) == {"a": {"b": 1}}
    assert list(documents(given)) == [{"a": {"b": 1}}, {"c": 2}]


def test_a_watch_that_the_api_server_ends_is_begun_again():
    stream = Stream([event(job(round=7), "ADDED")], [event(job(round=8))])
    seen, pauses, said = followed(stream, 2)
    assert ([each.round for each in seen], pauses, said) == ([7, 8], [1.0], [])


def test_a_cluster_that_is_away_is_asked_again_more_and_more_slowly_and_that_is_said_once():
    away = ClusterError("connection refused")
    stream = Stream([event(job())], *([away] for _ in range(7)), [event(job(round=9))])
    seen, pauses, said = followed(stream, 2)
    assert seen[1].round == 9
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert said == ["the cluster does not answer, and is asked again: connection refused"]


def test_a_cluster_that_is_away_for_a_second_time_is_said_again():
    away = ClusterError("connection refused")
    stream = Stream([event(job())], [away], [event(job()), away], [event(job())])
    _, pauses, said = followed(stream, 3)
    assert (pauses, len(said)) == ([1.0, 2.0, 2.0], 2)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ([ClusterError("connection refused")], "connection refused"),
        ([ClusterError('Error from server (NotFound): "brain" not found')], "there is no job brain in the namespace"),
        ([UNKNOWN], "this cluster knows no FederatedJobs"),
        ([event(job()), event(job(), "DELETED")], "the job brain was deleted"),
        ([event(job()), ClusterError("Error from server (NotFound)")], "the job brain was deleted"),
    ],
)
def test_what_cannot_be_followed_is_said(script, words):
    source = follow("brain", "research", pytest.fail, pytest.fail, Stream(script))
    with pytest.raises(ClusterError, match=words):
        list(source)


def test_a_right_that_is_taken_away_ends_it():
    source = follow(
        "brain", None, pytest.fail, pytest.fail, Stream([event(job()), forbidden("watch", "federatedjobs")])
    )
    with pytest.raises(ForbiddenError, match="the right to watch federatedjobs in the namespace research is missing"):
        list(source)

"""What the operator may ask of a tracker, and what is said of anything else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fedward_cli.cluster.ended_job import EndedJob
from fedward_cli.results import Problem
from fedward_cli.tracking.at_hub.arguments import Collect, Finish, Follow, read

TRACKING = '{"mlflow": {"uri": "https://mlflow.example.org", "experiment": "brain", "secretName": "mlflow"}}'
SHARED = ("--plan", "/plan/plan.json", "--metrics", "0.0.0.0:9090")
ENDED = {"state": "Failed", "attempt": 2, "startTime": "2026-03-01T12:00:00Z", "completionTime": None, "failure": None}


def finish(tracking: str = TRACKING, **ended: Any) -> Finish:
    said = json.dumps(ENDED | ended)
    asked = read(["finish", *SHARED, "--tracking", tracking, "--state", "/state", "--ended", said])
    assert isinstance(asked, Finish)
    return asked


def test_rounds_are_followed_at_an_attempts_aggregator() -> None:
    to = ("--attempt", "3", "--aggregator", "brain.research.svc:8443", "--tls", "/tls")
    asked = read(["follow", *SHARED, "--tracking", TRACKING, *to])
    assert isinstance(asked, Follow)
    assert (asked.attempt, asked.aggregator, asked.tls) == (3, "brain.research.svc:8443", Path("/tls"))
    assert (asked.mlflow.uri, asked.mlflow.experiment) == ("https://mlflow.example.org", "brain")


def test_what_is_collected_needs_no_server() -> None:
    asked = read(["collect", "--plan", "/plan/plan.json", "--state", "/state", "--out", "/left"])
    assert asked == Collect(Path("/plan/plan.json"), Path("/state"), Path("/left"))


def test_credentials_lie_where_the_operator_mounts_them_unless_it_is_said_otherwise() -> None:
    assert finish().credentials == Path("/mlflow")
    to = ("--attempt", "3", "--aggregator", "brain.research.svc:8443", "--tls", "/tls", "--credentials", "/ours")
    asked = read(["follow", *SHARED, "--tracking", TRACKING, *to])
    assert isinstance(asked, Follow)
    assert asked.credentials == Path("/ours")


def test_how_a_job_ended_is_read_from_what_its_resource_says() -> None:
    failure = {"reason": "QuorumLost", "message": "too few"}
    assert finish(failure=failure).ended == EndedJob(
        state="Failed",
        attempt=2,
        started_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        finished_at=None,
        failure=Problem(reason="QuorumLost", detail="too few"),
    )


def test_a_job_that_failed_before_any_attempt_counts_as_its_first() -> None:
    assert finish(attempt=0).ended.attempt == 1


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ({"state": "Suspended"}, "argument --ended: state: Input should be 'Completed' or 'Failed'"),
        ({"startTime": "2026-03-01T12:00:00"}, "argument --ended: startTime: "),
        ({"phase": "Failed"}, "argument --ended: phase: Extra inputs"),
    ],
)
def test_an_end_that_there_is_not_is_refused_by_field(
    ended: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        finish(**ended)
    assert said in capsys.readouterr().err


def test_a_password_in_the_address_is_refused_and_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        finish('{"mlflow": {"uri": "https://me:opensesame@mlflow.example.org"}}')
    said = capsys.readouterr().err
    assert "argument --tracking: mlflow.uri: " in said
    assert "opensesame" not in said

"""How long a job may run, how long it is kept, which attempt it is, and how many sites it needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.api.job import RoundsSpec
from fedward_operator.policy.deadline import seconds_left
from fedward_operator.policy.quorum import quorum_of
from fedward_operator.policy.suspend import attempt_to_run
from fedward_operator.policy.ttl import seconds_kept

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("seconds", [seconds_left, seconds_kept])
@pytest.mark.parametrize(
    ("since", "limit_s", "now", "expected"),
    [
        pytest.param(None, 60, NOON, None, id="it has not begun"),
        pytest.param(NOON, None, NOON, None, id="there is no limit"),
        pytest.param(None, None, NOON, None, id="neither"),
        pytest.param(NOON, 60, NOON, 60, id="it has just begun"),
        pytest.param(NOON, 60, NOON + timedelta(seconds=59.5), 0.5, id="half a second is left"),
        pytest.param(NOON, 60, NOON + timedelta(seconds=60), 0, id="it is over this instant"),
        pytest.param(NOON, 60, NOON + timedelta(days=1), 60 - 86400, id="it is over since yesterday"),
        pytest.param(NOON, 0, NOON, 0, id="at once"),
    ],
)
def test_what_is_left_of_a_limit(seconds, since, limit_s, now, expected):
    assert seconds(since, limit_s, now) == expected


@pytest.mark.parametrize(
    ("attempt", "was_suspended", "expected"),
    [
        pytest.param(0, False, 1, id="the first start"),
        pytest.param(0, True, 1, id="suspended before it ever started"),
        pytest.param(1, False, 1, id="it goes on"),
        pytest.param(1, True, 2, id="resumed"),
        pytest.param(7, True, 8, id="resumed for the seventh time"),
    ],
)
def test_which_attempt_runs(attempt, was_suspended, expected):
    assert attempt_to_run(attempt, was_suspended) == expected


def rounds(quorum, min_sites=1):
    return RoundsSpec.model_validate({"count": 1, "quorum": quorum, "minSites": min_sites})


@pytest.mark.parametrize(
    ("quorum", "min_sites", "nsites", "expected"),
    [
        ("100%", 1, 4, 4),
        ("50%", 1, 4, 2),
        ("50%", 1, 5, 3),
        ("80%", 3, 3, 3),
        ("1%", 1, 3, 1),
        ("1%", 2, 3, 2),
        (2, 1, 3, 2),
        (1, 3, 3, 3),
        ("50%", 5, 4, 4),
        ("100%", 1, 0, 1),
    ],
)
def test_how_many_sites_close_a_round(quorum, min_sites, nsites, expected):
    assert quorum_of(rounds(quorum, min_sites), nsites) == expected


@given(st.integers(1, 100), st.integers(1, 256), st.integers(1, 256))
def test_a_share_can_always_be_reached_and_is_never_below_what_was_asked(percent, min_sites, nsites):
    found = quorum_of(rounds(f"{percent}%", min_sites), nsites)

    assert 1 <= found <= nsites
    assert found * 100 >= percent * nsites
    assert found >= min(min_sites, nsites)

"""Conditions keep their times as long as they stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.api.status import Condition
from fedward_operator.policy.conditions import Finding, find, holds, join, read_time, show_time

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=5)


def test_a_condition_that_flips_has_a_new_time_and_one_that_stays_keeps_it():
    before = join([], [Finding("Running", True, "Training"), Finding("Degraded", False, "AsExpected")], 1, NOON)

    after = join(
        before,
        [Finding("Running", False, "Suspended", "held"), Finding("Degraded", False, "NotRunning", "new words")],
        2,
        LATER,
    )

    assert after == [
        {
            "type": "Running",
            "status": "False",
            "observedGeneration": 2,
            "lastTransitionTime": "2026-03-01T12:05:00Z",
            "reason": "Suspended",
            "message": "held",
        },
        {
            "type": "Degraded",
            "status": "False",
            "observedGeneration": 2,
            "lastTransitionTime": "2026-03-01T12:00:00Z",
            "reason": "NotRunning",
            "message": "new words",
        },
    ]


def test_what_is_not_known_is_neither_true_nor_false():
    (unknown,) = join([], [Finding("QuorumMet", None, "Unplanned")], 1, NOON)

    assert unknown["status"] == "Unknown"
    assert not holds([unknown], "QuorumMet")


def test_a_condition_is_found_by_its_type():
    conditions = join([], [Finding("Running", True, "Training"), Finding("Failed", False, "NotFailed")], 1, NOON)

    assert find(conditions, "Failed")["reason"] == "NotFailed"
    assert find(conditions, "Gone") is None
    assert [holds(conditions, kind) for kind in ("Running", "Failed", "Gone")] == [True, False, False]


FINDINGS = st.lists(
    st.builds(
        Finding,
        st.sampled_from(["Running", "Degraded", "Failed"]),
        st.sampled_from([True, False, None]),
        st.sampled_from(["One", "Other"]),
        st.text(max_size=20) | st.just("x" * 10_000),
    ),
    unique_by=lambda finding: finding.type,
)


@given(FINDINGS, st.datetimes(timezones=st.just(UTC)), st.timedeltas(timedelta(0), timedelta(days=1)))
def test_saying_the_same_again_changes_nothing_whenever_it_is_said(findings, now, later):
    joined = join([], findings, 1, now)

    assert join(joined, findings, 1, now + min(later, datetime.max.replace(tzinfo=UTC) - now)) == joined
    assert [each["type"] for each in joined] == [finding.type for finding in findings]


@given(FINDINGS)
def test_every_condition_is_one_that_the_api_server_takes(findings):
    for each in join([], findings, 1, NOON):
        Condition.model_validate(each)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9998, 1, 1), timezones=st.just(UTC)), st.integers(-14, 14))
def test_a_time_that_was_written_is_read_again_to_the_second(time, hours):
    elsewhere = time.astimezone(timezone(timedelta(hours=hours)))

    assert read_time(show_time(elsewhere)) == time.replace(microsecond=0)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-03-01T12:00:00Z", NOON),
        ("2026-03-01T12:00:00.5Z", NOON + timedelta(milliseconds=500)),
        ("2026-03-01T12:00:00.123456Z", NOON + timedelta(microseconds=123456)),
        ("2026-03-01T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
        ("2026-03-01T13:00:00+01:00", NOON),
        (None, None),
        ("", None),
    ],
)
def test_times_are_read_as_kubernetes_writes_them(text, time):
    assert read_time(text) == time

"""What is made of when and how a hospital was heard."""

from __future__ import annotations

import json

import pytest
from tests.unit.operator.checks.shown import condition, status

from fedward_operator.checks import heard
from fedward_operator.checks.connection import Answer
from fedward_operator.checks.finding import Level


def federated_site(**status):
    return {"metadata": {"name": "north"}, "status": status}


@pytest.mark.parametrize(
    ("site", "level", "reason"),
    [
        (federated_site(), Level.SKIPPED, ""),
        (federated_site(conditions=[condition("Connected", "True")]), Level.OK, ""),
        (
            federated_site(conditions=[condition("Connected", "False", "HeartbeatMissed")]),
            Level.WRONG,
            "HeartbeatMissed",
        ),
        (federated_site(conditions=[condition("Connected", "False", "NeverHeard")]), Level.WARNING, "NeverHeard"),
        (federated_site(conditions=[condition("Connected", "False", "Revoked")]), Level.WARNING, "Revoked"),
    ],
)
def test_a_site_is_heard_or_it_is_said_why_not(site, level, reason):
    found = heard.connected(site, "look")

    assert (found.about, found.level, found.reason) == ("site north", level, reason)


def test_a_site_that_is_not_heard_any_more_says_since_when():
    site = federated_site(
        conditions=[condition("Connected", "False", "HeartbeatMissed")], lastSeen="2026-03-01T12:00:00Z"
    )

    assert "last at 2026-03-01T12:00:00Z" in heard.connected(site, "").said


@pytest.mark.parametrize(
    ("ours", "theirs", "level"),
    [
        ("0.1.0", "0.1.0", Level.OK),
        ("0.1.0", "0.1.7", Level.OK),
        ("0.2.0", "0.1.0", Level.OK),
        ("0.1.0", "0.3.0", Level.WARNING),
        ("1.0.0", "0.1.0", Level.WARNING),
        ("0.1.0", "", Level.SKIPPED),
    ],
)
def test_versions_more_than_a_release_apart_are_noticed(ours, theirs, level):
    assert heard.compatible("versions", ours, theirs, "helm list").level is level


def test_the_hub_tells_a_site_how_it_sees_it():
    site = federated_site(conditions=[condition("Connected", "True")], hubVersion="0.9.0")
    seen, versions = heard.by_hub(Answer(200, {}, json.dumps(site).encode()), "0.1.0", "logs")

    assert (seen.about, seen.level) == ("heard by the hub", Level.OK)
    assert (versions.level, versions.reason) == (Level.WARNING, "VersionSkew")


def test_a_hub_that_does_not_tell_is_not_blamed():
    for answer in (status(403, "no"), Answer(200, {}, b"<html>Please log in</html>")):
        assert [each.level for each in heard.by_hub(answer, "0.1.0", "")] == [Level.SKIPPED, Level.SKIPPED]

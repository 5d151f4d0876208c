"""Whether a SitePolicy holds, and what runs under it."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from fedward_operator.site.policy_status import policy_status
from fedward_operator.site.views import Policy, view_mirrored

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
GOOD = {"datasets": [{"name": "brats", "volume": {"hostPath": {"path": "/d"}}}]}


def policy(**changes):
    return Policy("north", "uid", 2, json.dumps(GOOD | changes).encode(), {})


def part(state):
    metadata = {"name": state.lower(), "uid": state}
    return view_mirrored({"metadata": metadata, "spec": {}, "status": {"state": state}})


def test_what_runs_and_what_waits_is_counted():
    parts = [part(state) for state in ("Training", "Starting", "Waiting", "Refused", "Completed", "CrashLoop")]
    status = policy_status(policy(), 1, parts, (), NOW)
    assert (status["running"], status["waiting"]) == (3, 1)
    assert status["conditions"][0]["status"] == "True"


def test_of_two_policies_neither_holds():
    status = policy_status(policy(), 2, [], None, NOW)
    assert status["conditions"][0]["reason"] == "SeveralSitePolicies"


def test_a_policy_that_only_the_operator_can_check_is_found_out():
    zone = {"timeZone": "Europe/Londn", "windows": [{"begins": "18:00", "ends": "06:00"}]}
    condition = policy_status(policy(schedule=zone), 1, [], None, NOW)["conditions"][0]
    assert condition["reason"] == "SpecInvalid"
    assert condition["message"].startswith("spec.schedule.timeZone")

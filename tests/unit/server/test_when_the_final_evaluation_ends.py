from __future__ import annotations

import pytest

from fedward_protocol.plan import Rounds
from fedward_server.rounds.closing import Attendance, Wait
from fedward_server.rounds.finishing import Finish, finish

RULE = Rounds(count=3, quorum=2, deadline_s=100, grace_s=10)
SITES = frozenset({"east", "north", "south"})


@pytest.mark.parametrize(
    ("evaluated", "away", "failed", "now", "decision"),
    [
        pytest.param(SITES, {}, (), 1, Finish(), id="every site has evaluated"),
        pytest.param({"east", "north"}, {}, (), 50, Wait(110), id="a site that is there is waited for"),
        pytest.param({"east", "north"}, {"south": 5}, (), 14, Wait(15), id="a site that is gone may come back"),
        pytest.param({"east", "north"}, {"south": 5}, (), 15, Finish(), id="a site that stays away is not waited for"),
        pytest.param(
            {"east"}, {"north": 5, "south": 5}, (), 50, Wait(110), id="below the quorum the gone are waited for"
        ),
        pytest.param({"east"}, {"south": 1}, ("north", "south"), 1, Finish(), id="those that failed never evaluate"),
        pytest.param(set(), {}, (), 109, Wait(110), id="deadline and grace are for everybody"),
        pytest.param(set(), {}, (), 110, Finish(), id="a trained job is not lost for want of an evaluation"),
    ],
)
def test_the_final_evaluation_ends_as_its_rule_says(evaluated, away, failed, now, decision):
    facts = Attendance(SITES, dict.fromkeys(evaluated, 1.0), away, frozenset(failed))
    assert finish(facts, RULE, opened=0, now=now) == decision

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_protocol.plan import Rounds
from fedward_server.rounds.closing import Attendance, Close, QuorumLost, Wait, close
from fedward_server.rounds.starting import Start, start

RULE = Rounds(count=3, quorum=2, deadline_s=100, grace_s=10)
SITES = frozenset({"east", "north", "south"})
MORE_SITES = SITES | {"west"}


def attendance(arrived=None, away=None, failed=()):
    return Attendance(SITES, arrived or {}, away or {}, frozenset(failed))


@pytest.mark.parametrize(
    ("facts", "now", "decision"),
    [
        pytest.param(attendance(), 1, Wait(100), id="nobody has delivered: wait for the deadline"),
        pytest.param(
            attendance({"east": 1, "north": 2, "south": 3}),
            3,
            Close("every site has delivered"),
            id="full attendance closes at once, long before the deadline",
        ),
        pytest.param(attendance({"east": 1, "north": 2}), 50, Wait(110), id="quorum before the deadline: wait on"),
        pytest.param(attendance({"east": 1, "north": 2}), 105, Wait(110), id="at the deadline, grace not over"),
        pytest.param(
            attendance({"east": 1, "north": 2}),
            110,
            Close("the deadline has passed and the quorum is met"),
            id="deadline and grace over",
        ),
        pytest.param(attendance({"east": 1}), 500, Wait(None), id="no quorum: only something happening can help"),
        pytest.param(
            attendance({"east": 1, "north": 300}), 305, Wait(310), id="quorum after the deadline: grace from there"
        ),
        pytest.param(
            attendance({"east": 1, "north": 2}, away={"south": 5}), 14, Wait(15), id="the missing site may come back"
        ),
        pytest.param(
            attendance({"east": 1, "north": 2}, away={"south": 5}),
            15,
            Close("the missing sites are gone and the quorum is met"),
            id="the missing site has been gone for the grace",
        ),
        pytest.param(
            Attendance(MORE_SITES, {"east": 1, "north": 2}, {"south": 5, "west": 30}, frozenset()),
            16,
            Wait(40),
            id="of two that are gone, the one that left last sets the time",
        ),
        pytest.param(
            attendance({"east": 1}, away={"north": 2, "south": 2}, failed=("north", "south")),
            3,
            QuorumLost(1),
            id="those that failed for good leave no quorum",
        ),
        pytest.param(
            attendance({"east": 1, "north": 2}, away={"north": 3}, failed=("north",)),
            4,
            Wait(110),
            id="an update counts, whatever became of its site",
        ),
        pytest.param(
            Attendance(frozenset({"east"}), {"east": 1}, {}, frozenset()),
            2,
            QuorumLost(1),
            id="all that are expected have delivered, and dismissals have left too few of them",
        ),
    ],
)
def test_a_round_closes_as_its_rule_says(facts, now, decision):
    assert close(facts, RULE, opened=0, now=now) == decision


@given(
    arrived=st.dictionaries(st.sampled_from(sorted(SITES)), st.floats(0, 300)),
    away=st.dictionaries(st.sampled_from(sorted(SITES)), st.floats(0, 300)),
    now=st.floats(0, 400),
)
def test_a_round_never_closes_below_its_quorum(arrived, away, now):
    if isinstance(close(attendance(arrived, away), RULE, 0, now), Close):
        assert len(arrived) >= RULE.quorum


@given(
    arrived=st.dictionaries(st.sampled_from(sorted(SITES)), st.floats(0, 300)),
    away=st.dictionaries(st.sampled_from(sorted(SITES)), st.floats(0, 300)),
    now=st.floats(0, 400),
    order=st.randoms(use_true_random=False),
)
def test_closing_does_not_depend_on_the_order_of_arrival(arrived, away, now, order):
    shuffled = list(arrived.items())
    order.shuffle(shuffled)
    assert close(attendance(dict(shuffled), away), RULE, 0, now) == close(attendance(arrived, away), RULE, 0, now)


@given(
    arrived=st.dictionaries(st.sampled_from(sorted(SITES)), st.floats(0, 300)),
    away=st.dictionaries(st.sampled_from(sorted(SITES)), st.floats(0, 300)),
    now=st.floats(0, 400),
)
def test_what_a_wait_promises_is_kept(arrived, away, now):
    verdict = close(attendance(arrived, away), RULE, 0, now)
    if isinstance(verdict, Wait) and verdict.until is not None:
        assert verdict.until > now
        later = close(attendance(arrived, away), RULE, 0, verdict.until)
        assert later != verdict


@pytest.mark.parametrize(
    ("there", "failed", "now", "decision"),
    [
        ({"east", "north", "south"}, set(), 1, Start()),
        ({"east", "north"}, set(), 1, Wait(100)),
        ({"east", "north"}, set(), 100, Start()),
        ({"east"}, set(), 100, Wait(None)),
        ({"east", "north"}, {"south"}, 1, Start()),
        ({"east"}, {"north", "south"}, 1, QuorumLost(1)),
    ],
)
def test_round_one_opens_once_all_are_there_or_a_quorum_at_the_deadline(there, failed, now, decision):
    assert start(SITES, frozenset(there), frozenset(failed), RULE, since=0, now=now) == decision

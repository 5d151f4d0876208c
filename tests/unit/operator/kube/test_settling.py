"""News waits a moment, longer while there is other work, but never for ever."""

from __future__ import annotations

import pytest

from fedward_operator.kube.settling import Settling


@pytest.fixture
def clock():
    return {"now": 100.0, "busy": False}


@pytest.fixture
def settling(clock):
    return Settling(lambda: clock["busy"], lambda: clock["now"])


def test_news_waits_for_what_comes_with_it(settling, clock):
    first = settling.wait_s("a")
    assert 0 < first < 1
    clock["now"] += first
    assert settling.wait_s("a") <= 0


def test_what_was_said_starts_anew(settling, clock):
    settling.wait_s("a")
    clock["now"] += 10
    settling.said("a")
    assert settling.wait_s("a") > 0


def test_while_others_wait_news_waits_but_not_for_ever(settling, clock):
    clock["busy"] = True
    waited = 0.0
    while (wait := settling.wait_s("a")) > 0:
        clock["now"] += wait
        waited += wait
        assert waited < 60
    assert waited >= 10

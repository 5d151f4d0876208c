"""Waiting longer and longer, up to a cap."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.kube.backoff import Backoff


@given(st.floats(0.001, 100), st.floats(0.001, 1000), st.integers(1, 10**9), st.integers())
def test_a_wait_lies_in_the_upper_half_of_what_doubling_gives_and_never_above_the_cap(first, cap, failures, seed):
    wait = Backoff(first, cap).after(failures, random.Random(seed))

    full = min(cap, first * 2 ** min(failures - 1, 32))
    assert full / 2 <= wait <= full


def test_after_the_first_failure_the_first_wait_and_then_twice_as_much():
    class Highest(random.Random):
        def uniform(self, a, b):
            return b

    backoff = Backoff(first=0.25, cap=15)

    assert [backoff.after(n, Highest()) for n in range(1, 9)] == [0.25, 0.5, 1, 2, 4, 8, 15, 15]


def test_two_askers_do_not_keep_step():
    backoff = Backoff(first=1, cap=60)
    one, other = random.Random(1), random.Random(2)

    assert all(backoff.after(n, one) != backoff.after(n, other) for n in range(1, 10))

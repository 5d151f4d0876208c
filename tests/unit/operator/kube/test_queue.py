"""Keys in line, in hand and due later."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from hand_loop import in_no_time
from hypothesis import given, settings
from hypothesis import strategies as st

from fedward_operator.kube import queue as module
from fedward_operator.kube.queue import WorkQueue


async def taken_within(queue, seconds):
    """Take and let go of whatever comes in that time."""
    found = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                key = await queue.take()
                found.append(key)
                queue.done(key)
    except TimeoutError:
        return found


@in_no_time
async def test_a_key_that_is_added_twice_is_taken_once_and_in_its_first_place():
    queue = WorkQueue()
    for key in "abab":
        queue.add(key)

    assert len(queue) == 2
    assert await taken_within(queue, 10) == ["a", "b"]


@in_no_time
async def test_a_key_that_is_added_while_in_hand_comes_back_once_and_not_before_it_is_let_go():
    queue = WorkQueue()
    queue.add("a")
    key = await queue.take()
    queue.add("a")
    queue.add("a")

    assert len(queue) == 0
    queue.done(key)

    assert await taken_within(queue, 10) == ["a"]


@in_no_time
async def test_somebody_who_waits_is_woken():
    queue = WorkQueue()
    waiting = [asyncio.create_task(queue.take()) for _ in range(3)]
    await asyncio.sleep(1)
    for key in "abc":
        queue.add(key)

    assert sorted(await asyncio.gather(*waiting)) == ["a", "b", "c"]


@in_no_time
async def test_a_taker_that_gives_up_takes_nothing_along():
    queue = WorkQueue()
    first, second = asyncio.create_task(queue.take()), asyncio.create_task(queue.take())
    await asyncio.sleep(1)
    queue.add("a")
    first.cancel()

    assert await second == "a"
    assert first.cancelled()


@pytest.mark.parametrize("order", [(5, 60), (60, 5)])
@in_no_time
async def test_of_two_times_the_earlier_wins_and_the_later_is_forgotten(order):
    queue = WorkQueue()
    for seconds in order:
        queue.add_after("a", seconds)
    began = asyncio.get_running_loop().time()

    assert await queue.take() == "a"
    assert asyncio.get_running_loop().time() - began == pytest.approx(5)
    queue.done("a")
    assert await taken_within(queue, 100) == []


@in_no_time
async def test_adding_now_makes_a_later_time_needless():
    queue = WorkQueue()
    queue.add_after("a", 5)
    queue.add("a")

    assert await taken_within(queue, 100) == ["a"]


@in_no_time
async def test_a_time_that_has_passed_already_is_now():
    queue = WorkQueue()
    queue.add_after("a", -3)

    assert await taken_within(queue, 0.001) == ["a"]


@in_no_time
async def test_a_time_that_comes_while_the_key_is_in_hand_is_not_lost():
    queue = WorkQueue()
    queue.add("a")
    await queue.take()
    queue.add_after("a", 5)
    await asyncio.sleep(10)

    assert len(queue) == 0
    queue.done("a")
    assert await taken_within(queue, 1) == ["a"]


@in_no_time
async def test_the_age_is_of_the_first_in_line():
    loop = asyncio.get_running_loop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
        queue = WorkQueue()
        assert queue.age_s == 0

        queue.add("a")
        await asyncio.sleep(3)
        queue.add("b")
        queue.add("a")
        await asyncio.sleep(2)

        assert queue.age_s == pytest.approx(5)
        await queue.take()
        assert queue.age_s == pytest.approx(2)


KEYS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), KEYS),
        st.tuples(st.just("add_after"), KEYS, st.floats(0, 30)),
        st.tuples(st.just("take")),
        st.tuples(st.just("done"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.floats(0, 30)),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(STEPS)
@in_no_time
async def test_what_is_added_after_it_was_taken_is_taken_again_and_is_never_in_two_hands(steps):
    queue, in_hand, owed = WorkQueue(), [], set()

    async def take():
        key = await queue.take()
        assert key not in in_hand
        in_hand.append(key)
        owed.discard(key)

    for step, *arguments in steps:
        match step:
            case "add" | "add_after":
                getattr(queue, step)(*arguments)
                owed.add(arguments[0])
            case "take" if len(queue):
                await take()
            case "done" if in_hand:
                queue.done(in_hand.pop(arguments[0] % len(in_hand)))
            case "wait":
                await asyncio.sleep(arguments[0])

    while in_hand:
        queue.done(in_hand.pop())
    await asyncio.sleep(31)
    last = set(await taken_within(queue, 1))
    assert owed <= last
    assert len(queue) == 0

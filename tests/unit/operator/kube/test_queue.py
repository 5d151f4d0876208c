"""Keys in line, in hand and due later."""

from __future__ import annotations

import asyncio

import pytest
from hand_loop import in_no_time
from hypothesis import given, settings
from hypothesis import strategies as st

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


@pytest.fixture
def aged():
    """A queue on the clock of the loop that the test runs on."""
    return WorkQueue(lambda: asyncio.get_running_loop().time())


@in_no_time
async def test_the_age_is_of_the_key_that_was_asked_for_first(aged):
    assert aged.age_s == 0

    aged.add("a")
    await asyncio.sleep(3)
    aged.add("b")
    aged.add("a")
    await asyncio.sleep(2)
    assert aged.age_s == pytest.approx(5)

    aged.done(await aged.take())
    assert aged.age_s == pytest.approx(2)


@in_no_time
async def test_a_key_grows_older_in_hand_and_no_more_once_it_is_done(aged):
    aged.add("a")
    await asyncio.sleep(3)
    key = await aged.take()
    await asyncio.sleep(600)
    assert aged.age_s == pytest.approx(603)

    aged.done(key)
    assert aged.age_s == 0


@in_no_time
async def test_a_key_that_fails_keeps_its_age_until_it_is_done(aged):
    aged.add("a")
    for _ in range(4):
        await asyncio.sleep(100)
        aged.failed(await aged.take(), 50)
    await asyncio.sleep(20)
    assert len(aged) == 0
    assert aged.age_s == pytest.approx(420)

    aged.done(await aged.take())
    assert aged.age_s == 0


@in_no_time
async def test_a_key_that_is_asked_for_while_it_fails_is_taken_at_once_and_is_no_younger(aged):
    aged.add("a")
    key = await aged.take()
    await asyncio.sleep(5)
    aged.add("a")
    aged.failed(key, 3600)

    assert aged.age_s == pytest.approx(5)
    assert await taken_within(aged, 7200) == ["a"]


@in_no_time
async def test_a_key_that_is_asked_for_in_hand_is_as_old_as_that_once_it_is_let_go(aged):
    aged.add("a")
    key = await aged.take()
    await asyncio.sleep(5)
    aged.add("a")
    await asyncio.sleep(2)
    aged.add("a")
    await asyncio.sleep(1)
    aged.done(key)

    assert aged.age_s == pytest.approx(3)


@in_no_time
async def test_a_key_that_is_put_off_on_purpose_is_not_old_before_its_time(aged):
    aged.add("a")
    aged.done(await aged.take())
    aged.add_after("a", 600)
    await asyncio.sleep(599)
    assert aged.age_s == 0

    await asyncio.sleep(4)
    assert aged.age_s == pytest.approx(3)


KEYS = st.sampled_from("abc")
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), KEYS),
        st.tuples(st.just("add_after"), KEYS, st.floats(0, 30)),
        st.tuples(st.just("take")),
        st.tuples(st.just("done"), st.integers(0, 5)),
        st.tuples(st.just("failed"), st.integers(0, 5), st.floats(0, 30)),
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
            case "failed" if in_hand:
                which, seconds = arguments
                key = in_hand.pop(which % len(in_hand))
                queue.failed(key, seconds)
                owed.add(key)
            case "wait":
                await asyncio.sleep(arguments[0])

    while in_hand:
        queue.done(in_hand.pop())
    await asyncio.sleep(31)
    last = set(await taken_within(queue, 1))
    assert owed <= last
    assert (len(queue), queue.age_s) == (0, 0)

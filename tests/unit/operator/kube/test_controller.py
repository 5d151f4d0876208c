"""Reconciling many keys: what fails waits longer and longer, and holds up nobody else."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest
from hand_loop import Meter, in_no_time

from fedward_operator.kube.controller import Controller
from fedward_operator.kube.errors import ApiError, UnavailableError


class Reconciler:
    """Does with each key as it is told, and remembers when."""

    def __init__(self):
        self.answers, self.times, self.at_once, self.most_at_once = {}, {}, 0, 0
        self.hangs = set()

    async def __call__(self, key):
        loop = asyncio.get_running_loop()
        self.times.setdefault(key, []).append(loop.time())
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(7200 if key in self.hangs else 0.01)
        finally:
            self.at_once -= 1
        answer = self.answers.get(key)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def gaps(self, key):
        times = self.times[key]
        return [later - earlier - 0.01 for earlier, later in pairwise(times)]


@asynccontextmanager
async def working(workers=4):
    reconcile, meter = Reconciler(), Meter()
    clock = asyncio.get_running_loop().time
    controller = Controller("Thing", reconcile, meter=meter, chance=random.Random(3), workers=workers, clock=clock)
    task = asyncio.create_task(controller.run())
    try:
        yield controller, reconcile, meter
        assert not task.done(), "a controller never ends"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (ApiError(403, "Forbidden", "no"), "refused"),
        (UnavailableError("connection refused"), "unavailable"),
        (KeyError("spec"), "error"),
        (TimeoutError(), "error"),
    ],
)
@in_no_time
async def test_a_failing_key_backs_off_up_to_a_minute_and_recovers(error, result):
    async with working() as (controller, reconcile, meter):
        reconcile.answers["bad"] = error
        controller.queue.add("bad")
        await asyncio.sleep(3600)

        gaps = reconcile.gaps("bad")
        assert 0.05 <= gaps[0] <= 0.1
        assert all(later >= earlier for earlier, later in pairwise(gaps[:12:2]))
        assert all(29 <= gap <= 60.1 for gap in gaps[11:])
        assert set(meter.told) == {("Thing", result)}

        reconcile.answers["bad"] = None
        await asyncio.sleep(61)
        tries = len(reconcile.times["bad"])
        assert meter.told[-1] == ("Thing", "done")
        await asyncio.sleep(3600)
        assert len(reconcile.times["bad"]) == tries

        reconcile.answers["bad"] = error
        controller.queue.add("bad")
        await asyncio.sleep(0.2)
        assert len(reconcile.times["bad"]) == tries + 2, "a key that recovered starts from the shortest wait"


@in_no_time
async def test_other_keys_go_on_while_some_fail():
    async with working(workers=2) as (controller, reconcile, _):
        for n in range(10):
            reconcile.answers[f"bad-{n}"] = RuntimeError("broken")
            controller.queue.add(f"bad-{n}")
        for n in range(10):
            controller.queue.add(f"good-{n}")
        await asyncio.sleep(1)

        assert all(len(reconcile.times[f"good-{n}"]) == 1 for n in range(10))


@in_no_time
async def test_what_nobody_expected_is_logged_with_its_traceback_and_ends_no_worker(caplog):
    async with working(workers=1) as (controller, reconcile, _):
        reconcile.answers["bad"] = ZeroDivisionError("oh")
        controller.queue.add("bad")
        await asyncio.sleep(0.02)
        controller.queue.add("good")
        await asyncio.sleep(1)

        assert len(reconcile.times["good"]) == 1
    record = next(record for record in caplog.records if record.levelno == logging.ERROR)
    assert (record.kind, record.key) == ("Thing", "bad")
    assert record.exc_info[0] is ZeroDivisionError


@in_no_time
async def test_a_first_conflict_is_no_news_and_a_second_is(caplog):
    async with working() as (controller, reconcile, _):
        reconcile.answers["busy"] = ApiError(409, "Conflict", "changed")
        controller.queue.add("busy")
        await asyncio.sleep(0.05)
        assert caplog.records == []

        await asyncio.sleep(0.1)
        assert [record.levelno for record in caplog.records] == [logging.WARNING]


@pytest.mark.parametrize("seconds", [0.5, 5, 600])
@in_no_time
async def test_a_key_is_looked_at_again_when_it_asked_to_be(seconds):
    async with working() as (controller, reconcile, _):
        reconcile.answers["later"] = seconds
        controller.queue.add("later")
        await asyncio.sleep(3 * (seconds + 0.01) + 0.001)

        assert reconcile.gaps("later") == [pytest.approx(seconds)] * 3


@in_no_time
async def test_news_come_before_the_time_that_was_asked_for():
    async with working() as (controller, reconcile, _):
        reconcile.answers["later"] = 600
        controller.queue.add("later")
        await asyncio.sleep(10)
        controller.queue.add("later")
        await asyncio.sleep(595)

        assert reconcile.gaps("later") == [pytest.approx(10 - 0.01)]


@pytest.mark.parametrize(("asked", "kept"), [(20, 20), (3600, 60)])
@in_no_time
async def test_the_api_server_is_left_alone_as_long_as_it_asks(asked, kept):
    async with working() as (controller, reconcile, _):
        reconcile.answers["bad"] = ApiError(429, "TooManyRequests", "wait", float(asked))
        controller.queue.add("bad")
        await asyncio.sleep(kept + 1)

        assert reconcile.gaps("bad") == [pytest.approx(kept)]


@in_no_time
async def test_no_more_are_in_hand_than_there_are_workers_and_none_twice():
    async with working(workers=3) as (controller, reconcile, _):
        for _ in range(3):
            for n in range(20):
                controller.queue.add(n)
            await asyncio.sleep(0.005)
        await asyncio.sleep(1)

        assert reconcile.most_at_once == 3
        assert len(controller.queue) == 0


@pytest.mark.parametrize("error", [ApiError(403, "Forbidden", "no"), UnavailableError("no route"), KeyError("spec")])
@in_no_time
async def test_a_key_that_always_fails_grows_old_whatever_news_comes_of_it_until_it_is_made_right(error):
    async with working() as (controller, reconcile, _):
        reconcile.answers["bad"] = error
        controller.queue.add("bad")
        await asyncio.sleep(1800)
        controller.queue.add("bad")
        await asyncio.sleep(1800)
        assert controller.queue.age_s == pytest.approx(3600)

        reconcile.answers["bad"] = None
        await asyncio.sleep(61)
        assert controller.queue.age_s == 0


@in_no_time
async def test_a_key_that_hangs_grows_old_while_the_others_are_made_right():
    async with working() as (controller, reconcile, _):
        reconcile.hangs.add("bad")
        controller.queue.add("bad")
        await asyncio.sleep(60)
        controller.queue.add("good")
        await asyncio.sleep(540)

        assert controller.queue.age_s == pytest.approx(600)


@in_no_time
async def test_a_key_that_asked_to_be_looked_at_again_is_not_old():
    async with working() as (controller, reconcile, _):
        reconcile.answers["later"] = 600
        controller.queue.add("later")
        for _ in range(20):
            await asyncio.sleep(299)
            assert controller.queue.age_s == 0
        assert len(reconcile.times["later"]) == 10


@in_no_time
async def test_what_failed_and_is_gone_is_forgotten_and_begins_anew_under_the_same_name():
    async with working() as (controller, reconcile, _):
        reconcile.answers["bad"] = ApiError(403, "Forbidden", "no")
        controller.queue.add("bad")
        await asyncio.sleep(600)
        del reconcile.answers["bad"]  # there is nothing left to be made right
        controller.queue.add("bad")
        await asyncio.sleep(600)
        assert controller.queue.age_s == 0

        reconcile.answers["bad"] = ApiError(403, "Forbidden", "no")
        controller.queue.add("bad")
        await asyncio.sleep(60)
        assert controller.queue.age_s == pytest.approx(60)

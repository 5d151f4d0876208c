"""The loop that the other tests trust."""

from __future__ import annotations

import asyncio

import pytest
from hand_loop import EverybodyWaitsError, HandLoop, in_no_time


@in_no_time
async def test_an_hour_passes_at_once_and_in_order():
    loop, woken = asyncio.get_running_loop(), []

    async def sleeper(seconds):
        await asyncio.sleep(seconds)
        woken.append((seconds, loop.time() - began))

    began = loop.time()
    await asyncio.gather(*(sleeper(seconds) for seconds in (3600, 0.3, 1800)))

    assert [seconds for seconds, _ in woken] == [0.3, 1800, 3600]
    assert all(passed == pytest.approx(seconds) for seconds, passed in woken)


def test_waiting_for_ever_is_noticed():
    loop = HandLoop()
    try:
        with pytest.raises(EverybodyWaitsError):
            loop.run_until_complete(asyncio.Event().wait())
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
        loop.close()

"""Following a collection: every page, every change, and no more than was selected."""

from __future__ import annotations

import asyncio
import random

from hand_loop import Meter, in_no_time, turns
from tests.unit.operator.kube.collection import Collection, following

from fedward_operator.kube.cache import Cache
from fedward_operator.kube.informer import Informer
from fedward_operator.kube.kinds import POD


@in_no_time
async def test_every_page_is_read_and_only_then_it_is_synced():
    source, gate = Collection(), asyncio.Event()
    source.put(*"abcde")

    async def hold_the_last(page):
        if page == 2:
            await gate.wait()

    source.before_page = hold_the_last
    async with following(source) as found:
        await turns()
        assert set(found.known()) == set("abcd")
        assert not found.informer.synced.is_set()

        gate.set()
        await found.informer.synced.wait()
        assert found.agrees()


@in_no_time
async def test_an_empty_collection_is_synced_too():
    async with following(Collection()) as found:
        await found.informer.synced.wait()

        assert found.known() == {}


@in_no_time
async def test_only_what_was_selected_is_listed_and_watched():
    source = Collection()
    cache = Cache(lambda item: item, lambda key, view: None)
    selector = {"labelSelector": "fedward.io/component=aggregator"}
    informer = Informer(
        source, POD, cache, meter=Meter(), chance=random.Random(7), namespace="research", selector=selector
    )
    task = asyncio.create_task(informer.run())
    await asyncio.sleep(1)
    task.cancel()

    assert [verb for verb, _ in source.calls] == ["list", "watch"]
    assert source.asked_for == {(POD, "research", tuple(selector.items()))}


@in_no_time
async def test_what_happens_later_is_followed():
    source = Collection()
    source.put("a", "b")
    async with following(source) as found:
        await found.informer.synced.wait()
        source.put("b", "c")
        source.delete("a")
        await asyncio.sleep(1)

        assert found.agrees()
        assert found.told == ["a", "b", "b", "c", "a"]


@in_no_time
async def test_a_watch_that_ends_as_it_should_goes_on_where_it_was_without_a_list():
    source = Collection()
    source.put("a")
    async with following(source) as found:
        for name in "bcdefgh":
            await asyncio.sleep(200)
            source.put(name)
        await asyncio.sleep(1)

        assert found.agrees()
        assert [verb for verb, _ in source.calls].count("list") == 1
        assert found.meter.told == []

"""An operator that does not hear any more is found out, and started anew; one that waits for an API server is not."""

from __future__ import annotations

import asyncio

import pytest

from fedward_operator.app import OwnKinds
from fedward_operator.kube.cache import Cache, key_of
from fedward_operator.kube.informer import LONGEST_TURN_S
from fedward_operator.kube.kinds import FEDERATED_JOB
from fedward_operator.roles.running import Health, until_stopped


def job(name, version):
    return {"metadata": {"namespace": "n", "name": name, "resourceVersion": str(version)}}


class Listing:
    """An API server that only lists."""

    def __init__(self):
        self.items = []

    async def pages(self, kind, namespace, selector):
        yield list(self.items), "100"


@pytest.fixture
def clock():
    return {"now": 1000.0}


@pytest.fixture
def listing():
    return Listing()


@pytest.fixture
def own(listing, clock):
    told = []
    cache = Cache(key_of, lambda key, _: told.append(key))
    kinds = OwnKinds(listing, {FEDERATED_JOB: cache}, None, lambda: clock["now"])
    kinds.cache, kinds.told = cache, told
    return kinds


async def test_what_kopf_tells_is_not_late(own, listing, clock):
    listing.items = [job("a", 5)]
    await own.compare()
    own.take_in(FEDERATED_JOB, "ADDED", job("a", 5))
    clock["now"] += 3600
    await own.compare()
    clock["now"] += 3600
    assert not own.is_deaf()


async def test_what_kopf_never_tells_is_found_by_listing_and_found_out_about(own, listing, clock):
    await own.compare()
    listing.items = [job("a", 5)]
    await own.compare()
    assert own.told == [("n", "a")]
    assert not own.is_deaf()  # it may still come
    clock["now"] += 30
    await own.compare()
    assert own.is_deaf()


async def test_what_comes_late_is_forgiven(own, listing, clock):
    await own.compare()
    listing.items = [job("a", 5)]
    await own.compare()
    own.take_in(FEDERATED_JOB, "ADDED", job("a", 5))
    clock["now"] += 30
    await own.compare()
    assert not own.is_deaf()


async def test_what_went_while_nobody_was_looking_is_dropped(own, listing):
    listing.items = [job("a", 5), job("b", 6)]
    await own.compare()
    listing.items = [job("b", 6)]
    await own.compare()
    assert own.told == [("n", "a"), ("n", "b"), ("n", "a")]
    assert list(own.cache) == [("n", "b")]


class Silent:
    kind = FEDERATED_JOB
    last_turn = 1000.0


async def test_health_tells_what_is_silent_and_whether_the_loop_turns(clock):
    deaf = {"is": False}
    health = Health([Silent()], lambda: deaf["is"], lambda: clock["now"])
    health.obstacle = None
    assert health.alive() is None
    clock["now"] += 31
    assert health.alive() == "the event loop hangs"
    ticking = asyncio.create_task(health.tick())
    await asyncio.sleep(0)
    assert health.alive() is None
    clock["now"] = 1000.0 + LONGEST_TURN_S + 1
    ticking.cancel()
    ticking = asyncio.create_task(health.tick())
    await asyncio.sleep(0)
    assert health.alive() == "nothing is heard of federatedjobs"
    ticking.cancel()
    clock["now"] = 1000.0
    deaf["is"] = True
    assert "Kopf" in health.alive()


async def test_a_part_that_ends_by_itself_ends_the_process_with_what_ended_it():
    async def fails():
        raise OSError("gone")

    async def ends():
        pass

    stop = asyncio.Event()
    with pytest.raises(OSError, match="gone"):
        await until_stopped(stop, [fails(), stop.wait()])
    with pytest.raises(RuntimeError, match="has ended"):
        await until_stopped(stop, [ends()])
    stop.set()
    await until_stopped(stop, [asyncio.Event().wait()])

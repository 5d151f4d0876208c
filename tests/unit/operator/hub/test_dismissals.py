"""A revoked site is dismissed from a real aggregator, whatever was away when it was revoked."""

from __future__ import annotations

import asyncio
import logging
import random
import sys
from pathlib import Path

import grpc
import numpy as np
import pytest

from fedward_operator.hub.aggregators import Aggregators
from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.dismissals import Dismissals
from fedward_operator.hub.observer import Observer
from fedward_operator.hub.progress import dismissed
from fedward_protocol import tls
from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority
from fedward_protocol.tensors.file import write_tensors

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "server"))

from aggregator_bench import DAY, FEDERATION, UID, Bench, HandClock

KEY = ("research", "job")
NORTH = frozenset({"north"})


class Complaints(logging.Handler):
    """What is logged as a warning or worse, to be waited for."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.said = asyncio.Queue()

    def emit(self, record):
        self.said.put_nowait(record.getMessage())


@pytest.fixture
def complaints():
    handler = Complaints()
    logger = logging.getLogger("fedward_operator.hub.dismissals")
    logger.addHandler(handler)
    yield handler.said
    logger.removeHandler(handler)


@pytest.fixture
def bench(tmp_path):
    write_tensors(tmp_path / "initial.safetensors", {"w": np.zeros(8, "f4")})
    return Bench(tmp_path, HandClock())


@pytest.fixture
def way(bench):
    authority = HubAuthority(bench.authority, FEDERATION)
    return Aggregators(lambda: authority.own(bench.now), lambda key: f"127.0.0.1:{bench.port}", FEDERATION)


@pytest.fixture
async def telling(way):
    telling = Dismissals(way, random.Random(0))
    yield telling
    await telling.close()


async def test_a_revoked_site_is_dismissed_and_the_aggregators_status_shows_it(bench, way, telling):
    news = asyncio.Event()
    observer = Observer(way, lambda key: news.set(), random.Random(0))
    async with bench.running():
        observer.follow(KEY, UID, 1)
        telling.want(KEY, UID, NORTH)
        async with asyncio.timeout(10):
            while dismissed(observer.latest(KEY, UID, 1)) != NORTH:
                news.clear()
                await news.wait()
        await observer.close()


async def test_an_aggregator_that_is_away_is_told_once_it_is_back(bench, telling, complaints):
    async with bench.running():
        pass
    telling.want(KEY, UID, NORTH)
    assert "not dismissed yet" in await asyncio.wait_for(complaints.get(), 10)
    async with bench.running():
        await bench.until(lambda state: state.dismissed_sites == NORTH)


async def test_one_that_has_forgotten_is_told_again(bench, telling, tmp_path):
    async with bench.running():
        telling.want(KEY, UID, NORTH)
        await bench.until(lambda state: state.dismissed_sites == NORTH)
    (tmp_path / "journal.db").unlink()
    async with bench.running():
        async with asyncio.timeout(10):
            while not bench.job.state.dismissed_sites:
                telling.want(KEY, UID, NORTH)
                await asyncio.sleep(0.01)


async def test_what_is_wanted_last_counts(bench, telling):
    async with bench.running():
        port, bench.port = bench.port, 1
        telling.want(KEY, UID, NORTH)
        telling.want(KEY, UID, frozenset({"south"}))
        bench.port = port
        await bench.until(lambda state: state.dismissed_sites == {"south"})


async def test_an_aggregator_of_the_version_before_is_complained_about_once_and_asked_on(bench, telling, complaints):
    calls = asyncio.Queue()

    class Older(grpc.GenericRpcHandler):
        def service(self, details):
            calls.put_nowait(details.method)

    server = grpc.aio.server(options=tls.SERVER_OPTIONS)
    server.add_generic_rpc_handlers((Older(),))
    credentials = bench.authority.issue(
        Identity(FEDERATION, "job", UID), [aggregator_name("job", "research", FEDERATION)], bench.now, DAY
    )
    bench.port = server.add_secure_port("127.0.0.1:0", tls.server_credentials(credentials, require_client=True))
    await server.start()
    telling.want(KEY, UID, NORTH)
    async with asyncio.timeout(10):
        assert [await calls.get() for _ in range(3)] == ["/fedward.v1.Federation/Dismiss"] * 3
    assert complaints.get_nowait() == "the aggregator is too old to dismiss a site: suspend the job to stop it"
    assert complaints.empty()
    await server.stop(None)


async def test_the_hubs_identity_of_another_authority_dismisses_nobody(bench, way, complaints):
    foreign = HubAuthority(Authority.create(FEDERATION, bench.now), FEDERATION)
    strange = Dismissals(Aggregators(lambda: foreign.own(bench.now), way.address, FEDERATION), random.Random(0))
    async with bench.running():
        strange.want(KEY, UID, NORTH)
        assert "not dismissed yet" in await asyncio.wait_for(complaints.get(), 10)
        await strange.close()
        assert bench.job.state.dismissed_sites == frozenset()

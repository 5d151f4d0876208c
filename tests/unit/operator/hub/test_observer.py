"""What a real aggregator says reaches the operator, over mutual TLS, and is kept until the job is let go."""

from __future__ import annotations

import asyncio
import random
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from fedward_operator.hub.aggregators import Aggregators
from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.observer import Observer
from fedward_protocol.tensors.file import write_tensors

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "server"))

from aggregator_bench import FEDERATION, UID, Bench, HandClock

KEY = ("research", "job")


@pytest.fixture
async def aggregator(tmp_path):
    write_tensors(tmp_path / "initial.safetensors", {"w": np.zeros(8, "f4")})
    async with Bench(tmp_path, HandClock()).running() as running:
        await running.until(lambda state: state.latest is not None)
        yield running


@pytest.fixture
async def observed(aggregator):
    """An observer of the aggregator, and an event that is set whenever it has news."""
    news = asyncio.Event()
    authority = HubAuthority(aggregator.authority, FEDERATION)
    way = Aggregators(lambda: authority.own(aggregator.now), lambda key: f"127.0.0.1:{aggregator.port}", FEDERATION)
    observer = Observer(way, lambda key: news.set(), random.Random(0))
    yield observer, news
    await observer.close()


async def test_what_the_aggregator_says_is_kept_until_the_job_is_let_go(observed):
    observer, news = observed
    observer.follow(KEY, UID, 1)
    await asyncio.wait_for(news.wait(), 10)
    said = observer.latest(KEY, UID, 1)
    assert (said.state, said.attempt, sorted(said.sites)) == ("Waiting", 1, ["east", "north", "south"])
    assert observer.latest(KEY, UID, 2) is None
    assert observer.latest(KEY, "another-uid", 1) is None
    observer.leave(KEY)
    assert observer.latest(KEY, UID, 1) is said
    observer.forget(KEY)
    assert observer.latest(KEY, UID, 1) is None


async def test_a_stream_that_broke_down_is_begun_anew_at_the_next_look(aggregator):
    authority, asked, news = HubAuthority(None, FEDERATION), asyncio.Event(), asyncio.Event()

    def credentials():
        asked.set()
        return authority.own(aggregator.now)

    way = Aggregators(credentials, lambda key: f"127.0.0.1:{aggregator.port}", FEDERATION)
    observer = Observer(way, lambda key: news.set(), random.Random(0))
    observer.follow(KEY, UID, 1)
    await asked.wait()
    authority.take(aggregator.authority)
    async with asyncio.timeout(10):
        while not news.is_set():
            observer.follow(KEY, UID, 1)
            await asyncio.sleep(0.01)
    await observer.close()


def test_the_hubs_certificate_is_renewed_before_it_ends(tmp_path):
    bench = Bench(tmp_path, HandClock())
    authority = HubAuthority(bench.authority, FEDERATION)
    first = authority.own(bench.now)
    assert authority.own(bench.now + timedelta(days=59)) is first
    assert authority.own(bench.now + timedelta(days=61)) is not first


def test_an_authority_of_another_federation_is_not_taken(tmp_path):
    bench = Bench(tmp_path, HandClock())
    (tmp_path / "tls.crt").write_bytes(bench.authority.ca_pem)
    (tmp_path / "tls.key").write_bytes(bench.authority.key_pem)
    assert HubAuthority.load(tmp_path, FEDERATION)
    with pytest.raises(ValueError, match=r"not of other\.example"):
        HubAuthority.load(tmp_path, "other.example")
    (tmp_path / "tls.key").write_bytes(Bench(tmp_path, HandClock()).authority.key_pem)
    with pytest.raises(ValueError, match="not its certificate's"):
        HubAuthority.load(tmp_path, FEDERATION)

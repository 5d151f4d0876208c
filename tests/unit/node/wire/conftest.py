"""A hub that records what it hears, a gateway, and a trainer's channel to it, all real servers on 127.0.0.1."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.unit.node.wire.hospital import DAY, FEDERATION, SITE, Audit, Site, Update, make_plan
from tests.unit.node.wire.hub import Hub

from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority
from fedward_protocol.plan import NormClip, Rounds
from fedward_protocol.tensors.file import write_tensors

# The builders of BraTS folders, for the tests that damage them; and a real aggregator.
sys.path.insert(0, str(Path(__file__).parents[1] / "trainer_learning"))
sys.path.insert(0, str(Path(__file__).parents[2] / "server"))

from aggregator_bench import Bench, HandClock


@pytest.fixture
def model(tmp_path):
    """Return a model of 3.6 MB: path and digest."""
    path = tmp_path / "model.safetensors"
    generator = np.random.default_rng(7)
    values = {"conv.weight": generator.standard_normal((300, 3000), dtype=np.float32), "bias": np.zeros(7, np.float32)}
    return path, write_tensors(path, values).digest


@pytest.fixture
async def hub(model):
    authority = Authority.create(FEDERATION, datetime.now(UTC))
    name = aggregator_name("brain", "research", FEDERATION)
    hub = Hub(authority.issue(Identity(FEDERATION, "job", "uid-00000001"), [name], datetime.now(UTC), DAY))
    hub.authority = authority
    path, digest = model
    hub.models[digest] = path.read_bytes()
    await hub.start()
    yield hub
    await hub.stop()


@pytest.fixture
async def make_site(tmp_path, hub):
    """Start sites with a plan's filters, a floor and a budget."""
    sites = []

    async def start(filters=(), floor=(), budget=None, **transport):
        plan = make_plan(filters, **transport)
        site = Site(tmp_path, hub.authority, hub, Ed25519PrivateKey.generate(), Audit(), plan, floor, budget)
        await site.start()
        sites.append(site)
        return site

    yield start
    for site in sites:
        await site.close()


@pytest.fixture
async def site(make_site):
    """Return a site whose updates pass no filter."""
    return await make_site()


@pytest.fixture
async def filtering_site(make_site):
    """Return a site whose plan clips each update's norm to 1."""
    return await make_site(filters=(NormClip(name="normClip", max_norm=1.0),))


@pytest.fixture
async def aggregator(tmp_path, model):
    """A real aggregator, whose job has this site alone."""
    folder = tmp_path / "aggregator"
    folder.mkdir()
    shutil.copy(model[0], folder / "initial.safetensors")
    bench = Bench(folder, HandClock(), sites=(SITE,), rounds=Rounds(count=2, quorum=1, deadline_s=60, grace_s=0))
    async with bench.running():
        await bench.until(lambda state: state.latest is not None)
        yield bench


@pytest.fixture
async def member(tmp_path, aggregator):
    """A site whose gateway is connected to that aggregator."""
    site = Site(tmp_path, aggregator.authority, aggregator, Ed25519PrivateKey.generate(), Audit(), aggregator.plan)
    await site.start()
    yield site
    await site.close()


@pytest.fixture
def make_update(tmp_path, model):
    path, digest = model
    return lambda seed=1, **more: Update(tmp_path, path, digest, seed, **more)

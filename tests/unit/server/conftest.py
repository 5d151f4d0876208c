"""The aggregator that the tests of its calls speak to, with three sites attending."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fedward_protocol.tensors.file import write_tensors

sys.path.insert(0, str(Path(__file__).parent))

from aggregator_bench import SITES, Bench, HandClock, SiteClient


@pytest.fixture
def initial(tmp_path):
    write_tensors(tmp_path / "initial.safetensors", {"w": np.zeros((700, 700), "f4"), "b": np.ones(3, "f4")})


@pytest.fixture
async def bench(tmp_path, initial):
    async with Bench(tmp_path, HandClock()).running() as running:
        await running.until(lambda state: state.latest is not None)
        yield running


@pytest.fixture
async def sites(bench):
    clients = [SiteClient(bench, name) for name in SITES]
    for client in clients:
        assert (await client.attend()).WhichOneof("body") == "welcome"
    yield clients
    for client in clients:
        await client.channel.close()

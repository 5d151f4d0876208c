"""A server to speak to, and a client of it."""

from __future__ import annotations

import pytest
from hand_loop import Meter
from tests.unit.operator.kube.client.api_server import (
    Api,
    access,
    serving,
)

from fedward_operator.kube.client import Client


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def api():
    found = Api()
    runner, found.port = await serving(found)
    found.url = f"http://127.0.0.1:{found.port}"
    yield found
    await runner.cleanup()


@pytest.fixture
def meter():
    return Meter()


@pytest.fixture
async def client(api, meter):
    async with Client(access(api), "fedward-hub", meter) as found:
        yield found

"""Lets these tests share their servers, and keeps this machine's own proxy out of them."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

sys.path.insert(0, str(Path(__file__).parent))

from servers import Web


@pytest.fixture(scope="session")
def now():
    return datetime.now(UTC)


@pytest.fixture(scope="session")
def authority(now):
    return Authority.create("fed.example.org", now)


@pytest.fixture
def issue(authority, now):
    """Issue a certificate: to whom, by which names, good for how many days from how many days ago."""

    def issued(identity="hub", names=("hub.example.org",), days=30.0, ago=0.0, by=authority):
        begins = now - timedelta(days=ago)
        who = Identity("fed.example.org", *identity.split("/"))
        return by.issue(who, names, begins, timedelta(days=days))

    return issued


@pytest.fixture
def web(tmp_path):
    """Start web servers: with these answers by path, this certificate, a clock that is off by so much."""
    started = []

    def start(answers=None, credentials=None, off=timedelta(0), port=0):
        started.append(Web(tmp_path / f"web-{len(started)}", answers or {}, credentials, off, port))
        return started[-1]

    yield start
    for each in started:
        each.close()

"""A hospital whose only way out is its HTTP proxy, a real one: it joins, watches and beats through it."""

from __future__ import annotations

import contextlib

import pytest
from tests.cluster.invitations import Invitation, connected, start_invited
from tests.cluster.operators import site_jobs
from tests.kube.waiting import wait_until
from tests.process.tinyproxy import MISSING, PASSWORD, PROGRAM, REFUSED, Tinyproxy

pytestmark = [pytest.mark.cluster, pytest.mark.skipif(PROGRAM is None, reason=MISSING)]


@pytest.fixture
def proxy(tmp_path):
    made = Tinyproxy(tmp_path / "proxy")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def north(federation):
    """A hospital that was invited by a hub that runs."""
    federation.start_hub()
    return Invitation(federation, "north")


@pytest.fixture
def behind(federation, proxy, monkeypatch):
    """Set what processes learn of the proxy from now on; the hospital's own API server is reached without it."""

    def told(**login):
        spared = federation.hospital.url.removeprefix("https://")
        with monkeypatch.context() as change:
            for name, value in proxy.environment(**login, spared=spared).items():
                change.setenv(name, value)
            yield

    return contextlib.contextmanager(told)


def hub_of(federation):
    return f"CONNECT {federation.hub.url.removeprefix('https://')}"


def heard(federation, north, reason="Heard"):
    wait_until(
        f"the hub says {reason}",
        lambda: connected(federation, north.site),
        60,
        is_it=lambda said: said == [("True" if reason == "Heard" else "False", reason)],
    )


def test_a_hospital_joins_watches_and_beats_through_a_proxy_that_wants_a_password(federation, north, proxy, behind):
    with behind():
        operator, _ = start_invited(federation, north)
    heard(federation, north)
    federation.submit("brain", [north.site])
    wait_until("it is asked", lambda: site_jobs(federation.hospital, north.site))
    wait_until("it answers", lambda: answers(federation), is_it=lambda said: said == ["GpuNotOffered"])
    assert set(proxy.requests()) == {hub_of(federation)}
    said = operator.log.read_text()
    assert f"is reached through the proxy http://{proxy.address}" in said
    assert PASSWORD not in said


def answers(federation):
    return [site.get("reason") for site in federation.found("brain").get("status", {}).get("sites", [])]


@pytest.mark.parametrize("login", REFUSED)
def test_a_proxy_that_does_not_know_the_hospital_is_named_with_its_answer(federation, north, proxy, behind, login):
    with behind(login=login):
        operator, _ = start_invited(federation, north)
    said = wait_until(
        "the operator says it", operator.log.read_text, is_it=lambda log: f"it answered {REFUSED[login]}" in log
    )
    assert f"through the proxy http://{proxy.address}" in said
    assert "guessed" not in said
    assert operator.process.poll() is None, "its own cluster is looked after all the same"
    operator.kill()
    with behind():
        federation.restart(operator)
    heard(federation, north)


def test_a_proxy_that_dies_and_returns_costs_nothing_but_time(federation, north, proxy, behind):
    with behind():
        start_invited(federation, north)
    heard(federation, north)
    proxy.kill()
    heard(federation, north, "HeartbeatMissed")
    federation.submit("brain", [north.site])
    proxy.start()
    heard(federation, north)
    wait_until("it answers", lambda: answers(federation), is_it=lambda said: said == ["GpuNotOffered"])
    assert set(proxy.requests()) == {hub_of(federation)}

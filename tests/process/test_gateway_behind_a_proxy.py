"""A gateway whose only way to the hub is the hospital's HTTP proxy: a real one, with a password."""

from __future__ import annotations

import pytest
from hospital import SITE, hospitals
from tests.kube.waiting import wait_until
from tests.process.tinyproxy import MISSING, PASSWORD, PROGRAM, REFUSED, Tinyproxy

from fedward_node.gateway.audit import verify

pytestmark = [pytest.mark.process, pytest.mark.skipif(PROGRAM is None, reason=MISSING)]


@pytest.fixture
def proxy(tmp_path):
    made = Tinyproxy(tmp_path / "proxy")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def hospital(tmp_path):
    """Make hospitals that are stopped at the end."""
    with hospitals(tmp_path) as make:
        yield make


def test_a_job_runs_to_its_end_through_a_proxy_that_wants_a_password(hospital, proxy):
    north = hospital()
    north.start(proxy.environment())
    assert north.ends_well()
    assert set(proxy.requests()) == {f"CONNECT {north.aggregator}"}
    assert f"through the proxy http://{proxy.address}" in north.log()
    assert PASSWORD not in north.log()
    assert verify(north.out.audit(SITE)).broken is None


def test_where_no_proxy_spares_the_hub_the_proxy_is_not_asked(hospital, proxy):
    north = hospital()
    north.start(proxy.environment(spared="127.0.0.0/8"))
    assert north.ends_well()
    assert proxy.requests() == []


@pytest.mark.parametrize("login", REFUSED)
def test_a_proxy_that_does_not_know_the_gateway_is_named_with_its_answer(hospital, proxy, login):
    north = hospital()
    north.start(proxy.environment(login))
    said = wait_until("the gateway says it", north.log, 30, is_it=lambda log: str(REFUSED[login]) in log)
    assert f"through the proxy http://{proxy.address}" in said
    assert "guessed" not in said
    assert north.trainer.poll() is None, "it may be mended, so the trainer goes on trying"


def test_a_proxy_that_dies_and_returns_costs_nothing_but_time(hospital, proxy):
    north = hospital(rounds=40)
    north.start(proxy.environment())
    wait_until("a few rounds", north.round, 60, is_it=lambda number: number > 3)
    proxy.kill()
    wait_until("the gateway misses it", north.log, 30, is_it=lambda log: "Connection refused" in log)
    assert 3 < north.round() < 40
    proxy.start()
    assert north.ends_well()
    assert set(proxy.requests()) == {f"CONNECT {north.aggregator}"}
    assert verify(north.out.audit(SITE)).broken is None

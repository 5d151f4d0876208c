"""A gateway whose only way to the hub is the hospital's HTTP proxy: a real one, with a password."""

from __future__ import annotations

import os
import re
import subprocess
import urllib.request
from datetime import UTC, datetime

import pytest
from tests.kube.waiting import wait_until
from tests.process.tinyproxy import MISSING, PASSWORD, PROGRAM, REFUSED, Tinyproxy
from toy_federation import TRAINER, documents

from fedward_cli.local import credentials, orders
from fedward_cli.local.attempt import begin
from fedward_cli.local.commands import Addresses, Commands
from fedward_cli.local.folder import Folder
from fedward_cli.local.ports import Ports
from fedward_node.gateway.audit import verify

pytestmark = [pytest.mark.process, pytest.mark.skipif(PROGRAM is None, reason=MISSING)]

SITE = "north"


class Hospital:
    """A hub's aggregator, and one hospital's gateway and trainer, each a process of its own."""

    def __init__(self, folder, ports, rounds):
        job = documents(folder, (f"sites.names=[{SITE}]", f"rounds.count={rounds}", "rounds.minSites=1"))
        self.out = Folder(folder / "out")
        self.out.make()
        attempt = begin(self.out, job)
        self.aggregator = ports.reserve()
        self._metrics = ports.reserve()
        probes = {"aggregator": self._metrics, f"gateway-{SITE}": ports.reserve()}
        addresses = Addresses(self.aggregator, {SITE: ports.reserve()}, probes)
        now = datetime.now(UTC)
        credentials.issue(self.out, attempt.plan, now)
        orders.write_orders(self.out, job, attempt, self.aggregator, now)
        self._commands = Commands(self.out, attempt, addresses, TRAINER, 2)
        self._data = job.data_folder(SITE)
        self._started = []

    def start(self, proxy):
        """Start the gateway with what the proxy says of itself, and the others without a word of it."""
        making = self._commands.initialise()
        subprocess.run(making.argv, env=making.environment, check=True)
        self._run(self._commands.gateway(SITE), proxy)
        self._run(self._commands.aggregator(), {})
        self.trainer = self._run(self._commands.trainer(SITE, self._data), {})

    def log(self, process=f"gateway-{SITE}"):
        return self.out.log(process).read_text()

    def round(self):
        """Say which round is open; 0 while the aggregator does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=5) as page:
                return float(re.search(r"^fedward_aggregator_round\{.*\} (\S+)", page.read().decode(), re.MULTILINE)[1])
        except OSError:
            return 0.0

    def ends_well(self):
        """Wait for the trainer's end, and say whether the job was completed."""
        return self.trainer.wait(90) == 0 and "JobCompleted" in self.log("aggregator")

    def stop(self):
        for process in self._started:
            process.kill()
            process.wait()

    def _run(self, command, proxy):
        with command.log.open("ab") as log:
            process = subprocess.Popen(
                command.argv, stderr=log, stdout=log, env={**os.environ, **command.environment, **proxy}
            )
        self._started.append(process)
        return process


@pytest.fixture
def proxy(tmp_path):
    made = Tinyproxy(tmp_path / "proxy")
    made.start()
    yield made
    made.kill()


@pytest.fixture
def hospital(tmp_path):
    """Make hospitals that are stopped at the end."""
    made = []
    with Ports() as ports:

        def make(rounds=2):
            made.append(Hospital(tmp_path, ports, rounds))
            return made[-1]

        yield make
        for each in made:
            each.stop()


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

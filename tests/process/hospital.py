"""A hub and one hospital as processes of their own, each of which a test may give surroundings of its own."""

from __future__ import annotations

import os
import re
import subprocess
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime

from toy_federation import TRAINER, documents

from fedward_cli.local import credentials, orders
from fedward_cli.local.attempt import begin
from fedward_cli.local.commands import Addresses, Commands
from fedward_cli.local.folder import Folder
from fedward_cli.local.ports import Ports

SITE = "north"
NOTHING = {}


class Hospital:
    """A hub's aggregator, and one hospital's gateway and trainer, each a process of its own."""

    def __init__(self, folder, ports, rounds, issued_at=None):
        job = documents(folder, (f"sites.names=[{SITE}]", f"rounds.count={rounds}", "rounds.minSites=1"))
        self.out = Folder(folder / "out")
        self.out.make()
        self.attempt = attempt = begin(self.out, job)
        self.aggregator = ports.reserve()
        self._metrics = ports.reserve()
        probes = {"aggregator": self._metrics, f"gateway-{SITE}": ports.reserve()}
        addresses = Addresses(self.aggregator, {SITE: ports.reserve()}, probes)
        now = issued_at or datetime.now(UTC)
        self.hub = credentials.issue(self.out, attempt.plan, now)
        orders.write_orders(self.out, job, attempt, self.aggregator, now)
        self._commands = Commands(self.out, attempt, addresses, TRAINER, 2)
        self._data = job.data_folder(SITE)
        self._started = []

    def start(self, gateway=NOTHING, trainer=NOTHING):
        """Start all three, gateway and trainer with more in their environments; the hub's aggregator with nothing."""
        making = self._commands.initialise()
        subprocess.run(making.argv, env=making.environment, check=True)
        self._run(self._commands.gateway(SITE), gateway)
        self._run(self._commands.aggregator(), NOTHING)
        self.trainer = self._run(self._commands.trainer(SITE, self._data), trainer)

    def log(self, process=f"gateway-{SITE}"):
        return self.out.log(process).read_text()

    def round(self):
        """Say which round is open; 0 while the aggregator does not answer."""
        try:
            return float(re.search(r"^fedward_aggregator_round\{.*\} (\S+)", self.page(), re.MULTILINE)[1])
        except OSError:
            return 0.0

    def page(self):
        """Read the aggregator's /metrics."""
        with urllib.request.urlopen(f"http://{self._metrics}/metrics", timeout=5) as page:
            return page.read().decode()

    def ends_well(self):
        """Wait for the trainer's end, and say whether the job was completed."""
        return self.trainer.wait(90) == 0 and "JobCompleted" in self.log("aggregator")

    def stop(self):
        for process in self._started:
            process.kill()
            process.wait()

    def _run(self, command, environment):
        with command.log.open("ab") as log:
            process = subprocess.Popen(
                command.argv, stderr=log, stdout=log, env={**os.environ, **command.environment, **environment}
            )
        self._started.append(process)
        return process


@contextmanager
def hospitals(folder):
    """Give what makes hospitals; they are stopped at the end."""
    made = []
    with Ports() as ports:

        def make(rounds=2, issued_at=None):
            made.append(Hospital(folder, ports, rounds, issued_at))
            return made[-1]

        yield make
        for each in made:
            each.stop()

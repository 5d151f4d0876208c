"""The command line of each process of a local run: the same programs as in a cluster."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fedward_cli.local.attempt import Attempt
from fedward_cli.local.folder import Folder

TRAINER = (sys.executable, "-m", "fedward_node.trainer")


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run, and the file that its output goes to."""

    name: str
    argv: tuple[str, ...]
    log: Path
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where processes listen, as host:port."""

    aggregator: str
    gateways: Mapping[str, str]
    metrics: Mapping[str, str]
    """By process: `aggregator`, `gateway-north`."""


class Commands:
    """Builds the commands of one attempt."""

    def __init__(
        self, folder: Folder, attempt: Attempt, addresses: Addresses, trainer: Sequence[str], cores: int
    ) -> None:
        self._folder, self._attempt, self._addresses, self._trainer = folder, attempt, addresses, tuple(trainer)
        self._threads = threads_of(len(attempt.plan.sites), cores)

    def initialise(self) -> Command:
        """Make the first model, where there are no patients."""
        return self._trains(
            "initialise",
            *("initialise", "--plan", str(self._folder.plan), "--out", str(self._folder.initial)),
        )

    def aggregator(self) -> Command:
        """Run the job's rounds."""
        folder, addresses = self._folder, self._addresses
        return self._serves(
            "aggregator",
            *("-m", "fedward_server", "--plan", str(folder.plan), "--attempt", str(self._attempt.number)),
            *("--state", str(folder.aggregator), "--listen", addresses.aggregator),
            *("--metrics", addresses.metrics["aggregator"], "--tls", str(folder.tls("aggregator"))),
        )

    def gateway(self, site: str) -> Command:
        """Guard a site's way out."""
        folder, addresses, name = self._folder, self._addresses, f"gateway-{site}"
        return self._serves(
            name,
            *("-m", "fedward_node.gateway", "--state", str(folder.gateway(site)), "--audit", str(folder.audit(site))),
            *("--listen", addresses.gateways[site], "--metrics", addresses.metrics[name]),
            *("--tls", str(folder.tls(site)), "--operator-key", str(folder.operator_key)),
        )

    def trainer(self, site: str, data: Path) -> Command:
        """Train at a site."""
        folder = self._folder
        return self._trains(
            f"trainer-{site}",
            *("run", "--plan", str(folder.plan), "--work-order", str(folder.work_order(site)), "--data", str(data)),
            *("--state", str(folder.trainer(site)), "--gateway", self._addresses.gateways[site]),
            *("--gateway-ca", str(folder.tls(site) / "ca.crt")),
        )

    def _serves(self, name: str, *arguments: str) -> Command:
        return Command(name, (sys.executable, *arguments), self._folder.log(name), environment(os.environ, 1))

    def _trains(self, name: str, *arguments: str) -> Command:
        surroundings = environment(os.environ, self._threads)
        return Command(name, (*self._trainer, *arguments), self._folder.log(name), surroundings)


def threads_of(trainers: int, cores: int) -> int:
    """Share the cores out among trainers that train at the same time."""
    return max(1, cores // trainers)


def environment(inherited: Mapping[str, str], threads: int) -> dict[str, str]:
    """Give a process its share of the cores, keep a proxy away from connections within this machine, log for people."""
    surroundings = {"FEDWARD_LOG_FORMAT": "text", **inherited, "OMP_NUM_THREADS": str(threads)}
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        surroundings[name] = ",".join(filter(None, (inherited.get(name), "127.0.0.1")))
    return surroundings

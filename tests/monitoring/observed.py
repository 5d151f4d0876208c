"""A live federation with its operators' metrics, and a Prometheus that scrapes every part each second."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from monitoring.alerts import hub, site
from monitoring.alerts.alert import Alert, rule_file
from monitoring.client import Client, Series
from monitoring.server import HOST, Prometheus
from tests.kube.waiting import wait_until
from tests.monitoring.federation import JOB, SITES, Run
from tests.monitoring.operators import Operators

PROMETHEUS = shutil.which("prometheus")
needs_prometheus = pytest.mark.skipif(PROMETHEUS is None, reason="no Prometheus: scripts/prepare_monitoring.sh")
VARIABLES: Mapping[str, str] = {**JOB, "metric": "dice", "site": ".*", "__rate_interval": "10s"}
_START_S = 90.0
_WINDOW = "20s"
"""Instead of minutes; a trainer that is frozen is taken to attend for 15 seconds, and is not stuck."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What a test works with."""

    federation: Run
    operators: Operators
    prometheus: Prometheus

    @property
    def client(self) -> Client:
        """Who asks Prometheus."""
        return self.prometheus.client

    def ask(self, expression: str) -> list[Series]:
        """Evaluate PromQL now."""
        return self.client.ask(expression)

    def wait_for(self, expression: str, at_most_s: float = 60.0) -> None:
        """Wait until PromQL gives anything."""
        self.prometheus.wait(lambda: bool(self.ask(expression)), at_most_s, f"it never came to {expression}")

    def wait_for_alert(self, name: str, at_most_s: float = 60.0) -> None:
        """Wait until an alert fires."""
        self.prometheus.wait(
            lambda: name in self.client.firing(), at_most_s, f"{name} does not fire, but {self.client.firing()}"
        )


@contextmanager
def observe(run: Run, *, is_patient: bool = False) -> Iterator[Observed]:
    """Start everything else, with every alert told at once unless `is_patient`, and end all of it afterwards."""
    assert PROMETHEUS is not None
    with run as federation, Operators() as operators:
        _wait_for_processes(federation)
        targets = {name: [address] for name, address in (federation.addresses() | operators.addresses).items()}
        with Prometheus(
            PROMETHEUS, run.folder / "prometheus", free_port(), targets, [_rules(run.folder, is_patient)]
        ) as prometheus:
            yield Observed(federation, operators, prometheus)


def _rules(folder: Path, is_patient: bool) -> Path:
    alerts = [*hub.ALERTS, *site.ALERTS]
    if not is_patient:
        alerts = list(map(_impatient, alerts))
    path = folder / "rules.yaml"
    path.write_text(rule_file("all", alerts))
    return path


def _impatient(alert: Alert) -> Alert:
    """Take away its patience, which would take minutes."""
    expression = alert.expression.replace(f"[{alert.window_minutes}m]", f"[{_WINDOW}]")
    return replace(alert, hold_minutes=0, expression=expression)


def _wait_for_processes(run: Run) -> None:
    what = f"every process of the run says where it listens ({run.folder / 'run.log'})"
    wait_until(what, run.addresses, _START_S, lambda found: len(found) == len(SITES) + 1)


def free_port() -> int:
    """Find a port that nobody listens on now."""
    with socket.socket() as held:
        held.bind((HOST, 0))
        port: int = held.getsockname()[1]
        return port

"""An aggregator that is killed under load and started again: Prometheus counts each update once, and tells nobody."""

from __future__ import annotations

import os
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest
from tests.kube.waiting import wait_until
from tests.monitoring.federation import BRISK_S, SITES, Federation
from tests.monitoring.observed import Observed, needs_prometheus, observe

from fedward_server.events import UpdateArrived
from fedward_server.journal import read_events

pytestmark = [pytest.mark.process, pytest.mark.thorough, pytest.mark.timeout(300), needs_prometheus]

UPDATES = "fedward_aggregator_updates_total"
KILLS = 2


def test_its_updates_are_counted_once_and_nobody_is_told_of_what_mends_itself(tmp_path: Path) -> None:
    federation = Federation(tmp_path, step_s=BRISK_S)
    with observe(federation, is_patient=True) as observed:
        for _ in range(KILLS):
            go_on(observed)
            kill_aggregator(federation)
        go_on(observed)

        # Whoever sends nothing lets Prometheus catch up with the journal.
        for name in SITES:
            federation.freeze(f"trainer-{name}")
        observed.wait_for(f"sum(changes({UPDATES}[5s])) == 0")
        counted = {series.labels["site"]: series.value for series in observed.ask(UPDATES)}
        # A counter that falls back is one that PromQL's increase() counts from nought again.
        fallen_back = {series.labels["site"]: series.value for series in observed.ask(f"resets({UPDATES}[10m])")}
        told = observed.ask('count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[10m]))')
        federation.freeze("aggregator")
        shutil.copytree(federation.out / "run/aggregator", tmp_path / "copy")
    happened = read_events(tmp_path / "copy/journal.db")
    assert counted == Counter(event.site for event in happened if isinstance(event, UpdateArrived))
    assert fallen_back == dict.fromkeys(SITES, 0)
    assert [series.labels["alertname"] for series in told] == []


def kill_aggregator(federation: Federation) -> None:
    """Kill it, and wait until another has taken its place."""
    killed = federation.processes()["aggregator"]
    os.kill(killed, signal.SIGKILL)
    wait_until("it is started again", lambda: federation.processes().get("aggregator", killed) != killed, 30)


def go_on(observed: Observed) -> None:
    """Wait for three more rounds."""
    (now,) = observed.ask("max_over_time(fedward_aggregator_round[10m])") or observed.ask("vector(0)")
    observed.wait_for(f"fedward_aggregator_round > {now.value + 3}")

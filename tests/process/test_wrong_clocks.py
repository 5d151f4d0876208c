"""A hospital whose clock is wrong by an hour: what the hub tells is by the hub's clock, and no duration suffers."""

from __future__ import annotations

import asyncio
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hospital import SITE, hospitals
from tests.kube.waiting import wait_until

from fedward_cli.local.folder import locked
from fedward_cli.local.history import History
from fedward_cli.local.observe import observe
from fedward_cli.local.outcome import Ending, result_of
from fedward_cli.local.wording import remaining_s
from fedward_cli.progress.of_folder import read
from fedward_cli.progress.track import Track
from fedward_cli.results import RESULT, read_closed, read_rounds, write_record

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(LIBRARY is None, reason="no libfaketime: apt-get install libfaketime"),
]

HOUR = timedelta(hours=1)
SAMPLE = re.compile(r"^fedward_aggregator_(\w+?)(?:\{.*\})? (\S+)$", re.MULTILINE)


@pytest.fixture
def hospital(tmp_path):
    with hospitals(tmp_path) as make:
        yield make


def clock(off: timedelta) -> dict[str, str]:
    """Return what gives a process a clock that is wrong by so much."""
    return {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME": f"{off.total_seconds():+.0f}",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


class Watcher:
    """Follows the job from the hub's side, as `fedward run` does; keeps what is told after the second round."""

    def __init__(self, hospital):
        self._hospital = hospital
        self._track = Track()
        self.history = History(hospital.out.out)
        self.left = self.page = self.drawn = None

    def follow(self):
        """Follow it to its end."""
        plan = self._hospital.attempt.plan
        asyncio.run(observe(self._hospital.aggregator, lambda: self._hospital.hub, plan, 1, self._take, random.random))

    def _take(self, observation):
        if not any(closed.round == 2 for closed in self.history.take(observation)):
            return
        self.page, out, now = self._hospital.page(), self._hospital.out.out, datetime.now(UTC)
        self.drawn = remaining_s(self.history.closed.values(), self._hospital.attempt.plan.rounds.count)
        write_record(out / RESULT, result_of(self._hospital.attempt, self.history, now, Ending("Running")))
        progress = read(out)
        self._track.take(progress, now)
        self.left = self._track.remaining(progress, now)


@pytest.mark.parametrize("off", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_gateway_and_trainer_an_hour_off_change_no_time_that_the_hub_tells(hospital, off):
    begun = datetime.now(UTC)
    north = hospital(rounds=3, issued_at=begun - 2 * HOUR)
    north.start(gateway=clock(off), trainer=clock(off))
    with locked(north.out):
        watcher = Watcher(north)
        watcher.follow()
    assert north.ends_well()
    first, last = begun.timestamp(), datetime.now(UTC).timestamp()
    took = last - first
    assert took < HOUR.total_seconds() / 2, "the clocks' difference must show"

    # As `watch` and the report read it.
    closed, parts = read_closed(north.out.out), read_rounds(north.out.out)
    assert [each.round for each in closed] == [1, 2, 3]
    assert all(first <= each.opened_at <= each.closed_at <= last for each in closed)
    assert all(each.wait_seconds <= took and each.aggregate_seconds <= took for each in closed)
    assert {each.site for each in parts} == {SITE}
    assert all(first <= each.received_at <= last for each in parts)
    assert all(0 <= spent <= took for each in parts for spent in each.seconds.model_dump().values())
    assert all(first <= site.last_seen <= last for site in watcher.history.status.sites)
    assert 0 <= watcher.drawn <= took
    assert timedelta(0) <= watcher.left <= timedelta(seconds=took)

    # As Prometheus reads it, and the alerts.
    told = [(name, float(value)) for name, value in SAMPLE.findall(watcher.page)]
    numbers = dict(told)
    assert numbers["site_round_lag"] == 0
    assert first <= numbers["site_last_seen_timestamp_seconds"] <= last
    seconds = [value for name, value in told if re.search("(?<!timestamp)_seconds(_sum)?$", name)]
    assert len(seconds) > 5
    assert all(0 <= value <= max(took, 300) for value in seconds)
    # The log says what the process's own clock says: it was wrong.
    said = datetime.fromisoformat(north.log().split(" ", 1)[0])
    assert abs(said - begun - off) < HOUR / 2


def test_a_gateway_behind_its_time_says_that_its_clock_is_wrong_and_so_does_its_trainer(hospital):
    north = hospital()
    north.start(gateway=clock(-HOUR))
    assert north.trainer.wait(60) != 0
    for process in (f"gateway-{SITE}", f"trainer-{SITE}"):
        assert "it begins later by this machine's clock, so check the clock" in north.log(process)


def test_a_trainer_behind_its_time_says_that_its_clock_is_wrong(hospital):
    north = hospital()
    north.start(trainer=clock(-HOUR))
    said = (
        "the server's certificate is not valid yet by this machine's clock; check the clock (failed to connect to all"
    )
    wait_until("the trainer says it", lambda: north.log(f"trainer-{SITE}"), 60, is_it=lambda log: said in log)
    assert north.trainer.poll() is None, "a clock may be set, so the trainer goes on trying"

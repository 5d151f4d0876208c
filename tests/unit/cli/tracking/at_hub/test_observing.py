"""Observing on a thread of its own: what is heard is written down, and nothing that goes wrong there is lost."""

from __future__ import annotations

import asyncio
import logging
import threading
from pathlib import Path

import pytest
from tests.kube.waiting import wait_until

from fedward_cli.local.history import History
from fedward_cli.results import read_rounds
from fedward_cli.tracking.at_hub.observing import Listener, Observing
from fedward_protocol.wire import federation_pb2 as pb


def round_of(number: int) -> list[pb.Observation]:
    part = pb.SiteRound(round=number, site="north", samples=3, report=pb.UpdateReport(train_loss=1))
    closed = pb.RoundClosed(round=number, sites=["north"], opened_at=1, closed_at=2)
    return [pb.Observation(site_round=part), pb.Observation(round_closed=closed)]


def test_what_is_heard_is_in_the_folder_once_and_not_kept_in_memory(tmp_path: Path) -> None:
    history = History(tmp_path)
    listener = Listener("brain:8443", history)
    for number in (1, 1, 2):  # told from the start again after a reconnect
        for observation in round_of(number):
            listener.take(observation)
    assert [each.round for each in read_rounds(tmp_path)] == [1, 2]
    assert history.records == []


def test_nobody_knows_what_there_is_before_the_aggregator_was_heard(tmp_path: Path) -> None:
    listener = Listener("brain:8443", History(tmp_path))
    assert listener.trouble == "the aggregator at brain:8443 has not been heard yet"
    listener.take(pb.Observation(status=pb.JobStatus(state="Training")))
    listener.missed("it ended the call")
    assert listener.trouble is None, "it may be away when there is nothing new"


def test_an_aggregator_that_is_away_is_said_ever_more_seldom_and_so_is_its_return(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listener = Listener("brain:8443", History(tmp_path))
    with caplog.at_level(logging.INFO):
        for _ in range(100):
            listener.missed("UNAVAILABLE: no way")
        for _ in range(2):
            listener.take(pb.Observation(status=pb.JobStatus(state="Training")))
    said = [record.message for record in caplog.records]
    assert said == [*["the aggregator cannot be heard"] * 7, "the aggregator is heard again"]
    assert caplog.records[0].__dict__["why"] == "UNAVAILABLE: no way"


def test_it_goes_on_until_the_last_word() -> None:
    said = threading.Event()

    async def observe() -> None:
        await asyncio.to_thread(said.wait)

    with Observing(observe) as observing:
        assert observing.goes_on()
        said.set()
        wait_until("it is over", observing.goes_on, is_it=lambda goes_on: not goes_on)


def test_what_goes_wrong_there_is_raised_where_somebody_looks() -> None:
    async def observe() -> None:
        raise OSError("no space left")

    def look() -> str:
        try:
            observing.goes_on()
        except OSError as error:
            return str(error)
        return ""

    with Observing(observe) as observing:
        assert wait_until("it is said", look) == "no space left"


def test_it_is_stopped_with_whoever_began_it() -> None:
    stopped = threading.Event()

    async def observe() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    with Observing(observe) as observing:
        pass
    assert (stopped.is_set(), observing.goes_on()) == (True, False)

"""What is known of a server that is told of a job: for the pod's probe, for Prometheus, and in the log."""

from __future__ import annotations

import logging

import pytest
from prometheus_client import generate_latest

from fedward_cli.documents import Documents
from fedward_cli.tracking.at_hub.following import Rounds
from fedward_cli.tracking.at_hub.metrics import Metrics
from fedward_cli.tracking.at_hub.told import Told
from fedward_cli.tracking.trouble import TrackingError


class Book:
    """A logbook whose server answers as the test says."""

    def __init__(self) -> None:
        self.logged, self.trouble, self.ends = 0, "", list[bool]()

    def advance(self, *, is_over: bool, now: float) -> None:
        if self.trouble:
            raise TrackingError(self.trouble)
        self.logged += 1
        self.ends.append(is_over)


class Place:
    """A logbook, what is kept of it, and what Prometheus is shown."""

    def __init__(self, documents: Documents) -> None:
        self.book, self._metrics = Book(), Metrics(documents.plan())
        self.told = Told(self.book, "MLflow at https://m", self._metrics)

    def advance(self) -> None:
        self.told.advance(is_over=False, now=0)

    def shown(self) -> dict[str, float]:
        lines = generate_latest(self._metrics.registry).decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name.partition("{")[0].removeprefix("fedward_tracker_"): float(value) for name, _, value in samples}


@pytest.fixture
def place(documents: Documents) -> Place:
    return Place(documents)


def test_a_server_that_was_not_asked_yet_is_not_said_to_have_anything(place: Place) -> None:
    assert place.told.trouble == "MLflow at https://m has not been told anything yet"
    assert place.shown() == {"build_info": 1, "logged_round": 0, "server_up": 0, "failures_total": 0}


def test_trouble_lasts_until_the_server_has_taken_what_there_is(place: Place) -> None:
    place.advance()
    assert place.told.trouble is None
    place.book.trouble = "cannot be reached"
    for _ in range(2):
        with pytest.raises(TrackingError):
            place.advance()
    assert place.told.trouble == "MLflow at https://m cannot be reached"
    assert place.shown() == {"build_info": 1, "logged_round": 1, "server_up": 0, "failures_total": 2}
    place.book.trouble = ""
    place.advance()
    assert place.told.trouble is None
    assert place.shown() == {"build_info": 1, "logged_round": 2, "server_up": 1, "failures_total": 2}


def test_each_sample_names_the_job(documents: Documents) -> None:
    metrics = Metrics(documents.plan())
    names = [sample.labels for family in metrics.registry.collect() for sample in family.samples]
    assert all(labels.items() >= {"job_name": "glioma", "job_namespace": "research"}.items() for labels in names), names


def test_what_is_said_in_trouble_is_a_warning_and_its_end_is_not(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    world = place.told.world(lambda: True)
    with caplog.at_level(logging.INFO):
        world.say("away")
        place.advance()
        world.say("back")
    assert [(record.levelname, record.message) for record in caplog.records] == [("WARNING", "away"), ("INFO", "back")]


def test_the_end_is_not_told_by_who_follows_rounds() -> None:
    book = Book()
    rounds = Rounds(book)  # type: ignore[arg-type]
    rounds.advance(is_over=True, now=0)
    assert (book.ends, rounds.logged) == ([False], 1)
